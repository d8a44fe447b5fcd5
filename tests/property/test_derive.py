"""Laws of ``derive``: what live said comes out again, byte for byte, and what was put wrong is seen."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_fields

from stream_seg.engine.derive import Derivation, derive
from stream_seg.engine.outcome import Adoption
from stream_seg.engine.records import Origin, encode_labels, encode_transitions
from stream_seg.engine.state import DAY_MS
from stream_seg.errors import NotFoundError
from tests.histories import FEATURES, START_MS, Event, History, batch_of, histories, run

AUDIT = Origin("orders", 0, "replay:audit")


def recorded(history: History) -> list[Adoption]:
    """The adoptions of a history with the clocks that live had then."""
    found = []
    for number, (at, forward_ms) in enumerate(history.adoptions, start=1):
        early = replace(history, events=history.events[:at], adoptions=history.adoptions[: number - 1])
        clock = run(early, []).state.numbers.clock_ms if at else -1
        found.append(Adoption(history.version(number), at * 2, clock if clock < 0 else clock + forward_ms))
    return found


def derived(
    history: History, adoptions: Sequence[Adoption], cuts: Sequence[int], *, short: bool = False
) -> tuple[list[bytes], list[bytes]]:
    """With ``short`` a batch is read up to its last event only, not up to the next one."""
    end = len(history.events)
    edges = sorted({0, end, *cuts})
    batches = [
        batch_of(history.events[a:b], a, b * 2 - (short and b < end)) for a, b in itertools.pairwise(edges)
    ]
    labels, transitions = [], []
    for one in derive(0, FEATURES, adoptions, batches):
        labels += encode_labels(one.outcome, AUDIT).values
        transitions += encode_transitions(one.outcome, AUDIT, FEATURES).values
    return labels, transitions


def as_live(records: list[bytes]) -> list[bytes]:
    return [record.replace(b'"run":"replay:audit"', b'"run":"live"') for record in records]


@given(histories(), st.data())
@settings(max_examples=150, deadline=None)
def test_derived_is_what_live_said_apart_from_run(history: History, data: st.DataObject) -> None:
    numbers = st.lists(st.integers(0, len(history.events)), max_size=10)
    live = run(history, data.draw(numbers))
    labels, transitions = derived(
        history, recorded(history), data.draw(numbers), short=data.draw(st.booleans())
    )
    assert as_live(labels) == live.labels
    assert as_live(transitions) == live.transitions


def wrong_clock(adoptions: list[Adoption]) -> list[Adoption]:
    return [a if a.clock_ms < 0 else replace(a, clock_ms=a.clock_ms + 6 * DAY_MS) for a in adoptions]


def wrong_pass(adoptions: list[Adoption]) -> list[Adoption]:
    return _with_rules(adoptions, pass_longest_ms=DAY_MS * 3, pass_shortest_ms=DAY_MS * 3)


def wrong_hysteresis(adoptions: list[Adoption]) -> list[Adoption]:
    return _with_rules(adoptions, hysteresis=0.4)


def _with_rules(adoptions: list[Adoption], **changed: float) -> list[Adoption]:
    versions = [with_fields(a.version, rules=with_fields(a.version.rules, **changed)) for a in adoptions]
    return [replace(a, version=v) for a, v in zip(adoptions, versions, strict=True)]


def busy_history() -> History:
    """Thirty days of twenty customers, some of whom fall silent, with a version a week."""
    rng = np.random.default_rng(11)
    times = np.sort(rng.integers(0, 30 * DAY_MS, 400))
    events = [
        Event(f"c{int(who)}", START_MS + int(at), float(paid), app=bool(app), country=int(where))
        for who, at, paid, app, where in zip(
            np.minimum(rng.zipf(1.3, 400), 20),
            times,
            rng.lognormal(3, 1, 400),
            rng.random(400) < 0.5,
            rng.integers(0, 5, 400),
            strict=True,
        )
    ]
    return History(events, [(0, 0), (100, 0), (200, 0), (300, 0)], None, 5)


@pytest.mark.parametrize("wrong", [wrong_clock, wrong_pass, wrong_hysteresis])
def test_a_thing_put_wrong_on_purpose_is_seen(wrong: Callable[[list[Adoption]], list[Adoption]]) -> None:
    history = busy_history()
    live, right = run(history, []), recorded(history)
    labels, transitions = derived(history, right, [])
    assert (as_live(labels), as_live(transitions)) == (live.labels, live.transitions)
    labels, transitions = derived(history, wrong(right), [])
    assert (as_live(labels), as_live(transitions)) != (live.labels, live.transitions)


def test_events_before_the_first_adoption_are_not_taken() -> None:
    history = busy_history()
    adoptions = [Adoption(history.version(1), 20, -1)]
    labels, _ = derived(history, adoptions, [7])
    assert len(labels) == len(history.events) - 10


def test_a_partition_that_adopted_nothing_has_nothing_to_derive() -> None:
    with pytest.raises(NotFoundError, match="partition 3 has adopted no version"):
        Derivation(3, FEATURES, [])
