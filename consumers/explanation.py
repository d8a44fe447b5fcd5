"""Why a customer is where it is: how much each feature says for its segment and against the runner-up.

Works on what any reader finds in Redis, a customer's record and the version it was written under, and
follows the contract's formula: scaled = (transform(value) − offset) ÷ scale × weight; distance is Euclidean
in scaled space.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from stream_seg.errors import StateError
from stream_seg.lookup.results import Record

__all__ = ["Explanation", "FeatureSays", "explain"]

_TRANSFORMS: Final[Mapping[str, tuple[Callable[[float], float], Callable[[float], float]]]] = {
    "none": (lambda x: x, lambda x: x),
    "log1p": (
        lambda x: math.copysign(math.log1p(abs(x)), x),
        lambda x: math.copysign(math.expm1(abs(x)), x),
    ),
    "sqrt": (lambda x: math.copysign(math.sqrt(abs(x)), x), lambda x: math.copysign(x * x, x)),
    "cbrt": (math.cbrt, lambda x: x**3),
}


@dataclass(frozen=True, slots=True)
class FeatureSays:
    """One feature of a customer beside its segment's and the runner-up's centroid, in the feature's own unit.

    ``value`` is ``None`` where the customer has none and ``default`` stood in. ``deviations`` is how many
    standard deviations (times weight) it lies above its segment's centroid. ``says`` is what it adds to the
    squared distance of the runner-up less that of the segment: above 0 it speaks for the segment (``None``
    where there is no runner-up).
    """

    feature: str
    value: float | None
    centroid: float
    runner_up: float | None
    deviations: float
    says: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A customer's place, as of ``as_of`` and under ``model_version``.

    ``kept`` says that the runner-up is nearer, but not by the share (``hysteresis``) that a change needs.
    """

    customer_id: str
    segment: int
    name: str
    distance: float
    runner_up: int | None
    runner_up_name: str | None
    runner_up_distance: float | None
    confidence: float | None
    kept: bool
    hysteresis: float
    as_of: str
    model_version: int
    features: tuple[FeatureSays, ...]

    def record(self) -> dict[str, Any]:
        """Give it as JSON-ready data."""
        return asdict(self) | {"features": [asdict(feature) for feature in self.features]}


def explain(customer: Record, version: Record, defaults: Mapping[str, float]) -> Explanation:
    """Explain a customer's record under the version it was written under.

    ``defaults`` are the values that stand in for absent features (0 where not named). Raises ``StateError``
    where the version does not hold the customer's segment.
    """
    segments = {segment["id"]: segment for segment in version["segments"]}
    own, other = segments.get(customer["segment"]), segments.get(customer["runner_up"])
    if own is None:
        raise StateError(
            f"Version {version['version']} in Redis does not hold the customer's segment: "
            "look whether another program writes the model's keys."
        )
    values: Mapping[str, float] = customer["features"]
    features = tuple(
        _says(
            scale,
            values.get(scale["name"], defaults.get(scale["name"], 0.0)),
            missing=scale["name"] not in values,
            own=own["centroid"][place],
            other=None if other is None else other["centroid"][place],
        )
        for place, scale in enumerate(version["features"])
    )
    distance = math.sqrt(sum(f.deviations**2 for f in features))
    against = None if other is None else math.sqrt(distance**2 + sum(f.says or 0.0 for f in features))
    return Explanation(
        customer_id=customer["customer_id"],
        segment=own["id"],
        name=customer["name"],
        distance=distance,
        runner_up=customer["runner_up"],
        runner_up_name=None if other is None else other["name"],
        runner_up_distance=against,
        confidence=customer["confidence"],
        kept=against is not None and against < distance,
        hysteresis=version["rules"]["hysteresis"],
        as_of=customer["as_of"],
        model_version=version["version"],
        features=features,
    )


def _says(scale: Record, value: float, *, missing: bool, own: float, other: float | None) -> FeatureSays:
    """One feature, ``own`` and ``other`` being its numbers of the two centroids in scaled space."""
    forward, back = _TRANSFORMS[scale["transform"]]
    factor = scale["weight"] / scale["scale"]
    scaled = (forward(value) - scale["offset"]) * factor
    return FeatureSays(
        feature=scale["name"],
        value=None if missing else value,
        centroid=back(own / factor + scale["offset"]),
        runner_up=None if other is None else back(other / factor + scale["offset"]),
        deviations=scaled - own,
        says=None if other is None else (scaled - other) ** 2 - (scaled - own) ** 2,
    )
