"""The kernels of the customer index: an open-addressing table with linear probing.

An entry int64 is 31 bits of an id's hash above 32 bits of its row number, so that what probing reads is in
one cache line; ``EMPTY`` is none. The table's length is a power of two, and some of it is always empty.
``spans`` int64 says for each row where its id begins in ``arena`` and, in the lowest 16 bits, how long it is;
``FREE`` where the row has none. Ids asked for are ``data[start[i]:end[i]]``, with ``hashes`` as ``short``
gives them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_seg.compiled import kernel
from stream_seg.engine.texts import copied

__all__ = ["EMPTY", "FREE", "LENGTH_BITS", "add", "fill", "find", "rehash", "remove", "short"]

EMPTY: Final = -1
FREE: Final = -1
LENGTH_BITS: Final = 16
_LENGTH: Final = (1 << LENGTH_BITS) - 1
_ROW_BITS: Final = 32
_ROW: Final = (1 << _ROW_BITS) - 1


def short(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The 31 bits of each hash that entries hold."""
    return (hashes >> np.uint64(33)).view(np.int64)


@kernel
def _is(span: int, arena: NDArray[np.uint8], data: NDArray[np.uint8], start: int, end: int) -> bool:
    """Whether the id at ``span`` is ``data[start:end]``."""
    if span & _LENGTH != end - start:
        return False
    ours, theirs = np.uint64(span >> LENGTH_BITS), np.uint64(start)  # unsigned: none counts from the end
    for i in range(np.uint64(end - start)):  # noqa: SIM110 - numba knows no generators
        if arena[ours + i] != data[theirs + i]:
            return False
    return True


@kernel
def _slot(
    table: NDArray[np.int64],
    spans: NDArray[np.int64],
    arena: NDArray[np.uint8],
    digest: int,
    data: NDArray[np.uint8],
    start: int,
    end: int,
) -> int:
    """The slot of an id's entry, or the empty one where it would be."""
    mask = len(table) - 1
    slot = digest & mask
    while table[slot] != EMPTY:
        entry = table[slot]
        if entry >> _ROW_BITS == digest and _is(spans[entry & _ROW], arena, data, start, end):
            break
        slot = (slot + 1) & mask
    return slot


@kernel
def find(
    table: NDArray[np.int64],
    spans: NDArray[np.int64],
    arena: NDArray[np.uint8],
    hashes: NDArray[np.int64],
    data: NDArray[np.uint8],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Row numbers int64 [n] of ids, −1 for one that has none.

    One array is read for all ids before the next one is: the processor then waits for many lines at once.
    """
    n, mask = len(hashes), len(table) - 1
    row, span = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        slot = hashes[i] & mask
        while table[slot] != EMPTY and table[slot] >> _ROW_BITS != hashes[i]:
            slot = (slot + 1) & mask
        row[i] = -1 if table[slot] == EMPTY else table[slot] & _ROW
    for i in range(n):
        span[i] = FREE if row[i] < 0 else spans[row[i]]
    for i in range(n):
        if row[i] >= 0 and not _is(span[i], arena, data, start[i], end[i]):
            entry = table[_slot(table, spans, arena, hashes[i], data, start[i], end[i])]
            row[i] = -1 if entry == EMPTY else entry & _ROW
    return row


@kernel
def add(  # noqa: PLR0913, PLR0917 - a kernel takes arrays
    table: NDArray[np.int64],
    spans: NDArray[np.int64],
    arena: NDArray[np.uint8],
    hashes: NDArray[np.int64],
    data: NDArray[np.uint8],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    unknown: NDArray[np.int64],
    row: NDArray[np.int64],
    new: NDArray[np.int64],
    filled: int,
    lowest: int,
    used: int,
) -> tuple[int, int, int, int]:
    """Give the ``unknown`` of the ids a row each, in order: the lowest that is free, else the next.

    No row below ``lowest`` is free; ``filled`` bytes of the arena and ``used`` rows are taken. There is room
    for all of them. Writes ``row``, and to ``new`` the numbers given; returns their number, and the next
    ``filled``, ``lowest`` and ``used``.
    """
    given = 0
    for i in unknown:
        slot = _slot(table, spans, arena, hashes[i], data, start[i], end[i])
        if table[slot] != EMPTY:
            row[i] = table[slot] & _ROW
            continue
        while lowest < used and spans[lowest] != FREE:
            lowest += 1
        used = max(used, lowest + 1)
        spans[lowest] = filled << LENGTH_BITS | (end[i] - start[i])
        filled = copied(arena, filled, data, start[i], end[i])
        table[slot] = hashes[i] << _ROW_BITS | lowest
        row[i] = new[given] = lowest
        given += 1
    return given, filled, lowest, used


@kernel
def fill(
    table: NDArray[np.int64],
    spans: NDArray[np.int64],
    arena: NDArray[np.uint8],
    hashes: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> bool:
    """Enter ``rows``, whose ids are in the arena already; ``False`` where two have the same."""
    for i in range(len(rows)):
        span = spans[rows[i]]
        start = span >> LENGTH_BITS
        slot = _slot(table, spans, arena, hashes[i], arena, start, start + (span & _LENGTH))
        if table[slot] != EMPTY:
            return False
        table[slot] = hashes[i] << _ROW_BITS | rows[i]
    return True


@kernel
def remove(
    table: NDArray[np.int64],
    spans: NDArray[np.int64],
    hashes: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> int:
    """Free ``rows``; returns how many bytes their ids have, −1 where a row is free already.

    Entries behind a hole move up, so that none has to be marked as one that was.
    """
    mask, freed = len(table) - 1, 0
    for i in range(len(rows)):
        if spans[rows[i]] == FREE:
            return -1
        freed += spans[rows[i]] & _LENGTH
        spans[rows[i]] = FREE
        hole = hashes[i] & mask
        while table[hole] & _ROW != rows[i]:
            hole = (hole + 1) & mask
        slot = (hole + 1) & mask
        while table[slot] != EMPTY:
            home = (table[slot] >> _ROW_BITS) & mask
            if (slot - home) & mask >= (slot - hole) & mask:
                table[hole] = table[slot]
                hole = slot
            slot = (slot + 1) & mask
        table[hole] = EMPTY
    return freed


@kernel
def rehash(table: NDArray[np.int64], larger: NDArray[np.int64]) -> None:
    """Enter all of ``table`` into one that is empty."""
    mask = len(larger) - 1
    for entry in table:
        if entry == EMPTY:
            continue
        slot = (entry >> _ROW_BITS) & mask
        while larger[slot] != EMPTY:
            slot = (slot + 1) & mask
        larger[slot] = entry
