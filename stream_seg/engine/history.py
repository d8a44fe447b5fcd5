"""The port through which a topic is read from outside its groups: by replay, audit and comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from stream_seg.engine.ports import Committed, Membership
from stream_seg.errors import ServerUnavailable
from stream_seg.events.records import RawRecords

__all__ = ["Fetched", "History", "read_through"]

POLL_S = 0.2
STALLED_POLLS = 150
"""Polls without any move after which nobody answers: half a minute."""


class History(Protocol):
    """A topic's committed records, read without being a member of any group: nobody's partitions move.

    A partition is read once ``seek`` has said from where. ``outsider`` names the group without being in it:
    the broker takes offsets from it while the group has no members; who may commit is for the transactional
    id to fence.
    """

    topic: str
    partitions: int
    outsider: Membership

    def begins(self, partitions: Sequence[int]) -> dict[int, int]:
        """The first offsets the topic still holds."""

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """The offsets after the last stable records, transaction markers included."""

    def seek(self, partition: int, next_offset: int) -> None:
        """Read on from there."""

    def pause(self, partitions: frozenset[int]) -> None:
        """Fetch nothing from exactly these."""

    def poll(self, timeout_s: float) -> Mapping[int, RawRecords]:
        """Records per partition in offset order, at most one batch each; empty while nothing comes."""

    def read_up(self, partition: int) -> int:
        """The next offset that will be returned, markers and aborted records passed over."""

    def committed(self, partition: int) -> Committed | None:
        """The group's stable offset; ``None`` if it has none."""

    def close(self) -> None:
        """Stop reading."""


class Fetched(NamedTuple):
    """What came of one partition; ``read_up`` is where reading of it stands."""

    partition: int
    records: RawRecords
    read_up: int


def read_through(history: History, spans: Mapping[int, tuple[int, int]]) -> Iterator[Fetched]:
    """All records of partitions from an offset on, up to but not including another.

    Markers, aborted and compacted records never come and do not stall it. Raises ``ServerUnavailable`` where
    nothing moves for half a minute.
    """
    left = {p: end for p, (begin, end) in spans.items() if begin < end}
    for partition in left:
        history.seek(partition, spans[partition][0])
    everyone = frozenset(range(history.partitions))
    stalled, stood = 0, dict.fromkeys(left, -1)
    while left:
        history.pause(everyone - left.keys())
        for partition, records in sorted(history.poll(POLL_S).items()):
            if partition in left and (kept := _before(records, left[partition])) is not None:
                yield Fetched(partition, kept, kept.next_offset)
        stand = {p: history.read_up(p) for p in left}
        left = {p: end for p, end in left.items() if stand[p] < end}
        stalled, stood = (0 if stand != stood else stalled + 1), stand
        if stalled > STALLED_POLLS:
            raise ServerUnavailable(f"topic {history.topic} cannot be read on: wait for Kafka to answer")


def _before(records: RawRecords, end: int) -> RawRecords | None:
    """The records before offset ``end``; ``None`` where there are none."""
    count = int((records.offset < end).sum())
    if not count:
        return None
    if count == len(records):
        return records
    return RawRecords(
        records.keys[:count],
        records.values[:count],
        records.offset[:count],
        records.timestamp_ms[:count],
        int(records.offset[count - 1]) + 1,
        records.single_partition,
    )
