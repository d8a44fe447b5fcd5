"""What a model measures of a customer: feature definitions, and the slots their aggregates need.

A ``Feature`` is one entry of ``[features]``; a ``FeatureSet`` is all of them, in order, with a hash that
names them: two models with the same hash mean the same by a vector. ``FeatureSet.layout`` says which float64
slots of a customer's row hold what; the kernels of ``features.kernels`` read it as plain arrays.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

Aggregate = Literal[
    "days_since",
    "days_since_first",
    "count",
    "sum",
    "mean",
    "min",
    "max",
    "last",
    "share",
    "distinct",
    "gap_days",
]
Transform = Literal["none", "log1p", "sqrt", "cbrt"]
Scalar = str | int | float | bool

AGGREGATES: tuple[str, ...] = get_args(Aggregate)
TRANSFORMS: tuple[str, ...] = get_args(Transform)
NEEDS_FIELD = frozenset({"sum", "mean", "min", "max", "last", "distinct"})
NUMERIC_FIELD = NEEDS_FIELD - {"distinct"}
TAKES_HALF_LIFE = frozenset({"count", "sum", "mean", "share"})
TAKES_DEFAULT = frozenset({"mean", "min", "max", "last"})
IN_DAYS = frozenset({"days_since", "days_since_first", "gap_days"})
SLOTS = {
    "days_since": 1,  # time of the last match, ms
    "days_since_first": 1,  # time of the first match, ms
    "count": 1,
    "sum": 1,
    "mean": 3,  # weighted total, weight, both as of the last match; its time, ms
    "min": 1,
    "max": 1,
    "last": 2,  # value, its time, ms
    "share": 2,  # matching, all
    "distinct": 1,  # how many of the set's places are taken
    "gap_days": 3,  # first, last, number of matches
}
DISTINCT_LIMIT = 64
TRANSFORMED_STEP = 2.0**-16
PLAIN_STEP = 2.0**-4


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: an aggregate of a customer's matching events, transformed and weighted.

    ``field`` names the event field that is aggregated (``None`` where the aggregate needs none); ``where``
    maps a field (or ``type``) to the values that match; ``half_life_days`` is the time in which an event's
    weight halves, in days (``None``: never); ``default`` stands in without a match; ``step`` is the lattice
    step in transformed units, a power of two.
    """

    name: str
    aggregate: Aggregate
    field: str | None = None
    where: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()
    half_life_days: float | None = None
    transform: Transform = "none"
    weight: float = 1.0
    default: float = 0.0
    lattice_step: float | None = None

    @property
    def step(self) -> float:
        """The lattice step.

        Set, or 2⁻¹⁶ for anything transformed, shares and days, 2⁻⁴ for other plain values.
        """
        if self.lattice_step is not None:
            return self.lattice_step
        fine = self.transform != "none" or self.aggregate in IN_DAYS or self.aggregate == "share"
        return TRANSFORMED_STEP if fine else PLAIN_STEP

    def definition(self) -> dict[str, object]:
        """Everything that decides the feature's vector, JSON-ready; weight is a version's, and not here."""
        return {
            "name": self.name,
            "aggregate": self.aggregate,
            "field": self.field,
            "where": [[key, list(values)] for key, values in self.where],
            "half_life_days": self.half_life_days,
            "transform": self.transform,
            "default": self.default,
            "step": self.step,
        }


class FeatureRecord(Protocol):
    """One feature as the kernels read it.

    ``aggregate`` and ``transform`` are codes (places in ``AGGREGATES`` and ``TRANSFORMS``), ``slot`` the
    first float64 slot of a row, ``number`` a column of the batch's numbers (−1: none), ``token`` a column of
    its tokens (−1: none), ``place`` which of a row's distinct sets (−1: none), ``decay`` half-lives per
    millisecond (0: no decay).
    """

    aggregate: int
    transform: int
    slot: int
    number: int
    token: int
    place: int
    decay: float
    default: float
    step: float


_LAYOUT = np.dtype(
    [(name, np.int64) for name in ("aggregate", "transform", "slot", "number", "token", "place")]
    + [(name, np.float64) for name in ("decay", "default", "step")]
)
Layout: TypeAlias = "np.recarray[Any, np.dtype[np.record]]"
"""All features as an array of such records: numba hands one array on for less than nine."""


@dataclass(frozen=True)
class FeatureSet:
    """All features of a model, in the configuration's order.

    ``numbers`` are the event fields decoded as float64 columns, ``tokens`` those whose values are counted,
    ``filters`` the fields that ``where`` looks at; each sorted, each a column of the event batch.
    """

    features: tuple[Feature, ...]
    numbers: tuple[str, ...] = field(init=False)
    tokens: tuple[str, ...] = field(init=False)
    filters: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Work out which columns of an event the features read."""
        numeric = {f.field for f in self.features if f.aggregate in NUMERIC_FIELD and f.field}
        counted = {f.field for f in self.features if f.aggregate == "distinct" and f.field}
        looked_at = {key for f in self.features for key, _ in f.where}
        object.__setattr__(self, "numbers", tuple(sorted(numeric)))
        object.__setattr__(self, "tokens", tuple(sorted(counted)))
        object.__setattr__(self, "filters", tuple(sorted(looked_at)))

    def __len__(self) -> int:
        """The number of features, d."""
        return len(self.features)

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(f.name for f in self.features)

    @cached_property
    def hash(self) -> str:
        """16 hexadecimal digits that name these definitions (SHA-256 of their canonical JSON)."""
        text = json.dumps([f.definition() for f in self.features], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """The features' weights, float64 [d]."""
        return np.array([f.weight for f in self.features], dtype=np.float64)

    @cached_property
    def steps(self) -> NDArray[np.float64]:
        """The lattice's steps, float64 [d]."""
        return np.array([f.step for f in self.features], dtype=np.float64)

    @cached_property
    def slots(self) -> int:
        """The number of float64 slots of a row."""
        return sum(SLOTS[f.aggregate] for f in self.features)

    @cached_property
    def sets(self) -> int:
        """The number of distinct sets of a row."""
        return sum(f.aggregate == "distinct" for f in self.features)

    @cached_property
    def layout(self) -> Layout:
        """What the kernels read of the features."""
        widths = [SLOTS[f.aggregate] for f in self.features]
        starts = np.concatenate([[0], np.cumsum(widths)])
        distinct = [f.aggregate == "distinct" for f in self.features]
        places = np.cumsum(distinct) - 1
        columns = {
            "aggregate": [AGGREGATES.index(f.aggregate) for f in self.features],
            "transform": [TRANSFORMS.index(f.transform) for f in self.features],
            "slot": starts[:-1],
            "number": _columns(
                self.numbers, [f.field if f.aggregate in NUMERIC_FIELD else None for f in self.features]
            ),
            "token": _columns(
                self.tokens, [f.field if f.aggregate == "distinct" else None for f in self.features]
            ),
            "place": np.where(distinct, places, -1),
            "decay": [
                1.0 / (f.half_life_days * 86_400_000) if f.half_life_days else 0.0 for f in self.features
            ],
            "default": [f.default for f in self.features],
            "step": [f.step for f in self.features],
        }
        layout = np.zeros(len(self.features), _LAYOUT)
        for name, column in columns.items():
            layout[name] = column
        return layout.view(np.recarray)


def _columns(known: tuple[str, ...], wanted: list[str | None]) -> NDArray[np.int64]:
    return np.array([-1 if name is None else known.index(name) for name in wanted], dtype=np.int64)
