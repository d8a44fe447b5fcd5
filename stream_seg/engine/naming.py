"""Segment names for a new version: the person's own where given, else plain, else read from the centroids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stream_seg.clustering.naming import FeatureMeaning, name_segments
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.version import FeatureScale, untransformed


def centroid_values(features: Sequence[FeatureScale], centres: NDArray[np.float64]) -> list[dict[str, float]]:
    """Centroids float64 [k, d] in scaled space as {feature: value in its own unit}."""
    return [
        {
            f.name: untransformed(z / (f.weight / f.scale) + f.offset if f.weight else f.offset, f.transform)
            for f, z in zip(features, centre, strict=True)
        }
        for centre in centres.tolist()
    ]


def name_all(
    plan: ModelPlan,
    features: Sequence[FeatureScale],
    centres: NDArray[np.float64],
    sizes: NDArray[np.int64],
    ids: Sequence[int],
    previous: Mapping[int, str],
) -> list[str]:
    """A name for each segment, all different; ``previous`` are the names by id so far."""
    if plan.names.mode == "plain":
        return [f"segment-{number}" for number in ids]
    weight = np.array([f.weight or 1.0 for f in features])
    meanings = [FeatureMeaning(f.name, f.aggregate, f.weight, f.where) for f in plan.features.features]
    kept = {i: previous[number] for i, number in enumerate(ids) if number in previous}
    values = centroid_values(features, centres)
    own_unit = np.array([list(v.values()) for v in values]).reshape(-1, len(features))
    automatic = name_segments(meanings, centres / weight, sizes, kept, own_unit)
    given = [plan.names.given(number, value) for number, value in zip(ids, values, strict=True)]
    return _distinct([own or name for own, name in zip(given, automatic, strict=True)])


def _distinct(names: list[str]) -> list[str]:
    """The names, later ones numbered where a person's rule gave one name to several."""
    seen: set[str] = set()
    result = []
    for name in names:
        number, candidate = 2, name
        while candidate in seen:
            candidate, number = f"{name} {number}", number + 1
        seen.add(candidate)
        result.append(candidate)
    return result
