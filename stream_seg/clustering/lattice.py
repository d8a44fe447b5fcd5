"""Exact cluster statistics on an integer lattice.

A vector is a row of lattice integers: `round(transformed value / step)`, the step a power of two per feature.
Counts, sums and sums of squares of such rows are integers too, and integer addition is associative and exact:
taking a point out leaves no residue, partitions add up in any order to the same bits, and how the stream was
cut into batches cannot change anything.

Squares do not fit an int64 sum, so each x² is kept in two parts, `high * 2**32 + low`, each summed on its
own: exact for |x| < 2**31 and up to 2**31 points. Moments are computed from there in Python's integers, and
only the final quotient is rounded, once, correctly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from stream_seg.compiled import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["LATTICE_LIMIT", "ClusterSums", "add_point", "quantise", "remove_point"]

LATTICE_LIMIT = 2**31 - 1
"""The largest magnitude of a lattice integer; values beyond it are clipped, and counted."""

_LOW_BITS = 32
_LOW_MASK = 2**32 - 1


@kernel
def add_point(
    count: NDArray[np.int64],
    total: NDArray[np.int64],
    high: NDArray[np.int64],
    low: NDArray[np.int64],
    cluster: int,
    x: NDArray[np.int32],
) -> None:
    """Put the point `x` (int32[d]) into the sums of `cluster`. Fills `count`, `total`, `high` and `low`."""
    count[cluster] += 1
    for j in range(x.shape[0]):
        value = np.int64(x[j])
        square = value * value
        total[cluster, j] += value
        high[cluster, j] += square >> _LOW_BITS
        low[cluster, j] += square & _LOW_MASK


@kernel
def remove_point(
    count: NDArray[np.int64],
    total: NDArray[np.int64],
    high: NDArray[np.int64],
    low: NDArray[np.int64],
    cluster: int,
    x: NDArray[np.int32],
) -> None:
    """Take the point `x` (int32[d]) out of the sums of `cluster`: the exact inverse of `add_point`."""
    count[cluster] -= 1
    for j in range(x.shape[0]):
        value = np.int64(x[j])
        square = value * value
        total[cluster, j] -= value
        high[cluster, j] -= square >> _LOW_BITS
        low[cluster, j] -= square & _LOW_MASK


@kernel
def move_point(  # noqa: PLR0913, PLR0917 - as above
    count: NDArray[np.int64],
    total: NDArray[np.int64],
    high: NDArray[np.int64],
    low: NDArray[np.int64],
    old: int,
    new: int,
    points: NDArray[np.int32],
    row: int,
    x: NDArray[np.int32],
) -> None:
    """Take `points[row]` out of cluster `old` (below 0: it is in none) and put `x` (int32[d]) into `new`.

    Fills `count`, `total`, `high` and `low` as `remove_point` and `add_point` do, and `points[row]` with `x`.
    """
    if old >= 0:
        count[old] -= 1
    count[new] += 1
    for j in range(x.shape[0]):
        value = np.int64(x[j])
        former = np.int64(points[row, j])
        if old == new and value == former:
            continue
        if old >= 0:
            square = former * former
            total[old, j] -= former
            high[old, j] -= square >> _LOW_BITS
            low[old, j] -= square & _LOW_MASK
        square = value * value
        total[new, j] += value
        high[new, j] += square >> _LOW_BITS
        low[new, j] += square & _LOW_MASK
        points[row, j] = x[j]


@kernel
def add_rows(
    count: NDArray[np.int64],
    total: NDArray[np.int64],
    high: NDArray[np.int64],
    low: NDArray[np.int64],
    labels: NDArray[np.int32],
    rows: NDArray[np.int32],
) -> None:
    """Put every row of `rows` (int32[n, d]) into the cluster that `labels` (int32[n]) names."""
    for i in range(rows.shape[0]):
        add_point(count, total, high, low, labels[i], rows[i])


@kernel
def add_rows_weighted(
    count: NDArray[np.int64],
    total: NDArray[np.int64],
    high: NDArray[np.int64],
    low: NDArray[np.int64],
    labels: NDArray[np.int32],
    rows: NDArray[np.int32],
    multiplicity: NDArray[np.int64],
) -> None:
    """Put every row (int32[n, d]) into its cluster as often as `multiplicity` (int64[n]) says."""
    for i in range(rows.shape[0]):
        c, times = labels[i], multiplicity[i]
        count[c] += times
        for j in range(rows.shape[1]):
            value = np.int64(rows[i, j])
            square = value * value
            total[c, j] += times * value
            high[c, j] += times * (square >> _LOW_BITS)
            low[c, j] += times * (square & _LOW_MASK)


@dataclass(slots=True, eq=False)
class ClusterSums:
    """Count, Σx and Σx² of the members of k clusters, in lattice integers.

    Attributes:
        count: int64[k], the number of members.
        total: int64[k, d], Σx.
        square_high: int64[k, d], Σ (x² >> 32).
        square_low: int64[k, d], Σ (x² & (2**32 - 1)).

    """

    count: NDArray[np.int64]
    total: NDArray[np.int64]
    square_high: NDArray[np.int64]
    square_low: NDArray[np.int64]

    @classmethod
    def zeros(cls, k: int, d: int) -> ClusterSums:
        """Return the sums of k clusters without members, in d dimensions."""
        return cls(
            np.zeros(k, dtype=np.int64),
            np.zeros((k, d), dtype=np.int64),
            np.zeros((k, d), dtype=np.int64),
            np.zeros((k, d), dtype=np.int64),
        )

    @classmethod
    def recount(
        cls,
        rows: NDArray[np.int32],
        labels: NDArray[np.int32],
        k: int,
        multiplicity: NDArray[np.int64] | None = None,
    ) -> ClusterSums:
        """Return the sums of `rows` (int32[n, d]) under `labels` (int32[n], each below k), from scratch.

        `multiplicity` (int64[n], together below 2**31) counts a row several times: a sample that stands for a
        population (`sample.whole_weights`).
        """
        rows, labels = (np.require(a, np.int32, ("C", "W")) for a in (rows, labels))
        sums = cls.zeros(k, rows.shape[1])
        if multiplicity is None:
            add_rows(*sums.arrays, labels, rows)
        else:
            add_rows_weighted(*sums.arrays, labels, rows, multiplicity)
        return sums

    @staticmethod
    def merge(parts: Iterable[ClusterSums]) -> ClusterSums:
        """Return the sum of at least one part; in any order to the same bits."""
        return reduce(ClusterSums.__add__, parts)

    @property
    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The four arrays in the order in which the kernels take them."""
        return self.count, self.total, self.square_high, self.square_low

    @property
    def residents(self) -> int:
        """The number of points in all clusters together."""
        return int(self.count.sum())

    def __add__(self, other: ClusterSums) -> ClusterSums:
        """Return the sums of both populations under the same clusters."""
        return ClusterSums(*(a + b for a, b in zip(self.arrays, other.arrays, strict=True)))

    def equals(self, other: ClusterSums) -> bool:
        """Tell whether both are the same, bit for bit."""
        return all(np.array_equal(a, b) for a, b in zip(self.arrays, other.arrays, strict=True))

    def copy(self) -> ClusterSums:
        """Return sums that share no memory with these."""
        return ClusterSums(*(a.copy() for a in self.arrays))

    def clear(self) -> None:
        """Take every member out, in place."""
        for a in self.arrays:
            a[...] = 0

    def add(self, cluster: int, x: NDArray[np.int32]) -> None:
        """Put the point `x` (int32[d]) into `cluster`, in place."""
        add_point(*self.arrays, cluster, x)

    def remove(self, cluster: int, x: NDArray[np.int32]) -> None:
        """Take the point `x` (int32[d]) out of `cluster`, in place."""
        remove_point(*self.arrays, cluster, x)

    def mean(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of the whole population, float64[d], in transformed space; zeros if it is empty.

        `step` is float64[d], powers of two.
        """
        n = self.residents
        quotients = [total / n if n else 0.0 for total in self._population_totals()]
        mean: NDArray[np.float64] = np.array(quotients, dtype=np.float64) * step
        return mean

    def variance(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the variance (÷ N) of the whole population, float64[d], in transformed space.

        Zeros if the population is empty. N·Σx² - (Σx)² is exact, so a feature that all points share has
        the variance 0.0 and not a rounding error.
        """
        n = self.residents
        squares = self._squares(axis_sum=True)
        quotients = [
            (n * square - total * total) / (n * n) if n else 0.0
            for square, total in zip(squares[0], self._population_totals(), strict=True)
        ]
        variance: NDArray[np.float64] = np.array(quotients, dtype=np.float64) * (step * step)
        return variance

    def centres(self, step: NDArray[np.float64], fallback: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return each cluster's mean, float64[k, d], in transformed space.

        A cluster without members has its row of `fallback` (float64[k, d], transformed space).
        """
        result = fallback.copy()
        for c, n in enumerate(self.count.tolist()):
            if n:
                result[c] = np.array([t / n for t in self.total[c].tolist()], dtype=np.float64) * step
        return result

    def within_cost(
        self,
        step: NDArray[np.float64],
        offset: NDArray[np.float64],
        factor: NDArray[np.float64],
        centres: NDArray[np.float64] | None = None,
    ) -> float:
        """Return the sum of squared Euclidean distances of all members to their clusters' centres.

        Args:
            step: float64[d], the lattice's.
            offset: float64[d], transformed space.
            factor: float64[d], weight ÷ scale: a scaled value is `(x * step - offset) * factor`.
            centres: float64[k, d] in scaled space; without them the clusters' own means.

        """
        return float(self.costs(step, offset, factor, centres).sum())

    def costs(
        self,
        step: NDArray[np.float64],
        offset: NDArray[np.float64],
        factor: NDArray[np.float64],
        centres: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Return `within_cost` of each cluster by itself, float64[k]; 0 for one without members."""
        spread = np.zeros(self.total.shape, dtype=np.float64)
        for c, (n, totals, squares) in enumerate(
            zip(self.count.tolist(), self.total.tolist(), self._squares(), strict=True)
        ):
            if n:
                spread[c] = [(n * s - t * t) / n for s, t in zip(squares, totals, strict=True)]
        unit = step * factor
        costs: NDArray[np.float64] = (spread * (unit * unit)).sum(axis=1)
        if centres is None:
            return costs
        means = (self.centres(step, np.zeros(self.total.shape)) - offset) * factor
        between: NDArray[np.float64] = self.count * ((means - centres) ** 2).sum(axis=1)
        return costs + between

    def _population_totals(self) -> list[int]:
        return [sum(column) for column in self.total.T.tolist()]

    def _squares(self, *, axis_sum: bool = False) -> list[list[int]]:
        """Σx² in Python integers, per cluster, or in one row for all clusters together."""
        rows = [
            [(h << _LOW_BITS) + low for h, low in zip(high_row, low_row, strict=True)]
            for high_row, low_row in zip(self.square_high.tolist(), self.square_low.tolist(), strict=True)
        ]
        if not axis_sum:
            return rows
        return [[sum(column) for column in zip(*rows, strict=True)]]


def quantise(values: NDArray[np.float64], step: NDArray[np.float64]) -> tuple[NDArray[np.int32], int]:
    """Put transformed values on the lattice: the rows, and how many values had to be clipped.

    Args:
        values: float64[n, d] or [d], transformed space, no NaN; infinities are clipped like any huge value.
        step: float64[d], powers of two, so that the division is exact.

    Raises:
        ValueError: for a NaN, which has no place on the lattice.

    """
    if np.isnan(values).any():
        raise ValueError("a NaN has no place on the lattice")
    with np.errstate(over="ignore"):  # a huge value divided by a small step is clipped below
        scaled = np.rint(values / step)
    clipped = int(np.count_nonzero(np.abs(scaled) > LATTICE_LIMIT))
    return np.clip(scaled, -LATTICE_LIMIT, LATTICE_LIMIT).astype(np.int32), clipped
