"""The cells of a CSV file as columns: text that is read as what the mapping and the features want.

A cell has no kind of its own. A number is read where one is wanted (surrounding blanks allowed); a ``where``
value that is a number or a boolean is compared with the cell read as one; an empty cell is a missing value.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from stream_seg.errors import DecodeError
from stream_seg.events.columns import NOT_A_NUMBER, NOT_FINITE, token_column
from stream_seg.events.ids import customer_column, id_column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from stream_seg.events.findings import Findings
    from stream_seg.events.times import TimeReader
    from stream_seg.features.spec import Scalar

__all__ = ["CellColumns", "cell_as", "number_of"]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NUMBER_LETTERS = b"0123456789+-.eE "
_FLAGS = {"true": True, "false": False}


class CellColumns:
    """Columns of cells by name, each a list of n texts or ``None`` (a ``ColumnReader``)."""

    def __init__(self, columns: Mapping[str, list[str | None]], times: TimeReader) -> None:
        """Keep the columns and how times are written."""
        self._columns, self._times = columns, times

    def customers(self, path: str, findings: Findings) -> list[str]:
        """Cells as they are: "007" keeps its zeros."""
        return customer_column(self._columns[path], path, findings)

    def ids(self, path: str, findings: Findings) -> list[str | None]:
        """Cells as they are."""
        return id_column(self._columns[path], path, findings)

    def types(self, path: str, findings: Findings) -> list[str | None]:  # noqa: ARG002 - any cell will do
        """Cells as they are."""
        return list(self._columns[path])

    def times(self, path: str, findings: Findings) -> NDArray[np.int64]:
        """RFC 3339, dates, or with a unit numbers."""
        return self._times.column([cell and cell.strip() for cell in self._columns[path]], findings)

    def numbers(self, path: str, findings: Findings) -> NDArray[np.float64]:
        """Cells read as numbers; other text, and what is not finite, is marked."""
        cells = self._columns[path]
        present = np.fromiter((cell is not None for cell in cells), np.bool_, len(cells))
        numbers = np.full(len(cells), np.nan)
        numbers[present] = _numbers([cell for cell in cells if cell is not None])
        findings.mark(np.isinf(numbers), DecodeError("event", path, NOT_FINITE))
        findings.mark(np.isnan(numbers) & present, DecodeError("event", path, NOT_A_NUMBER))
        return numbers

    def tokens(self, path: str, findings: Findings) -> NDArray[np.uint64]:  # noqa: ARG002 - the same
        """Hashes of the cells' text."""
        return token_column(self._columns[path])

    def matching(self, path: str, allowed: tuple[Scalar, ...], findings: Findings) -> NDArray[np.bool_]:  # noqa: ARG002
        """Whether a cell, read as the kind of an allowed value, equals it."""
        known: dict[str | None, bool] = {None: False}
        cells = self._columns[path]
        for cell in cells:
            if cell not in known and cell is not None:
                known[cell] = not isinstance(cell_as(cell, allowed), str) or cell in allowed
        return np.fromiter(map(known.__getitem__, cells), np.bool_, len(cells))


def _numbers(cells: list[str]) -> list[float]:
    if not "".join(cells).encode("utf-8", "surrogatepass").translate(None, _NUMBER_LETTERS):
        try:
            return list(map(float, cells))
        except ValueError:
            pass  # such as "1-2" or "": find out which
    return list(map(number_of, cells))


def number_of(cell: str) -> float:
    """The cell read as a number, NaN if it is none; infinite where no double holds it."""
    text = cell.strip()
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def cell_as(cell: str, allowed: tuple[Scalar, ...]) -> Scalar:
    """The allowed value that is no text and that the cell, read as its kind, equals; else the cell itself."""
    for value in allowed:
        if isinstance(value, str):
            continue
        if isinstance(value, bool):
            if _FLAGS.get(cell.strip().lower()) is value:
                return value
        elif number_of(cell) == value:
            return value
    return cell
