"""Records as other programs read them (``contract.md``): labels, transitions and customers' fields, as bytes.

Nothing is done for one record at a time: columns become structs, and structs JSON, in C.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.kernels import DRIVERS, Drivers, describe_rows
from stream_seg.engine.moments import rfc3339
from stream_seg.engine.outcome import CAUSES, NOWHERE, Outcome
from stream_seg.engine.state import State
from stream_seg.engine.version import ModelVersion
from stream_seg.features.spec import FeatureSet

_json = msgspec.json.Encoder()
_FIELDS = ("distance", "confidence", "runner_up", "event_time", "as_of", "events")
STEADY = ("segment", "name", "since", "model_version", "partition")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a partition's events come from, as its records say it.

    ``topic`` (a file's name), ``partition`` and ``run``.
    """

    topic: str
    partition: int
    run: str


@dataclass(frozen=True, slots=True)
class Encoded:
    """Records of one kind: ``keys`` and ``values`` bytes, ``timestamp_ms`` int64 [n] for Kafka."""

    keys: list[bytes]
    values: list[bytes]
    timestamp_ms: NDArray[np.int64]


class _Source(msgspec.Struct, gc=False):
    topic: str
    partition: int
    offset: int


class _Label(msgspec.Struct, gc=False):
    customer_id: str
    event_id: str
    event_type: str | None
    event_time: str
    segment: int
    name: str
    confidence: float
    distance: float
    runner_up: int | None
    previous_segment: int | None
    changed: bool
    model_version: int
    source: _Source
    run: str


class _Driver(msgspec.Struct, gc=False):
    feature: str
    before: float
    after: float


class _Transition(msgspec.Struct, gc=False, rename={"origin": "from", "target": "to"}):
    customer_id: str
    origin: int
    target: int | None
    from_name: str
    to_name: str | None
    cause: str
    drivers: tuple[_Driver, ...]
    dwell_ms: int
    event_time: str
    model_version: int
    source: _Source
    run: str


def _lines(records: Sequence[msgspec.Struct]) -> list[bytes]:
    """Records as JSON each: NaN as ``null``, other floats as the shortest text that reads back the same."""
    return _json.encode_lines(records).splitlines()


def _sources(origin: Origin, offset: NDArray[np.int64]) -> Iterator[_Source]:
    return map(_Source, repeat(origin.topic), repeat(origin.partition), offset.tolist())


def _ids(segment: NDArray[np.int32]) -> list[int | None]:
    """Segment ids, ``None`` for nowhere."""
    ids: list[int | None] = segment.tolist()
    return [None if number == NOWHERE else number for number in ids] if NOWHERE in ids else ids


def encode_labels(outcome: Outcome, origin: Origin) -> Encoded:
    """A label for every event of a step; empty for an adoption and in warm-up."""
    events, labels, version = outcome.events, outcome.labels, outcome.version
    if events is None or labels is None or version is None:
        return Encoded([], [], np.zeros(0, dtype=np.int64))
    ids = events.ids
    if None in ids:
        default_id = f"{origin.topic}-{origin.partition}-"
        pairs = zip(ids, events.offset.tolist(), strict=True)
        ids = [f"{default_id}{offset}" if key is None else key for key, offset in pairs]
    segment: list[int] = labels.segment.tolist()
    records = map(
        _Label,
        events.customers,
        ids,
        events.types,
        rfc3339(events.time_ms),
        segment,
        map(version.names.__getitem__, segment),
        labels.confidence.tolist(),
        labels.distance.tolist(),
        _ids(labels.runner_up),
        _ids(labels.previous),
        (labels.segment != labels.previous).tolist(),
        repeat(version.version),
        _sources(origin, events.offset),
        repeat(origin.run),
    )
    return Encoded(list(map(str.encode, events.customers)), _lines(list(records)), events.time_ms)


def encode_transitions(outcome: Outcome, origin: Origin, features: FeatureSet) -> Encoded:
    """A record for every change of segment of a step."""
    moves, version = outcome.transitions, outcome.version
    if version is None or not len(moves):
        return Encoded([], [], np.zeros(0, dtype=np.int64))
    names: dict[int | None, str | None] = dict(version.names.items())
    names[None] = None
    target = _ids(moves.target)
    records = map(
        _Transition,
        moves.customers,
        moves.origin.tolist(),
        target,
        map(version.names.__getitem__, moves.origin.tolist()),
        map(names.__getitem__, target),
        map(CAUSES.__getitem__, moves.cause.tolist()),
        _drivers(moves.drivers, features),
        moves.dwell_ms.tolist(),
        rfc3339(moves.event_time_ms),
        repeat(version.version),
        _sources(origin, moves.offset),
        repeat(origin.run),
    )
    return Encoded(list(map(str.encode, moves.customers)), _lines(list(records)), moves.event_time_ms)


def _drivers(drivers: Drivers, features: FeatureSet) -> Iterator[tuple[_Driver, ...]]:
    """The drivers of each change."""
    names = [*features.names, ""]  # −1 stands for none
    each = map(
        _Driver,
        map(names.__getitem__, drivers.feature.ravel().tolist()),
        drivers.before.ravel().tolist(),
        drivers.after.ravel().tolist(),
    )
    given = (drivers.feature >= 0).sum(axis=1).tolist()  # none stands before one that is given
    for known, of_one in zip(given, zip(*[each] * DRIVERS, strict=True), strict=True):
        yield of_one if known == DRIVERS else of_one[:known]


@dataclass(frozen=True)
class CustomerFields:
    """Customers as readers see them, m of them, as of each one's last write.

    ``values`` float64 [m, d] in the features' own units (NaN: absent), ``distance``, ``confidence`` (NaN:
    none) float64 [m], ``segment``, ``runner_up`` (−1: none) int32 [m], times int64 [m], ``version`` the one
    that all were written under.
    """

    customers: list[str]
    segment: NDArray[np.int32]
    runner_up: NDArray[np.int32]
    distance: NDArray[np.float64]
    confidence: NDArray[np.float64]
    since_ms: NDArray[np.int64]
    event_time_ms: NDArray[np.int64]
    as_of_ms: NDArray[np.int64]
    events: NDArray[np.int64]
    values: NDArray[np.float64]
    version: ModelVersion
    partition: int
    feature_names: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The fields of a customer's Redis hash: first those that every event changes."""
        return (*_FIELDS, *(f"f.{name}" for name in self.feature_names), *STEADY)

    @property
    def texts(self) -> list[list[str | None]]:
        """The values of ``names``, m each; ``None`` for a field without a value."""
        m = len(self.customers)
        return [
            _texts(self.distance),
            _texts(self.confidence),
            _texts(self.runner_up, absent=self.runner_up == NOWHERE),
            [*rfc3339(self.event_time_ms)],
            [*rfc3339(self.as_of_ms)],
            _texts(self.events),
            *(_texts(column) for column in self.values.T),
            _texts(self.segment),
            list(map(self.version.names.get, self.segment.tolist())),
            [*rfc3339(self.since_ms)],
            [str(self.version.version)] * m,
            [str(self.partition)] * m,
        ]


def _texts(numbers: NDArray[np.generic], absent: NDArray[np.bool_] | None = None) -> list[str | None]:
    """Numbers [m] as decimal texts, floats as the shortest ones that read back the same; NaN is absent."""
    if not len(numbers):
        return []
    texts: list[str | None] = [*_json.encode(numbers.tolist())[1:-1].decode().split(",")]
    if absent is None:
        absent = np.isnan(numbers) if numbers.dtype.kind == "f" else np.zeros(0, np.bool_)
    for i in np.flatnonzero(absent).tolist():
        texts[i] = None
    return texts


def describe(state: State, which: NDArray[np.int64], version: ModelVersion | None = None) -> CustomerFields:
    """Rows ``which`` as readers see them, as of each one's last write.

    All must have been written under ``version`` (default: the state's).
    """
    version = version or state.version
    if version is None:
        raise ValueError("there is no version to describe customers under")
    m, d = len(which), len(state.features)
    rows = state.rows
    values, distance, confidence = np.empty((m, d)), np.empty(m), np.empty(m)
    runner_up = np.empty(m, dtype=np.int32)
    describe_rows(
        which,
        rows.aggregates,
        rows.placement,
        state.features.layout,
        version.arrays,
        version.places,
        values,
        distance,
        confidence,
        runner_up,
    )
    placement = rows.placement
    return CustomerFields(
        customers=rows.customers_of(which),
        segment=placement.segment[which],
        runner_up=runner_up,
        distance=distance,
        confidence=confidence,
        since_ms=placement.since_ms[which],
        event_time_ms=rows.aggregates.last_ms[which],
        as_of_ms=placement.written_ms[which],
        events=rows.aggregates.events[which],
        values=values,
        version=version,
        partition=state.partition,
        feature_names=state.features.names,
    )
