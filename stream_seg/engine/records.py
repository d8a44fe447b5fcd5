"""Records as other programs read them (``contract.md``): labels, transitions and customers' fields, as bytes.

Nothing is done for one record at a time: columns become structs, and structs JSON, in C.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress, repeat

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
_FIELDS = (
    *("segment", "name", "distance", "since", "event_time", "as_of", "events", "model_version", "partition"),
    *("confidence", "runner_up"),
)
"""Fields of a customer's hash, those of features apart; the last two may be absent."""


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

    @cached_property
    def flat(self) -> list[list[str]]:
        """Each customer's Redis hash as field, value, field, value, ….

        A field without a value is left out.
        """
        d = len(self.feature_names)
        columns: list[Iterable[str]] = [
            _texts(self.segment),
            map(self.version.names.__getitem__, self.segment.tolist()),
            _texts(self.distance),
            rfc3339(self.since_ms),
            rfc3339(self.event_time_ms),
            rfc3339(self.as_of_ms),
            _texts(self.events),
            repeat(str(self.version.version)),
            repeat(str(self.partition)),
            _texts(self.confidence),
            _texts(self.runner_up),
            *(_texts(self.values[:, j]) for j in range(d)),
        ]
        labels = [*_FIELDS, *(f"f.{name}" for name in self.feature_names)]
        pairs = [
            part for label, column in zip(labels, columns, strict=True) for part in (repeat(label), column)
        ]
        flat = list(map(list, zip(*pairs)))  # noqa: B905 - constants have no end
        given = np.ones((len(flat), len(labels)), dtype=np.bool_)
        given[:, _FIELDS.index("confidence")] = ~np.isnan(self.confidence)
        given[:, _FIELDS.index("runner_up")] = self.runner_up != NOWHERE
        given[:, len(_FIELDS) :] = ~np.isnan(self.values)
        for i in np.flatnonzero(~given.all(axis=1)).tolist():
            flat[i] = list(compress(flat[i], np.repeat(given[i], 2).tolist()))
        return flat


def _texts(numbers: NDArray[np.generic]) -> list[str]:
    """Numbers [m] as decimal texts, floats as the shortest ones that read back the same."""
    return _json.encode(numbers.tolist())[1:-1].decode().split(",")


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
