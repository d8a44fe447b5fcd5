"""Several partitions' events in one order: the head with the smallest event time first, ties by partition.

An event comes once every partition that may still have one before it has shown its next event, or its end. So
the order, and what is known behind any place of it, is a function of the partitions' events alone, however
they arrived.

Taking the smallest head again and again is a stable sort by (largest event time so far in the partition,
partition): an event that is late in its partition goes as soon as it is the head, and the head before it had
waited for all smaller ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_seg.events.batch import EventBatch

__all__ = ["Merge", "Stretch"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive events of the merged order, n of them.

    ``batches`` hold each partition's, in its order; a batch's ``next_offset`` is the partition's next event's
    offset or, where there is none, its end. ``rank`` int64 per partition are the events' places in the order,
    0 to n − 1. ``following`` is the event time of each partition's next event, ``None`` where there is none:
    of all partitions, those without events here too.
    """

    batches: Mapping[int, EventBatch]
    rank: Mapping[int, NDArray[np.int64]]
    following: Mapping[int, int | None]

    def __len__(self) -> int:
        """The number of events, n."""
        return sum(len(batch) for batch in self.batches.values())

    def cut(self, at: int) -> tuple[Stretch, Stretch]:
        """The first ``at`` events and the rest."""
        front: dict[int, EventBatch] = {}
        back: dict[int, EventBatch] = {}
        front_rank, back_rank, following = {}, {}, dict(self.following)
        for p, batch in self.batches.items():
            count = int(np.searchsorted(self.rank[p], at))
            front[p], back[p] = batch.cut(count)
            front_rank[p], back_rank[p] = self.rank[p][:count], self.rank[p][count:] - at
            if len(back[p]):
                following[p] = int(back[p].time_ms[0])
        first = Stretch(*_held(front, front_rank), following)
        return first, Stretch(*_held(back, back_rank), self.following)

    @classmethod
    def joined(cls, parts: Iterable[Stretch]) -> Stretch:
        """Consecutive stretches as one; there must be one at least."""
        batches: dict[int, list[EventBatch]] = {}
        rank: dict[int, list[NDArray[np.int64]]] = {}
        before, following = 0, None
        for part in parts:
            for p, batch in part.batches.items():
                batches.setdefault(p, []).append(batch)
                rank.setdefault(p, []).append(part.rank[p] + before)
            before += len(part)
            following = part.following
        if following is None:
            raise ValueError("there is nothing to join")
        return cls(
            {p: EventBatch.joined(found) for p, found in batches.items()},
            {p: np.concatenate(found) for p, found in rank.items()},
            following,
        )


def _held(
    batches: dict[int, EventBatch], rank: dict[int, NDArray[np.int64]]
) -> tuple[dict[int, EventBatch], dict[int, NDArray[np.int64]]]:
    kept = [p for p, batch in batches.items() if len(batch)]
    return {p: batches[p] for p in kept}, {p: rank[p] for p in kept}


class Merge:
    """Takes partitions' events as they come, and gives stretches of the merged order.

    ``ends`` maps each partition to the offset at which it ends.
    """

    def __init__(self, ends: Mapping[int, int]) -> None:
        """Start without any event."""
        self._ends = dict(ends)
        self._waiting: dict[int, list[EventBatch]] = {p: [] for p in sorted(ends)}
        self._finished: set[int] = set()

    def put(self, partition: int, events: EventBatch) -> None:
        """Append a partition's next events."""
        if partition in self._finished:
            raise ValueError(f"partition {partition} has ended")
        if len(events):
            self._waiting[partition].append(events)

    def finish(self, partition: int) -> None:
        """No more events come of a partition."""
        self._finished.add(partition)

    def waiting(self, partition: int) -> int:
        """How many events of a partition wait."""
        return sum(len(batch) for batch in self._waiting[partition])

    @property
    def exhausted(self) -> bool:
        """Whether everything has ended and been taken."""
        return len(self._finished) == len(self._waiting) and not any(self._waiting.values())

    def take(self, most: int, until: Mapping[int, int] | None = None) -> Stretch | None:
        """The next ``most`` events at most of those whose place is certain; ``None`` where there are none.

        With ``until`` it ends before the first event at or behind a partition's offset there.
        """
        heads = {p: EventBatch.joined(found) for p, found in self._waiting.items() if found}
        for p, batch in heads.items():
            self._waiting[p] = [batch]
        if any(p not in heads for p in self._waiting if p not in self._finished) or not heads:
            return None
        order = self._order(heads)
        count = min(most, self._certain(heads, order))
        if until is not None:
            count = min(count, _before(heads, order, until))
        return self._cut(heads, order, count) if count else None

    def _order(self, heads: dict[int, EventBatch]) -> NDArray[np.int64]:
        """The partition of each waiting event, in the merged order."""
        partition = np.concatenate([np.full(len(batch), p) for p, batch in heads.items()])
        largest = np.concatenate([np.maximum.accumulate(batch.time_ms) for batch in heads.values()])
        found: NDArray[np.int64] = partition[np.lexsort((partition, largest))]
        return found

    def _certain(self, heads: dict[int, EventBatch], order: NDArray[np.int64]) -> int:
        """How many events come before the first that is the last one known of a partition that goes on."""
        count = len(order)
        for p in heads.keys() - self._finished:
            count = min(count, int(np.flatnonzero(order == p)[-1]))
        return count

    def _cut(self, heads: dict[int, EventBatch], order: NDArray[np.int64], count: int) -> Stretch:
        batches, rank = {}, {}
        following: dict[int, int | None] = dict.fromkeys(self._waiting)
        for p, batch in heads.items():
            own = np.flatnonzero(order[:count] == p)
            front, rest = batch.cut(len(own))
            self._waiting[p] = [rest] if len(rest) else []
            if len(rest):
                following[p] = int(rest.time_ms[0])
            elif len(front):
                front = _ending(front, self._ends[p])
            if len(front):
                batches[p], rank[p] = front, own
        return Stretch(batches, rank, following)


def _before(heads: dict[int, EventBatch], order: NDArray[np.int64], until: Mapping[int, int]) -> int:
    count = len(order)
    for p, batch in heads.items():
        allowed = int(np.searchsorted(batch.offset, until[p]))
        if allowed < len(batch):
            count = min(count, int(np.flatnonzero(order == p)[allowed]))
    return count


def _ending(batch: EventBatch, end: int) -> EventBatch:
    """A partition's last events, read up to its end."""
    fields = {name: getattr(batch, name) for name in batch.__dataclass_fields__ if name != "next_offset"}
    return EventBatch(**fields, next_offset=end)
