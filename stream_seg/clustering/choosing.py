"""How many segments a population has: what speaks for each k, and a recommendation.

Nothing decides this for good: the measures often disagree, and what a team can act on counts too. So all are
shown, and the recommendation names its reason.

Sources: the elbow as the point farthest from the chord, V. Satopää et al., "Finding a kneedle in a
haystack", ICDCS workshops 2011; the silhouette, P. J. Rousseeuw 1987; the gap statistic, R. Tibshirani, G.
Walther, T. Hastie, JRSS B 63(2), 2001 (references uniform in the box of the principal components); stability
as agreement of clusterings of random halves, after U. von Luxburg, "Clustering stability: an overview", 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from stream_seg.clustering.lloyd import assign, batch_kmeans
from stream_seg.clustering.metrics import adjusted_rand_index, sampled_silhouette

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["Choice", "Recommendation", "examine", "recommend"]

STABLE = 0.8
"""Agreement (adjusted Rand index) of halves from which on a number of segments counts as stable."""

NEAR = 0.01
"""Silhouettes this near to the best count as equal; then more segments are taken, as they tell more."""

_RESTARTS, _PAIRS, _REFERENCES = 10, 5, 5


@dataclass(frozen=True, slots=True)
class Choice:
    """What speaks for and against `k` segments.

    Attributes:
        k: the number.
        cost: share of the population's variance that is left within the segments.
        silhouette: mean silhouette of a sample, -1 to 1.
        stability: how far clusterings of random halves agree on everybody, mean adjusted Rand index.
        gap: log cost of uniform points less that of ours: the larger, the more structure.
        gap_error: standard error of `gap`, times √(1 + 1/references).

    """

    k: int
    cost: float
    silhouette: float
    stability: float
    gap: float
    gap_error: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """`k` segments, and why; `elbow` and `gap` are what those two rules alone would say (`None`: nothing)."""

    k: int
    reason: str
    elbow: int | None
    gap: int | None


def examine(
    points: NDArray[np.float64],
    ks: Sequence[int],
    *,
    seed: int,
    done: Callable[[Choice], None] = lambda _: None,
) -> list[Choice]:
    """Examine every k of `ks` that has enough distinct points; `done` is told each.

    Args:
        points: float64[n, d] in scaled space, n >= 1; of more than some thousands give a sample.
        ks: numbers of clusters, ascending, from 2.
        seed: the same seed and points give the same numbers.
        done: called with each choice as it is made.

    """
    rng = np.random.default_rng(seed)
    ones = np.ones(len(points))
    whole = float(((points - points.mean(axis=0)) ** 2).sum())
    references = [_uniform(points, rng) for _ in range(_REFERENCES)]
    distinct = len(np.unique(points, axis=0))
    choices = []
    for k in ks:
        if k > distinct:
            break
        fit = batch_kmeans(points, ones, k, restarts=_RESTARTS, seed=seed)
        logs = [
            _log(batch_kmeans(r, ones, k, restarts=2, seed=seed + i).cost) for i, r in enumerate(references)
        ]
        choice = Choice(
            k=k,
            cost=fit.cost / whole if whole > 0.0 else 0.0,
            silhouette=sampled_silhouette(points, fit.labels, seed=seed),
            stability=_stability(points, k, rng),
            gap=float(np.mean(logs)) - _log(fit.cost),
            gap_error=float(np.std(logs)) * (1.0 + 1.0 / _REFERENCES) ** 0.5,
        )
        choices.append(choice)
        done(choice)
    return choices


def recommend(choices: Sequence[Choice]) -> Recommendation:
    """Of the stable numbers take the one with the best silhouette; `ValueError` without a choice."""
    if not choices:
        raise ValueError("there is nothing to choose from")
    elbow, gap = _elbow(choices), _gap(choices)
    stable = [c for c in choices if c.stability >= STABLE]
    pool = stable or choices
    best = max(c.silhouette for c in pool)
    equals = [c for c in pool if c.silhouette >= best - NEAR]
    taken = equals[-1]
    silhouette = f"{taken.k} has the best silhouette ({taken.silhouette:.2f})"
    agreement = f"agreement {taken.stability:.2f}, 1 is the same"
    if stable:
        reason = f"{silhouette} of the numbers for which halves of the customers agree ({agreement})"
    else:
        reason = (
            f"{silhouette}, but for no number do halves of the customers agree ({agreement}): the borders "
            "of the segments will be arbitrary"
        )
    if len(equals) > 1:
        others = ", ".join(str(c.k) for c in equals[:-1])
        reason += f"; {others} would do as well and tell less"
    return Recommendation(taken.k, reason, elbow, gap)


def _stability(points: NDArray[np.float64], k: int, rng: np.random.Generator) -> float:
    """Cluster two random halves, label everybody by each, and see how far the labels agree."""
    n = len(points)
    everyone = np.ones(n)
    found = []
    for _ in range(_PAIRS):
        order = rng.permutation(n)
        labels = []
        for half in (order[: n // 2], order[n // 2 :]):
            if not len(half):
                return 1.0
            start = int(rng.integers(2**31))
            own = batch_kmeans(points[half], np.ones(len(half)), k, restarts=3, seed=start)
            labels.append(assign(points, everyone, own.centres).labels)
        found.append(adjusted_rand_index(labels[0], labels[1]))
    return float(np.mean(found))


def _uniform(points: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return as many points, uniform in the box of the points' principal components."""
    centre = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - centre, full_matrices=False)
    turned = (points - centre) @ axes.T
    drawn = rng.uniform(turned.min(axis=0), turned.max(axis=0), size=turned.shape)
    uniform: NDArray[np.float64] = drawn @ axes + centre
    return uniform


def _log(cost: float) -> float:
    return float(np.log(max(cost, 1e-12)))


def _elbow(choices: Sequence[Choice]) -> int | None:
    """The k whose cost lies farthest below the chord from the first to the last; `None` of fewer than 3."""
    if len(choices) < 3:
        return None
    x = np.array([c.k for c in choices], dtype=np.float64)
    y = np.array([c.cost for c in choices])
    x = (x - x[0]) / (x[-1] - x[0])
    fall = y[0] - y[-1]
    below = 1.0 - x - (y - y[-1]) / fall if fall > 0.0 else np.zeros_like(x)
    return choices[int(below.argmax())].k


def _gap(choices: Sequence[Choice]) -> int | None:
    """The first k whose gap is not clearly smaller than the next one's (Tibshirani et al., section 3)."""
    for this, following in pairwise(choices):
        if this.gap >= following.gap - following.gap_error:
            return this.k
    return None
