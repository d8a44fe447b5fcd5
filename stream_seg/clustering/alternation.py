"""Batch clustering under any distance: assign to the nearest centre, move each centre to what minimises it.

Euclidean fits are those of `lloyd` and `structure`. For the other distances this is the same alternation from
several starts, without split and merge moves. Sources: as in `distance`; starts are drawn as in `seeding`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stream_seg.clustering.distance import Distance, apart
from stream_seg.clustering.lloyd import Fit, assign, batch_kmeans
from stream_seg.clustering.seeding import greedy_kmeans_plus_plus, ready
from stream_seg.clustering.structure import NEAR_OPTIMUM, nearest_of_equals, refit, resize
from stream_seg.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["alternate", "assign_by", "cost_of", "fit_by", "refit_by"]

MAX_ITERATIONS = 100
"""Steps after which a fit is taken as it is."""

_REFIT_STARTS = 4  # fresh ones, beside the current centres


def fit_by(
    distance: Distance,
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    k: int,
    *,
    restarts: int,
    seed: int,
) -> Fit:
    """Fit from scratch, as `batch_kmeans` does, under `distance`; its errors too."""
    if distance.has_means:
        return batch_kmeans(points, weights, k, restarts=restarts, seed=seed)
    rng = np.random.default_rng(seed)
    starts = (greedy_kmeans_plus_plus(points, weights, k, rng) for _ in range(restarts))
    return min((alternate(distance, points, weights, start) for start in starts), key=lambda fit: fit.cost)


def refit_by(
    distance: Distance,
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    centres: NDArray[np.float64],
    k: int,
    *,
    seed: int,
) -> Fit:
    """Look for a better structure, as `refit` does, under `distance`; its errors too."""
    if distance.has_means:
        return refit(points, weights, centres, k, seed=seed)
    rng = np.random.default_rng(seed)
    starts = [greedy_kmeans_plus_plus(points, weights, k, rng) for _ in range(_REFIT_STARTS)]
    warm = resize(points, weights, centres, starts[0].shape[0], seed)
    fits = [alternate(distance, points, weights, start) for start in (warm, *starts)]
    current = assign_by(distance, points, weights, centres)
    return nearest_of_equals(fits, current, weights, NEAR_OPTIMUM)


def assign_by(
    distance: Distance,
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    centres: NDArray[np.float64],
) -> Fit:
    """Return the labels of `points` under `centres` as they are, and the cost."""
    if distance.has_means:
        return assign(points, weights, centres)
    points, kept = ready(points), np.array(centres, dtype=np.float64, order="C")
    labels, distances = np.zeros(len(points), dtype=np.int32), np.zeros(len(points))
    _nearest(points, kept, distance.code, labels, distances)
    return Fit(kept, labels, distance.cost(distances, weights), 0)


def cost_of(
    distance: Distance,
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    labels: NDArray[np.int32],
    centres: NDArray[np.float64],
) -> float:
    """Return the weighted sum of the distances of all points from their own clusters' centres."""
    return float(_sum_of_distances(ready(points), ready(weights), labels, centres, distance.code))


def alternate(
    distance: Distance,
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    centres: NDArray[np.float64],
) -> Fit:
    """Improve `centres` (float64[k, d], not changed) until no point changes its cluster.

    A cluster that has lost all its points starts again at the point farthest from its centre.
    """
    points, weights = ready(points), ready(weights)
    moved = np.array(centres, dtype=np.float64, order="C")
    order = np.ascontiguousarray(np.argsort(points, axis=0, kind="stable").T)
    labels, distances = np.full(len(points), -1, dtype=np.int32), np.zeros(len(points))
    best = assign_by(distance, points, weights, moved)
    for iteration in range(1, MAX_ITERATIONS + 1):
        changed = _nearest(points, moved, distance.code, labels, distances)
        changed += _restart_empty(weights, labels, distances, len(moved))
        if not changed:
            break
        distance.fill_centres(points, weights, labels, order, moved)
        fit = assign_by(distance, points, weights, moved)
        if fit.cost <= best.cost:
            best = Fit(fit.centres, fit.labels, fit.cost, iteration)
    return best


@kernel
def _nearest(
    points: NDArray[np.float64],
    centres: NDArray[np.float64],
    code: int,
    labels: NDArray[np.int32],
    distances: NDArray[np.float64],
) -> int:
    """Fill `labels` and `distances` with the nearest centres; return how many labels changed."""
    changed = 0
    for i in range(points.shape[0]):
        best, nearest = 0, math.inf
        for c in range(centres.shape[0]):
            d = apart(points[i], centres[c], code)
            if d < nearest:
                best, nearest = c, d
        changed += best != labels[i]
        labels[i], distances[i] = best, nearest
    return changed


@kernel
def _sum_of_distances(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    labels: NDArray[np.int32],
    centres: NDArray[np.float64],
    code: int,
) -> float:
    total = 0.0
    for i in range(points.shape[0]):
        total += weights[i] * apart(points[i], centres[labels[i]], code)
    return total


def _restart_empty(
    weights: NDArray[np.float64], labels: NDArray[np.int32], distances: NDArray[np.float64], k: int
) -> int:
    """Move the farthest points into clusters without weight; return how many."""
    mass = np.bincount(labels, weights=weights, minlength=k)
    moved = 0
    for c in np.flatnonzero(mass == 0.0):
        farthest = int(np.argmax(np.where(weights > 0.0, distances, 0.0)))
        if distances[farthest] > 0.0:
            labels[farthest], distances[farthest] = c, 0.0
            moved += 1
    return moved
