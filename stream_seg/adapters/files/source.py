"""A file as a source of events, whatever its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream_seg.adapters.files.csvfile import CsvFile
from stream_seg.adapters.files.jsonlines import JsonLinesFile
from stream_seg.adapters.files.parquetfile import ParquetFile
from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stream_seg.adapters.files.rows import RowBatch, RowFile
    from stream_seg.events.mapping import EventMapping
    from stream_seg.events.records import Decoded
    from stream_seg.features.spec import FeatureSet

__all__ = ["FileSource"]

_KINDS: dict[str, type[CsvFile | JsonLinesFile | ParquetFile]] = {
    ".csv": CsvFile,
    ".jsonl": JsonLinesFile,
    ".ndjson": JsonLinesFile,
    ".parquet": ParquetFile,
}


class FileSource:
    """The rows of a CSV, JSON Lines or Parquet file as events, in the file's order.

    Offsets are row numbers from 0, empty lines not counted. Iterating reads the file from its beginning, in
    batches, so that a file need not fit in memory. Raises ``UsageError`` at once for a file that is missing
    or of an unknown kind, and for a column that is mapped and not there.
    """

    def __init__(self, path: Path, mapping: EventMapping, features: FeatureSet) -> None:
        """Open the file by its ending."""
        kind = _KINDS.get(path.suffix.lower())
        if kind is None:
            raise UsageError(f"{path.name} must end in one of {', '.join(_KINDS)}, to say what it is")
        if not path.is_file():
            raise UsageError(f"There is no file {path}")
        self.name = path.name
        self._file: RowFile = kind(path, mapping, features)

    def total_rows(self) -> int:
        """How many rows the file has; counted by reading it through, but for Parquet."""
        return self._file.total_rows()

    def __iter__(self) -> Iterator[Decoded]:
        """Events and rejected rows, batch by batch."""
        return (batch.decoded for batch in self._file.batches())

    def row_batches(self) -> Iterator[RowBatch]:
        """The same, with the rows as JSON records at hand."""
        return self._file.batches()
