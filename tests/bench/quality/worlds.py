"""Rows of several partitions side by side: growth with late reports, laggards, a stall, a backfill."""

from __future__ import annotations

import time

from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.state import DAY_MS
from tests.bench.quality.data import DataSet
from tests.bench.quality.ours import LEAST_CUSTOMERS, Row, first_seen_ms, grown_in_a_day, summary
from tests.simulation.measure import Cost, cost_of, population
from tests.simulation.streams import split
from tests.simulation.trace import derived
from tests.simulation.world import Conduct, World

GROWTH_MARKS = (1.5, 2.0, 3.0, 5.0, 8.0)
ROUNDS = 4000
"""Of a live history: a report that is a round late is two hours late in a year, 45 minutes in four months."""


def growth_row(data: DataSet, k: int, seed: int, partitions: int) -> Row:
    """Cost ratios when the population is so many times the warm-up's; reports 0.2 % of the growth late."""
    plan = ModelPlan(data.features, segments=k, seed=seed)
    world = World(plan, split(data.events, partitions), Conduct(rounds=500, late=0 if partitions == 1 else 1))
    found: dict[str, float] = {}
    for _ in world.run():
        residents = _residents(world)
        for mark in GROWTH_MARKS:
            if str(mark) not in found and residents >= mark * plan.warm_up.customers and world.current:
                found[str(mark)] = round(_cost(world).centroids, 4)
    return {"at": found}


def conduct_of(name: str, partitions: int, days: float, events: int) -> Conduct:
    """The named way in which a world behaves."""
    if name == "backfill":
        each = max(events // partitions // 400, 1)
        return Conduct(speeds=tuple(each * (1 + p % 4) for p in range(partitions)))
    if name == "laggards, an idle one, a stall":
        middle = days / 2
        return Conduct(
            rounds=ROUNDS,
            late=1,
            lag_days={partitions - 1: 2.0, partitions - 2: 0.5},
            stalls=((partitions // 2 - 1, middle, 10.0),),
        )
    return Conduct(rounds=ROUNDS, late=1)


CONDUCTS = ("live", "laggards, an idle one, a stall", "backfill")


def world_row(data: DataSet, k: int, seed: int, partitions: int, conduct: str) -> Row:
    """Cost at 12 checkpoints from 1,000 customers on, and whether all partitions derived alone agree."""
    began = time.perf_counter()
    first, last = int(data.events.time_ms[0]), int(data.events.time_ms[-1])
    days = (last - first) / DAY_MS
    quiet = [(1, first + int(days / 3 * DAY_MS))] if "idle" in conduct else []
    streams = split(data.events, partitions, quiet)
    total = sum(len(s) for s in streams)
    plan = ModelPlan(data.features, segments=k, seed=seed)
    world = World(plan, streams, conduct_of(conduct, partitions, days, total))
    costs: list[Cost] = []
    grown: list[float] = []
    seen_ms = first_seen_ms(streams)
    begun_at, every = None, 0.0
    for _ in world.run():
        taken = sum(p.taken for p in world.partitions)
        if begun_at is None and _residents(world) >= LEAST_CUSTOMERS and world.current:
            begun_at, every = taken, (total - taken) / 11.5
        if begun_at is not None and taken >= begun_at + every * len(costs) and len(costs) < 12:
            costs.append(_cost(world))
            grown.append(grown_in_a_day(seen_ms, world.clock_ms))
    same = 0
    for p in world.partitions:
        again = derived(p.number, data.features, p.adoptions, p.events, 997)
        same += again.trace.said == p.trace.said and again.sums.equals(p.state.sums)
    return {
        **summary(costs),
        "grown_in_a_day": grown,
        "derived_alone": f"{same} of {partitions}",
        "labels": sum(p.trace.labels for p in world.partitions),
        "versions": world.current.version if world.current else 0,
        "seconds": round(time.perf_counter() - began, 1),
    }


def _residents(world: World) -> int:
    return sum(p.state.rows.residents for p in world.partitions)


def _cost(world: World) -> Cost:
    """Partitions that have read all there is are seen as of the largest clock, others as of their own."""
    if world.current is None:
        raise ValueError("there is no version yet")
    clock = world.clock_ms
    states = [
        (p.state, clock if p.caught_up else p.state.numbers.clock_ms) for p in world.partitions if p.taken
    ]
    points, served = population(states)
    return cost_of(points, served, world.current)
