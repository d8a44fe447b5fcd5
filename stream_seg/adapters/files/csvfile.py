"""CSV files, row by row (RFC 4180): a bad row is rejected and spoils no other."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from stream_seg.adapters.files.csvjson import CellTypes
from stream_seg.adapters.files.table import ROWS_A_BATCH
from stream_seg.errors import DecodeError, UsageError
from stream_seg.events.findings import Findings
from stream_seg.events.tables import decode_table, find_columns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stream_seg.events.mapping import EventMapping
    from stream_seg.events.records import Decoded
    from stream_seg.events.tables import Cells
    from stream_seg.features.spec import FeatureSet

__all__ = ["CsvFile"]

_DELIMITERS = ",;\t"
_NOT_UTF_8 = DecodeError("row", "", "the row is not UTF-8")
_NOT_CSV = DecodeError("row", "", "the row cannot be read as CSV: a stray line end, or a cell of more than 128 KiB")


class CsvFile:
    """A CSV file with a header, in UTF-8, its cells divided by commas, semicolons or tabs as the header has them.

    Empty lines are no rows. Raises ``UsageError`` for a file without header, with a name twice, or without a column that
    is mapped.
    """

    def __init__(self, path: Path, mapping: EventMapping, features: FeatureSet) -> None:
        """Read the header."""
        self._path, self._mapping, self._features = path, mapping, features
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            first = file.readline()
        self._delimiter = max(_DELIMITERS, key=first.count)
        self._names = next(self._rows(), None) or []
        ...
