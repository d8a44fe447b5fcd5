"""A world of partitions that run side by side: round by round, reports late, some slow, some silent.

A round is what happens between two looks of every worker: adopt, take, report; then the owner of partition
0 checks, mints, or publishes the horizon. Wall time moves by a second a round.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from stream_seg.engine.horizon import Horizon
from stream_seg.engine.livemint import Gathered, LiveMinter, Patience, horizon, totals
from stream_seg.engine.minter import Minted
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.reports import Report, Sample
from stream_seg.engine.state import DAY_MS
from stream_seg.engine.version import ModelVersion
from stream_seg.events.batch import EventBatch
from tests.simulation.partition import SimulatedPartition


@dataclass(frozen=True)
class Conduct:
    """How a world behaves.

    ``rounds`` in which the whole history goes by; ``late`` rounds until the minter sees a report of another
    partition, and until others see a version or the horizon; ``lag_days`` event time by which a partition
    reads behind the stream; ``stalls`` (partition, first day, days) in which it does nothing at all, days
    counted from the first event; ``speeds`` events a round of each partition in a backfill (``None``: live).
    """

    rounds: int = 500
    late: int = 1
    lag_days: dict[int, float] = field(default_factory=dict)
    stalls: tuple[tuple[int, float, float], ...] = ()
    speeds: tuple[int, ...] | None = None
    horizon_days: float | None = 1.0


class World:
    """``on_version`` is told every version as it is minted."""

    def __init__(
        self,
        plan: ModelPlan,
        streams: list[EventBatch],
        conduct: Conduct,
        on_version: Callable[[Minted], None] = lambda _: None,
    ) -> None:
        wanted = -(-plan.minting.sample_rows // len(streams))
        self.plan, self.conduct, self._on_version = plan, conduct, on_version
        self.partitions = [SimulatedPartition(plan, p, e, wanted) for p, e in enumerate(streams)]
        self.minter = LiveMinter(plan, "simulated", Patience(), bounded=True)
        self.round = 0
        self.start_ms = min(int(e.time_ms[0]) for e in streams if len(e))
        self._times = sorted(t for e in streams for t in e.time_ms.tolist())
        self._reports: list[list[Report]] = [[] for _ in streams]
        self._samples: list[list[tuple[int, Sample]]] = [[] for _ in streams]
        self._versions: list[tuple[int, ModelVersion]] = []
        self._horizons: list[tuple[int, int | None]] = [(0, 0)]
        days = conduct.horizon_days
        self._limits = [Horizon(math.inf if days is None else days, 30.0, 0.0) for _ in streams]

    @property
    def current(self) -> ModelVersion | None:
        return self.minter.minter.current

    @property
    def clock_ms(self) -> int:
        """The largest clock of all partitions."""
        return max(p.state.numbers.clock_ms for p in self.partitions)

    @property
    def done(self) -> bool:
        return all(p.taken == len(p.events) for p in self.partitions) and self.current is not None

    def run(self) -> Iterator[None]:
        """Round by round, to the end of every partition."""
        most = self.conduct.rounds * 100
        while not self.done:
            if self.round > most:
                raise RuntimeError("the simulated world does not come to its end")
            self._one_round()
            yield

    def _one_round(self) -> None:
        self.round += 1
        conduct, now_s = self.conduct, float(self.round)
        cursor = self._cursor()
        for p in self.partitions:
            lag = conduct.lag_days.get(p.number, 0.0) * DAY_MS
            p.arrive(math.inf if conduct.speeds is not None else cursor)
            if self._stalled(p.number, cursor):
                continue
            newest = self._seen_version(own=p.number == 0)
            most = 2**31 if conduct.speeds is None else conduct.speeds[p.number]
            if newest is None:
                p.read_ahead(most)
            else:
                if p.version < newest.version:
                    p.adopt(newest)
                limit = self._limits[p.number].limit_ms(self._seen_horizon(), now_s)
                p.take(most, min(limit, cursor - lag))
            self._reports[p.number].append(p.report(now_s))
            sample = p.sample()
            if sample is not None:
                self._samples[p.number].append((self.round, sample))
        if not self._stalled(0, cursor):
            self._mint(now_s)

    def _cursor(self) -> float:
        """Event time up to which the stream has come; without end in a backfill and after the history."""
        if self.conduct.speeds is not None:
            return math.inf
        at = self.round * len(self._times) // self.conduct.rounds
        return math.inf if at >= len(self._times) else float(self._times[at])

    def _stalled(self, partition: int, cursor: float) -> bool:
        day = (cursor - self.start_ms) / DAY_MS
        return any(p == partition and first <= day < first + n for p, first, n in self.conduct.stalls)

    def _seen_version(self, *, own: bool) -> ModelVersion | None:
        late = 0 if own else self.conduct.late
        seen = [version for made, version in self._versions[-8:] if made + late <= self.round]
        return seen[-1] if seen else None

    def _seen_horizon(self) -> int | None:
        seen = [h for made, h in self._horizons[-8:] if made + self.conduct.late <= self.round]
        return seen[-1] if seen else 0

    def _gathered(self) -> Gathered:
        reports, samples = {}, {}
        for p in self.partitions:
            late_ms = 0 if p.number == 0 else self.conduct.late * 1000
            latest_ms = self.round * 1000 - late_ms
            own = self._reports[p.number]
            found = next((r for r in reversed(own) if r.reported_at_ms <= latest_ms), None)
            if found is not None:
                reports[p.number] = found
            del own[: -2 - self.conduct.late]
            drawn = [s for at, s in self._samples[p.number] if at * 1000 <= latest_ms]
            if drawn:
                samples[p.number] = drawn[-1]
            del self._samples[p.number][: -2 - self.conduct.late]
        return Gathered(reports, samples, len(self.partitions))

    def _mint(self, now_s: float) -> None:
        gathered = self._gathered()
        if self.current is None:
            minted, owed = self.minter.warm_up(gathered, now_s), False
        elif self.minter.minter.due(*totals(gathered.reports)):
            minted, owed = self.minter.check(gathered, now_s)
        else:
            minted, owed = None, False
        if minted is not None:
            self._versions.append((self.round, minted.version))
            self._on_version(minted)
        elif not owed:
            self._horizons.append((self.round, horizon(gathered)))
