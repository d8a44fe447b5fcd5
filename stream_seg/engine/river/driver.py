"""The driver of a river clusterer in the place of ours: the same aggregates and the same records.

River's clusterers learn events, not a population: each event's customer vector (transformed, times the
feature's weight, otherwise unscaled) is learned, then predicted, and the prediction is the label. Segments
are the labels seen, numbered as they first appear; a segment's centroid is the mean of its members' last
vectors. There is no warm-up, hysteresis, pass or forgetting. A version is made for every new segment and
whenever a sixteenth as many events as there are customers have come, so that labels are described under an
immutable one here too.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np
from msgspec.structs import replace

from stream_seg.clustering.distance import scale_row
from stream_seg.clustering.lattice import ClusterSums
from stream_seg.engine.kernels import judge
from stream_seg.engine.minter import Minted
from stream_seg.engine.outcome import NOWHERE, Adoption
from stream_seg.engine.replay import Step, between, fresh_state
from stream_seg.engine.river.clusterers import Labeller
from stream_seg.engine.river.part import Label, Part, adopted_outcome
from stream_seg.engine.river.row import NextRow, pushes, row_values, scaled_move
from stream_seg.engine.river.versions import RiverVersions
from stream_seg.engine.state import State
from stream_seg.engine.version import ModelVersion
from stream_seg.events.batch import EventBatch

__all__ = ["RiverReplay"]

LEAST_EVENTS_A_VERSION = 64


@dataclass(slots=True)
class _Work:
    """A batch on its way; ``part`` holds the labels from event ``began`` on, which are not given out yet."""

    state: State
    batch: EventBatch
    now_ms: int
    began: int = 0
    part: Part = field(default_factory=Part)


class RiverReplay:
    """A ``Driver`` that labels with river; ``on_step`` and ``on_version`` are told everything in order."""

    def __init__(
        self,
        labeller: Labeller,
        versions: RiverVersions,
        partitions: Mapping[int, int],
        *,
        on_step: Callable[[Step], None],
        on_version: Callable[[Minted], None],
    ) -> None:
        """Start with an empty population; ``partitions`` maps each one to its first offset."""
        plan = versions.plan
        self.features = plan.features
        self.states = {p: fresh_state(p, first, plan) for p, first in sorted(partitions.items())}
        self.events = 0
        self.as_of_ms = -1
        self._labeller = labeller
        self._ids: dict[Hashable, int] = {}
        self._versions = versions
        self._versioned_at = 0
        self._next = NextRow(plan.features)
        self._on_step, self._on_version = on_step, on_version

    @property
    def current(self) -> ModelVersion | None:
        """The newest version; ``None`` before the first event."""
        return self._versions.current

    def feed(self, partition: int, batch: EventBatch) -> None:
        """Take the next events of the merged order; all of one partition."""
        state = self.states[partition]
        work = _Work(state, batch, state.numbers.clock_ms)
        for i, time_ms in enumerate(batch.time_ms.tolist()):
            now_ms = max(work.now_ms, time_ms)
            self.as_of_ms = max(self.as_of_ms, now_ms)
            self._next.look(state.rows, batch, i, now_ms)
            segment = self._segment()
            new = segment == len(state.sums.count)
            if new or self._version_is_due():
                self._emit(work, i)
                self._make_version(state, int(batch.offset[i]), new=new)
            work.now_ms = now_ms
            self._place(work, i, segment)
        self._emit(work, len(batch))

    def finish(self) -> None:
        """The end: a last version with the centroids as they are now."""
        if self.events > self._versioned_at:
            self._make_version(None, 0, new=False)

    def _segment(self) -> int:
        """The segment of the row looked at: the place of river's label among all labels seen."""
        features = self.features
        z = np.empty(len(features))
        scale_row(self._next.point, features.steps, np.zeros(len(features)), features.weights, z)
        label = self._labeller.label(dict(zip(features.names, z.tolist(), strict=True)))
        return self._ids.setdefault(label, len(self._ids))

    def _version_is_due(self) -> bool:
        residents = sum(state.rows.residents for state in self.states.values())
        return self.events - self._versioned_at >= max(LEAST_EVENTS_A_VERSION, residents // 16)

    def _make_version(self, here: State | None, next_offset: int, *, new: bool) -> None:
        """Make a version and have all adopt it, ``here`` at ``next_offset``, where its next event lies."""
        sums = ClusterSums.merge(state.sums for state in self.states.values())
        minted = self._versions.next(sums, [self._next.point] if new else [], self.as_of_ms)
        self._versioned_at = self.events
        self._on_version(minted)
        for state in self.states.values():
            before, start = state.numbers.sizes, state.numbers.position
            state.version = minted.version
            state.sums = _widened(state.sums, len(minted.version.segments))
            at = next_offset if state is here else start.next_offset
            outcome = adopted_outcome(minted.version, start, at)
            state.numbers = replace(
                state.numbers, version=minted.version.version, position=outcome.end, sizes=state.sizes()
            )
            adopted = Adoption(minted.version, at, state.numbers.clock_ms)
            self._on_step(Step(state, outcome, before, adopted))

    def _place(self, work: _Work, i: int, segment: int) -> None:
        """Take event ``i``: its row becomes what was looked at, in ``segment``."""
        state, batch, part = work.state, work.batch, work.part
        rows, layout, version = state.rows, state.features.layout, state.arrays
        row = self._next.row
        if row is None:
            row = int(rows.numbers_of([batch.customers[i]])[0][0])
        placement = rows.placement
        previous, time_ms = int(placement.segment[row]), int(batch.time_ms[i])
        if previous != NOWHERE:
            state.sums.remove(previous, placement.point[row])
        if previous not in (NOWHERE, segment):
            before = row_values(rows.aggregates, row, int(placement.written_ms[row]), layout)
            after = self._next.values(work.now_ms)
            named = pushes(scaled_move(before, after, layout, version), version.centres, previous, segment)
            part.drivers[i - work.began] = [(j, float(before[j]), float(after[j])) for j in named]
        self._next.put(rows, row)
        state.sums.add(segment, placement.point[row])
        dwell_ms = 0
        if segment != previous:
            dwell_ms = 0 if previous == NOWHERE else max(time_ms - int(placement.since_ms[row]), 0)
            placement.since_ms[row] = time_ms
        placement.segment[row] = placement.cluster[row] = segment
        placement.written_ms[row] = work.now_ms
        placement.version[row] = state.numbers.version
        part.rows.append(row)
        part.labels.append(self._described(state, row, segment, previous, dwell_ms))
        part.clipped += self._next.clipped
        self.events += 1

    def _described(self, state: State, row: int, segment: int, previous: int, dwell_ms: int) -> Label:
        version = state.arrays
        z = np.empty(len(state.features))
        scale_row(state.rows.placement.point[row], version.step, version.offset, version.factor, z)
        distance, confidence, other = judge(z, version.centres, segment)
        return Label(segment, previous, other, distance, confidence, dwell_ms)

    def _emit(self, work: _Work, stop: int) -> None:
        """Give out what is labelled, up to event ``stop``."""
        state, numbers = work.state, work.state.numbers
        if stop == work.began and work.batch.next_offset <= numbers.position.next_offset:
            return
        outcome = work.part.outcome(state, between(work.batch, work.began, stop))
        state.numbers = replace(
            state.numbers,
            position=outcome.end,
            clock_ms=work.now_ms,
            events=numbers.events + stop - work.began,
            used=state.rows.used,
            clipped=numbers.clipped + outcome.clipped,
            sizes=state.sizes(),
        )
        work.began, work.part = stop, Part()
        self._on_step(Step(state, outcome, numbers.sizes, None))


def _widened(sums: ClusterSums, k: int) -> ClusterSums:
    """The same sums with room for ``k`` segments."""
    grown = ClusterSums.zeros(k, sums.total.shape[1])
    for old, new in zip(sums.arrays, grown.arrays, strict=True):
        new[: len(old)] = old
    return grown
