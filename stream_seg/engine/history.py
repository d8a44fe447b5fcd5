"""The port through which a topic is read from outside its groups: by replay, audit and comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from stream_seg.engine.ports import Committed, Membership
from stream_seg.errors import ServerUnavailable
from stream_seg.events.records import RawRecords

__all__ = ["Fetched", "History", "Reading", "read_through"]

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


class Reading:
    """Reads partitions from an offset on, up to but not including another (``spans``).

    Markers, aborted and compacted records never come and do not stall it.
    """

    def __init__(self, history: History, spans: Mapping[int, tuple[int, int]]) -> None:
        """Seek to where the spans begin."""
        self._history = history
        self.left = {p: end for p, (begin, end) in spans.items() if begin < end}
        """Partition → where it ends, for those that have not been read up to there."""
        for partition in self.left:
            history.seek(partition, spans[partition][0])
        self._stood, self._stalled = dict.fromkeys(self.left, -1), 0

    def poll(self, resting: frozenset[int] = frozenset()) -> list[Fetched]:
        """What comes next of those that do not rest; partitions that have ended leave ``left``.

        Raises ``ServerUnavailable`` where nothing moves for half a minute.
        """
        history, found = self._history, []
        history.pause(frozenset(range(history.partitions)) - (self.left.keys() - resting))
        for partition, records in sorted(history.poll(POLL_S).items()):
            end = self.left.get(partition)
            if end is not None and (kept := _before(records, end)) is not None:
                found.append(Fetched(partition, kept, kept.next_offset))
        stand = {p: history.read_up(p) for p in self.left}
        self.left = {p: end for p, end in self.left.items() if stand[p] < end}
        self._stalled = 0 if stand != self._stood else self._stalled + 1
        self._stood = stand
        if self._stalled > STALLED_POLLS:
            raise ServerUnavailable(f"topic {history.topic} cannot be read on: wait for Kafka to answer")
        return found


def read_through(history: History, spans: Mapping[int, tuple[int, int]]) -> Iterator[Fetched]:
    """All records of ``spans``; see ``Reading``."""
    reading = Reading(history, spans)
    while reading.left:
        yield from reading.poll()


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
