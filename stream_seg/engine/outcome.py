"""What one ``step`` says: labels and transitions as columns, and which rows it left changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.kernels import Drivers, LabelColumns
from stream_seg.engine.state import Position
from stream_seg.engine.version import ModelVersion
from stream_seg.events.batch import EventBatch

Number = TypeVar("Number", np.int8, np.int32, np.int64)

Cause = Literal["behaviour", "silence", "model"]
CAUSES: Final[tuple[Cause, ...]] = ("behaviour", "silence", "model")
BEHAVIOUR, SILENCE, MODEL = range(3)
NOWHERE = -1
"""A segment id that stands for none: before a customer's first, after it was forgotten."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """A partition takes a version over.

    From ``next_offset`` on, its clock then standing at ``clock_ms`` (−1: unknown).
    """

    version: ModelVersion
    next_offset: int
    clock_ms: int


@dataclass(frozen=True, slots=True)
class Transitions:
    """Changes of segment in order, m of them.

    ``customers`` ids; ``origin`` and ``target`` int32 segment ids (−1: none); ``cause`` int8, a place in
    ``CAUSES``; ``dwell_ms`` int64 in the segment left; ``event_time_ms`` int64; ``offset`` int64 of the
    source; ``drivers`` [m, 3] features and their values.
    """

    customers: list[str]
    origin: NDArray[np.int32]
    target: NDArray[np.int32]
    cause: NDArray[np.int8]
    dwell_ms: NDArray[np.int64]
    event_time_ms: NDArray[np.int64]
    offset: NDArray[np.int64]
    drivers: Drivers

    def __len__(self) -> int:
        """The number of changes, m."""
        return len(self.customers)

    def __getitem__(self, part: slice) -> Transitions:
        """Some of them in a row."""
        feature, before, after = self.drivers
        return Transitions(
            self.customers[part],
            self.origin[part],
            self.target[part],
            self.cause[part],
            self.dwell_ms[part],
            self.event_time_ms[part],
            self.offset[part],
            Drivers(feature[part], before[part], after[part]),
        )

    @classmethod
    def none(cls) -> Transitions:
        """No change."""
        return cls.joined([])

    @classmethod
    def joined(cls, parts: list[Transitions]) -> Transitions:
        """Several in a row as one."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            customers=[customer for part in parts for customer in part.customers],
            origin=_joined([p.origin for p in parts], np.int32),
            target=_joined([p.target for p in parts], np.int32),
            cause=_joined([p.cause for p in parts], np.int8),
            dwell_ms=_joined([p.dwell_ms for p in parts], np.int64),
            event_time_ms=_joined([p.event_time_ms for p in parts], np.int64),
            offset=_joined([p.offset for p in parts], np.int64),
            drivers=Drivers(
                np.concatenate([p.drivers.feature for p in parts] or [np.zeros((0, 3), np.int32)]),
                np.concatenate([p.drivers.before for p in parts] or [np.zeros((0, 3))]),
                np.concatenate([p.drivers.after for p in parts] or [np.zeros((0, 3))]),
            ),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step did to its partition.

    ``version`` the labels were given under (``None`` while warming up); ``events`` those taken, with
    ``labels`` a row each; ``transitions``; ``written`` int64 row numbers that changed and hold a customer,
    ascending; ``appeared`` int64 row numbers that got their first segment; ``kept`` of those that came
    under the same version before and have stayed in their segment; ``removed`` (row, customer) of
    those forgotten, who may be back under the same or another row by the end; ``start`` and ``end``
    positions; ``passes`` made; ``clipped`` features.
    """

    version: ModelVersion | None
    events: EventBatch | None
    labels: LabelColumns | None
    transitions: Transitions
    written: NDArray[np.int64]
    appeared: NDArray[np.int64]
    kept: NDArray[np.int64]
    removed: list[tuple[int, str]]
    start: Position
    end: Position
    passes: int
    clipped: int


def _joined(arrays: list[NDArray[Number]], dtype: type[Number]) -> NDArray[Number]:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=dtype)
