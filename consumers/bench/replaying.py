"""Replay of a Parquet file, in one process without servers."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from consumers.bench.warm import compile_kernels
from consumers.replay import Outputs, replay_events
from consumers.replay_driver import driver_of
from stream_seg.adapters.files import FileSource

if TYPE_CHECKING:
    from consumers.bench.workload import Workload
    from stream_seg.settings import Settings

__all__ = ["replay_rate", "write_parquet"]


def write_parquet(workload: Workload, path: Path) -> None:
    """Write a workload's events, a row each."""
    columns = workload.columns()
    pl.DataFrame(
        {
            "customer_id": [f"c{number}" for number in columns.customer.tolist()],
            "order_time": pl.Series(columns.time_ms).cast(pl.Datetime("ms", "UTC")),
            "order_id": [f"o{number}" for number in range(workload.events)],
            "revenue": columns.revenue,
        }
    ).write_parquet(path)


def replay_rate(settings: Settings, workload: Workload) -> float:
    """Rows a second of a replay that keeps nothing, minting included."""
    compile_kernels(settings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.parquet"
        write_parquet(workload, path)
        settings = replace(settings, servers_configured=False)
        outputs = Outputs()
        source = FileSource(path, settings.event, settings.features)
        driver = driver_of(
            settings, {0: 0}, instance="bench", on_step=outputs.step, on_version=outputs.version
        )
        began = time.perf_counter()
        replay_events(source, driver, outputs)
        return workload.events / (time.perf_counter() - began)
