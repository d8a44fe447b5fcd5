"""Laws of files: no bytes raise, a row is an event or rejected, and its JSON record decodes to the same."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_seg.adapters.files import FileSource
from stream_seg.adapters.files.rows import RowBatch
from stream_seg.events.batch import EventBatch
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.mapping import EventMapping
from stream_seg.events.records import RawRecords
from stream_seg.features.spec import Feature, FeatureSet

if TYPE_CHECKING:
    from collections.abc import Iterator

FEATURES = FeatureSet(
    (
        Feature("spend", "sum", field="n"),
        Feature("app", "count", where=(("w", ("app", 1, True)),)),
        Feature("values", "distinct", field="d"),
    )
)
MAPPING = EventMapping(
    "c",
    "t",
    time_unit="ms",
    time_zone="Europe/Berlin",
    id="i",
    type="k",
    fields={"n": "n", "w": "w.x", "d": "d"},
)
NAMES = ("c", "t", "i", "k", "n", "w.x", "d")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def check(path: Path) -> list[RowBatch]:
    """Every row is in one place, and the events' JSON records decode to the events."""
    source = FileSource(path, MAPPING, FEATURES)
    batches = list(source.row_batches())
    rows = 0
    for batch in batches:
        events, rejected = batch.decoded
        assert all(gone.message and gone.value is not None for gone in rejected)
        found = sorted([*events.offset.tolist(), *(gone.offset for gone in rejected)])
        assert found == list(range(rows, events.next_offset))
        rows = events.next_offset
        again = decoded(batch.values())
        for name in ("customers", "ids", "types"):
            assert getattr(again, name) == getattr(events, name)
        for name in ("time_ms", "numbers", "tokens", "matches"):
            np.testing.assert_array_equal(getattr(again, name), getattr(events, name), err_msg=name)
    assert source.total_rows() == rows
    return batches


def decoded(values: list[bytes]) -> EventBatch:
    n = len(values)
    raw = RawRecords([None] * n, list(values), np.arange(n), np.full(n, -1), n, single_partition=True)
    events, rejected = JsonDecoder(MAPPING, FEATURES).decode(raw)
    assert rejected == []
    return events


cells = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["", "a", " a ", "app", "1", "1.0", "true", "TRUE", "2024-01-01", "2024-01-01T01:02:03.5+01:00"]
    ),
    st.sampled_from(
        ["1700000000000", "1e3", "-.5", "5.", "1_0", "nan", "inf", "1e999", "007", '"', '""', "\r", "\n"]
    ),
)
good_rows = st.tuples(
    st.sampled_from(["a", "007"]), st.sampled_from(["2024-03-31T02:30:00", "1700000000000"]), *[cells] * 5
)
csv_rows = st.lists(st.one_of(st.tuples(*[cells] * 7), good_rows, st.lists(cells, max_size=9)), max_size=8)


def quoted(cell: str) -> str:
    return f'"{cell}"' if "," in cell and '"' not in cell else cell


@given(csv_rows)
@settings(max_examples=150, deadline=None)
def test_csv_rows(folder: Path, rows: list[tuple[str, ...]]) -> None:
    lines = [",".join(map(quoted, row)) for row in (NAMES, *rows)]
    path = folder / "rows.csv"
    path.write_bytes("\r\n".join(lines).encode("utf-8", "surrogatepass"))
    check(path)


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_in_a_csv_file(folder: Path, content: bytes) -> None:
    path = folder / "bytes.csv"
    path.write_bytes(",".join(NAMES).encode() + b"\n" + content)
    check(path)


@given(st.lists(st.one_of(st.binary(max_size=30), st.just(b'{"c":"a","t":"2024-01-01"}')), max_size=10))
@settings(max_examples=150, deadline=None)
def test_any_bytes_in_a_json_lines_file(folder: Path, lines: list[bytes]) -> None:
    path = folder / "bytes.jsonl"
    path.write_bytes(b"\n".join(lines))
    check(path)


def column(values: st.SearchStrategy[Any], kind: Any) -> st.SearchStrategy[pl.Series]:
    return st.lists(st.one_of(st.none(), values), min_size=6, max_size=6).map(
        lambda v: pl.Series(v, dtype=kind)
    )


moments = st.datetimes(datetime(1969, 12, 30), datetime(2100, 1, 3))  # noqa: DTZ001
units: list[Any] = ["ms", "us", "ns"]
texts = column(st.one_of(st.text(max_size=5), st.sampled_from(["app", "a", "1"])), pl.String)
integers = column(st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1]), pl.Int64)
floats = column(st.floats() | st.sampled_from([0.0, 1.0, 5.0]), pl.Float64)
flags = column(st.booleans(), pl.Boolean)
decimals = column(st.decimals(-99, 99, places=2).map(Decimal), pl.Decimal(10, 2))
dates = column(st.dates(date(1969, 12, 1), date(2100, 2, 1)), pl.Date)
naive = st.sampled_from(units).flatmap(lambda unit: column(moments, pl.Datetime(unit)))
aware = column(moments.map(lambda when: when.replace(tzinfo=UTC)), pl.Datetime("us", "UTC"))
lists = column(st.lists(st.integers(0, 3), max_size=2), pl.List(pl.Int64))
empty = column(st.none(), pl.Null)
anything = st.one_of(texts, integers, floats, flags, decimals, dates, naive, aware, lists, empty)
epochs = column(st.integers(0, 4_102_444_800_000), pl.Int64)
frames = st.fixed_dictionaries(
    {
        "c": st.one_of(texts, texts, integers, anything),
        "t": st.one_of(naive, aware, dates, epochs, anything),
        "i": anything,
        "k": anything,
        "n": st.one_of(floats, integers, decimals, anything),
        "w.x": anything,
        "d": anything,
    }
)


@given(frames)
@settings(max_examples=150, deadline=None)
def test_parquet_rows(folder: Path, columns: dict[str, pl.Series]) -> None:
    path = folder / "rows.parquet"
    pl.DataFrame([series.alias(name) for name, series in columns.items()]).write_parquet(path)
    check(path)


def test_the_laws_are_about_something(folder: Path) -> None:
    path = folder / "some.csv"
    path.write_text(",".join(NAMES) + "\na,2024-01-01,1,k,2.5,1.0,x\n,,,,,,\n")
    (batch,) = check(path)
    assert len(batch.decoded.events) == len(batch.decoded.rejected) == 1
