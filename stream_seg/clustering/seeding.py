"""Where k-means starts: greedy k-means++.

Source: D. Arthur, S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007: each next
centre is drawn with a probability in proportion to the squared distance from the centres so far (section
2.2), and, greedily, the best of `2 + log k` such draws is taken (the variant that they name at the end).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stream_seg.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["chance_for", "greedy_kmeans_plus_plus", "ready", "start_by"]


def ready(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `array` itself, or a copy in the one layout that kernels are compiled for."""
    if array.dtype == np.float64 and array.flags.carray:  # what `require` takes ten times as long to find
        return array
    return np.require(array, np.float64, ("C", "W"))


def greedy_kmeans_plus_plus(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    k: int,
    rng: np.random.Generator,
    *,
    trials: int | None = None,
) -> NDArray[np.float64]:
    """Choose up to `k` of the points as starting centres.

    Args:
        points: float64[n, d], in scaled space.
        weights: float64[n], not negative.
        k: the number of centres wanted.
        rng: the source of chance; the same state gives the same centres.
        trials: draws for each centre, of which the best is taken; `2 + log k` without it, 1 for plain
            k-means++.

    Returns:
        float64[m, d] with m <= k: no centre is drawn at the place of another, so fewer distinct points (of a
        weight above 0) than k give fewer centres.

    Raises:
        ValueError: if there is no point of a weight above 0, or k is below 1.

    """
    return start_by(points, weights, chance_for(k, rng, trials=trials))


def chance_for(k: int, rng: np.random.Generator, *, trials: int | None = None) -> NDArray[np.float64]:
    """Take from `rng` what `greedy_kmeans_plus_plus` takes, float64[k, trials]; its error too."""
    if k < 1:
        raise ValueError(f"k is {k}: at least one centre is needed")
    return rng.random((k, 2 + int(math.log(k)) if trials is None else trials))


def start_by(
    points: NDArray[np.float64], weights: NDArray[np.float64], chance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Choose the centres of `greedy_kmeans_plus_plus` by `chance`, without a source that is shared."""
    if not weights.sum() > 0:
        raise ValueError("there is no point to place a centre on")
    points, weights = ready(points), ready(weights)
    chosen = np.empty(len(chance), dtype=np.int64)
    found = _draw_centres(points, weights, chance, chosen)
    return points[chosen[:found]].copy()


@kernel
def _draw_centres(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    uniform: NDArray[np.float64],
    chosen: NDArray[np.int64],
) -> int:
    """Fill `chosen` (int64[k]) with indices of points; return how many. `uniform` is float64[k, trials]."""
    n, k, trials = points.shape[0], uniform.shape[0], uniform.shape[1]
    nearest = np.empty(n)  # squared distance from the nearest centre so far
    trial = np.empty(n)
    best = np.empty(n)
    mass = np.cumsum(weights)
    chosen[0] = _draw(mass, uniform[0, 0])
    nearest[:] = math.inf
    _closer(points, weights, chosen[0], nearest, best)
    nearest, best = best, nearest
    for c in range(1, k):
        total = 0.0
        for i in range(n):
            total += weights[i] * nearest[i]
            mass[i] = total
        if not total > 0.0:
            return c
        best_potential = math.inf
        for t in range(trials):
            candidate = _draw(mass, uniform[c, t])
            potential = _closer(points, weights, candidate, nearest, trial)
            if potential < best_potential:
                best_potential = potential
                chosen[c] = candidate
                best, trial = trial, best
        nearest, best = best, nearest
    return int(k)


@kernel
def _draw(mass: NDArray[np.float64], uniform: float) -> int:
    """Return the first index whose cumulative mass exceeds `uniform` (in [0, 1)) times the whole."""
    whole = mass[mass.shape[0] - 1]
    low, high = 0, mass.shape[0] - 1
    while low < high:
        middle = (low + high) // 2
        if mass[middle] > uniform * whole or mass[middle] == whole:
            high = middle
        else:
            low = middle + 1
    return low


@kernel
def _closer(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    candidate: int,
    nearest: NDArray[np.float64],
    out: NDArray[np.float64],
) -> float:
    """Fill `out` with the squared distances once `candidate` is a centre too; return their weighted sum."""
    potential = 0.0
    for i in range(points.shape[0]):
        d2 = 0.0
        for j in range(points.shape[1]):
            delta = points[i, j] - points[candidate, j]
            d2 += delta * delta
        out[i] = min(d2, nearest[i])
        potential += weights[i] * out[i]
    return potential
