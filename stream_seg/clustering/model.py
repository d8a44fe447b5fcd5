"""What labels are given under, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream_seg.clustering.distance import EUCLIDEAN, Distance, assign_rows_by

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stream_seg.clustering.mint import Scaling

__all__ = ["Model"]


@dataclass(frozen=True, slots=True)
class Model:
    """What labels are given under.

    Attributes:
        step: float64[d], the lattice's.
        scaling: see there.
        centres: float64[k, d], in scaled space.
        ids: the segment id of each centre.
        hysteresis: share of the distance by which another centre must be nearer for a point to move there.
        distance: the distance that decides.

    """

    step: NDArray[np.float64]
    scaling: Scaling
    centres: NDArray[np.float64]
    ids: tuple[int, ...]
    hysteresis: float
    distance: Distance = EUCLIDEAN

    @property
    def centres_unscaled(self) -> NDArray[np.float64]:
        """The centres in transformed space, float64[k, d]."""
        unscaled: NDArray[np.float64] = self.centres / self.scaling.factor + self.scaling.offset
        return unscaled

    def assign(self, rows: NDArray[np.int32], labels: NDArray[np.int32]) -> None:
        """Fill `labels` (int32[n]: the current clusters, below 0 for none) with the rows' clusters."""
        scaling = self.scaling
        assign_rows_by(
            rows,
            self.step,
            scaling.offset,
            scaling.factor,
            self.centres,
            self.hysteresis,
            self.distance.code,
            labels,
        )
