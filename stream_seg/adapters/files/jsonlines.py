"""JSON Lines files: one record a line, decoded like the records of a topic."""

from __future__ import annotations

import codecs
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from stream_seg.adapters.files.rows import ROWS_A_BATCH, RowBatch
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.jsontext import RECORD_LIMIT_BYTES
from stream_seg.events.records import RawRecords

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stream_seg.events.mapping import EventMapping
    from stream_seg.features.spec import FeatureSet

__all__ = ["JsonLinesFile"]

_BYTES_A_BATCH = 16 * RECORD_LIMIT_BYTES


class JsonLinesFile:
    """A file of JSON objects, one a line; empty lines are no rows.

    A line longer than a record may be is rejected, and only its beginning kept.
    """

    def __init__(self, path: Path, mapping: EventMapping, features: FeatureSet) -> None:
        """Make the decoder; a file has no record keys to check."""
        self._path = path
        self._decoder = JsonDecoder(replace(mapping, key="unchecked"), features)

    def total_rows(self) -> int:
        """Count the lines that are not empty: reads the file once."""
        return sum(1 for _ in self._lines())

    def batches(self) -> Iterator[RowBatch]:
        """Rows in order."""
        lines, first_row = self._lines(), 0
        while batch := _next_batch(lines):
            yield self._batch(batch, first_row)
            first_row += len(batch)

    def _batch(self, lines: list[bytes], first_row: int) -> RowBatch:
        n = len(lines)
        records = RawRecords(
            keys=[None] * n,
            values=list(lines),
            offset=np.arange(first_row, first_row + n, dtype=np.int64),
            timestamp_ms=np.full(n, -1, dtype=np.int64),
            next_offset=first_row + n,
            single_partition=True,
        )
        decoded = self._decoder.decode(records)
        return RowBatch(decoded, lambda: [lines[row] for row in (decoded.events.offset - first_row).tolist()])

    def _lines(self) -> Iterator[bytes]:
        longest = RECORD_LIMIT_BYTES + 1
        with self._path.open("rb") as file:
            if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
                file.seek(0)
            while line := file.readline(longest):
                rest = line
                while len(rest) == longest and not rest.endswith(b"\n"):
                    rest = file.readline(longest)
                line = line.strip()
                if line:
                    yield line


def _next_batch(lines: Iterator[bytes]) -> list[bytes]:
    batch, size = [], 0
    for line in islice(lines, ROWS_A_BATCH):
        batch.append(line)
        size += len(line)
        if size >= _BYTES_A_BATCH:
            break
    return batch
