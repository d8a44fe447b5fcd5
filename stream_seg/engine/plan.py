"""What a model is to be: everything that minting reads from the settings, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream_seg.engine.version import Rules
from stream_seg.features.rules import SegmentNames
from stream_seg.features.spec import FeatureSet


@dataclass(frozen=True, slots=True)
class Minting:
    """When versions are made (design §3.4, §3.5, §4); see ``[clustering]`` for units and evidence."""

    mint_movement: float = 0.005
    mint_scale_drift: float = 0.05
    mint_settling: float = 0.002
    check_population_share: float = 0.5
    check_events_share: float = 1 / 16
    structure_growth: float = 0.02
    structure_days: float = 2.0
    structure_gain: float = 0.015
    structure_restarts_small: int = 32
    structure_restarts_large: int = 8
    sample_rows: int = 8000
    sample_rows_least: int = 2000
    seeding_restarts: int = 10


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Events are held back until so many ``customers`` or ``events`` are known (design §3.1)."""

    customers: int = 500
    events: int = 5000


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """A model's features, its number of segments, and the rules it is kept by."""

    features: FeatureSet
    segments: int = 6
    seed: int = 7
    names: SegmentNames = field(default_factory=SegmentNames)
    rules: Rules = field(default_factory=Rules)
    minting: Minting = field(default_factory=Minting)
    warm_up: WarmUp = field(default_factory=WarmUp)
