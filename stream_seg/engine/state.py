"""A partition's state.

Its customers, its clock and passes, the version it labels under, and the sums of its population.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_seg.clustering.lattice import ClusterSums
from stream_seg.engine.kernels import Sums, place_rows, rows_points
from stream_seg.engine.rows import Rows
from stream_seg.engine.version import ModelVersion, VersionArrays
from stream_seg.features.spec import FeatureSet

UNKNOWN = -1
"""A clock before the first event; a pass that is not planned yet."""
DAY_MS = 86_400_000


class Position(msgspec.Struct, frozen=True, order=True):
    """How far a partition is.

    The first unread offset, and the number of batches (adoptions too) behind it.
    """

    next_offset: int = 0
    batch: int = 0


class Changes(msgspec.Struct, frozen=True):
    """Changes of segment so far: ``made`` by behaviour, silence and model; ``reverted`` by a later one.

    A change is reverted by one that brings the customer back within seven days of event time. Forgetting
    is none.
    """

    made: tuple[int, int, int] = (0, 0, 0)
    reverted: int = 0

    def __add__(self, other: Changes) -> Changes:
        """Both together."""
        a, b = self.made, other.made
        return Changes((a[0] + b[0], a[1] + b[1], a[2] + b[2]), self.reverted + other.reverted)


class Numbers(msgspec.Struct, frozen=True):
    """What is stored of a partition beside its rows (design §5).

    Sums, points and places are derived from these.

    ``clock_ms`` event time or −1; ``last_pass_ms`` and ``next_pass_ms`` event time or −1;
    ``pass_interval_ms`` between passes; ``residents_at_pass`` at the last pass; ``rows_passed`` by passes of
    kinds b and c so far; ``events`` accepted so far; ``version`` adopted, 0 for none; ``used`` row numbers
    given out; ``clipped`` features beyond the lattice so far; ``sizes`` members per segment id;
    ``changes`` of segment so far.
    """

    position: Position = Position()
    clock_ms: int = UNKNOWN
    last_pass_ms: int = UNKNOWN
    next_pass_ms: int = UNKNOWN
    pass_interval_ms: int = DAY_MS
    residents_at_pass: int = 0
    passes: int = 0
    rows_passed: int = 0
    events: int = 0
    version: int = 0
    used: int = 0
    clipped: int = 0
    sizes: dict[int, int] = {}
    changes: Changes = Changes()


@dataclass(slots=True)
class State:
    """One partition. ``step`` moves it on in place; after an exception it is to be thrown away.

    ``sums`` are those of ``rows`` under ``version`` (of no clusters before there is one).
    """

    partition: int
    features: FeatureSet
    rows: Rows = field(init=False)
    version: ModelVersion | None = None
    sums: ClusterSums = field(init=False)
    numbers: Numbers = field(default_factory=Numbers)

    def __post_init__(self) -> None:
        """Start without customers."""
        self.rows = Rows(self.features)
        self.sums = ClusterSums.zeros(0, len(self.features))

    @property
    def kernel_sums(self) -> Sums:
        """``sums`` as the kernels take them."""
        return Sums(*self.sums.arrays)

    @property
    def arrays(self) -> VersionArrays:
        """The version's arrays, or those of a version without clusters."""
        if self.version is not None:
            return self.version.arrays
        d = len(self.features)
        return VersionArrays(
            step=self.features.steps,
            offset=np.zeros(d),
            factor=np.ones(d),
            centres=np.zeros((0, d)),
            ids=np.zeros(0, dtype=np.int32),
        )

    @property
    def growth_limit(self) -> int:
        """So many residents make a pass due (design §3.3 c)."""
        if self.version is None:
            return int(np.iinfo(np.int64).max)
        seen = self.numbers.residents_at_pass
        return seen + max(1, int(np.ceil(seen * self.version.rules.pass_growth)))

    def sizes(self) -> dict[int, int]:
        """Members per segment id under the current version."""
        if self.version is None:
            return {}
        return dict(zip(self.version.arrays.ids.tolist(), self.sums.count.tolist(), strict=True))

    def points(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        """All residents.

        Points int32 [n, d], places int32 [n] (−1 without a version) and row numbers int64 [n].
        """
        which = self.rows.resident_rows()
        placement = self.rows.placement
        return placement.point[which], placement.cluster[which], which

    def evaluated(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """All residents' points int32 [n, d] as of the partition's clock, and their row numbers int64 [n]."""
        which = self.rows.resident_rows()
        points = np.empty((len(which), len(self.features)), dtype=np.int32)
        rows_points(which, self.numbers.clock_ms, self.rows.aggregates, self.features.layout, points)
        return points, which

    def settle(self, numbers: Numbers, version: ModelVersion | None) -> None:
        """After its rows have been put back: take the stored numbers and rebuild places, points and sums."""
        self.numbers, self.version = numbers, version
        k = 0 if version is None else len(version.segments)
        self.sums = ClusterSums.zeros(k, len(self.features))
        places = np.zeros(0, dtype=np.int32) if version is None else version.places
        place_rows(
            self.rows.used,
            numbers.last_pass_ms,
            self.rows.aggregates,
            self.rows.placement,
            self.features.layout,
            places,
            self.kernel_sums,
        )
