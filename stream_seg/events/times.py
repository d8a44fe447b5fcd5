"""Event times: text, dates and numbers to milliseconds since 1970 UTC, in whole columns.

Accepted are RFC 3339 with any offset (``T``, ``t`` or a space, ``Z`` or ``z``, a fraction of any length), the same
without zone and a date alone, both read on the wall clock of the mapping's zone; and, with a ``time_unit``, a number, which
may be written as text (64-bit integers often are). Fractions of a millisecond are cut off towards the past.
``23:59:60`` UTC, a leap second, is the first moment of the next day, as in Unix time; any other ``:60``, and ``24:00``,
are refused. So is everything before 1970-01-01 or from 2100-01-01 on.
"""

from __future__ import annotations

import re
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np

from stream_seg.errors import DecodeError
from stream_seg.events.timetext import parse_texts
from stream_seg.events.zones import utc_from_local

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from stream_seg.events.findings import Findings
    from stream_seg.events.mapping import TimeUnit

__all__ = ["END_MS", "TimeReader", "mark_ahead"]

END_MS = 4_102_444_800_000
"""2100-01-01 UTC: the first millisecond that is too late."""

MISSING, WRONG_KIND, UNREADABLE, NO_UNIT, NOT_FINITE = range(-(2**63), -(2**63) + 5)
"""What stands in a column of times where there is none; every other negative number is a time before 1970."""

REASONS = {
    MISSING: "the time is missing or null",
    WRONG_KIND: "the time is neither text nor a number",
    UNREADABLE: "the time is neither RFC 3339 nor a date",
    NO_UNIT: "the time is a number, and the mapping has no time_unit",
    NOT_FINITE: "the time is not a finite number",
}
OUTSIDE = "the time lies outside 1970-01-01 to 2100-01-01"
AHEAD = "the time lies further after the record's own timestamp than max_ahead allows"

_UNIT_US = {"s": 1_000_000, "ms": 1_000, "us": 1}
_INTEGER_TEXT = re.compile(r"[+-]?[0-9]{1,24}")
_DECIMAL_TEXT = re.compile(r"[+-]?[0-9]{1,24}\.[0-9]{1,24}")
_FAR_US = 10.0**16  # beyond either end of the accepted years, and exact in int64 and in float64


class TimeReader:
    """Reads the times of one mapping: the path they stand at, the unit of numbers, the zone of wall-clock times."""

    def __init__(self, path: str, unit: TimeUnit | None, zone: ZoneInfo) -> None:
        """Keep how times are written."""
        self._path, self._unit, self._zone = path, unit, zone

    def column(self, values: Sequence[Any], findings: Findings) -> NDArray[np.int64]:
        """Read plain values, one kind at a time, to int64 [n]; marked where there is no usable time."""
        kinds = list(map(type, values))
        times = np.full(len(values), WRONG_KIND, dtype=np.int64)
        for kind in set(kinds):
            rows = np.fromiter((k is kind for k in kinds), np.bool_, len(kinds))
            times[rows] = self._of_kind(kind, list(compress(values, rows)))
        return self.checked(times, findings)

    def _of_kind(self, kind: type, values: list[Any]) -> NDArray[np.int64] | int:
        if kind is str:
            return self.texts(values)
        if kind is int:
            return self.integers(values)
        if kind is float:
            return self.floats(np.array(values))
        return MISSING if kind is type(None) else WRONG_KIND

    def checked(self, times: NDArray[np.int64], findings: Findings) -> NDArray[np.int64]:
        """Mark the rows without a time and those outside the accepted years."""
        strange = (times < 0) | (times >= END_MS)
        if strange.any():
            for code, reason in REASONS.items():
                findings.mark(times == code, DecodeError("time", self._path, reason))
            findings.mark(strange, DecodeError("time", self._path, OUTSIDE))
        return times

    def texts(self, texts: list[str]) -> NDArray[np.int64]:
        """Times of texts: RFC 3339 or a date, or with a unit a number in digits."""
        times, is_local, is_read = parse_texts(texts)
        times = np.where(is_read, self.from_local(times), UNREADABLE) if is_local.all() else (
            self._of_some_local(times, is_local, is_read)
        )
        if not is_read.all():
            rows = np.flatnonzero(~is_read)
            times[rows] = [self._number_text(texts[row]) for row in rows]
        return times
