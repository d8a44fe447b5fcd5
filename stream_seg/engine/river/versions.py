"""The versions of a model whose segments are the labels of a river clusterer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream_seg.clustering.identity import Lineage
from stream_seg.clustering.lattice import ClusterSums
from stream_seg.engine.lineage import lineage_record
from stream_seg.engine.minter import Minted
from stream_seg.engine.moments import moment
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.version import FeatureScale, ModelVersion, Rules, Segment

__all__ = ["RiverVersions"]


@dataclass(slots=True)
class RiverVersions:
    """Makes versions one after the other; a segment's id is also its place, and none is ever retired."""

    plan: ModelPlan
    instance: str
    current: ModelVersion | None = None
    _born: list[int] = field(default_factory=list)

    def next(self, sums: ClusterSums, new: Sequence[NDArray[np.int32]], as_of_ms: int) -> Minted:
        """The next version: the segments with the means of their members, and new ones, at a point each.

        ``sums`` are the population's under the segments so far; a segment without members stays where it was.
        """
        features = self.plan.features
        step, weights = features.steps, features.weights
        former = self.current
        before = np.zeros((0, len(features))) if former is None else former.centres_transformed
        centres = np.concatenate([sums.centres(step, before), *((point * step)[None] for point in new)])
        number = 1 if former is None else former.version + 1
        self._born += [number] * len(new)
        counts = [*sums.count.tolist(), *(0 for _ in new)]
        segments = tuple(
            Segment(id_, f"segment-{id_}", count, tuple(centre), born)
            for id_, (count, centre, born) in enumerate(
                zip(counts, (centres * weights).tolist(), self._born, strict=True)
            )
        )
        version = ModelVersion(
            version=number,
            instance=self.instance,
            as_of=moment(as_of_ms),
            reason="warm-up" if former is None else "mint",
            seed=self.plan.seed,
            segments_wanted=len(segments),
            features_hash=features.hash,
            features=tuple(
                FeatureScale(f.name, f.transform, f.weight, 0.0, 1.0, f.step) for f in features.features
            ),
            segments=segments,
            retired=(),
            next_id=len(segments),
            customers=sums.residents,
            rules=Rules(hysteresis=0.0),
        )
        self.current = version
        before_by_id = {} if former is None else {s.id: s for s in former.segments}
        return Minted(version, lineage_record(version, before_by_id, Lineage(), ()))
