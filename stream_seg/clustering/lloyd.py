"""Batch k-means of weighted points: Lloyd's algorithm, and restarts.

Source: S. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28(2), 1982. Every step takes
all distances, a block of points at a time in loops that the compiler turns into vector instructions: with
the few clusters and features of segments that is two to four times as fast as G. Hamerly's bounds ("Making
k-means even faster", SDM 2010), which spare most distances and need a branch for each point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stream_seg.clustering.distance import squared_distance
from stream_seg.clustering.seeding import greedy_kmeans_plus_plus, ready
from stream_seg.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Fit", "assign", "batch_kmeans", "lloyd"]

MAX_ITERATIONS = 300
"""Lloyd steps after which a fit is taken as it is."""

_BLOCK = 512  # points whose distances are taken together: what they need stays in the nearest cache
_TOGETHER = 3  # features whose part of a distance stays in registers


@dataclass(frozen=True, slots=True)
class Fit:
    """One clustering of a set of points.

    Attributes:
        centres: float64[k, d], in the space of the points.
        labels: int32[n], each point's nearest centre (the lowest index of equally near ones).
        cost: the weighted sum of squared distances from the points to their centres.
        iterations: Lloyd steps taken.

    """

    centres: NDArray[np.float64]
    labels: NDArray[np.int32]
    cost: float
    iterations: int


def lloyd(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    centres: NDArray[np.float64],
    *,
    max_iterations: int = MAX_ITERATIONS,
) -> Fit:
    """Improve `centres` by Lloyd's steps until no point changes its cluster.

    A cluster that has lost all its points starts again at the point farthest from its centre; where every
    point lies on a centre it stays empty, at its place.

    Args:
        points: float64[n, d] in scaled space, n >= 1.
        weights: float64[n], not negative.
        centres: float64[k, d], the start; not changed.
        max_iterations: see `MAX_ITERATIONS`.

    """
    points, weights = ready(points), ready(weights)
    columns, moved = _columns(points), _wide(centres)
    labels = np.zeros(points.shape[0], dtype=np.int32)
    iterations = _iterate(points, columns, weights, moved, labels, max_iterations)
    cost = _assign(columns, weights, moved, labels)
    return Fit(np.ascontiguousarray(moved[:, : points.shape[1]]), labels, cost, iterations)


def assign(points: NDArray[np.float64], weights: NDArray[np.float64], centres: NDArray[np.float64]) -> Fit:
    """Return the labels of `points` under `centres` as they are, and the cost.

    Shapes as for `lloyd`; the fit holds a copy of `centres` and 0 iterations.
    """
    kept = np.array(centres, dtype=np.float64, order="C")
    labels = np.zeros(points.shape[0], dtype=np.int32)
    return Fit(kept, labels, _assign(_columns(points), ready(weights), _wide(kept), labels), 0)


def batch_kmeans(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    k: int,
    *,
    restarts: int = 10,
    seed: int,
) -> Fit:
    """Fit k-means from scratch: the cheapest of `restarts` runs of greedy k-means++ and Lloyd.

    Args:
        points: float64[n, d], in scaled space.
        weights: float64[n], not negative, not all 0.
        k: clusters wanted; fewer distinct points give as many clusters as there are.
        restarts: runs from different starts, at least 1.
        seed: the same seed and points give the same fit, bit for bit.

    Raises:
        ValueError: if there is no point of a weight above 0, or k or `restarts` is below 1.

    """
    if restarts < 1:
        raise ValueError(f"restarts is {restarts}: at least one run is needed")
    rng = np.random.default_rng(seed)
    best: Fit | None = None
    for _ in range(restarts):
        fit = lloyd(points, weights, greedy_kmeans_plus_plus(points, weights, k, rng))
        if best is None or fit.cost < best.cost:
            best = fit
    assert best is not None  # noqa: S101 - restarts >= 1
    return best


def _columns(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points (float64[n, d]) transposed, at least `_TOGETHER` columns: zeros change no distance."""
    columns = np.zeros((max(points.shape[1], _TOGETHER), points.shape[0]))
    columns[: points.shape[1]] = points.T
    return columns


def _wide(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a copy of centres (float64[k, d]) with zeros where `_columns` has some."""
    wide = np.zeros((centres.shape[0], max(centres.shape[1], _TOGETHER)))
    wide[:, : centres.shape[1]] = centres
    return wide


@kernel
def _iterate(
    points: NDArray[np.float64],
    columns: NDArray[np.float64],
    weights: NDArray[np.float64],
    centres: NDArray[np.float64],
    labels: NDArray[np.int32],
    max_iterations: int,
) -> int:
    """Run Lloyd's steps in place (`centres`, `labels`); return how many.

    `columns` and `centres` are as wide as `_columns` makes them.
    """
    (n, d), k = points.shape, centres.shape[0]
    best, squared = np.empty(_BLOCK), np.empty(_BLOCK)
    nearest = np.empty(_BLOCK, dtype=np.int64)
    rows, sums = np.empty((n, d + 1)), np.empty((k, d + 1))  # the last column are the weights
    rows[:, d] = weights
    for j in range(d):
        rows[:, j] = weights * points[:, j]
    mass = sums[:, d]
    fresh = True  # the labels say nothing yet
    for iteration in range(max_iterations):
        sums[:] = 0.0
        changed = 0
        for begin in range(0, n, _BLOCK):
            end = min(begin + _BLOCK, n)
            _nearest(columns, begin, end, centres, squared, best, nearest)
            changed += _gather(rows[begin:end], nearest, labels[begin:end], sums)
        if changed == 0 and not fresh:
            return iteration
        for c in range(k):
            if mass[c] > 0.0:
                for j in range(d):
                    centres[c, j] = sums[c, j] / mass[c]
        fresh = _restart_empty(points, weights, labels, centres, mass)
    return max_iterations


@kernel
def _nearest(
    columns: NDArray[np.float64],
    begin: int,
    end: int,
    centres: NDArray[np.float64],
    squared: NDArray[np.float64],
    best: NDArray[np.float64],
    nearest: NDArray[np.int64],
) -> None:
    """Fill `nearest` with each point's centre and `best` with its squared distance.

    The m points are `begin` to `end` of `columns` (float64[d, n]); `squared` is room for as many numbers. Of
    equally near centres it is the lowest index. Each distance adds up the same terms in the same order as
    `squared_distance`.
    """
    m = end - begin
    own, d2, who = best[:m], squared[:m], nearest[:m]
    own[:] = math.inf
    who[:] = 0
    last = columns.shape[0] - _TOGETHER
    x, y, z = columns[last, begin:end], columns[last + 1, begin:end], columns[last + 2, begin:end]
    for c in range(centres.shape[0]):
        for j in range(last):
            column, at = columns[j, begin:end], centres[c, j]
            if j == 0:
                for i in range(m):
                    delta = column[i] - at
                    d2[i] = delta * delta
            else:
                for i in range(m):
                    delta = column[i] - at
                    d2[i] += delta * delta
        at_x, at_y, at_z = centres[c, last], centres[c, last + 1], centres[c, last + 2]
        if last == 0:  # by itself: to read zeros as well would cost a sixth more
            for i in range(m):
                by_x, by_y, by_z = x[i] - at_x, y[i] - at_y, z[i] - at_z
                new, former, place = by_x * by_x + by_y * by_y + by_z * by_z, own[i], who[i]
                nearer = new < former
                who[i] = c if nearer else place
                own[i] = new if nearer else former
        else:
            for i in range(m):
                by_x, by_y, by_z = x[i] - at_x, y[i] - at_y, z[i] - at_z
                new, former, place = d2[i] + by_x * by_x + by_y * by_y + by_z * by_z, own[i], who[i]
                nearer = new < former
                who[i] = c if nearer else place
                own[i] = new if nearer else former


@kernel
def _gather(
    rows: NDArray[np.float64],
    nearest: NDArray[np.int64],
    labels: NDArray[np.int32],
    sums: NDArray[np.float64],
) -> int:
    """Take `nearest` as the `labels` of m points, and add their `rows` (float64[m, d + 1]) to `sums`.

    Return how many changed.
    """
    changed = 0
    for i in range(labels.shape[0]):
        changed += labels[i] != nearest[i]
        labels[i] = nearest[i]
    for i in range(labels.shape[0]):
        c = np.uint64(nearest[i])  # not negative: no index counts from the end
        for j in range(rows.shape[1]):
            sums[c, j] += rows[i, j]
    return changed


@kernel
def _restart_empty(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    labels: NDArray[np.int32],
    centres: NDArray[np.float64],
    mass: NDArray[np.float64],
) -> bool:
    """Put each centre without weight on the point farthest from its own centre; tell whether any was put."""
    put = False
    for c in range(centres.shape[0]):
        if mass[c] > 0.0:
            continue
        farthest, d2_farthest = -1, 0.0
        for i in range(points.shape[0]):
            d2 = squared_distance(points[i], centres[labels[i]])
            if weights[i] > 0.0 and d2 > d2_farthest:
                farthest, d2_farthest = i, d2
        if farthest >= 0:
            centres[c, : points.shape[1]] = points[farthest]
            labels[farthest] = c
            put = True
    return put


@kernel
def _assign(
    columns: NDArray[np.float64],
    weights: NDArray[np.float64],
    centres: NDArray[np.float64],
    labels: NDArray[np.int32],
) -> float:
    """Fill `labels` with the nearest centres of the points `columns` (float64[d, n]); return the cost."""
    best, squared = np.empty(_BLOCK), np.empty(_BLOCK)
    nearest = np.empty(_BLOCK, dtype=np.int64)
    cost = 0.0
    for begin in range(0, labels.shape[0], _BLOCK):
        end = min(begin + _BLOCK, labels.shape[0])
        _nearest(columns, begin, end, centres, squared, best, nearest)
        for i in range(end - begin):
            labels[begin + i] = nearest[i]
            cost += weights[begin + i] * best[i]
    return cost
