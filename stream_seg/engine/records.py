"""Records as other programs read them (``contract.md``): labels, transitions and customers' fields, as bytes.

One Python loop per kind of record; everything that can be worked out for a whole batch is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.kernels import describe_rows
from stream_seg.engine.moments import rfc3339
from stream_seg.engine.outcome import CAUSES, NOWHERE, Outcome
from stream_seg.engine.state import State
from stream_seg.engine.version import ModelVersion
from stream_seg.features.spec import FeatureSet

_json = msgspec.json.Encoder().encode


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


@lru_cache(maxsize=65536)
def _quoted(text: str) -> str:
    return _json(text).decode()


def decimal(value: float) -> str:
    """A finite float as the shortest text that reads back the same.

    NaN, which stands for "none", as ``null``.
    """
    return "null" if value != value else repr(value)  # noqa: PLR0124 - NaN


def _segment(number: int) -> str:
    return "null" if number == NOWHERE else str(number)


def encode_labels(outcome: Outcome, origin: Origin) -> Encoded:
    """A label for every event of a step; empty for an adoption and in warm-up."""
    events, labels, version = outcome.events, outcome.labels, outcome.version
    if events is None or labels is None or version is None:
        return Encoded([], [], np.zeros(0, dtype=np.int64))
    names = {number: _quoted(name) for number, name in version.names.items()}
    tail = f',"partition":{origin.partition},"offset":'
    head = f'"model_version":{version.version},"source":{{"topic":{_quoted(origin.topic)}{tail}'
    run = f'}},"run":{_quoted(origin.run)}}}'
    default_id = f"{origin.topic}-{origin.partition}-"
    values = [
        (
            f'{{"customer_id":{_quoted(customer)}'
            f',"event_id":{_quoted(default_id + str(offset) if key is None else key)}'
            f',"event_type":{"null" if kind is None else _quoted(kind)},"event_time":"{time}"'
            f',"segment":{segment},"name":{names[segment]},"confidence":{decimal(confidence)}'
            f',"distance":{distance!r},"runner_up":{_segment(other)},"previous_segment":{_segment(previous)}'
            f',"changed":{"true" if segment != previous else "false"},{head}{offset}{run}'
        ).encode()
        for customer, key, kind, time, segment, confidence, distance, other, previous, offset in zip(
            events.customers,
            events.ids,
            events.types,
            rfc3339(events.time_ms),
            labels.segment.tolist(),
            labels.confidence.tolist(),
            labels.distance.tolist(),
            labels.runner_up.tolist(),
            labels.previous.tolist(),
            events.offset.tolist(),
            strict=True,
        )
    ]
    return Encoded([customer.encode() for customer in events.customers], values, events.time_ms)


def encode_transitions(outcome: Outcome, origin: Origin, features: FeatureSet) -> Encoded:
    """A record for every change of segment of a step."""
    moves, version = outcome.transitions, outcome.version
    if version is None or not len(moves):
        return Encoded([], [], np.zeros(0, dtype=np.int64))
    names = {number: _quoted(name) for number, name in version.names.items()} | {NOWHERE: "null"}
    labels = [_quoted(name) for name in features.names]
    tail = f'"source":{{"topic":{_quoted(origin.topic)},"partition":{origin.partition},"offset":'
    run = f'}},"run":{_quoted(origin.run)}}}'
    values = []
    for i, (customer, old, new, cause, dwell, time, offset) in enumerate(
        zip(
            moves.customers,
            moves.origin.tolist(),
            moves.target.tolist(),
            moves.cause.tolist(),
            moves.dwell_ms.tolist(),
            rfc3339(moves.event_time_ms),
            moves.offset.tolist(),
            strict=True,
        )
    ):
        drivers = ",".join(
            f'{{"feature":{labels[j]},"before":{before!r},"after":{after!r}}}'
            for j, before, after in zip(
                moves.drivers.feature[i].tolist(),
                moves.drivers.before[i].tolist(),
                moves.drivers.after[i].tolist(),
                strict=True,
            )
            if j >= 0
        )
        values.append(
            (
                f'{{"customer_id":{_quoted(customer)},"from":{old},"to":{_segment(new)}'
                f',"from_name":{names[old]},"to_name":{names[new]},"cause":"{CAUSES[cause]}","drivers":[{drivers}]'
                f',"dwell_ms":{dwell},"event_time":"{time}","model_version":{version.version},{tail}{offset}{run}'
            ).encode()
        )
    return Encoded([customer.encode() for customer in moves.customers], values, moves.event_time_ms)


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
        names = self.version.names
        labels = [f"f.{name}" for name in self.feature_names]
        version, partition = str(self.version.version), str(self.partition)
        result = []
        for segment, other, distance, confidence, since, event_time, as_of, events, values in zip(
            self.segment.tolist(),
            self.runner_up.tolist(),
            self.distance.tolist(),
            self.confidence.tolist(),
            rfc3339(self.since_ms),
            rfc3339(self.event_time_ms),
            rfc3339(self.as_of_ms),
            self.events.tolist(),
            self.values.tolist(),
            strict=True,
        ):
            fields = ["segment", str(segment), "name", names[segment], "distance", repr(distance)]
            fields += ["since", since, "event_time", event_time, "as_of", as_of, "events", str(events)]
            fields += ["model_version", version, "partition", partition]
            if confidence == confidence:  # noqa: PLR0124 - NaN
                fields += ["confidence", repr(confidence)]
            if other != NOWHERE:
                fields += ["runner_up", str(other)]
            for label, value in zip(labels, values, strict=True):
                if value == value:  # noqa: PLR0124 - NaN
                    fields += [label, repr(value)]
            result.append(fields)
        return result


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
        customers=[str(rows.customers[row]) for row in which.tolist()],
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
