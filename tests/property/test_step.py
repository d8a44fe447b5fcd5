"""Laws of ``step``: batches change nothing, sums are exact, stored state is the whole state."""

from __future__ import annotations

import math
from collections import defaultdict
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_seg.clustering.lattice import ClusterSums
from stream_seg.engine.checkpoint import encode_rows, restore
from stream_seg.engine.kernels import rows_values
from stream_seg.engine.state import DAY_MS, State
from stream_seg.engine.step import step
from tests.histories import FEATURES, Event, History, Run, batch_of, events, histories, run


def stored(state: State) -> list[tuple[int, bytes]]:
    which = state.rows.resident_rows()
    return list(zip(which.tolist(), encode_rows(state, which).present(), strict=True))


def content(done: Run) -> tuple[object, ...]:
    numbers = done.state.numbers
    return (
        done.labels,
        done.transitions,
        stored(done.state),
        done.passes,
        numbers.clock_ms,
        numbers.next_pass_ms,
        numbers.rows_passed,
        [a.tolist() for a in done.state.sums.arrays],
    )


@given(histories(), st.data())
@settings(max_examples=150, deadline=None)
def test_batch_cuts_change_nothing(history: History, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(history.events)), max_size=10))
    assert content(run(history, cuts)) == content(run(history, []))


@given(histories())
@settings(max_examples=100, deadline=None)
def test_sums_are_a_recount_of_the_population(history: History) -> None:
    state = run(history, []).state
    points, places, _ = state.points()
    assert state.version is not None
    assert state.sums.equals(ClusterSums.recount(points, places, len(state.version.segments)))


@given(histories(), st.integers(0, 60))
@settings(max_examples=100, deadline=None)
def test_a_restored_state_goes_on_as_if_nothing_had_happened(history: History, at: int) -> None:
    at = min(at, len(history.events))
    early = History(
        history.events[:at],
        [a for a in history.adoptions if a[0] <= at],
        history.forget_after_days,
        history.seed,
    )
    state = run(early, []).state
    again = restore(0, FEATURES, state.numbers, state.version, stored(state))
    assert again.sums.equals(state.sums)
    rest = batch_of(history.events[at:], at, len(history.events) * 2)
    one, two = step(state, rest), step(again, rest)
    assert one.labels is not None
    assert two.labels is not None
    for column, same in zip(map(np.asarray, one.labels), map(np.asarray, two.labels), strict=True):
        assert np.array_equal(column, same, equal_nan=True)
    assert one.transitions.customers == two.transitions.customers
    assert stored(state) == stored(again)
    assert state.numbers == again.numbers
    assert state.sums.equals(again.sums)


@given(histories())
@settings(max_examples=100, deadline=None)
def test_nobody_keeps_an_old_evaluation_for_longer_than_a_day(history: History) -> None:
    numbers = run(history, []).state.numbers
    assert numbers.next_pass_ms - numbers.last_pass_ms <= DAY_MS
    assert numbers.clock_ms < numbers.next_pass_ms


def days(time_ms: int, now: int) -> float:
    return (now - time_ms) / DAY_MS


def weight(time_ms: int, now: int, half_life: float) -> float:
    return float(2.0 ** (-days(time_ms, now) / half_life))


def reference(happened: list[Event], now: int) -> dict[str, dict[str, float]]:
    """The features by their definitions, straight from each customer's events."""
    by_customer = defaultdict(list)
    for event in happened:
        by_customer[event.customer].append(event)
    result = {}
    for customer, own in by_customer.items():
        priced = [(e.time_ms, e.revenue) for e in own if e.revenue is not None]
        times = sorted(e.time_ms for e in own)
        values = {
            "days_since_order": days(times[-1], now),
            "days_since_first": days(times[0], now),
            "orders": math.fsum(weight(t, now, 30) for t in times),
            "spend": math.fsum(v * weight(t, now, 7) for t, v in priced),
            "app_share": math.fsum(e.app * weight(e.time_ms, now, 10) for e in own)
            / math.fsum(weight(t, now, 10) for t in times),
            "countries": len({e.country for e in own} - {0}),
            "gap": (times[-1] - times[0]) / DAY_MS / (len(times) - 1)
            if len(times) > 1
            else days(times[0], now),
            "basket": 0.0,
            "least": 0.0,
            "most": 0.0,
            "latest": 0.0,
        }
        if priced:
            newest = max(t for t, _ in priced)
            total = math.fsum(v * 2.0 ** (-(newest - t) / DAY_MS / 3) for t, v in priced)
            values["basket"] = total / math.fsum(2.0 ** (-(newest - t) / DAY_MS / 3) for t, _ in priced)
            values["least"] = min(v for _, v in priced)
            values["most"] = max(v for _, v in priced)
            values["latest"] = [v for t, v in priced if t == newest][-1]
        result[customer] = values
    return result


@given(events(), st.integers(0, 40 * DAY_MS), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_features_are_their_definitions_in_any_order(
    happened: list[Event], later: int, chance: Random
) -> None:
    """Late and shuffled events end in the same aggregates; ``last`` takes the later of equal times."""
    shuffled = list({(e.customer, e.time_ms): e for e in happened}.values())
    chance.shuffle(shuffled)
    state = State(0, FEATURES)
    step(state, batch_of(shuffled, 0, len(shuffled) * 2))
    now = state.numbers.clock_ms + later
    which = np.arange(state.rows.used)
    values = np.empty((len(which), len(FEATURES)))
    rows_values(which, now, state.rows.aggregates, FEATURES.layout, values)
    expected = reference(shuffled, now)
    for row, customer in zip(which.tolist(), state.rows.customers_of(which), strict=True):
        scale = sum(abs(e.revenue or 0.0) for e in shuffled if e.customer == customer)
        for name, value in zip(FEATURES.names, values[row].tolist(), strict=True):
            tolerance = 1e-9 * scale if name in {"spend", "basket"} else 0.0
            assert value == pytest.approx(expected[customer][name], rel=1e-9, abs=max(tolerance, 1e-12)), name
