"""What a river clusterer has said of consecutive events, gathered and given as one ``Outcome``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.kernels import DRIVERS, Drivers, LabelColumns
from stream_seg.engine.outcome import BEHAVIOUR, Outcome, Transitions
from stream_seg.engine.state import Position
from stream_seg.engine.version import ModelVersion
from stream_seg.events.batch import EventBatch

__all__ = ["Label", "Move", "Part", "adopted_outcome"]


class Label(NamedTuple):
    """One event's label, in the order of ``LabelColumns``."""

    segment: int
    previous: int
    runner_up: int
    distance: float
    confidence: float
    dwell_ms: int


class Move(NamedTuple):
    """A change of segment with event ``event`` of the part; ``drivers`` are (feature, before, after)."""

    event: int
    drivers: list[tuple[int, float, float]]


@dataclass(slots=True)
class Part:
    """Labels of the events since the last outcome; ``rows`` are their customers'."""

    rows: list[int] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    clipped: int = 0

    def outcome(self, events: EventBatch, version: ModelVersion | None, start: Position) -> Outcome:
        """All of it as the outcome of a step that took ``events``."""
        columns = self._columns()
        return Outcome(
            version=version,
            events=events,
            labels=columns,
            transitions=self._transitions(events, columns),
            written=np.unique(np.array(self.rows, dtype=np.int64)),
            removed=[],
            start=start,
            end=Position(events.next_offset, start.batch + 1),
            passes=0,
            clipped=self.clipped,
        )

    def _columns(self) -> LabelColumns:
        columns = list(zip(*self.labels, strict=True)) if self.labels else [()] * len(Label._fields)
        kinds = (np.int32, np.int32, np.int32, np.float64, np.float64, np.int64)
        return LabelColumns(*(np.array(c, dtype=kind) for c, kind in zip(columns, kinds, strict=True)))

    def _transitions(self, events: EventBatch, labels: LabelColumns) -> Transitions:
        at = np.array([move.event for move in self.moves], dtype=np.int64)
        return Transitions(
            customers=[events.customers[i] for i in at.tolist()],
            origin=labels.previous[at],
            target=labels.segment[at],
            cause=np.full(len(at), BEHAVIOUR, dtype=np.int8),
            dwell_ms=labels.dwell_ms[at],
            event_time_ms=events.time_ms[at],
            offset=events.offset[at],
            drivers=_drivers([move.drivers for move in self.moves]),
        )


def adopted_outcome(version: ModelVersion, start: Position, next_offset: int) -> Outcome:
    """What the adoption of a version says: nobody changes the segment, since river labels events only."""
    return Outcome(
        version=version,
        events=None,
        labels=None,
        transitions=Transitions.none(),
        written=np.zeros(0, dtype=np.int64),
        removed=[],
        start=start,
        end=Position(next_offset, start.batch + 1),
        passes=0,
        clipped=0,
    )


def _drivers(moves: list[list[tuple[int, float, float]]]) -> Drivers:
    feature = np.full((len(moves), DRIVERS), -1, dtype=np.int32)
    before: NDArray[np.float64] = np.zeros((len(moves), DRIVERS))
    after = np.zeros((len(moves), DRIVERS))
    for m, drivers in enumerate(moves):
        for place, (j, b, a) in enumerate(drivers):
            feature[m, place], before[m, place], after[m, place] = j, b, a
    return Drivers(feature, before, after)
