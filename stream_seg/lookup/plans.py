"""What look-ups ask of Redis and how they read the answers, without doing it: one core for both clients.

A plan is a generator that yields commands for one round trip, is sent their replies, and returns the result.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from typing import Any, Final, TypeVar

from stream_seg.errors import StateError
from stream_seg.keys import Keys
from stream_seg.lookup.results import CustomerSegment, Record, SegmentInfo, customer_record, segment_record

__all__ = ["Command", "Plan", "Plans"]

T = TypeVar("T")

Command = tuple[str | int, ...]
Plan = Generator[list[Command], list[Any], T]

_FOR_THE_MINTER: Final = frozenset({"count", "total", "square_high", "square_low"})
"""What a report holds that says nothing to people."""


class Plans:
    """All look-ups of one model."""

    def __init__(self, model: str) -> None:
        """Know the model's keys."""
        self._keys = Keys(model)

    def records(self, customers: Iterable[str]) -> Plan[list[Record | None]]:
        """Customers' hashes with their types, in the same order."""
        asked = _ids(customers)
        if not asked:
            return []
        replies = yield [("HGETALL", self._keys.customer(customer)) for customer in asked]
        return [customer_record(customer, fields) for customer, fields in zip(asked, replies, strict=True)]

    def customers(self, customers: Iterable[str]) -> Plan[list[CustomerSegment | None]]:
        """Customers' segments, in the same order."""
        records = yield from self.records(customers)
        return [None if record is None else CustomerSegment.from_record(record) for record in records]

    def customer(self, customer: str) -> Plan[CustomerSegment | None]:
        """One customer's segment."""
        found = yield from self.customers([customer])
        return found[0]

    def segment_records(self) -> Plan[list[Record]]:
        """Segments' hashes with their types, by id; sizes as of one moment."""
        keys = self._keys
        (flat,) = yield [("ZRANGE", keys.segments, 0, -1, "WITHSCORES")]
        sizes = {int(flat[i]): int(float(flat[i + 1])) for i in range(0, len(flat), 2)}
        if not sizes:
            return []
        numbers, total = sorted(sizes), sum(sizes.values())
        replies = yield [("HGETALL", keys.segment(number)) for number in numbers]
        records = [
            segment_record(number, sizes[number], total, fields)
            for number, fields in zip(numbers, replies, strict=True)
        ]
        return [record for record in records if record is not None]

    def segments(self) -> Plan[list[SegmentInfo]]:
        """All segments that hold customers or may."""
        records = yield from self.segment_records()
        return [SegmentInfo.from_record(record) for record in records]

    def model(self, version: int | None) -> Plan[Record | None]:
        """One version as it was published, or the current one; ``None`` where there is none."""
        keys = self._keys
        if version is None:
            (current,) = yield [("GET", keys.current)]
            if current is None:
                return None
            version = int(current)
        (text,) = yield [("GET", keys.version(version))]
        return None if text is None else _json(text, "model version")

    def status(self) -> Plan[Record]:
        """How the model stands; ``meta`` is empty where there is none."""
        keys = self._keys
        meta, current, quality = yield [
            ("HGETALL", keys.meta),
            ("GET", keys.current),
            ("HGETALL", keys.quality),
        ]
        described = {key.decode(): value.decode() for key, value in meta.items()}
        partitions = range(int(described.get("partitions", 0)))
        asked: list[Command] = [("GET", keys.report(partition)) for partition in partitions]
        asked += [("SCARD", keys.split(partition)) for partition in partitions]
        found = (yield asked) if asked else []
        reports, split = found[: len(partitions)], found[len(partitions) :]
        return {
            "model": keys.model,
            "meta": described,
            "version": None if current is None else int(current),
            "quality": {key.decode(): _number(value.decode()) for key, value in quality.items()},
            "partitions": [
                _report(text) | {"split_customers": int(count)}
                for text, count in zip(reports, split, strict=True)
                if text is not None
            ],
        }


def _ids(customers: Iterable[str]) -> list[str]:
    if isinstance(customers, str):
        raise TypeError("customers are several ids, not one: use get for one")
    asked = list(customers)
    for customer in asked:
        if not isinstance(customer, str):
            raise TypeError(f"a customer's id is text, not {type(customer).__name__}")
    return asked


def _report(text: bytes) -> Record:
    return {key: value for key, value in _json(text, "report").items() if key not in _FOR_THE_MINTER}


def _json(text: bytes, what: str) -> Record:
    try:
        found: Record = json.loads(text)
    except ValueError:
        raise StateError(f"a stored {what} cannot be read: restore a snapshot or reset") from None
    return found


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
