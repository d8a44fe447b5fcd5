"""What stands on either side of a decoder: raw records in, events and rejected records out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stream_seg.events.batch import EventBatch, Rejected

__all__ = ["Decoded", "RawRecords"]


@dataclass(frozen=True, slots=True)
class RawRecords:
    """Consecutive records of one partition as they came, n of them.

    ``keys`` and ``values`` list of n bytes or ``None``; ``offset`` int64 [n] increasing; ``timestamp_ms``
    int64 [n] record timestamps, ms since 1970 (−1: none); ``next_offset`` the first record not here;
    ``single_partition`` whether the topic has just one partition, so that a record without key cannot be in
    the wrong one.
    """

    keys: list[bytes | None]
    values: list[bytes | None]
    offset: NDArray[np.int64]
    timestamp_ms: NDArray[np.int64]
    next_offset: int
    single_partition: bool

    def __len__(self) -> int:
        """The number of records, n."""
        return len(self.values)


class Decoded(NamedTuple):
    """Every record is in one of the two: an event, or rejected; both in source order."""

    events: EventBatch
    rejected: list[Rejected]
