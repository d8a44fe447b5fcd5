"""What Redis shows of a version: its segments' hashes and its quality."""

from __future__ import annotations

import numpy as np

from stream_seg.engine.naming import centroid_values
from stream_seg.engine.version import ModelVersion


def segment_fields(version: ModelVersion) -> dict[int, dict[str, str]]:
    """Segment id → fields of ``seg:<m>:s:<segment>``; ``size`` and ``share`` follow the population instead.

    Retired segments keep name and status only: their other fields stay as they last were.
    """
    centres = np.array([s.centroid for s in version.segments]).reshape(-1, len(version.features))
    values = centroid_values(version.features, centres)
    fields = {}
    for segment, centroid in zip(version.segments, values, strict=True):
        own = {"name": segment.name, "status": "active", "born": str(segment.born)}
        if segment.parent is not None:
            own["parent"] = str(segment.parent)
        fields[segment.id] = own | {f"f.{name}": repr(value) for name, value in centroid.items()}
    for gone in version.retired:
        fields[gone.id] = {"name": gone.name, "status": "retired"}
    return fields


def quality_fields(version: ModelVersion) -> dict[str, str]:
    """Fields of ``seg:<m>:quality``; what could not be computed is left out."""
    known = {name: repr(value) for name, value in version.quality.items() if value is not None}
    return known | {
        "model_version": str(version.version),
        "as_of": version.as_of,
        "reason": version.reason,
        "customers": str(version.customers),
        "centroid_movement": repr(version.movement.centroids),
        "scale_drift": repr(version.movement.scale),
        "structure_gain": repr(version.movement.gain),
    }
