"""The driver of one process over all partitions of a bounded history: replay, and the demo without servers.

It mints for itself. Checks and adoptions fall at positions of the merged order of events, never at batch
boundaries, so the labels, versions and exports are a function of the events, the plan and its seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream_seg.clustering.lattice import ClusterSums
from stream_seg.clustering.structure import Each
from stream_seg.engine.adoption import NextEvent, adoption
from stream_seg.engine.minter import Minted, Minter, SamplePoints, Standing
from stream_seg.engine.outcome import Adoption, Outcome
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.reports import draw_sample
from stream_seg.engine.state import UNKNOWN, Changes, Numbers, Position, State
from stream_seg.engine.step import step
from stream_seg.engine.version import ModelVersion
from stream_seg.events.batch import EventBatch


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one partition.

    ``state`` as it is now, what ``outcome`` says, and the segment sizes before it.

    ``adopted`` is the adoption that the step was, or ``None``. ``rank`` int64 are the places of its events in
    the order in which all partitions' events were taken; ``None`` where the steps themselves come in it.
    """

    state: State
    outcome: Outcome
    sizes_before: dict[int, int]
    adopted: Adoption | None
    rank: NDArray[np.int64] | None = None


class Run(Protocol):
    """A history on its way through a model, as its outputs see it."""

    states: dict[int, State]

    @property
    def current(self) -> ModelVersion | None:
        """The newest version; ``None`` during warm-up."""

    @property
    def events(self) -> int:
        """Events labelled so far."""

    @property
    def as_of_ms(self) -> int:
        """The largest event time read so far; −1 before any event."""


class Driver(Run, Protocol):
    """Takes a bounded history in the merged order, and tells of every step and version as it makes them."""

    def feed(self, partition: int, batch: EventBatch) -> None:
        """Take the next events of the merged order; all of one partition."""

    def finish(self) -> None:
        """The end of the history has been reached."""


class Replay:
    """Runs a history through ``step`` (a ``Driver``).

    ``on_step`` and ``on_version`` are told everything in order.

    What becomes of an event may depend on the one after it (a partition's clock at an adoption, the position
    of a pass), so the last event fed waits for the next, or for the end: cutting the history otherwise
    changes nothing.
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
        """Start with an empty population; ``partitions`` maps each one to its first offset.

        ``each`` says how the fits of a structural refit are made.
        """
        self.plan = plan
        self.minter = Minter(plan, instance, each=each)
        self.states = {p: fresh_state(p, first, plan) for p, first in sorted(partitions.items())}
        self._first = dict(partitions)
        self._read = dict(partitions)
        self._last: tuple[int, EventBatch] | None = None
        self._held: list[tuple[int, EventBatch]] = []
        self._scratch = {p: State(p, plan.features) for p in self.states}
        self._on_step, self._on_version = on_step, on_version

    @property
    def current(self) -> ModelVersion | None:
        """The newest version; ``None`` during warm-up."""
        return self.minter.current

    @property
    def events(self) -> int:
        """Events labelled so far."""
        return sum(state.numbers.events for state in self.states.values())

    @property
    def held(self) -> int:
        """Events held back by warm-up."""
        return sum(len(batch) for _, batch in self._held)

    @property
    def as_of_ms(self) -> int:
        """The largest event time read so far, of labelled and held events; −1 before any event."""
        return max(s.numbers.clock_ms for s in (*self.states.values(), *self._scratch.values()))

    def feed(self, partition: int, batch: EventBatch) -> None:
        """Take the next events of the merged order; all of one partition."""
        self._read[partition] = batch.next_offset
        if not len(batch):
            return
        self._take_last(partition, batch)
        most, last = batch.cut(len(batch) - 1)
        self._take(partition, most, int(last.time_ms[0]))
        self._last = partition, last

    def finish(self) -> None:
        """The end of a bounded input: warm-up ends with whatever there is."""
        self._take_last(None, None)
        if self.minter.current is None and self.held:
            self._seed(None)
        for partition, state in self.states.items():
            if state.numbers.position.next_offset < self._read[partition]:
                self._step(state, _no_events(self.plan, self._read[partition]))

    def _take_last(self, partition: int | None, following: EventBatch | None) -> None:
        """Take the event that waited, now that it is known what follows (``None``.

        The end of the history).
        """
        if self._last is None:
            return
        (own, last), self._last = self._last, None
        next_offset = int(last.offset[0]) + 1
        next_event: NextEvent = "unknown"
        if following is None:
            next_event = None
        elif partition == own:
            next_offset, next_event = int(following.offset[0]), int(following.time_ms[0])
        self._take(own, replace(last, next_offset=next_offset), next_event)

    def _take(self, partition: int, batch: EventBatch, next_event: NextEvent) -> None:
        if self.minter.current is None:
            batch = self._warm_up(partition, batch, next_event)
        self._run(partition, batch, next_event)

    def _warm_up(self, partition: int, batch: EventBatch, next_event: NextEvent) -> EventBatch:
        """Hold events back until enough is known, then seed; returns what lies behind that point."""
        wanted = self.plan.warm_up
        held, rest = batch.cut(self._to_hold(partition, batch))
        step(self._scratch[partition], held)
        self._held.append((partition, held))
        known = sum(s.rows.residents for s in self._scratch.values())
        if known >= wanted.customers or self.held >= wanted.events:
            self._seed(int(rest.time_ms[0]) if len(rest) else next_event)
        return rest

    def _to_hold(self, partition: int, batch: EventBatch) -> int:
        """How many events of a batch warm-up wants."""
        wanted = self.plan.warm_up
        missing = wanted.customers - sum(s.rows.residents for s in self._scratch.values())
        most = min(len(batch), wanted.events - self.held)
        new = self._scratch[partition].rows.newcomers(batch.customers[:most])
        return int(new[missing - 1]) + 1 if len(new) >= missing else most

    def _seed(self, next_event: NextEvent) -> None:
        """Mint the first version and run what was held.

        ``next_event`` follows it in the last one's partition.
        """
        points = np.concatenate([s.evaluated()[0] for s in self._scratch.values()])
        minted = self.minter.first(points, self.as_of_ms)
        self._on_version(minted)
        for state in self.states.values():
            self._step(state, Adoption(minted.version, self._first[state.partition], state.numbers.clock_ms))
        held, self._held = [(p, batch) for p, batch in self._held if len(batch)], []
        self._scratch = {}
        for (partition, batch), following in zip(held, [*held[1:], None], strict=True):
            known: NextEvent = "unknown"
            if following is None:
                known = next_event
            elif following[0] == partition:
                known = int(following[1].time_ms[0])
            self._run(partition, batch, known)

    def _run(self, partition: int, batch: EventBatch, next_event: NextEvent) -> None:
        state, taken = self.states[partition], 0
        while taken < len(batch):
            taken += self._step(state, self._part(state, batch, taken))
            known = int(batch.time_ms[taken]) if taken < len(batch) else next_event
            self._check({partition: known})

    def _part(self, state: State, batch: EventBatch, start: int) -> EventBatch:
        """The events from ``start`` on, up to the next check and the next pass that is due by time."""
        until_check = self.minter.events + self.minter.events_to_check - self.events
        stop = min(start + max(until_check, 1), len(batch))
        due_ms = state.numbers.next_pass_ms
        if due_ms != UNKNOWN:
            due = batch.time_ms[start:stop] >= due_ms
            first = int(due.argmax())
            stop = start + first + 1 if due[first] else stop
        return between(batch, start, stop)

    def _step(self, state: State, change: EventBatch | Adoption) -> int:
        before = state.numbers.sizes
        outcome = step(state, change, stop_after_pass=True)
        adopted = change if isinstance(change, Adoption) else None
        self._on_step(Step(state, outcome, before, adopted))
        return 0 if outcome.events is None else len(outcome.events)

    def _check(self, following: Mapping[int, NextEvent]) -> None:
        """Mint if a check is due and the population asks for it; ``following``: next events, where known."""
        rows_passed = sum(s.numbers.rows_passed for s in self.states.values())
        if not self.minter.due(self.events, rows_passed):
            return
        standing = Standing(
            sums=ClusterSums.merge(s.sums for s in self.states.values()),
            events=self.events,
            rows_passed=rows_passed,
            as_of_ms=self.as_of_ms,
            sample=self._sample,
            changes=sum((s.numbers.changes for s in self.states.values()), Changes()),
        )
        minted = self.minter.check(standing)
        if minted is None:
            return
        self._on_version(minted)
        for state in self.states.values():
            known = following.get(state.partition, "unknown")
            self._step(state, adoption(state, minted.version, known))

    def _sample(self) -> SamplePoints:
        wanted = -(-self.plan.minting.sample_rows // len(self.states))
        parts = [draw_sample(s, wanted, self.plan.seed).arrays for s in self.states.values()]
        points, weights, places = (np.concatenate(column) for column in zip(*parts, strict=True))
        return points, weights, places


def fresh_state(partition: int, first_offset: int, plan: ModelPlan) -> State:
    """A partition without customers that stands at its first offset."""
    state = State(partition, plan.features)
    state.numbers = Numbers(position=Position(first_offset, 0))
    return state


def between(batch: EventBatch, start: int, stop: int) -> EventBatch:
    """Events ``start`` to ``stop`` of a batch, read up to the event after them."""
    return EventBatch(
        batch.customers[start:stop],
        batch.time_ms[start:stop],
        batch.offset[start:stop],
        batch.ids[start:stop],
        batch.types[start:stop],
        batch.numbers[start:stop],
        batch.tokens[start:stop],
        batch.matches[start:stop],
        int(batch.offset[stop]) if stop < len(batch) else batch.next_offset,
    )


def _no_events(plan: ModelPlan, next_offset: int) -> EventBatch:
    features = plan.features
    return EventBatch.empty(len(features.numbers), len(features.tokens), len(features), next_offset)
