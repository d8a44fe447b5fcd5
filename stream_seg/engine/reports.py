"""What a partition tells the minter with every applied batch, and the sample it draws after a pass."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_seg.clustering.lattice import ClusterSums
from stream_seg.engine.state import UNKNOWN, Changes, Position, State

_GOLDEN = 0x9E3779B97F4A7C15


class Report(msgspec.Struct, frozen=True):
    """How a partition stands (design §4).

    ``version`` its sums are under (0: warming up, then ``residents`` and ``events`` are those read ahead);
    ``clock_ms`` event time or −1; ``next_event_ms`` the event time of its next unread event, ``None`` where
    there is none or it has not been fetched; ``caught_up`` whether it has read all there is; ``count``,
    ``total``, ``square_high``, ``square_low`` the sums as lists; ``rows_passed`` by passes b and c,
    ``events`` taken, ``clipped`` features, ``rejected`` dead letters, ``changes`` of segment, so far;
    ``largest_event_ms`` equals ``clock_ms`` but for adoptions moving the clock. ``worker``,
    ``reported_at_ms`` (wall time), ``lag`` (records) and ``events_per_second`` are for people and for the
    minter's patience; no label depends on them.
    """

    partition: int
    version: int
    position: Position
    clock_ms: int
    next_event_ms: int | None
    caught_up: bool
    residents: int
    events: int
    rows_passed: int
    passes: int
    clipped: int
    rejected: int
    count: list[int]
    total: list[list[int]]
    square_high: list[list[int]]
    square_low: list[list[int]]
    worker: str = ""
    reported_at_ms: int = UNKNOWN
    lag: int | None = None
    events_per_second: float = 0.0
    changes: Changes = Changes()

    @property
    def sums(self) -> ClusterSums:
        """The sums as arrays."""
        d = len(self.total[0]) if self.total else 0
        shape = (len(self.count), d)
        return ClusterSums(
            np.array(self.count, dtype=np.int64),
            np.array(self.total, dtype=np.int64).reshape(shape),
            np.array(self.square_high, dtype=np.int64).reshape(shape),
            np.array(self.square_low, dtype=np.int64).reshape(shape),
        )


class Sample(msgspec.Struct, frozen=True):
    """Weighted rows of a partition: m of them as little-endian bytes.

    ``points`` int32 [m, d] on the lattice, ``weights`` float64 [m] customers that each stands for,
    ``clusters`` int32 [m] places under ``version`` (0: warming up, places −1).
    """

    partition: int
    version: int
    dimensions: int
    points: bytes
    weights: bytes
    clusters: bytes

    @property
    def arrays(self) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int32]]:
        """Points, weights and clusters as arrays."""
        return (
            np.frombuffer(self.points, dtype="<i4").reshape(-1, self.dimensions),
            np.frombuffer(self.weights, dtype="<f8"),
            np.frombuffer(self.clusters, dtype="<i4"),
        )


def report(
    state: State,
    *,
    next_event_ms: int | None,
    caught_up: bool,
    rejected: int = 0,
    residents: int | None = None,
) -> Report:
    """The report of a partition as it stands."""
    numbers, sums = state.numbers, state.sums
    return Report(
        partition=state.partition,
        version=numbers.version,
        position=numbers.position,
        clock_ms=numbers.clock_ms,
        next_event_ms=next_event_ms,
        caught_up=caught_up,
        residents=state.rows.residents if residents is None else residents,
        events=numbers.events,
        rows_passed=numbers.rows_passed,
        passes=numbers.passes,
        clipped=numbers.clipped,
        rejected=rejected,
        count=sums.count.tolist(),
        total=sums.total.tolist(),
        square_high=sums.square_high.tolist(),
        square_low=sums.square_low.tolist(),
        changes=numbers.changes,
    )


def draw_sample(state: State, wanted: int, seed: int) -> Sample:
    """A cluster-stratified sample of at most about ``wanted`` residents, or all (design §4, §3.5).

    Half of it is spread evenly over the clusters, half by size. Which rows are drawn depends on a hash of
    ``seed``, partition, number of passes and row alone: the same history gives the same sample.
    """
    points, clusters, which = state.points()
    if state.version is None:  # warming up: no pass has brought the points up to the clock
        points, which = state.evaluated()
    n = len(which)
    if n <= wanted:
        chosen, weights = np.arange(n), np.ones(n)
    else:
        rank = _hash(which, seed, state.partition, state.numbers.passes)
        chosen, weights = _stratified(clusters, rank, wanted)
    return Sample(
        partition=state.partition,
        version=state.numbers.version,
        dimensions=len(state.features),
        points=points[chosen].astype("<i4").tobytes(),
        weights=weights.astype("<f8").tobytes(),
        clusters=clusters[chosen].astype("<i4").tobytes(),
    )


def _stratified(
    clusters: NDArray[np.int32], rank: NDArray[np.uint64], wanted: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    present = np.unique(clusters)
    chosen, weights = [], []
    for cluster in present.tolist():
        members = np.flatnonzero(clusters == cluster)
        share = wanted / 2 / len(present) + wanted / 2 * len(members) / len(clusters)
        take = min(len(members), max(1, round(share)))
        drawn = members if take == len(members) else members[np.argpartition(rank[members], take - 1)[:take]]
        chosen.append(np.sort(drawn))
        weights.append(np.full(take, len(members) / take))
    return np.concatenate(chosen), np.concatenate(weights)


def _hash(rows: NDArray[np.int64], *salts: int) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014, §4) over rows and salts."""
    z = rows.astype(np.uint64)
    for salt in salts:
        z = z + np.uint64((salt * 2 + 1) * _GOLDEN % 2**64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return z
