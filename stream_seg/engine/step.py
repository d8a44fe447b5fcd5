"""The heart: ``step(state, batch | adoption)`` moves a partition on and says what changed.

It is pure: event time only, no clock, no I/O, no chance. Its labels depend on the partition's events in
order and on which versions were adopted at which offsets; how events were cut into batches changes nothing.
Live, replay, the re-read of a gap and audit are four drivers of it.
"""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from stream_seg.clustering.lattice import ClusterSums
from stream_seg.engine.kernels import Clock, Drivers, Events, LabelColumns, run_events
from stream_seg.engine.moves import Moves, blank_drivers
from stream_seg.engine.outcome import MODEL, NOWHERE, SILENCE, Adoption, Outcome, Transitions
from stream_seg.engine.rows import distinct
from stream_seg.engine.state import UNKNOWN, Position, State
from stream_seg.events.batch import EventBatch


def step(state: State, change: EventBatch | Adoption, *, stop_after_pass: bool = False) -> Outcome:
    """Take a batch of events, or adopt a version; ``state`` moves on in place.

    With ``stop_after_pass`` a batch ends with the first pass that an event makes due:
    ``Outcome.end.next_offset`` and ``len(Outcome.events)`` tell how far it came. An empty batch moves the
    position only.
    """
    if isinstance(change, Adoption):
        return _adopt(state, change)
    return _take(state, change, stop_after_pass=stop_after_pass)


def _adopt(state: State, adoption: Adoption) -> Outcome:
    start = state.numbers.position
    version = adoption.version
    state.version = version
    placement, used = state.rows.placement, state.rows.used
    places = np.append(version.places, np.int32(NOWHERE))  # the last for ids of nowhere, and those unknown
    placement.cluster[:used] = places[np.minimum(placement.segment[:used], len(version.places))]
    state.sums = ClusterSums.zeros(len(version.segments), len(state.features))
    state.numbers = replace(state.numbers, version=version.version, clock_ms=adoption.clock_ms)
    moved = Moves()
    if adoption.clock_ms != UNKNOWN:
        moved.add_pass(state, adoption.next_offset, MODEL)
    return _outcome(state, None, None, moved, start, adoption.next_offset, clipped=0)


def _take(state: State, batch: EventBatch, *, stop_after_pass: bool) -> Outcome:
    start = state.numbers.position
    labels = _blank_labels(len(batch))
    drivers = blank_drivers(len(batch))
    moved = Moves()
    taken, clipped = 0, 0
    used = state.rows.used
    row, new = state.rows.numbers_of(batch.customers)
    whole = row
    before = _placed(state, whole)
    while taken < len(batch):
        began = taken
        taken, lost = _run(state, batch, row, began, labels, drivers)
        clipped += lost
        moved.add_events(state, batch, row, labels, drivers, began, taken)
        if not _pass_is_due(state):
            continue
        forgot = moved.add_pass(state, int(batch.offset[taken - 1]) + 1, SILENCE)
        if stop_after_pass or forgot:  # numbers given ahead would differ from those of other batch cuts
            state.rows.take_back(new, used)
        if stop_after_pass:
            break
        if forgot:
            used = state.rows.used
            row[taken:], new = state.rows.numbers_of(batch.customers[taken:])
    done, _ = batch.cut(taken)
    labels = LabelColumns._make(column[:taken] for column in labels)
    moved.written.append(row[:taken])
    if not moved.removed:  # or a row may be another customer's now
        same = [was == now for was, now in zip(before, _placed(state, whole), strict=True)]
        moved.kept = distinct(whole[:taken][np.logical_and.reduce(same)[:taken]])
    return _outcome(state, done, labels, moved, start, done.next_offset, clipped)


def _placed(state: State, row: NDArray[np.int64]) -> tuple[NDArray[np.generic], ...]:
    """Version, segment and since when of rows: what readers are told of them but for their features."""
    placement = state.rows.placement
    return placement.version[row], placement.segment[row], placement.since_ms[row]


def _run(
    state: State,
    batch: EventBatch,
    row: NDArray[np.int64],
    began: int,
    labels: LabelColumns,
    drivers: Drivers,
) -> tuple[int, int]:
    """Run the event loop up to the batch's end or the next pass.

    (first event not taken, clipped features).
    """
    numbers = state.numbers
    version = state.version
    events = Events(row, batch.time_ms, batch.numbers, batch.tokens, batch.matches)
    taken, now, _, clipped = run_events(
        began,
        len(batch),
        events,
        state.rows.aggregates,
        state.rows.placement,
        state.features.layout,
        state.arrays,
        0 if version is None else version.version,
        0.0 if version is None else version.rules.hysteresis,
        state.kernel_sums,
        Clock(numbers.clock_ms, numbers.next_pass_ms, _residents(state), state.growth_limit),
        numbers.last_pass_ms,
        labels,
        drivers,
    )
    state.numbers = replace(numbers, clock_ms=now, events=numbers.events + taken - began)
    return taken, clipped


def _residents(state: State) -> int:
    return state.sums.residents if state.version is not None else 0


def _pass_is_due(state: State) -> bool:
    numbers = state.numbers
    if state.version is None:
        return False
    timely = numbers.next_pass_ms != UNKNOWN and numbers.clock_ms >= numbers.next_pass_ms
    return timely or _residents(state) >= state.growth_limit


def _outcome(
    state: State,
    events: EventBatch | None,
    labels: LabelColumns | None,
    moved: Moves,
    start: Position,
    next_offset: int,
    clipped: int,
) -> Outcome:
    end = Position(next_offset, start.batch + 1)
    state.numbers = replace(
        state.numbers,
        position=end,
        used=state.rows.used,
        clipped=state.numbers.clipped + clipped,
        sizes=state.sizes(),
    )
    written, appeared = _rows_of(moved.written), _rows_of(moved.appeared)
    resident = state.rows.aggregates.events[written] > 0
    return Outcome(
        version=state.version,
        events=events,
        labels=labels,
        transitions=Transitions.joined(moved.transitions),
        written=written[resident],
        appeared=appeared,
        kept=moved.kept,
        removed=moved.removed,
        start=start,
        end=end,
        passes=moved.passes,
        clipped=clipped,
    )


def _rows_of(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return distinct(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)


def _blank_labels(n: int) -> LabelColumns:
    return LabelColumns(
        segment=np.full(n, NOWHERE, dtype=np.int32),
        previous=np.full(n, NOWHERE, dtype=np.int32),
        runner_up=np.full(n, NOWHERE, dtype=np.int32),
        distance=np.zeros(n),
        confidence=np.zeros(n),
        dwell_ms=np.zeros(n, dtype=np.int64),
    )
