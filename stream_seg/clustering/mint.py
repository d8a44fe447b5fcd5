"""What the exact sums say about a model version: its successor's centres and scaling, and whether it is due.

A version is immutable; customers move on under it. The sums of all partitions together are those of one
exact Lloyd step over the population (S. Lloyd, 1982), so new centres are Σx / N and the new scaling is the
population's own mean and standard deviation. Nothing is decided here but whether the difference is worth a
new version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stream_seg.clustering.lattice import ClusterSums

__all__ = ["Proposal", "Scaling", "propose", "scaling_of", "should_mint"]


@dataclass(frozen=True, slots=True)
class Scaling:
    """How transformed space becomes scaled space: `(value - offset) * weight / scale`.

    Attributes:
        offset: float64[d], transformed space: the population's mean when the version was minted.
        scale: float64[d], transformed space: its standard deviation (÷ N); 1 for a feature without variance.
        weight: float64[d], each feature's say in the distance.

    """

    offset: NDArray[np.float64]
    scale: NDArray[np.float64]
    weight: NDArray[np.float64]

    @property
    def factor(self) -> NDArray[np.float64]:
        """`weight / scale`, float64[d]: what the kernels multiply by."""
        factor: NDArray[np.float64] = self.weight / self.scale
        return factor

    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return transformed values (float64[..., d]) in scaled space."""
        scaled: NDArray[np.float64] = (values - self.offset) * self.factor
        return scaled


@dataclass(frozen=True, slots=True)
class Proposal:
    """A version's successor, as the sums under that version give it.

    Attributes:
        scaling: fresh offset and scale, the weights as they were.
        centres: float64[k, d] in **transformed** space; `scaling.scaled(centres)` are those of the new
            version.
        movement: Σ N_c·|new centre - old centre|² ÷ cost of the population, in the old version's scaled
            space.
        scale_drift: the largest relative change of a standard deviation among features of a weight above 0.
        residents: points in the sums.
        cost: of the population under the old version, in its scaled space.

    """

    scaling: Scaling
    centres: NDArray[np.float64]
    movement: float
    scale_drift: float
    residents: int
    cost: float


def scaling_of(sums: ClusterSums, step: NDArray[np.float64], weight: NDArray[np.float64]) -> Scaling:
    """Return the scaling that makes z-scores of the whole population; `step` and `weight` are float64[d]."""
    scale = np.sqrt(sums.variance(step))
    return Scaling(sums.mean(step), np.where(scale > 0.0, scale, 1.0), weight)


def propose(
    sums: ClusterSums, step: NDArray[np.float64], scaling: Scaling, centres: NDArray[np.float64]
) -> Proposal:
    """Return the successor of the version with `scaling` and `centres` under which `sums` were taken.

    Args:
        sums: of all partitions, under the version; in lattice integers.
        step: float64[d], the lattice's.
        scaling: the version's.
        centres: float64[k, d] in **transformed** space, the version's; a cluster without members keeps its
            own.

    """
    residents = sums.residents
    if residents == 0:
        return Proposal(scaling, centres, 0.0, 0.0, 0, 0.0)
    fresh = scaling_of(sums, step, scaling.weight)
    moved = sums.centres(step, centres)
    squares = (((moved - centres) * scaling.factor) ** 2).sum(axis=1)
    shift = float((sums.count * squares).sum())
    cost = sums.within_cost(step, scaling.offset, scaling.factor, scaling.scaled(centres))
    movement = shift / cost if cost > 0.0 else 0.0
    return Proposal(fresh, moved, movement, _drift(scaling, fresh), residents, cost)


def should_mint(proposal: Proposal, *, movement: float = 0.005, scale_drift: float = 0.05) -> bool:
    """Tell whether a new version is due.

    Args:
        proposal: see there.
        movement: share of the cost by which the centres must have moved.
        scale_drift: relative change of a standard deviation that is enough by itself.

    """
    return proposal.movement >= movement or proposal.scale_drift >= scale_drift


def _drift(old: Scaling, new: Scaling) -> float:
    heard = old.weight > 0.0
    return float(np.max(np.abs(new.scale / old.scale - 1.0), where=heard, initial=0.0))
