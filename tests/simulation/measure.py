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
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """All residents' points int32 [n, d] as of the clock given with each state, and their segment ids [n]."""
    points, segments = [], []
    for state, clock_ms in states:
        used = state.rows.used
        which = np.flatnonzero(state.rows.aggregates.events[:used] > 0)
        own = np.empty((len(which), len(state.features)), dtype=np.int32)
        rows_points(which, clock_ms, state.rows.aggregates, state.features.layout, own)
        points.append(own)
        segments.append(state.rows.placement.segment[which])
    return np.concatenate(points), np.concatenate(segments)


def cost_of(
    points: NDArray[np.int32],
    segments: NDArray[np.int32],
    version: ModelVersion,
    *,
    restarts: int = 10,
    seed: int = 1,
) -> Cost:
    """Costs of points int32 [n, d] in fresh z-scores under ``version`` ÷ batch with so many restarts.

    ``segments`` int32 [n] are the segments served; one that the version holds no more costs what the
    farthest centroid would.
    """
    step, weights = version.arrays.step, np.array([f.weight for f in version.features])
    everyone = np.zeros(len(points), dtype=np.int32)
    scaling = scaling_of(ClusterSums.recount(points, everyone, 1), step, weights)
    scaled = scaling.scaled(points * step)
    centres = scaling.scaled(version.centres_transformed)
    ones = np.ones(len(points))
    best = batch_kmeans(scaled, ones, len(centres), restarts=restarts, seed=seed).cost
    nearest = assign(scaled, ones, centres).cost
    place = np.where(segments < len(version.places), version.places[segments], -1)
    d2 = ((scaled[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)
    own = np.where(place >= 0, d2[np.arange(len(d2)), place], d2.max(axis=1))
    return Cost(nearest / best, float(own.sum()) / best, len(points))
