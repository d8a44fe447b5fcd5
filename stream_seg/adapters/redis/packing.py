"""Columns of texts as MessagePack, row by row, without Python's lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_seg.compiled import kernel
from stream_seg.engine.texts import Texts, arena, copied

__all__ = ["packed_rows"]

# https://github.com/msgpack/msgpack/blob/master/spec.md, "Formats"
_FALSE: Final = 0xC2
_UINT32: Final = 0xCE
_FIXSTR: Final = 0xA0
_FIXSTR_MOST: Final = 0x1F
_STR8: Final = 0xD9
_STR8_MOST: Final = 0xFF
_STR16: Final = 0xDA
_STR16_MOST: Final = 0xFFFF
_STR32: Final = 0xDB
_MOST_AHEAD: Final = 5
"""Bytes that stand before a text, or stand for a row number, at the most."""


def packed_rows(rows: NDArray[np.int64], columns: Sequence[Texts]) -> Texts:
    """Each row's number (below 2³²) and its texts, as elements of an array; an absent one is ``False``."""
    data, start, end = arena(columns)
    starts, ends = np.stack(start), np.stack(end)
    most = int((ends - starts)[starts >= 0].sum()) + _MOST_AHEAD * (starts.size + len(rows))
    packed, bounds = np.empty(most, np.uint8), np.zeros(len(rows) + 1, np.int64)
    _pack(rows, data, starts, ends, bounds, packed)
    return Texts(packed, bounds[:-1], bounds[1:])


@kernel
def _pack(
    rows: NDArray[np.int64],
    data: NDArray[np.uint8],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    bounds: NDArray[np.int64],
    packed: NDArray[np.uint8],
) -> None:
    """Row i becomes ``packed[bounds[i]:bounds[i + 1]]``; ``start`` and ``end`` [columns, n]."""
    columns, n = start.shape
    for i in range(n):
        at = bounds[i]
        packed[at] = _UINT32
        at = _big_endian(packed, at + 1, rows[i], 4)
        for c in range(columns):
            if start[c, i] < 0:
                packed[at] = _FALSE
                at += 1
                continue
            length = end[c, i] - start[c, i]
            if length <= _FIXSTR_MOST:
                packed[at] = _FIXSTR | length
                at += 1
            elif length <= _STR8_MOST:
                packed[at] = _STR8
                at = _big_endian(packed, at + 1, length, 1)
            elif length <= _STR16_MOST:
                packed[at] = _STR16
                at = _big_endian(packed, at + 1, length, 2)
            else:
                packed[at] = _STR32
                at = _big_endian(packed, at + 1, length, 4)
            at = copied(packed, at, data, start[c, i], end[c, i])
        bounds[i + 1] = at


@kernel
def _big_endian(packed: NDArray[np.uint8], at: int, number: int, width: int) -> int:
    """Write a number, most significant byte first, and return the place behind it."""
    for place in range(width):
        packed[at + place] = (number >> (8 * (width - 1 - place))) & 0xFF
    return at + width
