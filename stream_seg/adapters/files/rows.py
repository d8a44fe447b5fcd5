"""What every kind of file gives: its rows in order, in batches that fit in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stream_seg.events.records import Decoded

__all__ = ["ROWS_A_BATCH", "RowBatch", "RowFile"]

ROWS_A_BATCH = 32_768


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Consecutive rows of a file.

    ``decoded`` are their events and rejected rows, with row numbers from 0 as offsets; ``values()`` gives the
    rows of the events, in the events' order, each as the JSON record it stands for.
    """

    decoded: Decoded
    values: Callable[[], list[bytes]]


class RowFile(Protocol):
    """An open file: counted, and read from its beginning as often as wanted."""

    def total_rows(self) -> int:
        """How many rows it has."""

    def batches(self) -> Iterator[RowBatch]:
        """Its rows in order."""
