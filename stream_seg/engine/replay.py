"""The driver of one process over all partitions of a bounded history: replay, and the demo without servers.

It mints for itself. Checks and adoptions fall at positions of the merged order of events, never at batch boundaries, so the
labels, versions and exports are a function of the events, the plan and its seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from stream_seg.clustering.lattice import ClusterSums
from stream_seg.engine.adoption import NextEvent, adoption
from stream_seg.engine.minter import Minted, Minter, SamplePoints, Standing
from stream_seg.engine.outcome import Adoption, Outcome
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.reports import draw_sample
from stream_seg.engine.state import Numbers, Position, State
from stream_seg.engine.step import step
from stream_seg.events.batch import EventBatch


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one partition: ``state`` as it is now, what ``outcome`` says, and the segment sizes before it.

    ``adopted`` is the adoption that the step was, or ``None``.
    """

    state: State
    outcome: Outcome
    sizes_before: dict[int, int]
    adopted: Adoption | None


class Replay:
    """Runs a history through ``step``; ``on_step`` and ``on_version`` are told everything in order."""

    def __init__(
        self,
        plan: ModelPlan,
        partitions: Mapping[int, int],
        *,
        instance: str,
        on_step: Callable[[Step], None],
        on_version: Callable[[Minted], None],
    ) -> None:
        """Start with an empty population; ``partitions`` maps each one to its first offset."""
        self.plan = plan
        self.minter = Minter(plan, instance)
        self.states = {p: self._fresh(p, first) for p, first in sorted(partitions.items())}
        self._first = dict(partitions)
        self._held: list[tuple[int, EventBatch]] = []
        self._scratch = {p: State(p, plan.features) for p in self.states}
        self._on_step, self._on_version = on_step, on_version

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
        """The largest event time read so far, of labelled and held events."""
        return max(s.numbers.clock_ms for s in (*self.states.values(), *self._scratch.values()))

    def feed(self, partition: int, batch: EventBatch) -> None:
        """Take the next events of the merged order; all of one partition."""
        if self.minter.current is None:
            batch = self._warm_up(partition, batch)
        if len(batch) or self.minter.current is not None:
            self._run(partition, batch)

    def finish(self) -> None:
        """The end of a bounded input: warm-up ends with whatever there is."""
        if self.minter.current is None and self.held:
            self._seed()

    def _fresh(self, partition: int, first_offset: int) -> State:
        state = State(partition, self.plan.features)
        state.numbers = Numbers(position=Position(first_offset, 0))
        return state

    def _warm_up(self, partition: int, batch: EventBatch) -> EventBatch:
        """Hold events back until enough is known, then seed; returns what lies behind that point."""
        wanted = self.plan.warm_up
        known = sum(s.rows.residents for s in self._scratch.values())
        index = self._scratch[partition].rows.index
        take = min(len(batch), wanted.events - self.held)
        new: set[str] = set()
        for i, customer in enumerate(batch.customers[:take]):
            if customer not in index and customer not in new:
                new.add(customer)
                if known + len(new) >= wanted.customers:
                    take = i + 1
                    break
        held, rest = batch.cut(take)
        step(self._scratch[partition], held)
        self._held.append((partition, held))
        if known + len(new) >= wanted.customers or self.held >= wanted.events:
            self._seed()
        return rest

    def _seed(self) -> None:
        points = np.concatenate([s.points()[0] for s in self._scratch.values()])
        minted = self.minter.first(points, self.as_of_ms)
        self._on_version(minted)
        for state in self.states.values():
            self._step(state, Adoption(minted.version, self._first[state.partition], state.numbers.clock_ms))
        held, self._held = self._held, []
        self._scratch = {}
        for partition, batch in held:
            self._run(partition, batch)

    def _run(self, partition: int, batch: EventBatch) -> None:
        state = self.states[partition]
        if not len(batch):
            self._step(state, batch)
            return
        while len(batch):
            until_check = self.minter.events + self.minter.events_to_check - self.events
            part, _ = batch.cut(max(until_check, 1))
            taken = self._step(state, part)
            _, batch = batch.cut(taken)
            self._check(partition, int(batch.time_ms[0]) if len(batch) else "unknown")

    def _step(self, state: State, change: EventBatch | Adoption) -> int:
        before = state.numbers.sizes
        outcome = step(state, change, stop_after_pass=True)
        adopted = change if isinstance(change, Adoption) else None
        self._on_step(Step(state, outcome, before, adopted))
        return 0 if outcome.events is None else len(outcome.events)

    def _check(self, partition: int, next_event_ms: NextEvent) -> None:
        rows_passed = sum(s.numbers.rows_passed for s in self.states.values())
        if not self.minter.due(self.events, rows_passed):
            return
        standing = Standing(
            sums=ClusterSums.merge(s.sums for s in self.states.values()),
            events=self.events,
            rows_passed=rows_passed,
            as_of_ms=self.as_of_ms,
            sample=self._sample,
        )
        minted = self.minter.check(standing)
        if minted is None:
            return
        self._on_version(minted)
        for state in self.states.values():
            known: NextEvent = next_event_ms if state.partition == partition else "unknown"
            self._step(state, adoption(state, minted.version, known))

    def _sample(self) -> SamplePoints:
        wanted = -(-self.plan.minting.sample_rows // len(self.states))
        parts = [draw_sample(s, wanted, self.plan.seed).arrays for s in self.states.values()]
        points, weights, places = (np.concatenate(column) for column in zip(*parts, strict=True))
        return points, weights, places
