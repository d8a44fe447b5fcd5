"""What a river clusterer has said of consecutive events, gathered and given as one ``Outcome``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from stream_seg.engine.kernels import LabelColumns
from stream_seg.engine.moves import Moves, blank_drivers
from stream_seg.engine.outcome import Outcome, Transitions
from stream_seg.engine.state import Position, State
from stream_seg.engine.version import ModelVersion
from stream_seg.events.batch import EventBatch

__all__ = ["Label", "Part", "adopted_outcome"]


class Label(NamedTuple):
    """One event's label, in the order of ``LabelColumns``."""

    segment: int
    previous: int
    runner_up: int
    distance: float
    confidence: float
    dwell_ms: int


@dataclass(slots=True)
class Part:
    """Labels of the events since the last outcome.

    ``rows`` are their customers'; ``drivers`` are those of events that changed a segment, by the event's
    place: (feature, before, after).
    """

    rows: list[int] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    drivers: dict[int, list[tuple[int, float, float]]] = field(default_factory=dict)
    clipped: int = 0

    def outcome(self, state: State, events: EventBatch) -> Outcome:
        """All of it as the outcome of a step that took ``events``; counts changes in the state's numbers."""
        rows, labels = np.array(self.rows, dtype=np.int64), self._columns()
        drivers = blank_drivers(len(events))
        for i, named in self.drivers.items():
            for place, (j, before, after) in enumerate(named):
                drivers.feature[i, place] = j
                drivers.before[i, place], drivers.after[i, place] = before, after
        moved = Moves()
        moved.add_events(state, events, rows, labels, drivers, 0, len(events))
        start = state.numbers.position
        return Outcome(
            version=state.version,
            events=events,
            labels=labels,
            transitions=Transitions.joined(moved.transitions),
            written=np.unique(rows),
            appeared=np.unique(np.concatenate(moved.appeared)),
            kept=np.zeros(0, dtype=np.int64),
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


def adopted_outcome(version: ModelVersion, start: Position, next_offset: int) -> Outcome:
    """What the adoption of a version says: nobody changes the segment, since river labels events only."""
    return Outcome(
        version=version,
        events=None,
        labels=None,
        transitions=Transitions.none(),
        written=np.zeros(0, dtype=np.int64),
        appeared=np.zeros(0, dtype=np.int64),
        kept=np.zeros(0, dtype=np.int64),
        removed=[],
        start=start,
        end=Position(next_offset, start.batch + 1),
        passes=0,
        clipped=0,
    )
