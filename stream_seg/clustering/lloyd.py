"""Batch k-means of weighted points: Lloyd's algorithm, with Hamerly's bounds, and restarts.

Sources: S. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28(2), 1982; G. Hamerly,
"Making k-means even faster", SDM 2010 (one upper and one lower bound per point spare most distances and
change no result; here the last assignment is made without them all the same).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stream_seg.clustering.distance import nearest_two_scaled, squared_distance
from stream_seg.clustering.seeding import greedy_kmeans_plus_plus, ready
from stream_seg.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Fit", "assign", "batch_kmeans", "lloyd"]

MAX_ITERATIONS = 300
"""Lloyd steps after which a fit is taken as it is."""


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
    moved = np.array(centres, dtype=np.float64, order="C")
    labels = np.zeros(points.shape[0], dtype=np.int32)
    iterations = _iterate(points, weights, moved, labels, max_iterations)
    return Fit(moved, labels, _assign_exactly(points, weights, moved, labels), iterations)


def assign(points: NDArray[np.float64], weights: NDArray[np.float64], centres: NDArray[np.float64]) -> Fit:
    """Return the labels of `points` under `centres` as they are, and the cost.

    Shapes as for `lloyd`; the fit holds a copy of `centres` and 0 iterations.
    """
    points, weights = ready(points), ready(weights)
    kept = np.array(centres, dtype=np.float64, order="C")
    labels = np.zeros(points.shape[0], dtype=np.int32)
    return Fit(kept, labels, _assign_exactly(points, weights, kept, labels), 0)


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


@kernel
def _iterate(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    centres: NDArray[np.float64],
    labels: NDArray[np.int32],
    max_iterations: int,
) -> int:
    """Run Lloyd's steps in place (`centres`, `labels`); return how many."""
    n, k = points.shape[0], centres.shape[0]
    upper = np.empty(n)  # at least the distance to the own centre
    lower = np.empty(n)  # at most the distance to any other centre
    mass = np.empty(k)
    moved = np.empty(k)
    half_gap = np.empty(k)
    previous = np.empty_like(centres)
    exact = True  # the bounds say nothing yet: take every distance
    for iteration in range(max_iterations):
        changed = _assign_by_bounds(points, centres, half_gap, upper, lower, labels, exact)
        if changed == 0 and not exact:
            return iteration
        previous[:] = centres
        _move_to_means(points, weights, labels, centres, mass)
        exact = _restart_empty(points, weights, labels, centres, mass)
        if not exact:
            _loosen_bounds(previous, centres, labels, moved, upper, lower)
            _half_gaps(centres, half_gap)
    return max_iterations


@kernel
def _assign_by_bounds(
    points: NDArray[np.float64],
    centres: NDArray[np.float64],
    half_gap: NDArray[np.float64],
    upper: NDArray[np.float64],
    lower: NDArray[np.float64],
    labels: NDArray[np.int32],
    exact: bool,  # noqa: FBT001 - numba's kernels take no keywords
) -> int:
    """Assign every point whose bounds leave its cluster open, or every point; return how many changed."""
    changed = 0
    for i in range(points.shape[0]):
        if not exact:
            safe = max(half_gap[labels[i]], lower[i])
            if upper[i] < safe:
                continue
            upper[i] = math.sqrt(squared_distance(points[i], centres[labels[i]]))
            if upper[i] < safe:
                continue
        best, _, d2_best, d2_second = nearest_two_scaled(points[i], centres)
        if best != labels[i]:
            labels[i] = best
            changed += 1
        upper[i] = math.sqrt(d2_best)
        lower[i] = math.sqrt(d2_second)
    return changed


@kernel
def _move_to_means(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    labels: NDArray[np.int32],
    centres: NDArray[np.float64],
    mass: NDArray[np.float64],
) -> None:
    """Fill `centres` with the weighted means and `mass` with the weights; a centre without weight stays."""
    k, d = centres.shape
    sums = np.zeros((k, d))
    mass[:] = 0.0
    for i in range(points.shape[0]):
        c = labels[i]
        mass[c] += weights[i]
        for j in range(d):
            sums[c, j] += weights[i] * points[i, j]
    for c in range(k):
        if mass[c] > 0.0:
            for j in range(d):
                centres[c, j] = sums[c, j] / mass[c]


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
            centres[c] = points[farthest]
            labels[farthest] = c
            put = True
    return put


@kernel
def _loosen_bounds(
    previous: NDArray[np.float64],
    centres: NDArray[np.float64],
    labels: NDArray[np.int32],
    moved: NDArray[np.float64],
    upper: NDArray[np.float64],
    lower: NDArray[np.float64],
) -> None:
    """Allow in the bounds for how far the centres have moved."""
    first, second, who = 0.0, 0.0, -1
    for c in range(centres.shape[0]):
        moved[c] = math.sqrt(squared_distance(previous[c], centres[c]))
        if moved[c] > first:
            first, second, who = moved[c], first, c
        elif moved[c] > second:
            second = moved[c]
    for i in range(labels.shape[0]):
        upper[i] += moved[labels[i]]
        lower[i] -= second if labels[i] == who else first


@kernel
def _half_gaps(centres: NDArray[np.float64], half_gap: NDArray[np.float64]) -> None:
    """Fill `half_gap` with half the distance of every centre to the nearest other one."""
    for a in range(centres.shape[0]):
        nearest = math.inf
        for b in range(centres.shape[0]):
            if a != b:
                nearest = min(nearest, squared_distance(centres[a], centres[b]))
        half_gap[a] = 0.5 * math.sqrt(nearest)


@kernel
def _assign_exactly(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    centres: NDArray[np.float64],
    labels: NDArray[np.int32],
) -> float:
    """Fill `labels` with the nearest centres; return the cost."""
    cost = 0.0
    for i in range(points.shape[0]):
        best, _, d2_best, _ = nearest_two_scaled(points[i], centres)
        labels[i] = best
        cost += weights[i] * d2_best
    return cost
