"""Observations that wait for the first clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

__all__ = ["WarmUp"]

_EVENTS_PER_POINT = 10  # a population that comes back so often is known well enough


class WarmUp:
    """Holds the newest vector of each key, or every anonymous vector, until there are enough."""

    def __init__(self, points: int) -> None:
        """Wait for so many points, or ten times as many events."""
        self._points = points
        self._events = 0
        self._keyed: dict[Hashable, NDArray[np.float64]] = {}
        self._anonymous: list[NDArray[np.float64]] = []

    @property
    def complete(self) -> bool:
        """Whether there are enough."""
        held = len(self._keyed) + len(self._anonymous)
        return held >= self._points or self._events >= _EVENTS_PER_POINT * self._points

    @property
    def keys(self) -> list[Hashable] | None:
        """The keys held, in order of first appearance; None for anonymous points."""
        return list(self._keyed) if self._keyed else None

    def hold(self, values: NDArray[np.float64], keys: list[Hashable] | None) -> int:
        """Take vectors (float64[n, d]) in until there are enough; return how many were taken."""
        for i, row in enumerate(values):
            if self.complete:
                return i
            self._events += 1
            if keys is None:
                self._anonymous.append(row.copy())
            else:
                self._keyed[keys[i]] = row.copy()
        return len(values)

    def values(self, d: int) -> NDArray[np.float64]:
        """Return what is held as float64[n, d]; features that came later are 0 in the earlier vectors."""
        rows = list(self._keyed.values()) or self._anonymous
        result = np.zeros((len(rows), d))
        for i, row in enumerate(rows):
            result[i, : row.shape[0]] = row
        return result
