"""How long decoding takes: JSON records in batches, and the rows of files.

Run from the repository: `python -m tests.bench.decode`. Times are processor time, the best of several rounds.
JSON should take at most 1.5 µs an event with one numeric field, Parquet 1 µs a row.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from stream_seg.adapters.files import FileSource
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.mapping import EventMapping
from stream_seg.events.records import RawRecords
from stream_seg.features.spec import Feature, FeatureSet

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = 200_000
BATCH = 4_000
ROUNDS = 5
ONE_FIELD = FeatureSet((Feature("days", "days_since"), Feature("spend", "sum", field="revenue")))
MORE = FeatureSet(
    (
        *ONE_FIELD.features,
        Feature("app", "share", where=(("channel", ("app",)),)),
        Feature("countries", "distinct", field="country"),
    )
)
MAPPING = EventMapping(
    "customer_id",
    "invoice_date",
    id="invoice",
    fields={"revenue": "revenue", "channel": "context.channel", "country": "country"},
)


def main() -> int:
    history = [_row(number) for number in range(EVENTS)]
    values = [json.dumps(row).encode() for row in history]
    clean = _batches(history, values)
    soiled = _batches(history, [b"{" if number % 100 == 0 else v for number, v in enumerate(values)])
    _tell("JSON, one numeric field", JsonDecoder(MAPPING, ONE_FIELD), clean)
    _tell("JSON, a filter and a counted field too", JsonDecoder(MAPPING, MORE), clean)
    _tell("the same, every hundredth record broken", JsonDecoder(MAPPING, MORE), soiled)
    frame = pl.DataFrame([{**row, "context.channel": row["context"]["channel"]} for row in history])
    frame = frame.drop("context")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        typed = frame.with_columns(pl.col("invoice_date").str.to_datetime(time_zone="UTC"))
        typed.write_parquet(folder / "rows.parquet")
        frame.write_csv(folder / "rows.csv")
        (folder / "rows.jsonl").write_bytes(b"\n".join(values))
        for path in sorted(folder.iterdir()):
            source = FileSource(path, MAPPING, MORE)
            _say(f"file, {path.suffix}", _best(lambda source=source: [len(d.events) for d in source]))  # type: ignore[misc]
    return 0


def _row(number: int) -> dict[str, Any]:
    return {
        "invoice": str(536_000 + number),
        "customer_id": str(12_000 + number * 7_919 % 5_000),
        "invoice_date": f"2011-{number % 12 + 1:02d}-{number % 28 + 1:02d}T{number % 24:02d}:26:00Z",
        "revenue": number % 1_000 / 8,
        "country": ["United Kingdom", "France", "EIRE"][number % 3],
        "context": {"channel": "app" if number % 2 else "web", "page": "checkout"},
    }


def _batches(history: list[dict[str, Any]], values: list[bytes]) -> list[RawRecords]:
    keys = [row["customer_id"].encode() for row in history]
    return [
        RawRecords(
            list(keys[start : start + BATCH]),
            list(values[start : start + BATCH]),
            np.arange(start, start + BATCH),
            np.full(BATCH, 1_700_000_000_000),
            start + BATCH,
            single_partition=False,
        )
        for start in range(0, EVENTS, BATCH)
    ]


def _tell(name: str, decoder: JsonDecoder, batches: list[RawRecords]) -> None:
    _say(name, _best(lambda: [len(decoder.decode(batch).events) for batch in batches]))


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def _say(name: str, seconds: float) -> None:
    sys.stdout.write(f"{name:<42} {seconds / EVENTS * 1e6:6.2f} µs  {EVENTS / seconds:>10,.0f}/s\n")


if __name__ == "__main__":
    sys.exit(main())
