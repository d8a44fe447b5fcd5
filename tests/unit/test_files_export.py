"""The export: its files and columns, the same bytes for the same input, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from stream_seg.adapters.files import ExportWriter
from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

LABELS = {
    "customer_id": pl.String,
    "event_id": pl.String,
    "event_type": pl.String,
    "event_time": pl.Datetime("ms", "UTC"),
    "segment": pl.Int64,
    "name": pl.String,
    "confidence": pl.Float64,
    "distance": pl.Float64,
    "runner_up": pl.Int64,
    "previous_segment": pl.Int64,
    "changed": pl.Boolean,
    "model_version": pl.Int64,
    "source_topic": pl.String,
    "source_partition": pl.Int64,
    "source_offset": pl.Int64,
    "run": pl.String,
}


def labels(start: int, stop: int) -> dict[str, Any]:
    n = stop - start
    numbers = range(start, stop)
    return {
        "customer_id": [f"c{i % 100}" for i in numbers],
        "event_id": [str(i) for i in numbers],
        "event_type": [None] * n,
        "event_time": np.arange(start, stop, dtype=np.int64) * 1000,
        "segment": np.arange(start, stop) % 6,
        "name": ["loyal"] * n,
        "confidence": np.where(np.arange(start, stop) % 5 == 0, np.nan, 0.5),
        "distance": np.arange(start, stop) / 7,
        "runner_up": [None if i % 5 == 0 else 1 for i in numbers],
        "previous_segment": [None if i < 100 else i % 6 for i in numbers],
        "changed": np.arange(start, stop) < 100,
        "model_version": np.ones(n, dtype=np.int32),
        "source_topic": ["orders.csv"] * n,
        "source_partition": np.zeros(n, dtype=np.int32),
        "source_offset": np.arange(start, stop),
        "run": ["replay:try"] * n,
    }


CUSTOMERS: dict[str, list[Any]] = {
    "customer_id": ["b", "a"],
    "segment": [1, 0],
    "name": ["lapsed", "loyal"],
    "f.spend": [1.5, 2.0],
}


def write(folder: Path, *, pieces: int = 1, n: int = 1000) -> None:
    with ExportWriter(folder) as export:
        for piece in range(pieces):
            export.labels(labels(piece * n // pieces, (piece + 1) * n // pieces))
        export.customers(CUSTOMERS)
        export.model('{"version":1}')
        export.complete()


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_the_three_files(tmp_path: Path) -> None:
    write(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "customers.parquet",
        "labels.parquet",
        "model.json",
    ]
    found = pl.read_parquet(tmp_path / "out" / "labels.parquet")
    assert dict(found.schema) == LABELS
    assert found["source_offset"].to_list() == list(range(1000))
    assert found["event_time"][1] == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert found["confidence"].null_count() == 200
    assert found["distance"].to_list() == [i / 7 for i in range(1000)]
    customers = pl.read_parquet(tmp_path / "out" / "customers.parquet")
    assert customers.rows() == [("a", 0, "loyal", 2.0), ("b", 1, "lapsed", 1.5)]
    assert customers.columns == list(CUSTOMERS)
    assert (tmp_path / "out" / "model.json").read_text() == '{"version":1}'
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_the_bytes_depend_on_the_rows_only(tmp_path: Path) -> None:
    for name, pieces in (("one", 1), ("seven", 7), ("many", 40)):
        write(tmp_path / name, pieces=pieces, n=200_000)
    assert digests(tmp_path / "one") == digests(tmp_path / "seven") == digests(tmp_path / "many")


def test_an_export_without_events_has_the_columns(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "out") as export:
        export.customers({name: [] for name in CUSTOMERS})
        export.model("{}")
        export.complete()
    assert dict(pl.read_parquet(tmp_path / "out" / "labels.parquet").schema) == LABELS
    assert pl.read_parquet(tmp_path / "out" / "customers.parquet").columns == list(CUSTOMERS)


def test_a_former_export_is_replaced_whole_and_only_when_complete(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out)
    before = digests(out)

    def fail() -> None:
        with ExportWriter(out) as export:
            export.labels(labels(0, 10))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with ExportWriter(out) as export:
        export.labels(labels(0, 10))
    assert digests(out) == before
    assert list(tmp_path.iterdir()) == [out]
    write(out, n=10)
    assert pl.read_parquet(out / "labels.parquet").height == 10
    assert list(tmp_path.iterdir()) == [out]


def test_what_is_no_export_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(UsageError, match=r'"photo\.jpg", which is no export'):
        ExportWriter(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        ExportWriter(tmp_path / "photo.jpg")
    write(tmp_path / "out")
    with ExportWriter(tmp_path / "out") as export:
        export.customers(CUSTOMERS)
        export.model("{}")
        (tmp_path / "out" / "notes.txt").touch()
        with pytest.raises(UsageError, match=r'"notes\.txt"'):
            export.complete()
    assert (tmp_path / "out" / "notes.txt").exists()


def test_an_incomplete_or_wrong_export_is_a_mistake(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "out") as export:
        with pytest.raises(ValueError, match="its customers and its model"):
            export.complete()
        with pytest.raises(ValueError, match="run"):
            export.labels({name: column for name, column in labels(0, 1).items() if name != "run"})


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_files_export import write
from stream_seg.errors import UsageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write(Path(sys.argv[1]), n=100_000)
except UsageError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_leaves_the_former_export(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, n=10)
    before = digests(out)
    here = os.path.dirname(__file__)  # noqa: PTH120
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(out), here],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("The export cannot be written to")
    assert digests(out) == before
    assert list(tmp_path.iterdir()) == [out]
