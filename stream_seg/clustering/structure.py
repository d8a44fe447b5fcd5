"""Structural refits: move a clustering towards the optimum by more than Lloyd's steps can.

From the current centres pairs of a split and a merge are tried as long as one lowers the cost, beside fresh
starts; among equally good results the one nearest to the current clustering is taken, so that segments keep
their members where cost does not ask otherwise.

Sources: split and merge moves after N. Ueda, R. Nakano, Z. Ghahramani, G. Hinton, "SMEM algorithm for
mixture models", Neural Computation 12(9), 2000, and T. Kaukoranta, P. Fränti, O. Nevalainen, "Iterative
split-and-merge algorithm for VQ codebook generation", Optical Engineering 37(10), 1998, with the k-means
cost; the loss of a merge is J. H. Ward's, "Hierarchical grouping to optimize an objective function", JASA
58, 1963.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from stream_seg.clustering.lloyd import Fit, assign, batch_kmeans, lloyd
from stream_seg.clustering.overlap import contingency, shared_weight
from stream_seg.clustering.seeding import chance_for, start_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

__all__ = ["NEAR_OPTIMUM", "Each", "improve_by_moves", "nearest_of_equals", "refit", "resize", "restarts_for"]

NEAR_OPTIMUM = 0.001
"""Fits whose cost is within this share of the best one's count as equals."""

SMALL_SAMPLE = 8000
"""Below so many points, none of which stands for several, restarts are cheap, and carry the gain."""

A = TypeVar("A")
B = TypeVar("B")


class Each(Protocol):
    """Does a piece of work for each of several things and gives what comes of them, in their order.

    One after the other, as `map` does, or beside each other, as `ThreadPoolExecutor.map` does: kernels run
    without the GIL, and nothing is shared, so the results are the same to the bit.
    """

    def __call__(self, work: Callable[[A], B], things: Iterable[A], /) -> Iterable[B]:
        """Give `work(thing)` for each."""


_CANDIDATES = 4  # split and merge pairs that are tried in full at every move
_LEAST_GAIN = 1e-6  # of the cost, by which a move must lower it


def restarts_for(weights: NDArray[np.float64]) -> int:
    """Return how many fresh starts a refit makes: 32 for a small population, 8 for the sample of a large one.

    A weight above 1 says that a point stands for several.
    """
    small = weights.shape[0] < SMALL_SAMPLE and float(weights.max(initial=0.0)) <= 1.0
    return 32 if small else 8


def refit(  # noqa: PLR0913 - what a fit depends on, and how it is made
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    centres: NDArray[np.float64],
    k: int,
    *,
    seed: int,
    restarts: int | None = None,
    near: float = NEAR_OPTIMUM,
    each: Each = map,
) -> Fit:
    """Look for the best clustering into `k`, starting from `centres` and afresh.

    Args:
        points: float64[n, d], in scaled space.
        weights: float64[n], not negative, not all 0.
        centres: float64[m, d], the current centres; another `k` than m moves there by splits or merges.
        k: clusters wanted; fewer distinct points give fewer.
        seed: the same seed and arguments give the same fit, bit for bit.
        restarts: fresh starts beside the warm one; `restarts_for(weights)` without it.
        near: see `NEAR_OPTIMUM`; of the fits that near to the best the one is taken under which most of the
            weight stays in its cluster.
        each: how the fits, which know nothing of each other, are made; see there.

    Raises:
        ValueError: if there is no point of a weight above 0, or k is below 1.

    """
    if restarts is None:
        restarts = restarts_for(weights)
    rng = np.random.default_rng(seed)
    chances = [chance_for(k, rng) for _ in range(max(restarts, 1))]
    fresh = list(each(lambda chance: lloyd(points, weights, start_by(points, weights, chance)), chances))
    best_fresh = min(fresh, key=_cost)
    most = best_fresh.centres.shape[0]  # k, or the number of distinct points
    warm = lloyd(points, weights, resize(points, weights, centres, most, seed))
    better = each(lambda fit: improve_by_moves(points, weights, fit, seed=seed), [warm, best_fresh])
    improved, improved_fresh = better
    fits = [warm, improved, *fresh, improved_fresh]
    return nearest_of_equals(fits, assign(points, weights, centres), weights, near)


def improve_by_moves(
    points: NDArray[np.float64], weights: NDArray[np.float64], fit: Fit, *, seed: int
) -> Fit:
    """Split one cluster and merge two others, then Lloyd, for as long as that lowers the cost."""
    while True:
        least = fit.cost * (1.0 - _LEAST_GAIN)
        for start in _moves(points, weights, fit, seed):
            moved = lloyd(points, weights, start)
            if moved.cost < least:
                fit = moved
                break
        else:
            return fit


def _moves(
    points: NDArray[np.float64], weights: NDArray[np.float64], fit: Fit, seed: int
) -> Iterator[NDArray[np.float64]]:
    """Give the centres after the most promising pairs of a split and a merge, best first."""
    k = fit.centres.shape[0]
    halves, gains = _splits(points, weights, fit, seed)
    losses = _merge_losses(fit, weights)
    moves = [
        (gains[s] - losses[a, b], s, a, b)
        for a in range(k)
        for b in range(a + 1, k)
        for s in range(k)
        if s not in {a, b} and gains[s] > 0.0
    ]
    moves.sort(key=lambda move: (-move[0], move[1:]))
    for _, s, a, b in moves[:_CANDIDATES]:
        start = fit.centres.copy()
        start[a] = _joined(fit, weights, a, b)
        start[b] = halves[s, 1]
        start[s] = halves[s, 0]
        yield start


def _splits(
    points: NDArray[np.float64], weights: NDArray[np.float64], fit: Fit, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each cluster's two halves, float64[k, 2, d], and what the split gains, float64[k]."""
    k, d = fit.centres.shape
    halves, gains = np.empty((k, 2, d)), np.zeros(k)
    for c in range(k):
        halves[c] = fit.centres[c]
        members = np.flatnonzero(fit.labels == c)
        own = weights[members]
        if not own.sum() > 0.0:
            continue
        whole = batch_kmeans(points[members], own, 1, restarts=1, seed=seed)
        two = batch_kmeans(points[members], own, 2, restarts=2, seed=seed)
        if two.centres.shape[0] == 2:
            halves[c] = two.centres
            gains[c] = whole.cost - two.cost
    return halves, gains


def _merge_losses(fit: Fit, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Ward's loss of merging each pair, float64[k, k]: w_a·w_b ÷ (w_a + w_b) · |c_a - c_b|²."""
    mass = _mass(fit, weights)
    pair = mass[:, None] + mass[None, :]
    product = mass[:, None] * mass[None, :]
    reduced = np.divide(product, pair, out=np.zeros_like(pair), where=pair > 0.0)
    d2 = ((fit.centres[:, None, :] - fit.centres[None, :, :]) ** 2).sum(axis=2)
    losses: NDArray[np.float64] = reduced * d2
    return losses


def _mass(fit: Fit, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.bincount(fit.labels, weights=weights, minlength=fit.centres.shape[0]).astype(np.float64)


def _joined(fit: Fit, weights: NDArray[np.float64], a: int, b: int) -> NDArray[np.float64]:
    """Return the mean, float64[d], of the members of both clusters."""
    mass = _mass(fit, weights)
    whole = mass[a] + mass[b]
    share = mass[a] / whole if whole > 0.0 else 0.5
    joined: NDArray[np.float64] = share * fit.centres[a] + (1.0 - share) * fit.centres[b]
    return joined


def resize(
    points: NDArray[np.float64], weights: NDArray[np.float64], centres: NDArray[np.float64], k: int, seed: int
) -> NDArray[np.float64]:
    """Bring `centres` to `k` rows by the cheapest merges or the most gainful splits, one at a time."""
    while centres.shape[0] > k:
        fit = lloyd(points, weights, centres)
        losses = _merge_losses(fit, weights)
        np.fill_diagonal(losses, np.inf)
        a, b = divmod(int(np.argmin(losses)), losses.shape[0])
        centres = fit.centres.copy()
        centres[a] = _joined(fit, weights, a, b)
        centres = np.delete(centres, b, axis=0)
    while centres.shape[0] < k:
        fit = lloyd(points, weights, centres)
        halves, gains = _splits(points, weights, fit, seed)
        c = int(np.argmax(gains))
        centres = np.vstack([fit.centres, halves[c, 1:]])
        centres[c] = halves[c, 0]
    return centres


def nearest_of_equals(fits: list[Fit], current: Fit, weights: NDArray[np.float64], near: float) -> Fit:
    """Of the fits within `near` of the cheapest return the one that shares most with `current`."""
    bound = min(map(_cost, fits)) * (1.0 + near)
    old_k = current.centres.shape[0]

    def kept(fit: Fit) -> tuple[float, float]:
        table = contingency(current.labels, fit.labels, weights, old_k, fit.centres.shape[0])
        return (shared_weight(table), -fit.cost)

    return max((fit for fit in fits if fit.cost <= bound), key=kept)


def _cost(fit: Fit) -> float:
    return fit.cost
