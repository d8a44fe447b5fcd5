"""What every kind of file gives: its rows in order, in batches that fit in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stream_seg.events.mapping import EventMapping
    from stream_seg.events.records import Decoded
    from stream_seg.features.spec import FeatureSet

__all__ = ["ROWS_A_BATCH", "RowBatch", "RowFile"]

ROWS_A_BATCH = 32_768


class RowBatch(Protocol):
    """Consecutive rows of a file."""

    @property
    def decoded(self) -> Decoded:
        """Events and rejected rows; offsets are row numbers from 0."""

    def values(self) -> list[bytes]:
        """The rows of the events, each as the JSON record it stands for, in the events' order."""


class RowFile(Protocol):
    """An open file: counted, and read from its beginning as often as wanted."""

    def total_rows(self) -> int:
        """How many rows it has."""

    def batches(self) -> Iterator[RowBatch]:
        """Its rows in order."""
