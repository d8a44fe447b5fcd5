"""Where things stand in a record: the ``[event]`` table as one frozen value that the decoders read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EventMapping", "KeyRule", "TimeUnit"]

TimeUnit = Literal["s", "ms", "us"]
KeyRule = Literal["customer", "unchecked"]

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class EventMapping:
    """Dotted paths into a record, and how its time and key are to be read.

    ``customer`` and ``time`` are the paths of the customer's id and of the event's time. ``time_unit`` is
    the unit of a number counted from 1970 (``None``: the time is text, RFC 3339 or a date); ``time_zone``
    is the IANA zone of a time that names none. ``id`` and ``type`` are the paths of the event's id and type
    (``None``: the record has none). ``fields`` maps the names that features and filters use to paths.
    ``max_ahead_ms`` is how far, in milliseconds, an event's time may lie after its own record's Kafka
    timestamp. ``key`` says whether the record key must be the customer (``"customer"``) or is not looked at
    (``"unchecked"``).
    """

    customer: str
    time: str
    time_unit: TimeUnit | None = None
    time_zone: str = "UTC"
    id: str | None = None
    type: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)
    max_ahead_ms: int = DAY_MS
    key: KeyRule = "customer"

    def definition(self) -> dict[str, object]:
        """Give everything here, JSON-ready: part of what makes two models different ones."""
        return {
            "customer": self.customer,
            "time": self.time,
            "time_unit": self.time_unit,
            "time_zone": self.time_zone,
            "id": self.id,
            "type": self.type,
            "fields": dict(sorted(self.fields.items())),
            "max_ahead_ms": self.max_ahead_ms,
            "key": self.key,
        }
