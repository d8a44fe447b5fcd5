"""Events of all partitions, split by customer as a producer's partitioner would."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream_seg.events.batch import EventBatch


def chosen(events: EventBatch, which: NDArray[np.int64], offset: NDArray[np.int64]) -> EventBatch:
    """The events at places ``which``, at new offsets."""
    places = which.tolist()
    return EventBatch(
        customers=[events.customers[i] for i in places],
        time_ms=events.time_ms[which],
        offset=offset,
        ids=[events.ids[i] for i in places],
        types=[events.types[i] for i in places],
        numbers=events.numbers[which],
        tokens=events.tokens[which],
        matches=events.matches[which],
        next_offset=int(offset[-1]) + 1 if len(offset) else 0,
    )


def split(events: EventBatch, partitions: int, quiet: Sequence[tuple[int, int]] = ()) -> list[EventBatch]:
    """One batch a partition, offsets from 0.

    ``quiet`` are (partition, event time in ms) from which on it gets no events any more.
    """
    own = np.array([zlib.crc32(c.encode()) % partitions for c in events.customers], dtype=np.int64)
    kept = np.ones(len(own), dtype=np.bool_)
    for partition, from_ms in quiet:
        kept &= (own != partition) | (events.time_ms < from_ms)
    result = []
    for partition in range(partitions):
        which = np.flatnonzero((own == partition) & kept)
        result.append(chosen(events, which, np.arange(len(which), dtype=np.int64)))
    return result
