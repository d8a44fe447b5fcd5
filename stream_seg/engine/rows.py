"""A partition's customers: an index from id to row number, and the columns the kernels work on.

A row keeps its number while its customer stays; the lowest free number is taken first, so numbers depend on
the partition's history alone, never on how it was cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.customer_index import CustomerIndex
from stream_seg.engine.kernels import Placement
from stream_seg.engine.texts import Texts
from stream_seg.features.kernels import Aggregates
from stream_seg.features.spec import DISTINCT_LIMIT, FeatureSet

_FIRST_CAPACITY = 1024
_SPARSE = 1000
"""Times as many row numbers as rows, beyond which sorting them is cheaper than marking them."""


class Rows:
    """Columns with room to grow.

    ``used`` row numbers have been given out, some of which may be free again; ``former`` int32 is the
    segment that each row came from when it last changed (−1: it never has). What stands in columns beyond
    ``used`` means nothing.
    """

    def __init__(self, features: FeatureSet) -> None:
        """Make a population without customers."""
        self._features = features
        self._index = CustomerIndex()
        self._capacity = 0
        self.aggregates, self.placement = _columns(features, 0)
        self.former = np.empty(0, dtype=np.int32)

    @property
    def used(self) -> int:
        """One more than the highest row number ever given out."""
        return self._index.used

    @property
    def residents(self) -> int:
        """The number of customers."""
        return self._index.residents

    def numbers_of(self, customers: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row numbers int64 [n] of customers in order of appearance, and those given out just now."""
        used = self.used
        row, new = self._index.numbers_of(customers)
        if self.used > used:
            self.reserve(self.used)
            self._blank(slice(used, self.used))
        return row, new

    def rows_of(self, customers: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers int64 [n] of customers, −1 for one that has none."""
        return self._index.rows_of(customers)

    def row_of(self, customer: str) -> int | None:
        """The row number of a customer that has one."""
        row = int(self._index.rows_of([customer])[0])
        return None if row < 0 else row

    def resident_rows(self) -> NDArray[np.int64]:
        """Row numbers int64 [n] of all customers with an event, in ascending order."""
        return np.flatnonzero(self.aggregates.events[: self.used] > 0)

    def newcomers(self, customers: Sequence[str]) -> NDArray[np.int64]:
        """Places int64 [m] of the first appearance of each customer who has no row, in ascending order."""
        first: dict[str, int] = {}
        for place in np.flatnonzero(self.rows_of(customers) < 0).tolist():
            first.setdefault(customers[place], place)
        return np.fromiter(first.values(), np.int64, len(first))

    def strangers(self, customers: Iterable[str]) -> list[str]:
        """Those customers who have no row, each once and sorted."""
        once = sorted(set(customers))
        return [once[place] for place in np.flatnonzero(self._index.rows_of(once) < 0).tolist()]

    def held(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of some row numbers have a customer, bool [n]."""
        return self._index.held(rows)

    def texts_of(self, rows: NDArray[np.int64]) -> Texts:
        """The customers of rows that have one, in UTF-8."""
        return self._index.texts_of(rows)

    def customers_of(self, rows: NDArray[np.int64]) -> list[str]:
        """The customers of rows that have one."""
        return self._index.texts_of(rows).strings()

    def take_back(self, new: NDArray[np.int64], used: int) -> None:
        """Undo ``new`` numbers of customers without an event so far.

        ``used`` numbers had been given out before.
        """
        gone = new[(self.aggregates.events[new] == 0) & self.held(new)]
        self._index.withdraw(gone, self.used - int(np.count_nonzero(gone >= used)))

    def remove(self, rows: NDArray[np.int64]) -> list[str]:
        """Free rows; returns their customers."""
        customers = self.customers_of(rows)
        self._index.remove(rows)
        self.aggregates.events[rows] = 0
        self._blank(rows)
        return customers

    def put(self, rows: NDArray[np.int64], customers: Texts, used: int) -> None:
        """Give stored customers their stored row numbers, of which ``used`` have been given out.

        There must be no customers yet. ``ValueError`` where a customer or a row is there twice.
        """
        self.reserve(used)
        self._blank(slice(used))
        self._index.put(rows, customers, used)

    def reserve(self, wanted: int) -> None:
        """Have room for ``wanted`` rows, growing by half at least."""
        if wanted <= self._capacity:
            return
        capacity = max(wanted, self._capacity + self._capacity // 2, _FIRST_CAPACITY)
        aggregates, placement = _columns(self._features, capacity)
        olds: tuple[NDArray[Any], ...] = (*self.aggregates, *self.placement)
        news: tuple[NDArray[Any], ...] = (*aggregates, *placement)
        for old, new in zip(olds, news, strict=True):
            new[: self._capacity] = old
        former = np.empty(capacity, dtype=np.int32)
        former[: self._capacity] = self.former
        self.aggregates, self.placement, self._capacity = aggregates, placement, capacity
        self.former = former

    def _blank(self, rows: NDArray[np.int64] | slice) -> None:
        """Say of rows that they have been in no segment."""
        self.placement.cluster[rows] = -1
        self.placement.segment[rows] = -1
        self.former[rows] = -1


def distinct(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row numbers in ascending order, each once: ``np.unique`` takes ten times as long for many."""
    room = int(rows.max(initial=-1)) + 1
    if room > _SPARSE * len(rows):
        return np.unique(rows)
    there = np.zeros(room, dtype=np.bool_)
    there[rows] = True
    return np.flatnonzero(there)


_HEAD = np.dtype(
    [(name, "<i8") for name in ("first_ms", "last_ms", "events", "since_ms", "written_ms")]
    + [(name, "<i4") for name in ("cluster", "segment", "version")],
    align=True,
)
"""A row's single numbers, in one cache line: an event touches all of them."""


def _columns(features: FeatureSet, rows: int) -> tuple[Aggregates, Placement]:
    """Columns of so many rows, all 0: memory that nobody has written to yet is not in use."""
    head = np.zeros(rows, dtype=_HEAD)
    aggregates = Aggregates(
        slots=np.zeros((rows, features.slots)),
        sets=np.zeros((rows, features.sets, DISTINCT_LIMIT), dtype=np.uint64),
        first_ms=head["first_ms"],
        last_ms=head["last_ms"],
        events=head["events"],
    )
    placement = Placement(
        cluster=head["cluster"],
        segment=head["segment"],
        since_ms=head["since_ms"],
        written_ms=head["written_ms"],
        version=head["version"],
        point=np.zeros((rows, len(features)), dtype=np.int32),
    )
    return aggregates, placement
