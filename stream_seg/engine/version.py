"""A model version: everything ``step`` reads, immutable, numbered, published as JSON.

Labels are given under one version. Its numbers are stored as the shortest text that reads back the same, and
the kernels' arrays are made from those numbers alone, so a version that was read back gives the same bits.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Literal, NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.moments import milliseconds
from stream_seg.errors import StateError

CONTRACT_VERSION = 1

Reason = Literal["warm-up", "mint", "structure", "names"]


class FeatureScale(msgspec.Struct, frozen=True):
    """One feature under a version: scaled = (transform(value) − ``offset``) ÷ ``scale`` × ``weight``.

    ``step`` is the lattice's, in transformed units; ``scale`` is the population's standard deviation when
    the version was minted (1 for a feature without variance), ``offset`` its mean.
    """

    name: str
    transform: str
    weight: float
    offset: float
    scale: float
    step: float


class Segment(msgspec.Struct, frozen=True):
    """One active segment.

    ``centroid`` in scaled space, in the features' order; ``size`` at minting, in customers.

    ``born`` is the version that minted the id, ``parent`` the segment it was split from.
    """

    id: int
    name: str
    size: int
    centroid: tuple[float, ...]
    born: int
    parent: int | None = None


class Retired(msgspec.Struct, frozen=True):
    """A segment that no version from ``version`` on holds; ``into`` is where most of its members went."""

    id: int
    name: str
    version: int
    into: int | None = None


class Rules(msgspec.Struct, frozen=True):
    """The constants of ``step`` under a version (design §3); times in event time.

    ``hysteresis`` share of the distance by which a new centre must be nearer; ``pass_ageing`` root mean
    square ageing, in standard deviations, after which a pass is due; ``pass_growth`` share of new residents
    that makes one due; ``forget_after_days`` silence after which a customer leaves (``None``: never);
    ``sample_rows`` rows sampled for structural refits over all partitions.
    """

    hysteresis: float = 0.1
    pass_ageing: float = 0.05
    pass_shortest_ms: int = 3_600_000
    pass_longest_ms: int = 86_400_000
    pass_ignore_ms: int = 450_000
    pass_growth: float = 1 / 16
    forget_after_days: float | None = None


class Movement(msgspec.Struct, frozen=True):
    """Why the version was minted.

    Movement of the centroids ÷ cost, largest relative change of a deviation, structural gain.
    """

    centroids: float = 0.0
    scale: float = 0.0
    gain: float = 0.0


class VersionArrays(NamedTuple):
    """A version as arrays for the kernels.

    ``offset``, ``factor`` (weight ÷ scale) and ``step`` float64 [d]; ``centres`` float64 [k, d] in scaled
    space; ``ids`` int32 [k].
    """

    step: NDArray[np.float64]
    offset: NDArray[np.float64]
    factor: NDArray[np.float64]
    centres: NDArray[np.float64]
    ids: NDArray[np.int32]


class ModelVersion(msgspec.Struct, frozen=True, dict=True):
    """One immutable version of a model.

    ``instance`` names the model's life (a reset makes a new one); ``as_of_ms`` is the largest event time of
    all partitions at minting; ``segments_wanted`` the setting k; ``next_id`` the first segment id never
    used; ``customers`` the population's size.
    """

    version: int
    instance: str
    as_of: str
    reason: Reason
    seed: int
    segments_wanted: int
    features_hash: str
    features: tuple[FeatureScale, ...]
    segments: tuple[Segment, ...]
    retired: tuple[Retired, ...]
    next_id: int
    customers: int
    rules: Rules = Rules()
    movement: Movement = Movement()
    quality: dict[str, float | None] = {}
    contract: int = CONTRACT_VERSION

    @cached_property
    def as_of_ms(self) -> int:
        """``as_of`` in ms since 1970."""
        return milliseconds(self.as_of)

    @cached_property
    def arrays(self) -> VersionArrays:
        """The kernels' arrays, made from the stored numbers alone."""
        scales = self.features
        return VersionArrays(
            step=np.array([f.step for f in scales], dtype=np.float64),
            offset=np.array([f.offset for f in scales], dtype=np.float64),
            factor=np.array([f.weight for f in scales]) / np.array([f.scale for f in scales]),
            centres=np.array([s.centroid for s in self.segments], dtype=np.float64).reshape(-1, len(scales)),
            ids=np.array([s.id for s in self.segments], dtype=np.int32),
        )

    @cached_property
    def places(self) -> NDArray[np.int32]:
        """int32 [next_id]: a segment id's place among ``segments``, −1 for one that is no longer held."""
        places = np.full(max(self.next_id, 1), -1, dtype=np.int32)
        places[self.arrays.ids] = np.arange(len(self.segments), dtype=np.int32)
        return places

    @cached_property
    def names(self) -> dict[int, str]:
        """Segment id → name, the retired included."""
        return {s.id: s.name for s in self.retired} | {s.id: s.name for s in self.segments}

    @cached_property
    def centres_transformed(self) -> NDArray[np.float64]:
        """The centroids in transformed space, float64 [k, d]."""
        arrays = self.arrays
        safe = np.where(arrays.factor == 0.0, 1.0, arrays.factor)
        return arrays.centres / safe + arrays.offset

    def to_json(self) -> bytes:
        """The version as JSON (UTF-8), floats as the shortest text that reads back the same."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read a version back; ``StateError`` for one of another contract or a damaged one."""
        try:
            version = msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateError(
                f"a stored model version cannot be read ({error}): restore a snapshot or reset"
            ) from error
        if version.contract > CONTRACT_VERSION:
            raise StateError(
                f"version {version.version} was written by contract {version.contract}, this program knows "
                f"{CONTRACT_VERSION}: upgrade stream-seg"
            )
        return version


def untransformed(value: float, transform: str) -> float:
    """A transformed value back in the feature's own unit (the inverse of ``kernels.transformed``)."""
    magnitude = abs(value)
    if transform == "log1p":
        return math.copysign(math.expm1(magnitude), value)
    if transform == "sqrt":
        return math.copysign(magnitude**2, value)
    return value**3 if transform == "cbrt" else value
