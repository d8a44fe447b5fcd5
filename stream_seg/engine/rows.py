"""A partition's customers: an index from id to row number, and the columns the kernels work on.

A row keeps its number while its customer stays; the lowest free number is taken first, so numbers depend on
the partition's history alone, never on how it was cut into batches.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.kernels import Placement
from stream_seg.features.kernels import Aggregates
from stream_seg.features.spec import DISTINCT_LIMIT, FeatureSet

_FIRST_CAPACITY = 1024
_SPARSE = 1000
"""Times as many row numbers as rows, beyond which sorting them is cheaper than marking them."""


class Rows:
    """Columns with room to grow.

    ``used`` row numbers have been given out, ``free`` of them are empty again; ``former`` int32 is the
    segment that each row came from when it last changed (−1: it never has).
    """

    def __init__(self, features: FeatureSet) -> None:
        """Make a population without customers."""
        self._features = features
        self.index: dict[str, int] = {}
        self.customers: list[str | None] = []
        self.free: list[int] = []
        self._capacity = 0
        self.aggregates, self.placement = _columns(features, 0)
        self.former = np.full(0, -1, dtype=np.int32)

    @property
    def used(self) -> int:
        """One more than the highest row number ever given out."""
        return len(self.customers)

    @property
    def residents(self) -> int:
        """The number of customers."""
        return len(self.index)

    def numbers_of(self, customers: Sequence[str]) -> tuple[NDArray[np.int64], list[int]]:
        """Row numbers int64 [n] of customers in order of appearance, and those given out just now."""
        found = np.fromiter(map(self.index.get, customers, repeat(-1)), np.int64, len(customers))
        unknown = np.flatnonzero(found < 0).tolist()
        if not unknown:
            return found, []
        coming = [customers[place] for place in unknown]
        new = self._give(list(dict.fromkeys(coming)))
        found[unknown] = [self.index[customer] for customer in coming]
        self.reserve(self.used)
        return found, new

    def customers_of(self, rows: NDArray[np.int64]) -> list[str]:
        """The customers of rows that have one."""
        if not len(rows):
            return []
        found = itemgetter(*rows.tolist())(self.customers)
        return list(found) if len(rows) > 1 else [found]

    def take_back(self, new: Sequence[int], used: int) -> None:
        """Undo ``new`` numbers of customers without an event so far.

        ``used`` numbers had been given out before.
        """
        for row in reversed(new):
            if self.aggregates.events[row] > 0 or self.customers[row] is None:
                continue
            del self.index[str(self.customers[row])]
            self.customers[row] = None
            if row >= used:
                self.customers.pop()
            else:
                heapq.heappush(self.free, row)

    def remove(self, row: int) -> str:
        """Free a row; returns its customer."""
        customer = self.customers[row]
        if customer is None:
            raise ValueError(f"row {row} is free already")
        del self.index[customer]
        self.customers[row] = None
        heapq.heappush(self.free, row)
        self.aggregates.events[row] = 0
        self.placement.cluster[row] = -1
        self.placement.segment[row] = -1
        self.former[row] = -1
        return customer

    def put(self, row: int, customer: str) -> None:
        """Give a stored customer its stored row number (restoring; call ``settle`` after the last)."""
        self.reserve(row + 1)
        self.customers.extend([None] * (row + 1 - self.used))
        self.customers[row] = customer
        self.index[customer] = row

    def settle(self, used: int) -> None:
        """End of restoring: ``used`` numbers have been given out, those without a customer are free."""
        self.reserve(used)
        self.customers.extend([None] * (used - self.used))
        self.free = [row for row, customer in enumerate(self.customers) if customer is None]

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
        former = np.full(capacity, -1, dtype=np.int32)
        former[: self._capacity] = self.former
        self.aggregates, self.placement, self._capacity = aggregates, placement, capacity
        self.former = former

    def _give(self, customers: list[str]) -> list[int]:
        """Give each a row number, the lowest that is free."""
        given = [heapq.heappop(self.free) for _ in range(min(len(self.free), len(customers)))]
        for row, customer in zip(given, customers, strict=False):
            self.customers[row] = customer
        fresh = customers[len(given) :]
        given += range(self.used, self.used + len(fresh))
        self.customers += fresh
        self.index.update(zip(customers, given, strict=True))
        return given


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
    head = np.zeros(rows, dtype=_HEAD)
    head["cluster"] = head["segment"] = -1
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
