"""What a partition tells the minter with every applied batch, and the sample it draws after a pass."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_seg.clustering.lattice import ClusterSums
from stream_seg.clustering.sample import stratified_sample
from stream_seg.engine.state import UNKNOWN, Changes, Position, State

_LARGE_PRIME = 2_147_483_647


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
    ``seed``, partition, number of passes and place among the residents alone: the same history gives the same
    sample.
    """
    points, clusters, _ = state.points()
    if state.version is None:  # warming up: no pass has brought the points up to the clock
        points, _ = state.evaluated()
    strata = np.maximum(clusters, 0)  # while warming up there is one
    chosen, weights = stratified_sample(strata, max(len(state.sums.count), 1), wanted, _salt(state, seed))
    return Sample(
        partition=state.partition,
        version=state.numbers.version,
        dimensions=len(state.features),
        points=points[chosen].astype("<i4").tobytes(),
        weights=weights.astype("<f8").tobytes(),
        clusters=clusters[chosen].astype("<i4").tobytes(),
    )


def _salt(state: State, seed: int) -> int:
    """One number for the model's seed, the partition and the number of its passes."""
    return (seed * _LARGE_PRIME + state.partition) * _LARGE_PRIME + state.numbers.passes
