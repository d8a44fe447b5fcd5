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
from stream_seg.engine.kernels import (
    DRIVERS,
    Clock,
    Drivers,
    Events,
    LabelColumns,
    explain_pass,
    run_events,
    run_pass,
)
from stream_seg.engine.outcome import (
    BEHAVIOUR,
    MODEL,
    NOWHERE,
    SILENCE,
    Adoption,
    Outcome,
    Transitions,
)
from stream_seg.engine.state import DAY_MS, UNKNOWN, Numbers, Position, State
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
    used = state.rows.used
    placement = state.rows.placement
    segment = placement.segment[:used]
    known = (segment >= 0) & (segment < version.places.shape[0])
    placement.cluster[:used] = np.where(known, version.places[np.where(known, segment, 0)], -1)
    state.sums = ClusterSums.zeros(len(version.segments), len(state.features))
    state.numbers = replace(state.numbers, version=version.version, clock_ms=adoption.clock_ms)
    moved = _Moves()
    if adoption.clock_ms != UNKNOWN:
        moved.add_pass(state, adoption.next_offset, MODEL)
    return _outcome(state, None, None, moved, start, adoption.next_offset, clipped=0)


def _take(state: State, batch: EventBatch, *, stop_after_pass: bool) -> Outcome:
    start = state.numbers.position
    labels = _blank_labels(len(batch))
    drivers = _blank_drivers(len(batch))
    moved = _Moves()
    taken, clipped = 0, 0
    used = state.rows.used
    row, new = state.rows.numbers_of(batch.customers)
    while taken < len(batch):
        began = taken
        taken, lost = _run(state, batch, row, began, labels, drivers)
        clipped += lost
        moved.add_events(batch, labels, drivers, began, taken)
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
    return _outcome(state, done, labels, moved, start, done.next_offset, clipped)


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


class _Moves:
    """Gathers the transitions, written and removed rows of one step."""

    def __init__(self) -> None:
        self.transitions: list[Transitions] = []
        self.written: list[NDArray[np.int64]] = []
        self.removed: list[tuple[int, str]] = []
        self.passes = 0

    def add_events(
        self, batch: EventBatch, labels: LabelColumns, drivers: Drivers, began: int, taken: int
    ) -> None:
        """The changes of segment among events ``began`` to ``taken``; a customer's first is none."""
        segment, previous = labels.segment[began:taken], labels.previous[began:taken]
        at = np.flatnonzero((segment != previous) & (previous != NOWHERE)) + began
        if not len(at):
            return
        self.transitions.append(
            Transitions(
                customers=[batch.customers[i] for i in at.tolist()],
                origin=labels.previous[at],
                target=labels.segment[at],
                cause=np.full(len(at), BEHAVIOUR, dtype=np.int8),
                dwell_ms=labels.dwell_ms[at],
                event_time_ms=batch.time_ms[at],
                offset=batch.offset[at],
                drivers=Drivers._make(column[at] for column in drivers),
            )
        )

    def add_pass(self, state: State, offset: int, cause: int) -> bool:
        """Make a pass at the partition's clock; returns whether a customer was forgotten."""
        rows, version, numbers = state.rows, state.version, state.numbers
        if version is None:
            raise ValueError("a pass needs a version")
        now = numbers.clock_ms
        used = rows.used
        origin_ids = rows.placement.segment[:used].copy()
        changed, forgotten = np.empty(used, np.int64), np.empty(used, np.int64)
        origin, entered = np.empty(used, np.int32), np.empty(used, np.int64)
        rules = version.rules
        forget_ms = np.inf if rules.forget_after_days is None else rules.forget_after_days * DAY_MS
        moved, lost, left, ageing = run_pass(
            now,
            used,
            rows.aggregates,
            rows.placement,
            state.features.layout,
            version.arrays,
            version.version,
            rules.hysteresis,
            forget_ms,
            state.kernel_sums,
            changed,
            origin,
            entered,
            forgotten,
        )
        self.passes += 1
        changed, forgotten = changed[:moved], forgotten[:lost]
        self._add_changes(state, changed, origin[:moved], entered[:moved], origin_ids, offset, cause)
        self._forget(state, forgotten, offset)
        state.numbers = _after_pass(state, left, ageing, counted=cause == SILENCE)
        return lost > 0

    def _add_changes(
        self,
        state: State,
        changed: NDArray[np.int64],
        origin: NDArray[np.int32],
        entered: NDArray[np.int64],
        origin_ids: NDArray[np.int32],
        offset: int,
        cause: int,
    ) -> None:
        if not len(changed):
            return
        now, rows = state.numbers.clock_ms, state.rows
        drivers = _blank_drivers(len(changed))
        explain_pass(
            now,
            cause == SILENCE,
            changed,
            origin,
            entered,
            rows.aggregates,
            rows.placement,
            state.features.layout,
            state.arrays,
            drivers,
        )
        self.written.append(changed)
        self.transitions.append(
            Transitions(
                customers=[str(rows.customers[row]) for row in changed.tolist()],
                origin=origin_ids[changed],
                target=rows.placement.segment[changed],
                cause=np.full(len(changed), cause, dtype=np.int8),
                dwell_ms=np.maximum(now - entered, 0),
                event_time_ms=np.full(len(changed), now, dtype=np.int64),
                offset=np.full(len(changed), offset, dtype=np.int64),
                drivers=drivers,
            )
        )

    def _forget(self, state: State, forgotten: NDArray[np.int64], offset: int) -> None:
        if not len(forgotten):
            return
        now, rows = state.numbers.clock_ms, state.rows
        origin = rows.placement.segment[forgotten]
        entered = rows.placement.since_ms[forgotten]
        customers = [rows.remove(row) for row in forgotten.tolist()]
        self.removed.extend(zip(forgotten.tolist(), customers, strict=True))
        self.transitions.append(
            Transitions(
                customers=customers,
                origin=origin,
                target=np.full(len(forgotten), NOWHERE, dtype=np.int32),
                cause=np.full(len(forgotten), SILENCE, dtype=np.int8),
                dwell_ms=np.maximum(now - entered, 0),
                event_time_ms=np.full(len(forgotten), now, dtype=np.int64),
                offset=np.full(len(forgotten), offset, dtype=np.int64),
                drivers=_blank_drivers(len(forgotten)),
            )
        )


def _after_pass(state: State, residents: int, ageing: float, *, counted: bool) -> Numbers:
    """The numbers after a pass: when the next is due (design §3.3)."""
    numbers, version = state.numbers, state.version
    assert version is not None  # noqa: S101 - the caller made the pass under it
    rules = version.rules
    now, interval = numbers.clock_ms, numbers.pass_interval_ms
    elapsed = now - numbers.last_pass_ms
    if numbers.last_pass_ms == UNKNOWN:
        interval = rules.pass_longest_ms
    elif residents and elapsed >= rules.pass_ignore_ms:
        aged = float(np.sqrt(ageing / residents))
        due = elapsed * rules.pass_ageing / aged if aged > 0.0 else np.inf
        interval = int(min(max(due, rules.pass_shortest_ms), rules.pass_longest_ms))
    return replace(
        numbers,
        last_pass_ms=now,
        next_pass_ms=now + interval,
        pass_interval_ms=interval,
        residents_at_pass=residents,
        passes=numbers.passes + 1,
        rows_passed=numbers.rows_passed + (residents if counted else 0),
    )


def _outcome(
    state: State,
    events: EventBatch | None,
    labels: LabelColumns | None,
    moved: _Moves,
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
    written = np.unique(np.concatenate(moved.written)) if moved.written else np.zeros(0, dtype=np.int64)
    resident = state.rows.aggregates.events[written] > 0
    return Outcome(
        version=state.version,
        events=events,
        labels=labels,
        transitions=Transitions.joined(moved.transitions),
        written=written[resident],
        removed=moved.removed,
        start=start,
        end=end,
        passes=moved.passes,
        clipped=clipped,
    )


def _blank_labels(n: int) -> LabelColumns:
    return LabelColumns(
        segment=np.full(n, NOWHERE, dtype=np.int32),
        previous=np.full(n, NOWHERE, dtype=np.int32),
        runner_up=np.full(n, NOWHERE, dtype=np.int32),
        distance=np.zeros(n),
        confidence=np.zeros(n),
        dwell_ms=np.zeros(n, dtype=np.int64),
    )


def _blank_drivers(n: int) -> Drivers:
    return Drivers(np.full((n, DRIVERS), -1, dtype=np.int32), np.zeros((n, DRIVERS)), np.zeros((n, DRIVERS)))
