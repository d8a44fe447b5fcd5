"""What a step gathers as it goes: transitions, written and removed rows, counts of changes; and a pass."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from stream_seg.engine.kernels import (
    DRIVERS,
    Drivers,
    LabelColumns,
    count_reverted,
    explain_pass,
    run_pass,
)
from stream_seg.engine.outcome import BEHAVIOUR, NOWHERE, SILENCE, Transitions
from stream_seg.engine.state import DAY_MS, UNKNOWN, Changes, Numbers, State
from stream_seg.events.batch import EventBatch

__all__ = ["Moves", "blank_drivers"]

REVERTED_MS = 7 * DAY_MS
"""A change of segment is reverted by one that brings the customer back within this event time."""


class Moves:
    """Gathers the transitions, written and removed rows of one step."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.transitions: list[Transitions] = []
        self.written: list[NDArray[np.int64]] = []
        self.appeared: list[NDArray[np.int64]] = []
        self.kept: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.removed: list[tuple[int, str]] = []
        self.passes = 0

    def add_events(
        self,
        state: State,
        batch: EventBatch,
        row: NDArray[np.int64],
        labels: LabelColumns,
        drivers: Drivers,
        began: int,
        taken: int,
    ) -> None:
        """The changes of segment among events ``began`` to ``taken``; a customer's first is none."""
        segment, previous = labels.segment[began:taken], labels.previous[began:taken]
        self.appeared.append(row[began:taken][previous == NOWHERE])
        at = np.flatnonzero((segment != previous) & (previous != NOWHERE)) + began
        if not len(at):
            return
        _count(state, row[at], labels.previous[at], labels.segment[at], labels.dwell_ms[at], BEHAVIOUR)
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
        drivers = blank_drivers(len(changed))
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
        self.appeared.append(changed[origin_ids[changed] == NOWHERE])
        dwell_ms = np.maximum(now - entered, 0)
        _count(state, changed, origin_ids[changed], rows.placement.segment[changed], dwell_ms, cause)
        self.transitions.append(
            Transitions(
                customers=rows.customers_of(changed),
                origin=origin_ids[changed],
                target=rows.placement.segment[changed],
                cause=np.full(len(changed), cause, dtype=np.int8),
                dwell_ms=dwell_ms,
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
        customers = rows.remove(forgotten)
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
                drivers=blank_drivers(len(forgotten)),
            )
        )


def _count(
    state: State,
    rows: NDArray[np.int64],
    origin: NDArray[np.int32],
    target: NDArray[np.int32],
    dwell_ms: NDArray[np.int64],
    cause: int,
) -> None:
    """Count changes of segment in order, and remember where each row came from.

    A row may change several times in one batch.
    """
    reverted = count_reverted(rows, origin, target, dwell_ms, REVERTED_MS, state.rows.former)
    made = [0, 0, 0]
    made[cause] = len(rows)
    counted = state.numbers.changes + Changes((made[0], made[1], made[2]), reverted)
    state.numbers = replace(state.numbers, changes=counted)


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


def blank_drivers(n: int) -> Drivers:
    """Drivers of n changes, none known yet."""
    return Drivers(np.full((n, DRIVERS), -1, dtype=np.int32), np.zeros((n, DRIVERS)), np.zeros((n, DRIVERS)))
