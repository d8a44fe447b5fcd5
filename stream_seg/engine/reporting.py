"""What a worker tells the store of its partitions, and what the minter's worker gathers of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from stream_seg.engine.livemint import Gathered
from stream_seg.engine.partition import LivePartition
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.ports import Store
from stream_seg.engine.reports import Report, Sample, draw_sample

Drawn = tuple[Report, str, Sample | None]
"""A report, the token it is signed with, and perhaps a sample."""

REPORT_EVERY_S = 0.2
"""A partition without new batches reports this often."""
RATE_OVER_S = 1.0
SAMPLE_EVERY_S = 1.0
"""Where passes follow each other faster, as in a backfill, not each is sampled for other workers."""
SIZES_EVERY_S = 0.5
"""Segments' sizes follow within a second."""


@dataclass(frozen=True, slots=True)
class _Rate:
    """Events a second of a partition, over the last second or so."""

    since_s: float
    events: int
    per_second: float = 0.0

    @classmethod
    def measured(cls, former: _Rate | None, now_s: float, events: int) -> _Rate:
        if former is None or events < former.events or now_s <= former.since_s:
            return cls(now_s, events)
        return cls(now_s, events, (events - former.events) / (now_s - former.since_s))


@dataclass(slots=True)
class Reporter:
    """Reports of one worker; ``now_s`` is wall time, for patience and people."""

    plan: ModelPlan
    store: Store
    worker: str
    partitions: int
    now_s: Callable[[], float]
    _reported_at: dict[int, float] = field(default_factory=dict)
    _sampled_at: dict[int, float] = field(default_factory=dict)
    _rates: dict[int, _Rate] = field(default_factory=dict)
    _sizes_at: float = 0.0
    sizes_dirty: bool = False

    def due(self, partition: int) -> bool:
        """Whether a partition has not reported for a while."""
        return self.now_s() - self._reported_at.get(partition, 0.0) >= REPORT_EVERY_S

    def report(self, owned: LivePartition, *, force: bool = False) -> None:
        """Leave a partition's report, with a new sample after a pass, if it is due or forced."""
        if force or self.due(owned.number):
            self.put([self.drawn(owned, owned.token)])

    def drawn(self, owned: LivePartition, token: str) -> Drawn:
        """A partition's report as it stands, to be ``put`` once that is committed.

        A new sample goes with it where there has been a pass since the last one, and that is not just now.
        """
        now, sample = self.now_s(), None
        if now - self._sampled_at.get(owned.number, 0.0) >= SAMPLE_EVERY_S:
            sample = owned.new_sample(self.sample_rows, self.plan.seed)
        if sample is not None:
            self._sampled_at[owned.number] = now
        self._reported_at[owned.number] = now
        return self.signed(owned), token, sample

    def put(self, drawn: Sequence[Drawn]) -> None:
        """Leave reports in the store."""
        for report, token, sample in drawn:
            self.store.put_report(report, token, sample)

    def signed(self, owned: LivePartition) -> Report:
        """A partition's report with what people want to know."""
        lag = None if owned.end is None else max(owned.end - owned.numbers.position.next_offset, 0)
        now, found = self.now_s(), owned.report()
        rate = self._rates.get(owned.number)
        if rate is None or now - rate.since_s >= RATE_OVER_S or found.events < rate.events:
            rate = self._rates[owned.number] = _Rate.measured(rate, now, found.events)
        return replace(
            found,
            worker=self.worker,
            reported_at_ms=int(now * 1000),
            lag=lag,
            events_per_second=rate.per_second,
        )

    @property
    def sample_rows(self) -> int:
        """A partition's share of the rows sampled over all partitions."""
        return -(-self.plan.minting.sample_rows // self.partitions)

    def gather(self, owned: Mapping[int, LivePartition]) -> Gathered:
        """All reports: our own partitions' as they are now, the others' as last stored."""
        mine = {p: self.signed(one) for p, one in owned.items()}
        others = self.store.reports() if len(mine) < self.partitions else {}
        return Gathered({**others, **mine}, {}, self.partitions)

    def with_samples(self, gathered: Gathered, owned: Mapping[int, LivePartition]) -> Gathered:
        """The same with samples: of our own partitions as they are now, the others' as last stored."""
        stored: dict[int, Sample] = self.store.samples() if len(owned) < self.partitions else {}
        mine = {
            p: draw_sample(one.scratch or one.state, self.sample_rows, self.plan.seed)
            for p, one in owned.items()
        }
        return Gathered(gathered.reports, {**stored, **mine}, gathered.partitions)

    def refresh_sizes(self, *, force: bool = False) -> None:
        """Let the segments' hashes follow their sizes, now and then."""
        if self.sizes_dirty and (force or self.now_s() - self._sizes_at >= SIZES_EVERY_S):
            self.store.refresh_sizes()
            self._sizes_at, self.sizes_dirty = self.now_s(), False
