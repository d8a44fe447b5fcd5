"""Snapshots as the engine sees them: copies of partitions, taken between rounds, found when Redis is lost.

A partition's state depends on its own events and the adopted versions only, so each partition is copied at a
committed position of its own, and may come from a snapshot of its own when it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from stream_seg.engine.registry import Registry
from stream_seg.engine.rowcolumns import RowColumns
from stream_seg.engine.state import Numbers, Position, State

__all__ = ["NoSnapshots", "Saved", "Snapshots"]


class Saved(NamedTuple):
    """A partition in a snapshot: its numbers (with the position), its rows, and what to call the snapshot."""

    numbers: Numbers
    rows: RowColumns
    name: str


class Snapshots(Protocol):
    """Copies of partitions, kept where a loss of the store does not reach them."""

    @property
    def where(self) -> str:
        """Where, for people; ``""`` where none are kept."""

    def due(self, now_s: float) -> bool:
        """Whether one should be taken now."""

    def save(self, states: Sequence[State], registry: Registry, now_s: float) -> None:
        """Copy ``states`` as they are; they may go on at once, what is slow is done beside the caller.

        ``registry`` holds the adoption of every state's version. A snapshot that cannot be written is told
        to people, and the stream goes on.
        """

    def newest(self, partition: int, instance: str, most: Position, least_offset: int) -> Saved | None:
        """The intact copy of a partition that is furthest on, of that life of the model.

        Only one of at most ``most`` and from ``least_offset`` on; ``None`` where there is none.
        """

    def close(self) -> None:
        """Wait for what is being written, for a while."""


class NoSnapshots:
    """``Snapshots`` where none are kept."""

    where = ""

    def due(self, now_s: float) -> bool:  # noqa: ARG002 - the port's signature
        """Never."""
        return False

    def save(self, states: Sequence[State], registry: Registry, now_s: float) -> None:
        """Keep nothing."""

    def newest(self, partition: int, instance: str, most: Position, least_offset: int) -> Saved | None:  # noqa: ARG002
        """There is none."""
        return None

    def close(self) -> None:
        """Nothing to wait for."""
