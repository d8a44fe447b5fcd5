"""The live minter.

Reads the partitions' reports, and says which version to commit next and how far anyone may go.

Wall time is allowed here, as the number of seconds that a clock of the driver shows: only recorded adoptions
decide labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from stream_seg.clustering.distance import assign_rows
from stream_seg.clustering.lattice import ClusterSums
from stream_seg.clustering.sample import whole_weights
from stream_seg.engine.minter import Minted, Minter, SamplePoints, Standing
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.reports import Report, Sample
from stream_seg.engine.state import UNKNOWN, Changes
from stream_seg.engine.version import ModelVersion


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds of wall time.

    Warm-up ends after ``idle_s`` without news; a partition silent for ``silent_s`` counts by its sample.
    """

    idle_s: float = 10.0
    silent_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Gathered:
    """All partitions' reports and samples as they are now; ``partitions`` is the topic's number of them."""

    reports: Mapping[int, Report]
    samples: Mapping[int, Sample]
    partitions: int


@dataclass(slots=True)
class LiveMinter:
    """``assigned`` names the partitions that some worker has, as far as known.

    ``bounded``: input ends with what there is.
    """

    plan: ModelPlan
    instance: str
    patience: Patience
    bounded: bool = False
    minter: Minter = field(init=False)
    _idle_since: float | None = None
    _idle_mark: tuple[int, int] = (-1, -1)

    def __post_init__(self) -> None:
        """Start without a version."""
        self.begin()

    def begin(self) -> None:
        """Begin anew, without a version."""
        self.minter = Minter(self.plan, self.instance)

    def resume(self, version: ModelVersion, gathered: Gathered) -> None:
        """Go on from the newest version.

        What was counted since its last check is not known, and starts anew.
        """
        self.minter.resume(version, *totals(gathered.reports), changes_of(gathered.reports))

    def warm_up(self, gathered: Gathered, now_s: float) -> Minted | None:
        """The first version, once enough is known or nothing more comes (design §4.4)."""
        reports = gathered.reports.values()
        customers, events = sum(r.residents for r in reports), sum(r.events for r in reports)
        wanted = self.plan.warm_up
        enough = customers >= wanted.customers or events >= wanted.events
        if not (enough or self._nothing_more(gathered, customers, events, now_s)):
            return None
        samples = [gathered.samples[p].arrays[0] for p in sorted(gathered.samples)]
        points = np.concatenate(samples) if samples else np.zeros((0, len(self.plan.features)), np.int32)
        if not len(points):
            return None
        return self.minter.first(points, max(r.clock_ms for r in reports))

    def _nothing_more(self, gathered: Gathered, customers: int, events: int, now_s: float) -> bool:
        complete = len(gathered.reports) == gathered.partitions
        caught_up = complete and all(r.caught_up for r in gathered.reports.values())
        if not caught_up or (customers, events) != self._idle_mark or self._idle_since is None:
            self._idle_mark, self._idle_since = (customers, events), now_s
        if not caught_up or not customers:
            return False
        if self.bounded:
            return True
        return now_s - self._idle_since >= self.patience.idle_s and customers >= 2 * self.plan.segments

    def check(self, gathered: Gathered, now_s: float) -> tuple[Minted | None, bool]:
        """(a new version if one is due, whether a check is still owed because a partition is waited for)."""
        if not self.minter.due(*totals(gathered.reports)):
            return None, False
        standing, owed = self.standing(gathered, now_s)
        return (None, owed) if standing is None else (self.minter.check(standing), False)

    def standing(self, gathered: Gathered, now_s: float) -> tuple[Standing | None, bool]:
        """(what a check is to be made of, whether it has to wait for a partition)."""
        current = self.minter.current
        if current is None:
            return None, False
        parts: list[ClusterSums] = []
        for partition, report in sorted(gathered.reports.items()):
            if report.version == current.version:
                parts.append(report.sums)
                continue
            if now_s - report.reported_at_ms / 1000.0 < self.patience.silent_s:
                return None, True
            sample = gathered.samples.get(partition)
            if sample is not None and report.residents:
                parts.append(_estimate(sample, current, report.residents))
        if not parts:
            return None, False
        events, rows_passed = totals(gathered.reports)
        standing = Standing(
            sums=ClusterSums.merge(parts),
            events=events,
            rows_passed=rows_passed,
            as_of_ms=max(r.clock_ms for r in gathered.reports.values()),
            sample=lambda: _union(gathered.samples, current),
            changes=changes_of(gathered.reports),
        )
        return standing, False


def horizon(gathered: Gathered) -> int | None:
    """The earliest unread event of all partitions; ``None`` where nothing is unread (design §4.5).

    An unfetched one counts as its partition's clock, a partition that never reported as the beginning of
    time.
    """
    if len(gathered.reports) < gathered.partitions:
        return 0
    unread = [
        r.next_event_ms if r.next_event_ms is not None else r.clock_ms
        for r in gathered.reports.values()
        if r.next_event_ms is not None or not r.caught_up
    ]
    return min(unread, default=None)


def totals(reports: Mapping[int, Report]) -> tuple[int, int]:
    """(events, rows passed) so far of all partitions that label."""
    running = [r for r in reports.values() if r.version]
    return sum(r.events for r in running), sum(r.rows_passed for r in running)


def changes_of(reports: Mapping[int, Report]) -> Changes:
    """Changes of segment so far of all partitions."""
    return sum((r.changes for r in reports.values()), Changes())


def _places(sample: Sample, version: ModelVersion) -> SamplePoints:
    """A sample with its places under ``version``: its own, or the nearest centres'."""
    points, weights, places = sample.arrays
    if sample.version != version.version:
        places = np.full(len(points), UNKNOWN, dtype=np.int32)
        arrays = version.arrays
        assign_rows(points, arrays.step, arrays.offset, arrays.factor, arrays.centres, 0.0, places)
    return points, weights, places


def _union(samples: Mapping[int, Sample], version: ModelVersion) -> SamplePoints:
    parts = [_places(samples[p], version) for p in sorted(samples)]
    if not parts:
        return np.zeros((0, len(version.features)), np.int32), np.zeros(0), np.zeros(0, np.int32)
    points, weights, places = (np.concatenate(column) for column in zip(*parts, strict=True))
    return points, weights, places


def _estimate(sample: Sample, version: ModelVersion, residents: int) -> ClusterSums:
    """A silent partition's sums as its last sample suggests.

    Weights add up to its last number of residents.
    """
    points, weights, places = _places(sample, version)
    k = len(version.segments)
    if not len(points):
        return ClusterSums.zeros(k, len(version.features))
    return ClusterSums.recount(points, places, k, whole_weights(weights, residents))
