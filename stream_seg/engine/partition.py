"""A partition that a live worker owns: its state, its queue, and where it is in its life."""

from __future__ import annotations

from dataclasses import dataclass, replace

from msgspec.structs import replace as with_fields

from stream_seg.engine.adoption import NextEvent, adoption
from stream_seg.engine.checkpoint import Checkpoint, checkpoint
from stream_seg.engine.outcome import Adoption, Outcome
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.queue import EventQueue
from stream_seg.engine.reports import Report, Sample, draw_sample, report
from stream_seg.engine.state import Numbers, State
from stream_seg.engine.step import step
from stream_seg.engine.version import ModelVersion
from stream_seg.events.batch import EventBatch, Rejected
from stream_seg.events.records import Decoded

BATCH_EVENTS = 8192
"""Events that one step takes at the most, so that latency and memory stay bounded."""
QUEUE_EVENTS = 4 * BATCH_EVENTS
"""Events waiting beyond which a partition is not fetched."""


@dataclass(frozen=True, slots=True)
class Work:
    """One step of one partition, made but not committed: what is to be staged, sent and applied."""

    partition: int
    outcome: Outcome
    checkpoint: Checkpoint
    rejected: list[Rejected]
    adopted: Adoption | None


@dataclass(slots=True)
class LivePartition:
    """``scratch`` holds what warm-up has read ahead (``None`` once the partition labels).

    ``rejected`` counts dead letters.
    """

    plan: ModelPlan
    state: State
    queue: EventQueue
    token: str
    scratch: State | None = None
    rejected: int = 0
    read_up: int | None = None
    end: int | None = None
    sampled_passes: int = -1

    @property
    def number(self) -> int:
        """The partition's number."""
        return self.state.partition

    @property
    def numbers(self) -> Numbers:
        """What the state's numbers are."""
        return self.state.numbers

    @property
    def full(self) -> bool:
        """Whether fetching should rest: warm-up has read ahead enough, or the queue is long."""
        limit = self.plan.warm_up.events if self.scratch is not None else QUEUE_EVENTS
        return self.queue.events >= limit

    @property
    def caught_up(self) -> bool:
        """Whether everything there is has been read and stepped.

        As far as the last look at the end of the topic says.
        """
        return self.queue.empty and self.fetched_all

    @property
    def fetched_all(self) -> bool:
        """Whether everything there is has been fetched."""
        reached = max(self.queue.next_offset, self.read_up or 0)
        return self.end is not None and reached >= self.end

    @property
    def next_event(self) -> NextEvent:
        """The event time of the next unread event, as far as it is known."""
        head = self.queue.head_ms
        if head is not None:
            return head
        return None if self.fetched_all else "unknown"

    def feed(self, decoded: Decoded) -> None:
        """Take what was fetched; while warming up, its events also move the scratch population."""
        self.queue.put(decoded)
        if self.scratch is not None and len(decoded.events):
            step(self.scratch, decoded.events)

    def adopt(self, version: ModelVersion) -> Work:
        """Take a version over at the present position; warm-up is over with the first."""
        self.scratch = None
        return self._made(adoption(self.state, version, self.next_event))

    def take(self, until_ms: float) -> Work | None:
        """The next batch of events, none later than ``until_ms``; ``None`` if there is nothing to do."""
        batches, rejected, end = self.queue.take(BATCH_EVENTS, until_ms)
        return self._batch(batches, rejected, end)

    def take_rejected(self) -> Work | None:
        """What lies before the first waiting event: dead letters need not wait for warm-up."""
        batches, rejected, end = self.queue.take(0)
        return self._batch(batches, rejected, end) if rejected else None

    def skip(self) -> Work | None:
        """Move the position over transaction markers and aborted records, by a batch of no event."""
        if self.read_up is None or not self.queue.empty or self.read_up <= self.numbers.position.next_offset:
            return None
        self.queue.next_offset = self.read_up
        return self._batch([], [], self.read_up)

    def report(self) -> Report:
        """How the partition stands; while warming up, of what it has read ahead."""
        head = self.queue.head_ms
        done = report(self.state, next_event_ms=head, caught_up=self.fetched_all, rejected=self.rejected)
        if self.scratch is None:
            return done
        ahead = self.scratch.numbers
        return with_fields(
            done, residents=self.scratch.rows.residents, events=ahead.events, clock_ms=ahead.clock_ms
        )

    def new_sample(self, wanted: int, seed: int) -> Sample | None:
        """A sample if there has been a pass since the last one (or, while warming up, anything new)."""
        state = self.scratch or self.state
        mark = state.numbers.events if self.scratch is not None else state.numbers.passes
        if mark == self.sampled_passes:
            return None
        self.sampled_passes = mark
        return draw_sample(state, wanted, seed)

    def _batch(self, batches: list[EventBatch], rejected: list[Rejected], end: int) -> Work | None:
        if end <= self.numbers.position.next_offset:
            return None
        features = self.plan.features
        events = (
            EventBatch.joined(batches)
            if batches
            else EventBatch.empty(len(features.numbers), len(features.tokens), len(features), end)
        )
        return self._made(replace(events, next_offset=end), rejected)

    def _made(self, change: EventBatch | Adoption, rejected: list[Rejected] | None = None) -> Work:
        before = self.numbers.sizes
        outcome = step(self.state, change)
        self.rejected += len(rejected or ())
        adopted = change if isinstance(change, Adoption) else None
        made = checkpoint(self.state, outcome, before)
        return Work(self.number, outcome, made, rejected or [], adopted)
