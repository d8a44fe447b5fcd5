"""One simulated partition: what a live worker does with a partition, without committing anything."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from msgspec.structs import replace

from stream_seg.engine.adoption import NextEvent, adoption
from stream_seg.engine.outcome import Adoption, Outcome
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.replay import between, fresh_state
from stream_seg.engine.reports import Report, Sample, draw_sample, report
from stream_seg.engine.state import State
from stream_seg.engine.step import step
from stream_seg.engine.version import ModelVersion
from stream_seg.events.batch import EventBatch
from tests.simulation.trace import Trace


@dataclass
class SimulatedPartition:
    """``taken`` events have been stepped, ``available`` are in the topic by now.

    ``scratch`` holds what warm-up has read ahead, ``read`` events of it.
    """

    plan: ModelPlan
    number: int
    events: EventBatch
    sample_rows: int
    state: State = field(init=False)
    scratch: State | None = field(init=False)
    taken: int = 0
    read: int = 0
    available: int = 0
    sampled: int = -1
    trace: Trace = field(default_factory=Trace)
    adoptions: list[Adoption] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = fresh_state(self.number, 0, self.plan)
        self.scratch = State(self.number, self.plan.features)

    @property
    def version(self) -> int:
        return self.state.numbers.version

    @property
    def caught_up(self) -> bool:
        return (self.read if self.scratch is not None else self.taken) >= self.available

    @property
    def next_event(self) -> NextEvent:
        """Of what is in the topic by now."""
        return int(self.events.time_ms[self.taken]) if self.taken < self.available else None

    def arrive(self, until_ms: float) -> None:
        """Everything up to an event time is in the topic."""
        self.available = max(
            self.available, int(np.searchsorted(self.events.time_ms, until_ms, side="right"))
        )

    def read_ahead(self, most: int) -> None:
        """While warming up: move the scratch population on by at most so many events."""
        if self.scratch is None:
            return
        until = min(self.available, self.plan.warm_up.events, self.read + most)
        if until > self.read:
            step(self.scratch, between(self.events, self.read, until))
            self.read = until

    def adopt(self, version: ModelVersion) -> None:
        self.scratch = None
        change = adoption(self.state, version, self.next_event)
        self.adoptions.append(change)
        self._note(step(self.state, change))

    def take(self, most: int, until_ms: float) -> int:
        """Step at most so many events, none later than ``until_ms``; how many it were."""
        ready = int(np.searchsorted(self.events.time_ms[: self.available], until_ms, side="right"))
        stop = min(self.taken + most, ready)
        count = stop - self.taken
        if count > 0:
            self._note(step(self.state, between(self.events, self.taken, stop)))
            self.taken = stop
        return max(count, 0)

    def report(self, now_s: float) -> Report:
        head = self.next_event
        known = head if isinstance(head, int) else None
        made = report(self.state, next_event_ms=known, caught_up=self.caught_up)
        made = replace(made, reported_at_ms=int(now_s * 1000))
        if self.scratch is None:
            return made
        ahead = self.scratch.numbers
        return replace(
            made, residents=self.scratch.rows.residents, events=ahead.events, clock_ms=ahead.clock_ms
        )

    def sample(self) -> Sample | None:
        """A new sample if there has been a pass since the last one, or anything new while warming up."""
        state = self.scratch or self.state
        mark = state.numbers.events if self.scratch is not None else state.numbers.passes
        if mark == self.sampled:
            return None
        self.sampled = mark
        return draw_sample(state, self.sample_rows, self.plan.seed)

    def _note(self, outcome: Outcome) -> None:
        self.trace.note(outcome)
