"""What is wrong with the rows of a batch: for each row the first problem found, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from stream_seg.errors import DecodeError

__all__ = ["Findings"]


class Findings:
    """The first problem of each of n rows; marking a row again changes nothing."""

    def __init__(self, rows: int) -> None:
        """Begin with ``rows`` good rows."""
        self._code = np.zeros(rows, dtype=np.int64)
        self._errors: list[DecodeError] = []

    def mark(self, rows: NDArray[np.bool_], error: DecodeError) -> None:
        """Note ``error`` for the rows of a bool [n] mask."""
        if rows.any():
            self._errors.append(error)
            self._code[rows & (self._code == 0)] = len(self._errors)

    def mark_row(self, row: int, error: DecodeError) -> None:
        """Note ``error`` for one row."""
        if not self._code[row]:
            if not self._errors or self._errors[-1] is not error:
                self._errors.append(error)
            self._code[row] = len(self._errors)

    @property
    def good(self) -> NDArray[np.bool_]:
        """Rows without a problem, bool [n]."""
        good: NDArray[np.bool_] = self._code == 0
        return good

    def problems(self) -> Iterator[tuple[int, DecodeError]]:
        """Give (row, first problem), in the rows' order."""
        for row in np.flatnonzero(self._code):
            yield int(row), self._errors[self._code[row] - 1]
