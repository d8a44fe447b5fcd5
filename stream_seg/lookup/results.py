"""What a look-up gives: Redis's hashes with the contract's types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from stream_seg.errors import StateError

__all__ = ["CustomerSegment", "Record", "SegmentInfo", "customer_record", "segment_record"]

Record = dict[str, Any]
"""A hash as ``--json`` shows it: fields with their types, times as RFC 3339, ``features`` {name: value}."""

_INTEGERS: Final = frozenset(
    {"segment", "runner_up", "events", "model_version", "partition", "size", "parent", "born"}
)
_DECIMALS: Final = frozenset({"confidence", "distance", "share"})
_TIMES: Final = ("since", "event_time", "as_of")
_FEATURE: Final = "f."


@dataclass(frozen=True, slots=True)
class CustomerSegment:
    """A customer's segment as of ``as_of``, under ``model_version``.

    ``confidence`` lies in 0 to 1, ``distance`` is in scaled space; ``confidence`` and ``runner_up`` are
    ``None`` where there is one segment only. ``since`` is when the customer came into the segment,
    ``event_time`` the newest event's; all times are aware and in UTC. ``features`` are name → value in the
    feature's own unit, without those that have no value yet.
    """

    customer_id: str
    segment: int
    name: str
    confidence: float | None
    distance: float
    runner_up: int | None
    since: datetime
    event_time: datetime
    as_of: datetime
    events: int
    model_version: int
    features: Mapping[str, float] = field(hash=False)

    @classmethod
    def from_record(cls, record: Record) -> CustomerSegment:
        """Make it of a record; ``StateError`` where a field is missing or of another kind."""
        with_times = record | {name: _time(record.get(name)) for name in _TIMES}
        return cls(**_wanted(cls, with_times, optional=frozenset({"confidence", "runner_up"})))


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A segment.

    ``size`` in customers, ``share`` of all of them, ``features`` its centroid in their own units.

    ``status`` is ``active``, or ``retired`` where the current version does not hold it any more but some
    customers are still in it; ``parent`` is the segment it was split from, ``born`` the version that made
    it.
    """

    segment: int
    name: str
    size: int
    share: float
    status: str
    parent: int | None
    born: int | None
    features: Mapping[str, float] = field(hash=False)

    @classmethod
    def from_record(cls, record: Record) -> SegmentInfo:
        """Make it of a record; ``StateError`` where a field is missing."""
        return cls(**_wanted(cls, record, optional=frozenset({"parent", "born"})))


def customer_record(customer: str, fields: Mapping[bytes, bytes]) -> Record | None:
    """A customer's hash as a record, ``None`` where there is none."""
    if not fields:
        return None
    return {"customer_id": customer, "confidence": None, "runner_up": None} | _typed(fields)


def segment_record(segment: int, size: int, total: int, fields: Mapping[bytes, bytes]) -> Record | None:
    """A segment's hash as a record, with its part of ``total`` customers; ``None`` where there is none."""
    if b"name" not in fields:  # not published yet
        return None
    counted = {"size": size, "share": size / total if total else 0.0}
    return {"segment": segment, "parent": None} | _typed(fields) | counted


def _typed(fields: Mapping[bytes, bytes]) -> Record:
    record: Record = {}
    features: dict[str, float] = {}
    for key, text in fields.items():
        name = key.decode(errors="replace")
        if name.startswith(_FEATURE):
            features[name.removeprefix(_FEATURE)] = _value(name, text, float)
        elif name in _INTEGERS:
            record[name] = _value(name, text, int)
        elif name in _DECIMALS:
            record[name] = _value(name, text, float)
        else:
            record[name] = text.decode(errors="replace")
    return record | {"features": features}


def _value(name: str, text: bytes, kind: type[float | int]) -> float | int:
    try:
        return kind(text)
    except ValueError:
        raise _unreadable(name) from None


def _time(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        raise _unreadable("of a time") from None


def _wanted(kind: type[CustomerSegment | SegmentInfo], record: Record, optional: frozenset[str]) -> Record:
    """The fields that ``kind`` has, all of them."""
    wanted = {name: record.get(name) for name in kind.__slots__}
    for name, value in wanted.items():
        if value is None and name not in optional:
            raise _unreadable(name)
    return wanted


def _unreadable(name: str) -> StateError:
    return StateError(
        f"a hash in Redis has no readable field {name}: look whether another program writes the model's keys"
    )
