"""Our own rows: one process over a whole history, looked at at checkpoints."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.minter import Minted
from stream_seg.engine.outcome import MODEL
from stream_seg.engine.plan import Minting, ModelPlan
from stream_seg.engine.replay import Replay, Step, between
from stream_seg.engine.state import DAY_MS, Changes
from stream_seg.engine.version import Rules
from stream_seg.events.batch import EventBatch
from tests.bench.quality.data import DataSet
from tests.simulation.measure import Cost, cost_of, population

Row = dict[str, Any]
LEAST_CUSTOMERS = 1000
CHECKPOINTS = 12


def checkpoints(events: EventBatch, least: int = LEAST_CUSTOMERS, count: int = CHECKPOINTS) -> list[int]:
    """Numbers of events after which the population is looked at, from ``least`` customers on."""
    seen: set[str] = set()
    for i, customer in enumerate(events.customers):
        seen.add(customer)
        if len(seen) >= least:
            return [int(at) for at in np.linspace(i + 1, len(events), count)]
    raise ValueError(f"the data have {len(seen)} customers, fewer than {least}")


def first_seen_ms(streams: Sequence[EventBatch]) -> NDArray[np.int64]:
    """When customers were seen first, int64 in order."""
    first: dict[str, int] = {}
    for events in streams:
        for customer, time_ms in zip(events.customers, events.time_ms.tolist(), strict=True):
            first[customer] = min(time_ms, first.get(customer, time_ms))
    return np.array(sorted(first.values()), dtype=np.int64)


def grown_in_a_day(seen_ms: NDArray[np.int64], now_ms: int) -> float:
    """The share by which the population has grown in the day before ``now_ms``."""
    now, before = (int(np.searchsorted(seen_ms, at, side="right")) for at in (now_ms, now_ms - DAY_MS))
    return round(now / max(before, 1) - 1, 4)


@dataclass
class Watch:
    """Counts from the first checkpoint on."""

    begun: bool = False
    moved: dict[str, list[float]] = field(default_factory=lambda: {"mint": [], "structure": []})
    adopted_rows: int = 0
    passed_before: int = 0
    changes_before: Changes = field(default_factory=Changes)
    events_before: int = 0
    clock_before: int = 0

    def step(self, step: Step) -> None:
        if step.adopted is None:
            return
        residents = step.state.rows.residents
        self.adopted_rows += residents
        if self.begun and residents and step.adopted.version.reason in self.moved:
            by_model = int((step.outcome.transitions.cause == MODEL).sum())
            self.moved[step.adopted.version.reason].append(by_model / residents)

    def begin(self, replay: Replay) -> None:
        numbers = replay.states[0].numbers
        self.begun, self.adopted_rows = True, 0
        self.passed_before, self.changes_before = numbers.rows_passed, numbers.changes
        self.events_before, self.clock_before = numbers.events, numbers.clock_ms


def run_ours(
    data: DataSet,
    k: int,
    seed: int,
    minting: Minting | None = None,
    rules: Rules | None = None,
    restarts: int = 10,
) -> Row:
    """One history through the one-process driver; the row without its keys."""
    plan = ModelPlan(
        data.features, segments=k, seed=seed, minting=minting or Minting(), rules=rules or Rules()
    )
    watch, versions = Watch(), list[Minted]()
    replay = Replay(plan, {0: 0}, instance="bench", on_step=watch.step, on_version=versions.append)
    costs: list[Cost] = []
    grown: list[float] = []
    seen_ms = first_seen_ms([data.events])
    began, at = time.perf_counter(), 0
    spent_measuring = 0.0
    for stop in checkpoints(data.events):
        replay.feed(0, between(data.events, at, stop))
        at = stop
        measuring = time.perf_counter()
        costs.append(_cost(replay, restarts))
        grown.append(grown_in_a_day(seen_ms, int(data.events.time_ms[stop - 1])))
        if not watch.begun:
            watch.begin(replay)
        spent_measuring += time.perf_counter() - measuring
    replay.finish()
    seconds = time.perf_counter() - began - spent_measuring
    return {
        **summary(costs),
        "grown_in_a_day": grown,
        **_conduct(replay, watch),
        "versions": len(versions),
        "seconds": round(seconds, 1),
    }


def _cost(replay: Replay, restarts: int) -> Cost:
    if replay.current is None:
        raise ValueError("a checkpoint lies within warm-up")
    points, served = population([(s, s.numbers.clock_ms) for s in replay.states.values()])
    return cost_of(points, served, replay.current, restarts=restarts)


def summary(costs: list[Cost]) -> Row:
    """Median and worst of the checkpoints."""
    of_centroids, served = [c.centroids for c in costs], [c.served for c in costs]
    return {
        "median": round(statistics.median(of_centroids), 4),
        "worst": round(max(of_centroids), 4),
        "served_median": round(statistics.median(served), 4),
        "served_worst": round(max(served), 4),
        "costs": [round(c, 4) for c in of_centroids],
        "served": [round(c, 4) for c in served],
        "customers": [c.residents for c in costs],
    }


def _conduct(replay: Replay, watch: Watch) -> Row:
    numbers = replay.states[0].numbers
    made = [now - then for now, then in zip(numbers.changes.made, watch.changes_before.made, strict=True)]
    events = numbers.events - watch.events_before
    years = (numbers.clock_ms - watch.clock_before) / DAY_MS / 365.0
    rows = numbers.rows_passed - watch.passed_before + watch.adopted_rows
    moved = watch.moved
    return {
        "flapping": round((numbers.changes.reverted - watch.changes_before.reverted) / max(sum(made), 1), 4),
        "moved_by_mint": _mean(moved["mint"]),
        "moved_by_structure": _mean(moved["structure"]),
        "structural_a_year": round(len(moved["structure"]) / years, 1),
        "rows_an_event": round(rows / max(events, 1), 1),
    }


def _mean(values: list[float]) -> float | None:
    return round(statistics.fmean(values), 4) if values else None


def with_gain(gain: float) -> Minting:
    """The default constants with another threshold for structural moves."""
    return replace(Minting(), structure_gain=gain)
