"""Events as columns: what a decoder makes of records and what ``step`` reads.

``EventBatch`` holds consecutive accepted events of one partition; ``Rejected`` is a record that cannot be an
event. Between them nothing is lost: every record of the source is in one or the other.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be an event: its position, its original bytes, and why.

    ``offset`` is the record's own; ``timestamp_ms`` its Kafka timestamp (−1 where it has none); ``stage``,
    ``error`` and ``message`` become the dead letter's headers.
    """

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    stage: str
    error: str
    message: str


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Accepted events of one partition in source order, n of them.

    ``customers`` list of n customer ids; ``time_ms`` int64 [n] event times, ms since 1970 UTC; ``offset``
    int64 [n] source offsets (row numbers in a file), increasing; ``ids`` event ids (``None``:
    topic-partition-offset stands in); ``types`` event types or ``None`` where the mapping names no type;
    ``numbers`` float64 [n, columns], one column for each of ``FeatureSet.numbers``, NaN where the event has
    no such value; ``tokens`` uint64 [n, columns], one for each of ``FeatureSet.tokens``, a 64-bit hash of
    the value (0: none); ``matches`` bool [n, d], whether the event matches each feature's ``where``
    (``True`` where it has none). ``next_offset`` is the first unread record after the batch, rejected ones
    counted as read.
    """

    customers: list[str]
    time_ms: NDArray[np.int64]
    offset: NDArray[np.int64]
    ids: list[str | None]
    types: list[str | None]
    numbers: NDArray[np.float64]
    tokens: NDArray[np.uint64]
    matches: NDArray[np.bool_]
    next_offset: int

    def __len__(self) -> int:
        """The number of events, n."""
        return len(self.customers)

    def cut(self, at: int) -> tuple[Self, Self]:
        """The first ``at`` events and the rest.

        The first part's ``next_offset`` is the rest's first event.
        """
        if at >= len(self):
            return self, self._slice(len(self), len(self), self.next_offset)
        middle = int(self.offset[at])
        return self._slice(0, at, middle), self._slice(at, len(self), self.next_offset)

    def _slice(self, start: int, stop: int, next_offset: int) -> Self:
        parts = {f.name: getattr(self, f.name)[start:stop] for f in fields(self) if f.name != "next_offset"}
        return type(self)(**parts, next_offset=next_offset)

    @classmethod
    def empty(cls, numbers: int, tokens: int, features: int, next_offset: int) -> Self:
        """No event, with so many columns of each kind: what moves a position only."""
        return cls(
            customers=[],
            time_ms=np.zeros(0, dtype=np.int64),
            offset=np.zeros(0, dtype=np.int64),
            ids=[],
            types=[],
            numbers=np.zeros((0, numbers)),
            tokens=np.zeros((0, tokens), dtype=np.uint64),
            matches=np.zeros((0, features), dtype=np.bool_),
            next_offset=next_offset,
        )

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """Consecutive batches as one. ``parts`` must not be empty."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            customers=[customer for p in parts for customer in p.customers],
            time_ms=np.concatenate([p.time_ms for p in parts]),
            offset=np.concatenate([p.offset for p in parts]),
            ids=[one for p in parts for one in p.ids],
            types=[one for p in parts for one in p.types],
            numbers=np.concatenate([p.numbers for p in parts]),
            tokens=np.concatenate([p.tokens for p in parts]),
            matches=np.concatenate([p.matches for p in parts]),
            next_offset=parts[-1].next_offset,
        )
