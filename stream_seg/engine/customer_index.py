"""From customers' ids to row numbers and back, in columns: no Python object stands for a customer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream_seg.engine import idtable
from stream_seg.engine.idtable import EMPTY, FREE, LENGTH_BITS
from stream_seg.engine.siphash import siphash
from stream_seg.engine.texts import Texts

__all__ = ["CustomerIndex"]

Number = TypeVar("Number", np.uint8, np.int64)

_FIRST_SLOTS: Final = 64
_FULLEST: Final = 0.6
"""Share of the table's slots that may be taken: linear probing slows down steeply beyond."""
_LONGEST: Final = (1 << LENGTH_BITS) - 1
# As with a dict: ids come from outside, and Python's own secret keeps them from being chosen to collide.
_KEY: Final = (hash("the customer index's first key"), hash("the customer index's second key"))
_KEY_BITS: Final = 64


class CustomerIndex:
    """Rows have numbers from 0 on, and some of those ``used`` so far may be free again.

    A new customer gets the lowest free number, else the next. Numbers follow from the order of appearance
    alone: where an id is in the table decides how soon it is found and nothing else, so labels do not depend
    on ``key``, two integers below 2⁶⁴ in size.
    """

    def __init__(self, key: tuple[int, int] = _KEY) -> None:
        """Begin without customers."""
        self.used = 0
        self.residents = 0
        self._key = np.array([part % (1 << _KEY_BITS) for part in key], np.uint64)
        self._table = np.full(_FIRST_SLOTS, EMPTY, np.int64)
        self._spans = np.empty(0, np.int64)
        self._arena = np.empty(0, np.uint8)
        self._filled = 0
        self._freed = 0
        self._lowest = 0

    def rows_of(self, customers: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers int64 [n] of customers, −1 for one that has none."""
        ids = Texts.utf8(customers)
        return self._find(ids, self._hashes(ids))

    def numbers_of(self, customers: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row numbers int64 [n] of customers in order of appearance, and those given out just now.

        ``ValueError`` for a new id of more than 65,535 bytes.
        """
        ids = Texts.utf8(customers)
        hashes = self._hashes(ids)
        row = self._find(ids, hashes)
        unknown = np.flatnonzero(row < 0)
        if not len(unknown):
            return row, unknown
        lengths = ids.end[unknown] - ids.start[unknown]
        self._reserve(self.used + len(unknown), self.residents + len(unknown), lengths)
        new = np.empty(len(unknown), np.int64)
        given, self._filled, self._lowest, self.used = idtable.add(
            self._table,
            self._spans,
            self._arena,
            hashes,
            ids.data,
            ids.start,
            ids.end,
            unknown,
            row,
            new,
            self._filled,
            self._lowest,
            self.used,
        )
        self.residents += given
        return row, new[:given]

    def held(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of some row numbers have a customer, bool [n]."""
        known = rows < self.used
        known[known] = self._spans[rows[known]] != FREE
        return known

    def texts_of(self, rows: NDArray[np.int64]) -> Texts:
        """The customers of rows that have one, in UTF-8."""
        return self._ids(rows).packed()

    def put(self, rows: NDArray[np.int64], customers: Texts, used: int) -> None:
        """Give stored customers their stored numbers, of which ``used`` have been given out.

        The index must be empty. ``ValueError`` where a customer or a row is there twice, or lacks the other.
        """
        if len(rows) != len(customers):
            raise ValueError("there are not as many customers as rows")
        lengths = customers.end - customers.start
        self._reserve(used, len(rows), lengths)
        packed = customers.packed()
        self._filled = len(packed.data)
        self._arena[: self._filled] = packed.data
        self._spans[:used] = FREE
        self._spans[rows] = packed.start << LENGTH_BITS | lengths
        self.used, self.residents = used, len(rows)
        once = np.count_nonzero(self._spans[:used] != FREE) == len(rows)
        if not once or not idtable.fill(self._table, self._spans, self._arena, self._hashes(packed), rows):
            raise ValueError("a customer or a row is there twice")

    def remove(self, rows: NDArray[np.int64]) -> None:
        """Free rows; ``ValueError`` where one is free already."""
        if not self.held(rows).all():
            raise ValueError("a row is free already")
        freed = idtable.remove(self._table, self._spans, self._hashes(self._ids(rows)), rows)
        if freed < 0:
            raise ValueError("a row is to be freed twice")
        self.residents -= len(rows)
        self._lowest = min(self._lowest, int(rows.min(initial=self._lowest)))
        self._freed += freed
        if self._freed > self._filled // 2:
            self._compact()

    def withdraw(self, rows: NDArray[np.int64], used: int) -> None:
        """Free rows as if they had never been given out: only ``used`` numbers have been."""
        self.remove(rows)
        self.used = used
        self._lowest = min(self._lowest, used)

    def _hashes(self, ids: Texts) -> NDArray[np.int64]:
        return idtable.short(siphash(ids.data, ids.start, ids.end, self._key))

    def _find(self, ids: Texts, hashes: NDArray[np.int64]) -> NDArray[np.int64]:
        return idtable.find(self._table, self._spans, self._arena, hashes, ids.data, ids.start, ids.end)

    def _ids(self, rows: NDArray[np.int64]) -> Texts:
        """Ids where they are in the arena."""
        spans = self._spans[rows]
        start = spans >> LENGTH_BITS
        return Texts(self._arena, start, start + (spans & _LONGEST))

    def _reserve(self, rows: int, residents: int, lengths: NDArray[np.int64]) -> None:
        """Have room for so many row numbers and customers, and for ids of ``lengths`` more."""
        if lengths.max(initial=0) > _LONGEST:
            raise ValueError(f"an id has at most {_LONGEST} bytes")
        self._spans = _grown(self._spans, self.used, rows)
        self._arena = _grown(self._arena, self._filled, self._filled + int(lengths.sum()))
        slots = len(self._table)
        while residents > slots * _FULLEST:
            slots *= 2
        if slots > len(self._table):
            larger = np.full(slots, EMPTY, np.int64)
            idtable.rehash(self._table, larger)
            self._table = larger

    def _compact(self) -> None:
        """Leave out the bytes of those who are gone."""
        held = np.flatnonzero(self._spans[: self.used] != FREE)
        ids = self.texts_of(held)
        self._arena, self._filled, self._freed = ids.data, len(ids.data), 0
        self._spans[held] = ids.start << LENGTH_BITS | (ids.end - ids.start)


def _grown(array: NDArray[Number], taken: int, wanted: int) -> NDArray[Number]:
    """The same array, or where it is too short one that is longer by half at least."""
    if wanted <= len(array):
        return array
    longer = np.empty(max(wanted, len(array) + len(array) // 2), array.dtype)
    longer[:taken] = array[:taken]
    return longer
