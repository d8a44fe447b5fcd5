"""Whether a structural refit is worth its price, or only the centroids have some way to go (design §3.5).

A check takes one Lloyd step over the population; the optimum that the current segments lie in may be many
steps away. A refit is therefore measured against the current centroids *after* Lloyd's steps on the same
sample: what those gain by themselves needs no new structure, and moves few customers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_seg.clustering.lloyd import Fit, assign, lloyd
from stream_seg.clustering.structure import Each, refit
from stream_seg.engine.plan import Minting

__all__ = ["Refitted", "refitted"]


@dataclass(frozen=True, slots=True)
class Refitted:
    """Better centroids: ``structural`` ones, or the current ones settled; ``gain`` is part of the cost."""

    fit: Fit
    gain: float
    structural: bool


def refitted(  # noqa: PLR0913 - the same as refit
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    centres: NDArray[np.float64],
    wanted: int,
    minting: Minting,
    *,
    seed: int,
    small: bool,
    each: Each = map,
) -> Refitted | None:
    """Look for better centroids on a sample; ``None`` where none is worth a version.

    ``points`` float64 [n, d], n ≥ 1, with weights [n], and the current ``centres`` float64 [k, d], all in
    scaled space; ``wanted`` segments (another number than k always counts); ``small``: whether the sample is
    the whole population, and restarts are cheap; ``each``: how fits are made, one after the other or beside
    each other.
    """
    restarts = minting.structure_restarts_small if small else minting.structure_restarts_large
    best = refit(points, weights, centres, wanted, seed=seed, restarts=restarts, each=each)
    now = assign(points, weights, centres).cost
    settled = lloyd(points, weights, centres)
    resized = len(best.centres) != len(centres)
    if resized or _gain(settled.cost, best.cost) >= minting.structure_gain:
        return Refitted(best, _gain(now, best.cost), structural=True)
    gain = _gain(now, settled.cost)
    return Refitted(settled, gain, structural=False) if gain >= minting.mint_settling else None


def _gain(before: float, after: float) -> float:
    return 1.0 - after / before if before > 0.0 else 0.0
