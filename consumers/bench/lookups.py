"""Lookups: one customer, many at once, and while a worker writes."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from consumers.bench.figures import percentile
from consumers.bench.living import live_kept, run_until_stopped
from consumers.bench.processes import apart, beside
from stream_seg.lookup import SegmentLookup

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.bench.stand import Stand
    from consumers.bench.workload import Workload

__all__ = ["await_version", "lookups"]

MANY: Final = 100
PATIENCE_S: Final = 30.0


def lookups(stand: Stand, workload: Workload, topic: str, calls: int) -> dict[str, dict[str, float]]:
    """Milliseconds by percentile of ``calls`` lookups each, of customers of ``topic``'s events."""
    client = stand.clients[-1]
    settings = stand.model(client, "exactly_once", topic)
    other = stand.model(client, "exactly_once", topic)
    customers = [f"c{number}" for number in sorted(set(workload.columns().customer.tolist()))]
    found: dict[str, dict[str, float]] = {}
    try:
        apart(live_kept, settings)
        with SegmentLookup.from_url(stand.redis_url, model=settings.model.name) as lookup:

            def one() -> object:
                return lookup.get(random.choice(customers))  # noqa: S311 - no secret

            def many() -> object:
                return lookup.get_many(random.sample(customers, MANY))

            found["one customer"] = _timed(one, calls)
            found[f"{MANY} customers"] = _timed(many, max(1, calls // 10))
            with beside(run_until_stopped, other):
                await_version(stand, other.model.name)
                found["one customer while a worker writes"] = _timed(one, calls)
    finally:
        stand.clear(other)
        stand.clear(settings)
    return found


def _timed(call: Callable[[], object], calls: int) -> dict[str, float]:
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1e3)
    return {"p50": percentile(times, 0.5), "p99": percentile(times, 0.99), "max": max(times)}


def await_version(stand: Stand, model: str) -> None:
    """Wait until a model's worker has minted, which is when it begins to write."""
    deadline = time.monotonic() + PATIENCE_S
    with SegmentLookup.from_url(stand.redis_url, model=model) as lookup:
        while lookup.model() is None:
            if time.monotonic() > deadline:
                raise RuntimeError("the worker has not minted a version in time")
            time.sleep(0.01)
