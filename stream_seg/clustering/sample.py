"""A sample of weighted rows that stands for a population.

Source: W. G. Cochran, "Sampling techniques", 1977, chapter 5 (stratified sampling; every stratum's weights
add up to its size).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["hash_unit", "stratified_sample", "whole_weights"]

_U64 = np.uint64


def stratified_sample(
    labels: NDArray[np.int32], k: int, limit: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose about `limit` rows: half spread evenly over the clusters, half by the clusters' sizes.

    Args:
        labels: int32[n], each row's cluster, below k.
        k: clusters.
        limit: rows wanted; a smaller population is taken whole.
        seed: which rows are drawn depends on `seed` and the rows' positions alone.

    Returns:
        The positions of the rows chosen, int64[m], ascending, and how many members each stands for,
        float64[m].

    """
    n = labels.shape[0]
    if n <= limit:
        return np.arange(n, dtype=np.int64), np.ones(n)
    sizes = np.bincount(labels, minlength=k)
    held = int(np.count_nonzero(sizes))
    quota = np.minimum(np.ceil(limit / 2 / held + limit / 2 * sizes / n).astype(np.int64), sizes)
    priority = hash_unit(np.arange(n, dtype=np.uint64), seed)
    bound = np.ones(k)
    for c in np.flatnonzero(quota < sizes).tolist():
        bound[c] = np.partition(priority[labels == c], quota[c])[quota[c]]
    chosen = np.flatnonzero(priority < bound[labels])
    return chosen, sizes[labels[chosen]] / quota[labels[chosen]]


def hash_unit(counter: NDArray[np.uint64], seed: int) -> NDArray[np.float64]:
    """Return a number in (0, 1) for each counter, float64[n]: seeded chance that needs no state.

    Source: G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014
    (SplitMix64's finaliser).
    """
    with np.errstate(over="ignore"):
        z = (counter + _U64(seed % 2**64) * _U64(0xD1342543DE82EF95)) * _U64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> _U64(27))) * _U64(0x94D049BB133111EB)
        z ^= z >> _U64(31)
    unit: NDArray[np.float64] = ((z >> _U64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return unit


def whole_weights(weights: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Return integers in proportion to `weights` that add up to `total` exactly, int64[n].

    Rounded by largest remainder (of equal ones the first), so each is within 1 of its exact share. `weights`
    is float64[n], not negative, not all 0.
    """
    exact = weights * (total / weights.sum())
    whole: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    missing = total - int(whole.sum())
    if missing > 0:
        whole[np.argsort(whole - exact, kind="stable")[:missing]] += 1
    elif missing < 0:  # floating point may round a share up to the next integer
        whole[np.argsort(exact - whole, kind="stable")[:-missing]] -= 1
    return whole
