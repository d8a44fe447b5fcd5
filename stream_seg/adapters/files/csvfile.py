"""CSV files, row by row (RFC 4180): a bad row is rejected and spoils no other."""

from __future__ import annotations

import csv
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from stream_seg.adapters.files.rows import ROWS_A_BATCH, RowBatch
from stream_seg.adapters.files.tables import decode_table, find_columns
from stream_seg.adapters.files.values import RowJson, cell_readers
from stream_seg.errors import DecodeError, UsageError
from stream_seg.events.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stream_seg.events.mapping import EventMapping
    from stream_seg.events.records import Decoded
    from stream_seg.features.spec import FeatureSet

__all__ = ["CsvFile"]

_DELIMITERS = ",;\t"
_NOT_CSV = "the row cannot be read as CSV (a cell of more than 128 KiB, or a stray line end)"


class CsvFile:
    """A CSV file in UTF-8 with a header, divided by commas, semicolons or tabs as the header is.

    Empty lines are no rows. Raises ``UsageError`` for a file without header, with one name twice, or without
    a column that the mapping names.
    """

    def __init__(self, path: Path, mapping: EventMapping, features: FeatureSet) -> None:
        """Read the header."""
        self._path, self._mapping, self._features = path, mapping, features
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            header = file.readline(65_536)
        self._delimiter = max(_DELIMITERS, key=header.count)
        first: list[str] | None = next(self._records(), None)
        self._names = first or []
        if not self._names:
            raise UsageError(f"{path.name} is empty: a CSV file starts with a line of column names")
        if not _is_utf_8("".join(self._names)):
            raise UsageError(f"{path.name} is not UTF-8: convert it first")
        twice = [name for name, count in Counter(self._names).items() if count > 1]
        if twice:
            raise UsageError(f'{path.name} has the column "{twice[0]}" more than once')
        find_columns(self._columns([]), mapping, features)
        self._write = RowJson(self._names, mapping)
        readers = cell_readers(mapping, features)
        self._readers = [readers.get(name) for name in self._names]

    def total_rows(self) -> int:
        """Count the rows: reads the file once."""
        return sum(1 for _ in islice(self._records(), 1, None))

    def batches(self) -> Iterator[RowBatch]:
        """Rows in order."""
        records = islice(self._records(), 1, None)
        first_row = 0
        while rows := list(islice(records, ROWS_A_BATCH)):
            yield self._batch(rows, first_row)
            first_row += len(rows)

    def _records(self) -> Iterator[list[str] | None]:
        """The header and the rows; ``None`` for one that is no CSV."""
        with self._path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, delimiter=self._delimiter)
            while True:
                try:
                    for row in reader:
                        if row:
                            yield row
                except csv.Error:
                    yield None
                else:
                    return

    def _batch(self, rows: list[list[str] | None], first_row: int) -> RowBatch:
        findings = Findings(len(rows))
        whole = [row or [] for row in rows]
        if set(map(len, whole)) != {len(self._names)} or not _is_utf_8("".join(map("".join, whole))):
            self._find_broken(rows, findings)
            whole = [self._as_table(row) for row in whole]
        columns = self._columns(whole)
        decoded = decode_table(columns, self._mapping, self._features, first_row, findings)
        return RowBatch(decoded, lambda: self._values(whole, decoded, first_row))

    def _find_broken(self, rows: list[list[str] | None], findings: Findings) -> None:
        width = len(self._names)
        wrong_width = f"the row has not as many cells as the header, {width}"
        for number, row in enumerate(rows):
            if row is None:
                findings.mark_row(number, DecodeError("row", "", _NOT_CSV))
            elif len(row) != width:
                findings.mark_row(number, DecodeError("row", "", wrong_width))
            elif not _is_utf_8("".join(row)):
                findings.mark_row(number, DecodeError("row", "", "the row is not UTF-8"))

    def _as_table(self, row: list[str]) -> list[str]:
        """The row in the header's width and in UTF-8: of a broken one, what can be shown."""
        width = len(self._names)
        return [
            cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            for cell in (row + [""] * width)[:width]
        ]

    def _columns(self, rows: list[list[str]]) -> dict[str, list[str | None]]:
        if not rows:
            return {name: [] for name in self._names}
        return {
            name: [cell or None for cell in column]
            for name, column in zip(self._names, zip(*rows, strict=True), strict=True)
        }

    def _values(self, rows: list[list[str]], decoded: Decoded, first_row: int) -> list[bytes]:
        return [
            self._write(
                [
                    read(cell) if read and cell else cell or None
                    for read, cell in zip(self._readers, row, strict=True)
                ]
            )
            for row in (rows[offset - first_row] for offset in decoded.events.offset.tolist())
        ]


def _is_utf_8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
