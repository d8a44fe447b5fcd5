"""A partition's labels derived again: its events and the adoptions that were recorded, through ``step``.

The driver of audit and of ``replay --as-recorded``. A label depends on its partition's events up to its
offset and on which versions were adopted from which offset on (design §3), so however the events are cut
into batches, what comes out is what live said, byte for byte.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from stream_seg.engine.outcome import Adoption
from stream_seg.engine.registry import Registry
from stream_seg.engine.replay import Step
from stream_seg.engine.state import Numbers, Position, State
from stream_seg.engine.step import step
from stream_seg.errors import NotFoundError
from stream_seg.events.batch import EventBatch
from stream_seg.features.spec import FeatureSet

__all__ = ["Derivation", "derive", "recorded_adoptions"]


def recorded_adoptions(registry: Registry, partition: int, until: int | None = None) -> list[Adoption]:
    """A partition's adoptions in order, none from beyond offset ``until``.

    Raises ``StateError`` where one names a version that the models topic does not hold.
    """
    records = registry.adoptions_of(partition)
    return [registry.adoption(r) for r in records if until is None or r.first_offset <= until]


class Derivation:
    """Derives one partition: feed it the partition's events in order, from ``first_offset`` on."""

    def __init__(self, partition: int, features: FeatureSet, adoptions: Sequence[Adoption]) -> None:
        """Start before the first of the ``adoptions``; ``NotFoundError`` where there is none."""
        if not adoptions:
            raise NotFoundError(
                f"partition {partition} has adopted no version, so nothing was labelled there: "
                "wait for the end of warm-up"
            )
        self.first_offset = adoptions[0].next_offset
        self.state = State(partition, features)
        self.state.numbers = Numbers(position=Position(self.first_offset, 0))
        self._waiting = deque(adoptions)

    @property
    def next_offset(self) -> int:
        """The first offset not taken yet."""
        return self.state.numbers.position.next_offset

    def feed(self, batch: EventBatch) -> Iterator[Step]:
        """Take the next events, and make the adoptions that lie before or just behind them.

        Each step is told when it has been made. Events before the first adoption are passed over: what live
        held back by then it labelled later.
        """
        rest = _from(batch, self.first_offset)
        while self._waiting and self._waiting[0].next_offset <= batch.next_offset:
            front, rest = rest.cut(int(np.searchsorted(rest.offset, self._waiting[0].next_offset)))
            if len(front):
                yield self._step(front)
            yield self._step(self._waiting.popleft())
        if len(rest) or batch.next_offset > self.next_offset:
            yield self._step(rest)

    def _step(self, change: EventBatch | Adoption) -> Step:
        before = self.state.numbers.sizes
        outcome = step(self.state, change)
        return Step(self.state, outcome, before, change if isinstance(change, Adoption) else None)


def derive(
    partition: int, features: FeatureSet, adoptions: Sequence[Adoption], batches: Iterable[EventBatch]
) -> Iterator[Step]:
    """All steps of one partition over its ``batches``, however they are cut."""
    derivation = Derivation(partition, features, adoptions)
    for batch in batches:
        yield from derivation.feed(batch)


def _from(batch: EventBatch, offset: int) -> EventBatch:
    """The events of a batch from ``offset`` on."""
    if not len(batch) or int(batch.offset[0]) >= offset:
        return batch
    return batch.cut(int(np.searchsorted(batch.offset, offset)))[1]
