"""What stands in for a group's offset that Kafka has forgotten: how far the partition's labels have gone.

A group's offsets expire when it has had no members for seven days (``offsets.retention.minutes``), and go
with the group when somebody deletes it. Labels and adoptions were committed with them. Records after the last
label that were no events, if any, become dead letters once more.
"""

from __future__ import annotations

from typing import NamedTuple

from stream_seg.engine.mark import Mark
from stream_seg.engine.ports import Committed, Outputs, Pending
from stream_seg.engine.registry import Registry
from stream_seg.engine.state import Numbers, Position
from stream_seg.errors import ServerUnavailable

__all__ = ["ModelsBehind", "Reached", "reached"]


class ModelsBehind(ServerUnavailable):
    """The models topic does not show yet what a partition was committed under."""


class Reached(NamedTuple):
    """How far a partition has come: its next unread offset, and the version it has adopted (0: none)."""

    next_offset: int
    version: int

    def includes(self, pending: Pending, numbers: Numbers) -> bool:
        """Whether a staged batch, on top of stored ``numbers``, was committed."""
        return self.next_offset > pending.start.next_offset or self.version > numbers.version

    def committed(self, numbers: Numbers, known: int, models: str) -> Committed:
        """The offset to commit anew; ``numbers`` are those stored, and behind it where Redis lost data too.

        ``known`` is the newest version, ``models`` the models topic. What is stored may be further on: over
        records that are no events.
        """
        at = numbers.position
        if at.next_offset < self.next_offset or numbers.version < self.version:
            at = Position(max(at.next_offset, self.next_offset), at.batch + 1)
        return Committed(at.next_offset, Mark(at.batch, "", self.version, known, models).text)


def reached(partition: int, registry: Registry, outputs: Outputs) -> Reached | None:
    """How far a partition has come; ``None`` where nothing of it has gone out.

    Raises ``ModelsBehind`` where the models topic does not show yet what it was labelled under.
    """
    if registry.newest is None:
        return None
    last, adoptions = outputs.last(partition), registry.adoptions_of(partition)
    if last is None and not adoptions:
        return None
    version = adoptions[-1].version if adoptions else 0
    if last is not None and last.version > version:
        raise ModelsBehind(
            f"the models topic does not show yet under which version partition {partition} was labelled"
        )
    first_offset = adoptions[-1].first_offset if adoptions else 0
    return Reached(max(first_offset, 0 if last is None else last.next_offset), version)
