"""How good a clustering is, and how far two of them agree.

Points are float64[n, d] in scaled space with weights float64[n]; labels int32[n]; centres float64[k, d]. All
distances are Euclidean.

Sources: silhouette, P. J. Rousseeuw, J. Comput. Appl. Math. 20, 1987; the simplified silhouette, E. R.
Hruschka et al., "Evolutionary algorithms for clustering gene-expression data", ICDM 2004 (distances to
centres take the place of mean distances to members); Davies-Bouldin, D. L. Davies, D. W. Bouldin, IEEE TPAMI
1(2), 1979; adjusted Rand index, L. Hubert, P. Arabie, "Comparing partitions", J. of Classification 2, 1985;
adjusted mutual information, N. X. Vinh, J. Epps, J. Bailey, JMLR 11, 2010.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stream_seg.clustering.distance import nearest_two_scaled, squared_distance
from stream_seg.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stream_seg.clustering.lattice import ClusterSums
    from stream_seg.clustering.mint import Scaling

__all__ = [
    "adjusted_mutual_information",
    "adjusted_rand_index",
    "cost_per_customer",
    "davies_bouldin",
    "sampled_silhouette",
    "simplified_silhouette",
]


def cost_per_customer(
    sums: ClusterSums, step: NDArray[np.float64], scaling: Scaling, centres: NDArray[np.float64]
) -> float:
    """Return the mean squared distance of the population from its centres, exactly; 0 for an empty one.

    `centres` is float64[k, d] in transformed space, `step` float64[d].
    """
    cost = sums.within_cost(step, scaling.offset, scaling.factor, scaling.scaled(centres))
    return cost / sums.residents if sums.residents else 0.0


def simplified_silhouette(
    points: NDArray[np.float64], weights: NDArray[np.float64], centres: NDArray[np.float64]
) -> float:
    """Return the weighted mean of (b - a) / max(a, b), with a and b the distances to the two nearest centres.

    Between 0 and 1; 0 for one centre, and for a point at the same distance from both.
    """
    return float(_simplified(points, weights, np.ascontiguousarray(centres)))


@kernel
def _simplified(
    points: NDArray[np.float64], weights: NDArray[np.float64], centres: NDArray[np.float64]
) -> float:
    total, mass = 0.0, 0.0
    for i in range(points.shape[0]):
        _, second, d2_best, d2_second = nearest_two_scaled(points[i], centres)
        mass += weights[i]
        if second >= 0 and d2_second > 0.0:
            total += weights[i] * (1.0 - math.sqrt(d2_best / d2_second))
    return total / mass if mass > 0.0 else 0.0


def sampled_silhouette(
    points: NDArray[np.float64],
    labels: NDArray[np.int32],
    weights: NDArray[np.float64] | None = None,
    *,
    sample: int = 2000,
    seed: int = 0,
) -> float:
    """Return the mean silhouette of a sample of the points among themselves, between -1 and 1.

    A point that is alone in its cluster has silhouette 0, and so has everything where there is one cluster.
    The sample (all points if there are no more than `sample`) is drawn without repetition, by `seed`.
    """
    n = points.shape[0]
    if weights is None:
        weights = np.ones(n)
    if n > sample:
        chosen = np.sort(np.random.default_rng(seed).choice(n, size=sample, replace=False))
        points, labels, weights = points[chosen], labels[chosen], weights[chosen]
    if np.unique(labels).size < 2:
        return 0.0
    k = int(labels.max()) + 1
    return float(_silhouette(np.ascontiguousarray(points), labels.astype(np.int32), weights, k))


@kernel
def _silhouette(
    points: NDArray[np.float64], labels: NDArray[np.int32], weights: NDArray[np.float64], k: int
) -> float:
    mass = np.zeros(k)
    for i in range(points.shape[0]):
        mass[labels[i]] += weights[i]
    distances = np.empty(k)
    total = 0.0
    for i in range(points.shape[0]):
        distances[:] = 0.0
        for other in range(points.shape[0]):
            distances[labels[other]] += weights[other] * math.sqrt(squared_distance(points[i], points[other]))
        own = labels[i]
        others = mass[own] - weights[i]
        if others <= 1e-12 * mass[own]:
            continue
        a, b = distances[own] / others, math.inf
        for c in range(k):
            if c != own and mass[c] > 0.0:
                b = min(b, distances[c] / mass[c])
        if max(a, b) > 0.0:
            total += weights[i] * (b - a) / max(a, b)
    whole = 0.0
    for c in range(k):
        whole += mass[c]
    return total / whole


def davies_bouldin(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    labels: NDArray[np.int32],
    centres: NDArray[np.float64],
) -> float:
    """Return the mean over clusters of the worst (s_i + s_j) / |c_i - c_j|; s: mean distance from the centre.

    Smaller is better; 0 for fewer than two clusters with members. Centres at one place are left out of the
    comparison with each other.
    """
    k = centres.shape[0]
    mass = np.bincount(labels, weights=weights, minlength=k)
    distance = np.sqrt(((points - centres[labels]) ** 2).sum(axis=1))
    spread = np.bincount(labels, weights=weights * distance, minlength=k)
    held = np.flatnonzero(mass > 0.0)
    if held.size < 2:
        return 0.0
    mean, centres = spread[held] / mass[held], centres[held]
    apart = np.sqrt(((centres[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2))
    both = mean[:, None] + mean[None, :]
    ratio = np.divide(both, apart, out=np.zeros_like(both), where=apart > 0.0)
    return float(ratio.max(axis=1).mean())


def adjusted_rand_index(a: NDArray[np.integer], b: NDArray[np.integer]) -> float:
    """Return how far two labellings (integers[n]) agree: 1 is the same partition, about 0 is chance."""
    table = _counts(a, b)
    same_both = _pairs(table)
    same_a, same_b = _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0))
    pairs = _pairs(table.sum(keepdims=True))
    if pairs == 0.0:
        return 1.0
    expected = same_a * same_b / pairs
    largest = (same_a + same_b) / 2.0
    return (same_both - expected) / (largest - expected) if largest != expected else 1.0


def adjusted_mutual_information(a: NDArray[np.integer], b: NDArray[np.integer]) -> float:
    """Return the mutual information of two labellings, adjusted for chance, over the mean of their entropies.

    1 is the same partition, about 0 is chance.
    """
    table = _counts(a, b)
    rows, columns, n = table.sum(axis=1), table.sum(axis=0), int(table.sum())
    entropy = (_entropy(rows) + _entropy(columns)) / 2.0
    if table.shape in {(0, 0), (1, 1)}:
        return 1.0
    joint = table[table > 0] / n
    chance = (np.outer(rows, columns) / (n * n))[table > 0]
    mutual = float((joint * np.log(joint / chance)).sum())
    expected = _expected_mutual_information(rows, columns, n)
    range_ = entropy - expected
    return (mutual - expected) / range_ if abs(range_) > 1e-15 else 1.0


def _counts(a: NDArray[np.integer], b: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the contingency table, int64[labels of a, labels of b]."""
    if a.shape != b.shape:
        raise ValueError(f"labellings of {a.shape} and {b.shape} points cannot be compared")
    _, rows = np.unique(a, return_inverse=True)
    names, columns = np.unique(b, return_inverse=True)
    height, width = int(rows.max(initial=-1)) + 1, names.size
    return np.bincount(rows * width + columns, minlength=height * width).reshape(height, width)


def _pairs(counts: NDArray[np.int64]) -> float:
    return float((counts * (counts - 1) / 2.0).sum())


def _entropy(counts: NDArray[np.int64]) -> float:
    share = counts[counts > 0] / max(int(counts.sum()), 1)
    return float(-(share * np.log(share)).sum())


def _expected_mutual_information(rows: NDArray[np.int64], columns: NDArray[np.int64], n: int) -> float:
    """Return the mean over all tables with these margins (Vinh et al. 2010, equation 24a)."""
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    expected = 0.0
    for x in rows.tolist():
        for y in columns.tolist():
            shared = np.arange(max(1, x + y - n), min(x, y) + 1)
            information = shared / n * np.log(n * shared / (x * y))
            log_chance = log_factorial[[x, y, n - x, n - y]].sum() - log_factorial[n] - log_factorial[shared]
            log_chance = log_chance - log_factorial[x - shared] - log_factorial[y - shared]
            log_chance = log_chance - log_factorial[n - x - y + shared]
            expected += float((information * np.exp(log_chance)).sum())
    return expected
