"""The drivers of one process over several partitions of a topic: replay that mints, and replay as recorded.

Both take stretches of the merged order. A check falls at a place of that order, and between two checks the
partitions are independent: so each takes all of its events up to the next place at which a check can be due
in one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stream_seg.clustering.structure import Each
from stream_seg.engine.adoption import NextEvent
from stream_seg.engine.derive import Derivation
from stream_seg.engine.merge import Stretch
from stream_seg.engine.minter import Counted, Minted
from stream_seg.engine.outcome import Adoption
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.replay import Replay, Step, between
from stream_seg.engine.state import UNKNOWN, State
from stream_seg.engine.step import step
from stream_seg.engine.version import ModelVersion
from stream_seg.events.batch import EventBatch
from stream_seg.features.spec import FeatureSet

__all__ = ["MergedReplay", "RecordedReplay"]


class MergedReplay(Replay):
    """``Replay`` of several partitions by stretches; of one partition it says what ``Replay`` says.

    Since every partition's next event is known wherever a check falls, an adoption moves the clock of any
    partition whose next event is not before the version's ``as_of`` (design §4.3), silent ones too.
    """

    def __init__(
        self,
        plan: ModelPlan,
        partitions: Mapping[int, int],
        *,
        instance: str,
        on_step: Callable[[Step], None],
        on_version: Callable[[Minted], None],
        each: Each = map,
    ) -> None:
        """Start as ``Replay`` does."""
        super().__init__(
            plan, partitions, instance=instance, on_step=on_step, on_version=on_version, each=each
        )
        self._stretches: list[Stretch] = []
        self._taken = 0

    def restore(self, states: Mapping[int, State], current: ModelVersion, counted: Counted) -> None:
        """Stand at a place of the merged order at which another replay stood, warm-up lying behind it.

        ``states`` are all partitions', ``current`` and ``counted`` the minter's. What comes then is what came
        of the other one; only the events' ranks begin anew.
        """
        self.states, self._scratch = dict(sorted(states.items())), {}
        self.minter.restore(current, counted)

    @property
    def held(self) -> int:
        """Events held back by warm-up."""
        return sum(len(part) for part in self._stretches)

    def take(self, stretch: Stretch) -> None:
        """Take the next events of the merged order."""
        if self.minter.current is None:
            stretch = self._hold(stretch)
        self._run_stretch(stretch)

    def end(self, ends: Mapping[int, int]) -> None:
        """The end of the history: warm-up ends with whatever there is, positions move to ``ends``."""
        if self.minter.current is None and self.held:
            self._seed_held()
        for partition, state in self.states.items():
            if state.numbers.position.next_offset < ends[partition]:
                features = self.plan.features
                columns = len(features.numbers), len(features.tokens), len(features)
                self._step(state, EventBatch.empty(*columns, ends[partition]))

    def _hold(self, stretch: Stretch) -> Stretch:
        """Hold events back until enough is known, then seed; returns what lies behind that place."""
        held, rest = stretch.cut(self._held_of(stretch))
        if len(held):
            for partition, batch in held.batches.items():
                step(self._scratch[partition], batch)
            self._stretches.append(held)
        wanted = self.plan.warm_up
        if self._known >= wanted.customers or self.held >= wanted.events:
            self._seed_held()
        return rest

    @property
    def _known(self) -> int:
        return sum(scratch.rows.residents for scratch in self._scratch.values())

    def _held_of(self, stretch: Stretch) -> int:
        """How many events of a stretch warm-up wants."""
        wanted = self.plan.warm_up
        missing, most = wanted.customers - self._known, min(len(stretch), wanted.events - self.held)
        fresh = [stretch.rank[p][_fresh(self._scratch[p], b)] for p, b in stretch.batches.items()]
        places = np.sort(np.concatenate(fresh)) if fresh else np.zeros(0, dtype=np.int64)
        return min(most, int(places[missing - 1]) + 1) if len(places) >= missing else most

    def _seed_held(self) -> None:
        """Mint the first version, adopt it at the first offsets, and run what was held."""
        points = np.concatenate([scratch.evaluated()[0] for scratch in self._scratch.values()])
        minted = self.minter.first(points, self.as_of_ms)
        self._on_version(minted)
        for state in self.states.values():
            self._step(state, Adoption(minted.version, self._first[state.partition], state.numbers.clock_ms))
        self._scratch = {}
        held, self._stretches = Stretch.joined(self._stretches), []
        self._run_stretch(held)

    def _run_stretch(self, stretch: Stretch) -> None:
        at, cursors = 0, {p: _Cursor(self.states[p], b, stretch.rank[p]) for p, b in stretch.batches.items()}
        following: dict[int, NextEvent] = dict(stretch.following)
        while at < len(stretch):
            at = self._next_check(cursors.values(), at, len(stretch))
            for partition, cursor in cursors.items():
                part, rank = cursor.until(at)
                if len(part):
                    self._told(cursor, part, rank + self._taken)
                following[partition] = cursor.next_ms(stretch.following[partition])
            self._check(following)
            for cursor in cursors.values():
                cursor.look_again()
        self._taken += len(stretch)

    def _told(self, cursor: _Cursor, part: EventBatch, rank: NDArray[np.int64]) -> None:
        before = cursor.state.numbers.sizes
        outcome = step(cursor.state, part)
        self._on_step(Step(cursor.state, outcome, before, None, rank))

    def _next_check(self, cursors: Iterable[_Cursor], at: int, most: int) -> int:
        """The place behind which a check may be due: enough events, or a pass."""
        until_check = max(self.minter.events + self.minter.events_to_check - self.events, 1)
        limit = min(at + until_check, most)
        return min((cursor.next_pass(limit) for cursor in cursors), default=limit)


@dataclass(slots=True)
class _Cursor:
    """Where one partition is in a stretch: ``done`` of its events have been taken."""

    state: State
    batch: EventBatch
    rank: NDArray[np.int64]
    done: int = 0
    _fresh: NDArray[np.int64] | None = None
    _residents: int = -1

    def until(self, place: int) -> tuple[EventBatch, NDArray[np.int64]]:
        """The events before a place of the order, and their places."""
        begin, self.done = self.done, int(np.searchsorted(self.rank, place))
        return between(self.batch, begin, self.done), self.rank[begin : self.done]

    def next_ms(self, behind: int | None) -> int | None:
        """The partition's next event; ``behind`` is the one behind the stretch."""
        return int(self.batch.time_ms[self.done]) if self.done < len(self.batch) else behind

    def next_pass(self, limit: int) -> int:
        """The place behind the first event that makes a pass due, at most ``limit``.

        A pass is due by time, which the events tell, or by growth, and a population grows with the first
        event of a customer that it does not hold.
        """
        stop = int(np.searchsorted(self.rank, limit))
        first = stop
        due_ms = self.state.numbers.next_pass_ms
        if due_ms != UNKNOWN:
            late = np.flatnonzero(self.batch.time_ms[self.done : stop] >= due_ms)
            first = self.done + int(late[0]) if len(late) else stop
        missing = max(self.state.growth_limit - self.state.sums.residents, 1)
        fresh = self._new_customers()
        coming = fresh[np.searchsorted(fresh, self.done) :]
        if len(coming) >= missing:
            first = min(first, int(coming[missing - 1]))
        return int(self.rank[first]) + 1 if first < stop else limit

    def _new_customers(self) -> NDArray[np.int64]:
        if self._fresh is None:
            self._fresh = _fresh(self.state, self.batch, self.done)
            self._residents = self.state.rows.residents + len(self._fresh)
        return self._fresh

    def look_again(self) -> None:
        """Whoever a pass has forgotten would be new again: the residents then are fewer than expected."""
        if self._fresh is None:
            return
        coming = len(self._fresh) - int(np.searchsorted(self._fresh, self.done))
        if self.state.rows.residents + coming != self._residents:
            self._fresh = None


def _fresh(state: State, batch: EventBatch, begin: int = 0) -> NDArray[np.int64]:
    """Places in a batch, from ``begin`` on, of the first events of customers that the state does not hold."""
    return begin + state.rows.newcomers(batch.customers[begin:])


class RecordedReplay:
    """Follows recorded adoptions, partition by partition: what comes out is what live said.

    A partition that has adopted nothing is not in ``adoptions``.
    """

    def __init__(
        self,
        features: FeatureSet,
        adoptions: Mapping[int, list[Adoption]],
        *,
        on_step: Callable[[Step], None],
    ) -> None:
        """Start before each partition's first adoption."""
        self._derivations = {p: Derivation(p, features, own) for p, own in sorted(adoptions.items())}
        self.states = {p: derivation.state for p, derivation in self._derivations.items()}
        self._features, self._on_step, self._taken = features, on_step, 0

    @property
    def first_offsets(self) -> dict[int, int]:
        """Where each partition is read from."""
        return {p: derivation.first_offset for p, derivation in self._derivations.items()}

    @property
    def current(self) -> ModelVersion | None:
        """The newest version that any partition has adopted."""
        adopted = [state.version for state in self.states.values() if state.version is not None]
        return max(adopted, key=lambda version: version.version, default=None)

    @property
    def events(self) -> int:
        """Events labelled so far."""
        return sum(state.numbers.events for state in self.states.values())

    @property
    def as_of_ms(self) -> int:
        """The largest clock of all partitions; −1 before any event."""
        return max(state.numbers.clock_ms for state in self.states.values())

    def take(self, stretch: Stretch) -> None:
        """Take the next events of the merged order."""
        for partition, batch in stretch.batches.items():
            rank = stretch.rank[partition] + self._taken
            for one in self._derivations[partition].feed(batch):
                events = one.outcome.events
                offset = np.zeros(0, dtype=np.int64) if events is None else events.offset
                self._on_step(replace(one, rank=rank[np.searchsorted(batch.offset, offset)]))
        self._taken += len(stretch)

    def end(self, ends: Mapping[int, int]) -> None:
        """The end of the history: the last adoptions, and positions."""
        columns = len(self._features.numbers), len(self._features.tokens), len(self._features)
        for partition, derivation in self._derivations.items():
            for one in derivation.feed(EventBatch.empty(*columns, ends[partition])):
                self._on_step(one)
