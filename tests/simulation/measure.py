"""How good the current version is for the population as it is: cost against batch k-means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_seg.clustering.lattice import ClusterSums
from stream_seg.clustering.lloyd import assign, batch_kmeans
from stream_seg.clustering.mint import scaling_of
from stream_seg.engine.kernels import rows_points
from stream_seg.engine.state import State
from stream_seg.engine.version import ModelVersion


@dataclass(frozen=True)
class Cost:
    """Costs ÷ that of a batch k-means: of the centroids, and of the segments as served."""

    centroids: float
    served: float
    residents: int


def population(
    states: list[tuple[State, int]],
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """All residents' points int32 [n, d] as of the clock given with each state, and what they are served.

    That is the transformed centroid float64 [n, d] of the segment each is in, under the version that its
    partition has adopted.
    """
    points, served = [], []
    for state, clock_ms in states:
        which = state.rows.resident_rows()
        own = np.empty((len(which), len(state.features)), dtype=np.int32)
        rows_points(which, clock_ms, state.rows.aggregates, state.features.layout, own)
        points.append(own)
        assert state.version is not None
        served.append(state.version.centres_transformed[state.rows.placement.cluster[which]])
    return np.concatenate(points), np.concatenate(served)


def cost_of(
    points: NDArray[np.int32],
    served: NDArray[np.float64],
    version: ModelVersion,
    *,
    restarts: int = 10,
    seed: int = 1,
) -> Cost:
    """Costs of points int32 [n, d] in fresh z-scores under ``version`` ÷ batch with so many restarts.

    ``served`` are the centroids as ``population`` gives them.
    """
    step, weights = version.arrays.step, np.array([f.weight for f in version.features])
    everyone = np.zeros(len(points), dtype=np.int32)
    scaling = scaling_of(ClusterSums.recount(points, everyone, 1), step, weights)
    scaled = scaling.scaled(points * step)
    centres = scaling.scaled(version.centres_transformed)
    ones = np.ones(len(points))
    best = batch_kmeans(scaled, ones, len(centres), restarts=restarts, seed=seed).cost
    nearest = assign(scaled, ones, centres).cost
    own = ((scaled - scaling.scaled(served)) ** 2).sum()
    return Cost(nearest / best, float(own) / best, len(points))
