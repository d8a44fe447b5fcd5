"""Files as sources of events: CSV, JSON Lines and Parquet give the same events, in order, bad rows named."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from stream_seg.adapters.files import FileSource
from stream_seg.adapters.files.rows import ROWS_A_BATCH
from stream_seg.errors import UsageError
from stream_seg.events.batch import EventBatch
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.jsontext import RECORD_LIMIT_BYTES
from stream_seg.events.mapping import EventMapping
from stream_seg.events.records import Decoded, RawRecords
from stream_seg.features.spec import Feature, FeatureSet

if TYPE_CHECKING:
    from collections.abc import Callable

FEATURES = FeatureSet(
    (
        Feature("days", "days_since"),
        Feature("spend", "sum", field="revenue"),
        Feature("app", "count", where=(("channel", ("app", 5)),)),
        Feature("countries", "distinct", field="country"),
    )
)
MAPPING = EventMapping(
    "customer",
    "time",
    id="id",
    fields={"revenue": "revenue", "channel": "context.channel", "country": "country"},
)
RETAIL = Path(__file__).parents[3] / "shared" / "data" / "online_retail.parquet"


def rows(n: int) -> list[dict[str, Any]]:
    return [
        {
            "customer": f"{i % 97:03d}",
            "time": f"2024-01-{1 + i % 28:02d}T{i % 24:02d}:00:00Z",
            "id": str(i),
            "revenue": (i % 50) / 4 if i % 7 else None,
            "context.channel": ["app", "web", "5", None][i % 4],
            "country": ["NL", 'é, "quoted"\nline', "007"][i % 3],
        }
        for i in range(n)
    ]


def as_json(row: dict[str, Any]) -> str:
    channel = row["context.channel"]
    record = {**row, "context": {"channel": 5 if channel == "5" else channel}}
    del record["context.channel"]
    return json.dumps(record, ensure_ascii=False)


def write(folder: Path, kind: str, n: int) -> Path:
    path = folder / f"events.{kind}"
    if kind == "jsonl":
        path.write_text("".join(f"{as_json(row)}\n\n" for row in rows(n)), encoding="utf-8")
        return path
    frame = pl.DataFrame(rows(n), infer_schema_length=None)
    if kind == "csv":
        frame.write_csv(path)
    else:
        frame.with_columns(pl.col("time").str.to_datetime(time_zone="UTC")).write_parquet(
            path, row_group_size=1000
        )
    return path


def source(path: Path) -> FileSource:
    return FileSource(path, MAPPING, FEATURES)


def all_of(path: Path) -> Decoded:
    parts = list(source(path))
    return Decoded(EventBatch.joined([p.events for p in parts]), [r for p in parts for r in p.rejected])


def text(folder: Path, content: str | bytes, name: str = "events.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_every_kind_gives_the_same_events(tmp_path: Path, kind: str) -> None:
    n = ROWS_A_BATCH + 5
    found = source(write(tmp_path, kind, n))
    assert found.name == f"events.{kind}"
    assert found.total_rows() == n
    batches = [decoded.events for decoded in found]
    assert [len(events) for events in batches] == [ROWS_A_BATCH, 5]
    events = EventBatch.joined(batches)
    wanted = rows(n)
    assert events.customers == [row["customer"] for row in wanted]
    assert events.ids == [row["id"] for row in wanted]
    assert events.offset.tolist() == list(range(n))
    assert events.next_offset == n
    expected = [np.nan if row["revenue"] is None else row["revenue"] for row in wanted]
    np.testing.assert_array_equal(events.numbers[:, 0], expected)
    allowed = {"app"} if kind == "parquet" else {"app", "5"}
    assert events.matches[:, 2].tolist() == [row["context.channel"] in allowed for row in wanted]
    assert len(set(events.tokens[:, 0].tolist())) == 3
    in_order = (
        JsonDecoder(MAPPING, FEATURES).decode(records([as_json(row).encode() for row in wanted])).events
    )
    np.testing.assert_array_equal(events.time_ms, in_order.time_ms)
    np.testing.assert_array_equal(events.tokens, in_order.tokens)


def records(values: list[bytes]) -> RawRecords:
    n = len(values)
    return RawRecords([None] * n, list(values), np.arange(n), np.full(n, -1), n, single_partition=True)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_rows_as_json_decode_to_what_the_rows_decode_to(tmp_path: Path, kind: str) -> None:
    for batch in source(write(tmp_path, kind, 500)).row_batches():
        again = JsonDecoder(MAPPING, FEATURES).decode(records(batch.values()))
        assert again.rejected == []
        for name in ("customers", "ids", "types"):
            assert getattr(again.events, name) == getattr(batch.decoded.events, name)
        for name in ("time_ms", "numbers", "tokens", "matches"):
            np.testing.assert_array_equal(getattr(again.events, name), getattr(batch.decoded.events, name))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_file_can_be_read_twice(tmp_path: Path, kind: str) -> None:
    found = source(write(tmp_path, kind, 10))
    assert [len(d.events) for d in found] == [len(d.events) for d in found] == [10]


def test_a_bad_csv_row_spoils_no_other(tmp_path: Path) -> None:
    header = b"customer,time,id,revenue,context.channel,country\r\n"
    good = b"a,2024-01-01,1,2.5,app,NL\r\n"
    bad = [
        b"b,2024-01-01,1,2.5,app\r\n",
        b"b,2024-01-01,1,2.5,app,NL,more\r\n",
        b"b\xff,2024-01-01,1,2.5,app,NL\r\n",
        b"b,2024-01-01,1,much,app,NL\r\n",
        b"b,yesterday,1,2.5,app,NL\r\n",
        b",2024-01-01,1,2.5,app,NL\r\n",
        b'b,2024-01-01,1,2.5,app,"' + b"x" * 200_000 + b'"\r\n',
    ]
    path = text(tmp_path, b"\xef\xbb\xbf" + header + good + b"\r\n" + b"".join(line + good for line in bad))
    decoded = all_of(path)
    assert decoded.events.offset.tolist() == list(range(0, 15, 2))
    assert [r.offset for r in decoded.rejected] == list(range(1, 15, 2))
    assert [r.stage for r in decoded.rejected] == ["row", "row", "row", "event", "time", "event", "row"]
    assert source(path).total_rows() == 15
    shown = [json.loads(r.value or b"") for r in decoded.rejected]
    assert [row.get("customer") for row in shown] == ["b", "b", "b\ufffd", "b", "b", None, None]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_divided_by_semicolons_or_tabs(tmp_path: Path, delimiter: str) -> None:
    lines = ["customer,time,id,revenue,context.channel,country", "a,2024-01-01,1,2.5,app,NL"]
    path = text(tmp_path, "\n".join(lines).replace(",", delimiter))
    assert all_of(path).events.customers == ["a"]


def test_a_bad_json_line_spoils_no_other(tmp_path: Path) -> None:
    good = as_json(rows(1)[0]).encode() + b"\n"
    too_long = b'{"x":"' + b"y" * (3 * RECORD_LIMIT_BYTES) + b'"}\n'
    bad = [b"{\n", b"\xff\n", b"[]\n", too_long, b'{"customer":"a"}\r\n']
    path = text(tmp_path, b"\xef\xbb\xbf" + good + b"".join(line + good for line in bad), "events.ndjson")
    decoded = all_of(path)
    assert decoded.events.offset.tolist() == [0, 2, 4, 6, 8, 10]
    assert [r.stage for r in decoded.rejected] == ["json", "json", "json", "json", "time"]
    assert "longer than" in decoded.rejected[3].message
    assert source(path).total_rows() == 11


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_without_rows_has_no_events(tmp_path: Path, kind: str) -> None:
    frame = pl.DataFrame(rows(1)).head(0)
    path = tmp_path / f"events.{kind}"
    (frame.write_csv if kind == "csv" else frame.write_parquet)(path)
    assert source(path).total_rows() == 0
    assert list(source(path)) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("events.txt", b"", r"events.txt must end in one of \.csv"),
        ("events.csv", b"", "events.csv is empty"),
        ("events.csv", b"a,b,a\n", '"a" more than once'),
        ("events.csv", b"caf\xe9,time\n", "is not UTF-8"),
        ("events.csv", b"costumer,time,id,revenue,country\n", '"customer".*nearest is "costumer"'),
        ("events.parquet", b"PAR1 not", "cannot be read as Parquet"),
    ],
)
def test_an_unusable_file_is_said_at_once(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        source(text(tmp_path, content, name))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no file"):
        source(tmp_path / "events.csv")


def test_without_polars_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "parquet", 1)
    csv = write(tmp_path, "csv", 1)
    plain: Callable[..., Any] = builtins.__import__

    def without_polars(name: str, *rest: Any, **named: Any) -> Any:
        if name == "polars":
            raise ImportError(name)
        return plain(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_polars)
    with pytest.raises(UsageError, match=r"pip install 'stream-seg\[files\]'"):
        source(path)
    assert len(all_of(csv).events) == 1


def test_cells_that_no_feature_reads_keep_their_look(tmp_path: Path) -> None:
    mapping = EventMapping("customer", "time", fields={"revenue": "revenue", "code": "code"})
    path = text(
        tmp_path, "customer,time,revenue,code,zip\n007, 2024-01-01 ,5,12.5,01234\n8,2024-01-01,x,0x1,\n"
    )
    (batch,) = FileSource(path, mapping, FeatureSet(())).row_batches()
    assert [json.loads(value) for value in batch.values()] == [
        {"customer": "007", "time": "2024-01-01", "revenue": 5, "code": 12.5, "zip": "01234"},
        {"customer": "8", "time": "2024-01-01", "revenue": "x", "code": "0x1"},
    ]


@pytest.mark.skipif(not RETAIL.exists(), reason="the shared data is not on this machine")
def test_online_retail_is_read_whole() -> None:
    mapping = EventMapping("customer_id", "invoice_date", id="invoice", fields={"quantity": "quantity"})
    features = FeatureSet((Feature("items", "sum", field="quantity"),))
    found = FileSource(RETAIL, mapping, features)
    assert found.total_rows() == 541_909
    customers: set[str] = set()
    quantity, rejected = 0.0, 0
    for decoded in found:
        customers.update(decoded.events.customers)
        quantity += decoded.events.numbers.sum()
        rejected += len(decoded.rejected)
    assert len(customers) == 4_372
    assert rejected == 135_080
    frame = pl.read_parquet(RETAIL).filter(pl.col("customer_id").is_not_null())
    assert quantity == frame["quantity"].sum()
