"""Records as other programs read them (``contract.md``): labels, transitions and customers' fields, as bytes.

Nothing is done for one record at a time: columns become texts, and texts records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.kernels import DRIVERS, Drivers, describe_rows
from stream_seg.engine.moments import rfc3339
from stream_seg.engine.outcome import CAUSES, NOWHERE, Outcome, Transitions
from stream_seg.engine.state import State
from stream_seg.engine.texts import Texts, join
from stream_seg.engine.version import ModelVersion
from stream_seg.features.spec import FeatureSet

_json = msgspec.json.encode
_FIELDS = ("distance", "confidence", "runner_up", "event_time", "as_of", "events")
_AT_ONCE: Final = 8192
"""Transitions whose texts stand side by side: an adoption can have a hundred thousand."""
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


def encode_labels(outcome: Outcome, origin: Origin) -> Encoded:
    """A label for every event of a step; empty for an adoption and in warm-up."""
    events, labels, version = outcome.events, outcome.labels, outcome.version
    if events is None or labels is None or version is None or not len(events):
        return Encoded([], [], np.zeros(0, dtype=np.int64))
    ids = events.ids
    if None in ids:
        default_id = f"{origin.topic}-{origin.partition}-"
        pairs = zip(ids, events.offset.tolist(), strict=True)
        ids = [f"{default_id}{offset}" if key is None else key for key, offset in pairs]
    names = {segment: b'%d,"name":%b' % (segment, _json(name)) for segment, name in version.names.items()}
    records = join(
        (
            b'{"customer_id":',
            Texts.json(events.customers),
            b',"event_id":',
            Texts.json(ids),
            b',"event_type":',
            Texts.json(events.types),
            b',"event_time":"',
            rfc3339(events.time_ms),
            b'","segment":',
            _by_segment(labels.segment, names),
            b',"confidence":',
            Texts.json(labels.confidence.tolist()),
            b',"distance":',
            Texts.json(labels.distance.tolist()),
            b',"runner_up":',
            _ids(labels.runner_up),
            b',"previous_segment":',
            _ids(labels.previous),
            b',"changed":',
            Texts.chosen((labels.segment != labels.previous).astype(np.int8), (b"false", b"true")),
            b',"model_version":%d,"source":' % version.version,
            *_source(origin, events.offset),
        )
    )
    return Encoded(_keys(events.customers), records.present(), events.time_ms)


def encode_transitions(outcome: Outcome, origin: Origin, features: FeatureSet) -> Encoded:
    """A record for every change of segment of a step."""
    moves, version = outcome.transitions, outcome.version
    if version is None or not len(moves):
        return Encoded([], [], np.zeros(0, dtype=np.int64))
    values: list[bytes] = []
    for first in range(0, len(moves), _AT_ONCE):
        values += _transitions(moves[first : first + _AT_ONCE], version, origin, features).present()
    return Encoded(_keys(moves.customers), values, moves.event_time_ms)


def _transitions(moves: Transitions, version: ModelVersion, origin: Origin, features: FeatureSet) -> Texts:
    names = {segment: _json(name) for segment, name in version.names.items()}
    return join(
        (
            b'{"customer_id":',
            Texts.json(moves.customers),
            b',"from":',
            _ids(moves.origin),
            b',"to":',
            _ids(moves.target),
            b',"from_name":',
            _by_segment(moves.origin, names),
            b',"to_name":',
            _by_segment(moves.target, names),
            b',"cause":',
            Texts.chosen(moves.cause, [_json(cause) for cause in CAUSES]),
            b',"drivers":[',
            *_drivers(moves.drivers, features),
            b'],"dwell_ms":',
            Texts.json(moves.dwell_ms.tolist()),
            b',"event_time":"',
            rfc3339(moves.event_time_ms),
            b'","model_version":%d,"source":' % version.version,
            *_source(origin, moves.offset),
        )
    )


def _keys(customers: Sequence[str]) -> list[bytes]:
    return list(map(str.encode, customers))


def _source(origin: Origin, offset: NDArray[np.int64]) -> tuple[bytes | Texts, ...]:
    """The end of a record, from the value of ``source`` on."""
    return (
        b'{"topic":%b,"partition":%d,"offset":' % (_json(origin.topic), origin.partition),
        Texts.json(offset.tolist()),
        b'},"run":%b}' % _json(origin.run),
    )


def _ids(segment: NDArray[np.int32]) -> Texts:
    """Segment ids, absent for nowhere."""
    return Texts.json(segment.tolist()).without(segment == NOWHERE)


def _by_segment(segment: NDArray[np.int32], texts: Mapping[int, bytes]) -> Texts:
    """What ``texts`` says of each segment; absent for nowhere, ``KeyError`` for one it does not know."""
    places = {number: place for place, number in enumerate(texts)} | {NOWHERE: -1}
    numbers, inverse = np.unique(segment, return_inverse=True)
    return Texts.chosen(np.array([places[n] for n in numbers.tolist()], np.int64)[inverse], [*texts.values()])


def _drivers(drivers: Drivers, features: FeatureSet) -> list[Texts]:
    """The drivers of each change, one column for each; none stands before one that is given."""
    feature, d = drivers.feature, len(features)
    starts = [
        b'%b{"feature":%b,"before":' % (comma, _json(name))
        for comma in (b"", b",")
        for name in features.names
    ]
    later = np.arange(DRIVERS) > 0
    each = join(
        (
            Texts.chosen((np.maximum(feature, 0) + d * later).ravel(), starts),
            Texts.json(drivers.before.ravel().tolist()),
            b',"after":',
            Texts.json(drivers.after.ravel().tolist()),
            b"}",
        )
    )
    end = np.where(feature < 0, each.start.reshape(feature.shape), each.end.reshape(feature.shape))
    return [Texts(each.data, each.start[j::DRIVERS], end[:, j]) for j in range(DRIVERS)]


@dataclass(frozen=True)
class CustomerFields:
    """Customers as readers see them, m of them, as of each one's last write.

    ``values`` float64 [m, d] in the features' own units (NaN: absent), ``distance``, ``confidence`` (NaN:
    none) float64 [m], ``segment``, ``runner_up`` (−1: none) int32 [m], times int64 [m], ``version`` the one
    that all were written under.
    """

    customers: Texts
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
    def texts(self) -> list[Texts]:
        """The values of ``names``, m each; a field without a value is absent."""
        m = len(self.customers)
        names = {segment: name.encode() for segment, name in self.version.names.items()}
        return [
            Texts.json(self.distance.tolist()),
            Texts.json(self.confidence.tolist()),
            _ids(self.runner_up),
            rfc3339(self.event_time_ms),
            rfc3339(self.as_of_ms),
            Texts.json(self.events.tolist()),
            *(Texts.json(column.tolist()) for column in self.values.T),
            Texts.json(self.segment.tolist()),
            _by_segment(self.segment, names),
            rfc3339(self.since_ms),
            Texts.same(b"%d" % self.version.version, m),
            Texts.same(b"%d" % self.partition, m),
        ]


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
        customers=rows.texts_of(which),
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
