"""Populations that a clustering is rarely shown: defined behaviour, no warning (those are errors), no NaN."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from stream_seg.clustering.lattice import LATTICE_LIMIT, ClusterSums
from stream_seg.engine.checkpoint import encode_rows
from stream_seg.engine.minter import Minted
from stream_seg.engine.plan import ModelPlan, WarmUp
from stream_seg.engine.records import Origin, encode_labels, encode_transitions
from stream_seg.engine.replay import Replay, Step
from stream_seg.engine.state import DAY_MS, State
from stream_seg.events.batch import EventBatch
from stream_seg.features.spec import Feature, FeatureSet

START_MS = 1_700_000_000_000
ORIGIN = Origin("orders", 0, "live")
FEATURES = FeatureSet(
    (
        Feature("days_since_order", "days_since", transform="log1p"),
        Feature("orders", "count", half_life_days=30, transform="log1p"),
        Feature("spend", "sum", field="revenue"),
        Feature("lately", "sum", field="revenue", half_life_days=0.01, transform="sqrt"),
        Feature("basket", "mean", field="revenue", transform="cbrt"),
    )
)
SPEND = FEATURES.names.index("spend")
_NOT_A_NUMBER = re.compile(rb"[:\[,]\s*-?(nan|inf)", re.IGNORECASE)
Row = tuple[str, float, float]
"""Customer, days since the start, revenue."""


@dataclass
class Ran:
    state: State
    versions: list[Minted] = field(default_factory=list)
    labels: list[bytes] = field(default_factory=list)
    transitions: list[bytes] = field(default_factory=list)


def ran(rows: list[Row], *, segments: int = 3, customers: int = 4, features: FeatureSet = FEATURES) -> Ran:
    """The events through the one-process driver, every label and transition encoded."""
    done = Ran(State(0, features))

    def note(step: Step) -> None:
        done.labels.extend(encode_labels(step.outcome, ORIGIN).values)
        done.transitions.extend(encode_transitions(step.outcome, ORIGIN, features).values)

    plan = ModelPlan(features, segments=segments, warm_up=WarmUp(customers=customers))
    replay = Replay(plan, {0: 0}, instance="test", on_step=note, on_version=done.versions.append)
    n = len(rows)
    replay.feed(
        0,
        EventBatch(
            customers=[customer for customer, _, _ in rows],
            time_ms=np.array([START_MS + int(day * DAY_MS) for _, day, _ in rows], dtype=np.int64),
            offset=np.arange(n, dtype=np.int64),
            ids=[None] * n,
            types=[None] * n,
            numbers=np.array([[revenue] for _, _, revenue in rows]),
            tokens=np.zeros((n, 0), dtype=np.uint64),
            matches=np.ones((n, len(features)), dtype=np.bool_),
            next_offset=n,
        ),
    )
    replay.finish()
    done.state = replay.states[0]
    return done


def everything_is_sound(done: Ran, rows: int) -> None:
    """No NaN or infinity in what is stored or published, every event labelled, sums a recount."""
    assert len(done.labels) == rows
    for text in (*done.labels, *done.transitions, *(m.version.to_json() for m in done.versions)):
        msgspec.json.decode(text)
        assert _NOT_A_NUMBER.search(text) is None
    for minted in done.versions:
        numbers = [x for s in minted.version.segments for x in s.centroid]
        numbers += [x for f in minted.version.features for x in (f.offset, f.scale)]
        numbers += [x for x in minted.version.quality.values() if x is not None]
        assert all(math.isfinite(x) for x in numbers)
        assert all(f.scale > 0.0 for f in minted.version.features)
    state = done.state
    assert state.version is not None
    points, places, which = state.points()
    assert state.sums.equals(ClusterSums.recount(points, places, len(state.version.segments)))
    assert len(encode_rows(state, which).present()) == len(which)
    assert np.isfinite(state.rows.aggregates.slots[which]).all()


def usual(customers: int, events: int, revenue: float = 10.0) -> list[Row]:
    rng = np.random.default_rng(4)
    return [
        (f"c{rng.integers(customers)}", day, float(np.round(revenue * rng.lognormal(), 2)))
        for day in np.sort(rng.uniform(0, 60, events)).tolist()
    ]


def test_a_constant_feature_has_scale_1_and_decides_nothing() -> None:
    rows = [(customer, day, 10.0) for customer, day, _ in usual(20, 200)]
    features = FeatureSet((FEATURES.features[0], FEATURES.features[1], FEATURES.features[4]))
    done = ran(rows, features=features)

    everything_is_sound(done, 200)
    for minted in done.versions:
        assert minted.version.features[2].scale == 1.0
        assert {s.centroid[2] for s in minted.version.segments} == {0.0}


def test_fewer_customers_than_segments_give_as_many_segments_as_there_are() -> None:
    done = ran([("a", 0.0, 1.0), ("b", 1.0, 50.0)], segments=6)

    everything_is_sound(done, 2)
    assert len(done.versions[0].version.segments) == 2


def test_segments_are_added_when_there_are_customers_for_them() -> None:
    done = ran([("a", 0.0, 1.0), ("b", 1.0, 50.0), *usual(30, 300)], segments=5, customers=2)

    everything_is_sound(done, 302)
    assert done.versions[0].version.segments_wanted == 5
    assert len(done.versions[-1].version.segments) == 5


@pytest.mark.parametrize("customers", [1, 2, 30])
def test_customers_all_alike_are_one_segment(customers: int) -> None:
    rows = [(f"c{i}", 0.0, 10.0) for i in range(customers)]
    done = ran(rows, customers=customers)

    everything_is_sound(done, customers)
    assert len(done.versions[0].version.segments) == 1
    assert msgspec.json.decode(done.labels[-1])["confidence"] is None
    assert msgspec.json.decode(done.labels[-1])["runner_up"] is None


def test_more_segments_than_distinct_points_give_one_for_each() -> None:
    rows = [(f"c{i}", 0.0, [10.0, 500.0][i % 2]) for i in range(40)]
    done = ran(rows, segments=5, customers=40)

    everything_is_sound(done, 40)
    assert len(done.versions[-1].version.segments) == 2


@pytest.mark.parametrize("revenue", [1e12, -1e12])
def test_one_customer_of_enormous_spend_is_clipped_and_counted(revenue: float) -> None:
    rows = usual(30, 300)
    rows.insert(150, ("whale", rows[150][1], revenue))
    done = ran(rows)

    everything_is_sound(done, 301)
    assert done.state.numbers.clipped > 0  # a plain sum has lattice steps of 2⁻⁴: up to 1.3e8
    row = done.state.rows.row_of("whale")
    assert abs(int(done.state.rows.placement.point[row, SPEND])) == LATTICE_LIMIT


@pytest.mark.parametrize("extreme", [1e308, -1e308])
def test_aggregates_that_overflow_to_infinity_leave_no_nan(extreme: float) -> None:
    rows = usual(20, 200)
    rows[100:100] = [("whale", rows[100][1], extreme)] * 3
    rows[150:150] = [("whale", rows[150][1], -extreme)] * 3
    done = ran(rows)

    everything_is_sound(done, 206)
    assert done.state.numbers.clipped > 0


def test_a_day_of_times_that_run_backwards_moves_no_clock() -> None:
    rows = usual(20, 200)
    back = [("late", rows[99][1] - hour / 24, 20.0) for hour in range(24)]
    rows[100:100] = back
    done = ran(rows)

    everything_is_sound(done, 224)
    assert done.state.numbers.clock_ms == START_MS + int(rows[-1][1] * DAY_MS)
    aggregates = done.state.rows.aggregates
    row = done.state.rows.row_of("late")
    assert aggregates.last_ms[row] == START_MS + int(back[0][1] * DAY_MS)
    assert aggregates.first_ms[row] == START_MS + int(back[-1][1] * DAY_MS)
