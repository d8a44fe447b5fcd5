"""Many partitions at once, and each derived again alone: nothing but events and adoptions decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import msgspec
import pytest

from stream_seg.engine.minter import Minted
from stream_seg.engine.outcome import Adoption
from stream_seg.engine.plan import ModelPlan, WarmUp
from stream_seg.engine.state import DAY_MS
from stream_seg.engine.version import Rules
from stream_seg.features.spec import Feature, FeatureSet
from tests.population import START_MS, Population, batch_of, events_of
from tests.simulation.measure import cost_of, population
from tests.simulation.streams import split
from tests.simulation.trace import derived
from tests.simulation.world import Conduct, World

FEATURES = FeatureSet(
    (
        Feature("days_since_order", "days_since", transform="log1p"),
        Feature("orders", "count", half_life_days=60, transform="log1p"),
        Feature("spend", "sum", field="revenue", half_life_days=60, transform="log1p"),
    )
)
PLAN = ModelPlan(FEATURES, segments=4, warm_up=WarmUp(customers=100))
PARTITIONS = 4
CONDUCTS = {
    "late reports": Conduct(rounds=200, late=2),
    "laggards and an idle one": Conduct(rounds=200, lag_days={3: 2.0}),
    "ten days of standstill": Conduct(rounds=200, stalls=((2, 20.0, 10.0),)),
    "backfill at unequal speed": Conduct(speeds=(20, 40, 80, 160)),
}


@cache
def finished(name: str) -> tuple[World, tuple[Minted, ...]]:
    events = batch_of(events_of(Population(customers=600, days=45, seed=2)), slice(None), len(FEATURES), 0)
    quiet = ((1, START_MS + 15 * DAY_MS),) if "idle" in name else ()
    versions: list[Minted] = []
    world = World(PLAN, split(events, PARTITIONS, quiet), CONDUCTS[name], versions.append)
    for _ in world.run():
        pass
    return world, tuple(versions)


def agrees(world: World, number: int, adoptions: list[Adoption], size: int) -> tuple[bool, bool, bool]:
    """Whether labels, transitions and sums of a partition derived alone are those of the world."""
    one = world.partitions[number]
    again = derived(number, FEATURES, adoptions, one.events, size)
    labels, transitions = zip(again.trace.said, one.trace.said, strict=True)
    return labels[0] == labels[1], transitions[0] == transitions[1], again.sums.equals(one.state.sums)


@pytest.mark.parametrize("name", CONDUCTS)
def test_every_partition_derived_alone_says_the_same(name: str) -> None:
    world, versions = finished(name)
    assert len(versions) > 10
    for one in world.partitions:
        assert one.trace.labels == len(one.events)
        assert one.trace.transitions > 0
        for size in (7, 1000):
            assert agrees(world, one.number, one.adoptions, size) == (True, True, True)


def later_clock(adoption: Adoption) -> Adoption:
    return replace(adoption, clock_ms=adoption.clock_ms + DAY_MS if adoption.clock_ms >= 0 else -1)


def other_rules(**changes: float) -> Callable[[Adoption], Adoption]:
    def changed(adoption: Adoption) -> Adoption:
        rules: Rules = msgspec.structs.replace(adoption.version.rules, **changes)
        return replace(adoption, version=msgspec.structs.replace(adoption.version, rules=rules))

    return changed


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(later_clock, id="a clock"),
        pytest.param(other_rules(pass_longest_ms=DAY_MS // 2, pass_shortest_ms=DAY_MS // 2), id="a pass"),
        pytest.param(other_rules(hysteresis=0.02), id="a hysteresis"),
    ],
)
@pytest.mark.parametrize("name", CONDUCTS)
def test_what_is_put_wrong_on_purpose_is_seen(name: str, wrong: Callable[[Adoption], Adoption]) -> None:
    world, _ = finished(name)
    busiest = max(world.partitions, key=lambda p: len(p.events))
    middle = len(busiest.adoptions) // 2
    adoptions = [*busiest.adoptions[:middle], *map(wrong, busiest.adoptions[middle:])]

    assert not all(agrees(world, busiest.number, adoptions, 1000))


@pytest.mark.parametrize("name", CONDUCTS)
def test_nobody_was_evaluated_more_than_a_day_ago(name: str) -> None:
    world, _ = finished(name)
    for one in world.partitions:
        numbers = one.state.numbers
        assert numbers.clock_ms - numbers.last_pass_ms <= DAY_MS


@pytest.mark.parametrize("name", CONDUCTS)
def test_the_clustering_is_nearly_as_good_as_batch_k_means(name: str) -> None:
    world, _ = finished(name)
    assert world.current is not None
    points, served = population([(p.state, world.clock_ms) for p in world.partitions])
    cost = cost_of(points, served, world.current)

    assert cost.residents == sum(p.state.rows.residents for p in world.partitions)
    assert 1.0 - 1e-6 <= cost.centroids <= 1.05
    assert cost.centroids <= cost.served <= 1.12


@pytest.mark.parametrize(("horizon_days", "apart"), [(1.0, False), (None, True)])
def test_the_horizon_keeps_a_backfill_together(horizon_days: float | None, *, apart: bool) -> None:
    events = batch_of(events_of(Population(customers=600, days=45, seed=2)), slice(None), len(FEATURES), 0)
    conduct = replace(CONDUCTS["backfill at unequal speed"], horizon_days=horizon_days)
    world = World(PLAN, split(events, PARTITIONS), conduct)
    spread = 0.0
    for _ in world.run():
        unread = [p.next_event for p in world.partitions]
        if world.current is not None and any(p.taken for p in world.partitions):
            earliest = min((t for t in unread if isinstance(t, int)), default=world.clock_ms)
            spread = max(spread, (world.clock_ms - earliest) / DAY_MS)

    assert (spread > 5.0) == apart
    assert apart or spread <= 1.0 + 1e-9
