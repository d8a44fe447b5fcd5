"""Random histories of one partition for property tests: events, versions and where they are adopted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from stream_seg.engine.moments import moment
from stream_seg.engine.outcome import Adoption
from stream_seg.engine.records import Origin, encode_labels, encode_transitions
from stream_seg.engine.state import DAY_MS, State
from stream_seg.engine.step import step
from stream_seg.engine.version import FeatureScale, ModelVersion, Retired, Rules, Segment
from stream_seg.events.batch import EventBatch
from stream_seg.features.spec import Feature, FeatureSet

START_MS = 1_700_000_000_000
ORIGIN = Origin("orders", 0, "live")
FEATURES = FeatureSet(
    (
        Feature("days_since_order", "days_since", transform="log1p"),
        Feature("days_since_first", "days_since_first"),
        Feature("orders", "count", half_life_days=30, transform="log1p"),
        Feature("spend", "sum", field="revenue", half_life_days=7, transform="sqrt"),
        Feature("basket", "mean", field="revenue", half_life_days=3, transform="cbrt"),
        Feature("least", "min", field="revenue"),
        Feature("most", "max", field="revenue"),
        Feature("latest", "last", field="revenue"),
        Feature("app_share", "share", where=(("channel", ("app",)),), half_life_days=10),
        Feature("countries", "distinct", field="country"),
        Feature("gap", "gap_days", transform="log1p"),
    )
)
FILTERED = FEATURES.names.index("app_share")


@dataclass(frozen=True)
class Event:
    customer: str
    time_ms: int
    revenue: float | None
    app: bool
    country: int


@dataclass(frozen=True)
class History:
    """Events at offsets 0, 2, 4, … and versions adopted before some of them."""

    events: list[Event]
    adoptions: list[tuple[int, int]]
    forget_after_days: float | None
    seed: int

    def version(self, number: int) -> ModelVersion:
        rng = np.random.default_rng([self.seed, number])
        k, d = int(rng.integers(1, 5)), len(FEATURES)
        ids = sorted(rng.choice(6, size=k, replace=False).tolist())
        return ModelVersion(
            version=number,
            instance="test",
            as_of=moment(START_MS),
            reason="mint",
            seed=self.seed,
            segments_wanted=k,
            features_hash=FEATURES.hash,
            features=tuple(
                FeatureScale(
                    f.name, f.transform, f.weight, float(rng.normal()), float(rng.uniform(0.5, 3)), f.step
                )
                for f in FEATURES.features
            ),
            segments=tuple(Segment(i, f"segment-{i}", 0, tuple(rng.normal(size=d).tolist()), 1) for i in ids),
            retired=tuple(Retired(i, f"segment-{i}", number) for i in range(6) if i not in ids),
            next_id=6,
            customers=0,
            rules=Rules(forget_after_days=self.forget_after_days),
        )


def batch_of(events: list[Event], first: int, next_offset: int) -> EventBatch:
    n = len(events)
    matches = np.ones((n, len(FEATURES)), dtype=np.bool_)
    matches[:, FILTERED] = [e.app for e in events]
    return EventBatch(
        customers=[e.customer for e in events],
        time_ms=np.array([e.time_ms for e in events], dtype=np.int64),
        offset=np.arange(first, first + n, dtype=np.int64) * 2,
        ids=[None] * n,
        types=[None] * n,
        numbers=np.array([[np.nan if e.revenue is None else e.revenue] for e in events]).reshape(n, 1),
        tokens=np.array([[e.country] for e in events], dtype=np.uint64).reshape(n, 1),
        matches=matches,
        next_offset=next_offset,
    )


@dataclass
class Run:
    state: State
    labels: list[bytes]
    transitions: list[bytes]
    passes: int = 0


def run(history: History, cuts: list[int]) -> Run:
    """The history through ``step``, cut into batches before the events ``cuts`` and at every adoption."""
    done = Run(State(0, FEATURES), [], [])
    edges = sorted({0, len(history.events), *cuts, *(at for at, _ in history.adoptions)})
    for begin, end in zip(edges, [*edges[1:], edges[-1]], strict=True):
        for number, (at, forward_ms) in enumerate(history.adoptions, start=1):
            if at == begin:
                clock = done.state.numbers.clock_ms
                clock = clock if clock < 0 else clock + forward_ms
                _note(done, Adoption(history.version(number), begin * 2, clock))
        if end > begin:
            _note(done, batch_of(history.events[begin:end], begin, end * 2))
    return done


def _note(done: Run, change: EventBatch | Adoption) -> None:
    outcome = step(done.state, change)
    done.labels += encode_labels(outcome, ORIGIN).values
    done.transitions += encode_transitions(outcome, ORIGIN, FEATURES).values
    done.passes += outcome.passes


def events(least: int = 1, most: int = 60) -> st.SearchStrategy[list[Event]]:
    """Events mostly forward in time, some late, some days of silence."""
    one = st.tuples(
        st.sampled_from("abcdefgh"),
        st.one_of(st.integers(0, DAY_MS // 4), st.integers(-3 * DAY_MS, 0), st.integers(DAY_MS, 20 * DAY_MS)),
        st.one_of(st.none(), st.floats(-1000, 1000, allow_nan=False)),
        st.booleans(),
        st.integers(0, 5),
    )

    def in_order(rows: list[tuple[str, int, float | None, bool, int]]) -> list[Event]:
        now, result = START_MS, []
        for customer, ahead, revenue, app, country in rows:
            result.append(Event(customer, now + ahead, revenue, app, country))
            now = max(now, now + ahead)
        return result

    return st.lists(one, min_size=least, max_size=most).map(in_order)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A history whose first version is adopted at its first event, as live does it."""
    found = draw(events())
    places = st.integers(0, len(found))
    later = sorted(draw(st.lists(places, max_size=3)))
    forward = st.sampled_from([0, 0, DAY_MS // 24, 2 * DAY_MS])
    return History(
        events=found,
        adoptions=[(0, 0), *((at, draw(forward)) for at in later)],
        forget_after_days=draw(st.sampled_from([None, None, 5.0])),
        seed=draw(st.integers(0, 2**32)),
    )
