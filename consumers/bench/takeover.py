"""How long a partition takes to change hands, by the number of its customers."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

import numpy as np

from consumers.bench.clients import writer
from consumers.bench.living import Silent, live_kept
from consumers.bench.processes import apart
from consumers.bench.warm import compile_kernels
from consumers.bench.watching import timed
from consumers.bench.workload import BATCH_RECORDS, DAY_MS, START_MS, encoded
from consumers.live import live_worker
from stream_seg.engine.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.bench.stand import Stand
    from stream_seg.settings import Settings

__all__ = ["take_overs"]

REPEATS: Final = 3


def take_overs(stand: Stand, customers: int, tell: Callable[[str], None]) -> list[float]:
    """Seconds that workers need to take over one partition with so many customers, one after the other.

    From the moment the group gives it to them until they go on reading: claimed, the former owner fenced, the
    committed offset read, rows loaded and checked.
    """
    client = stand.clients[-1]
    with stand.topic(1) as topic:
        _feed(stand, topic, customers)
        settings = stand.model(client, "exactly_once", topic)
        try:
            tell(f"take-over: {customers:,} customers are being labelled")
            apart(live_kept, settings)
            return [apart(_taken_over, settings) for _ in range(REPEATS)]
        finally:
            stand.clear(settings)


def _feed(stand: Stand, topic: str, customers: int) -> None:
    """Everybody's first order, within a day."""
    with closing(writer(stand.kafka(stand.clients[-1]), None)) as sink:
        for first in range(0, customers, BATCH_RECORDS):
            numbers = np.arange(first, min(first + BATCH_RECORDS, customers))
            time_ms = START_MS + numbers * DAY_MS // customers
            part = encoded(numbers, time_ms, (10 + numbers % 90).astype(np.float64), first, 1)
            for row in zip(part.keys, part.values, part.partitions, part.timestamps_ms, strict=True):
                sink.send(topic, *row)
            sink.flush()


def _taken_over(settings: Settings) -> float:
    compile_kernels(settings)
    with timed(Worker, "_take_over") as calls, live_worker(settings, Silent(), until_end=True) as worker:
        worker.run()
    return sum(call.wall for call in calls)
