"""Event times: text, dates and numbers to milliseconds since 1970 UTC, in whole columns.

Accepted are RFC 3339 with any offset (``T``, ``t`` or a space, ``Z`` or ``z``, a fraction of any length), the
same without zone and a date alone, both read on the wall clock of the mapping's zone; and, with a
``time_unit``, a number, which may be written as text (64-bit integers often are). Fractions of a millisecond
are cut off towards the past. ``23:59:60`` UTC, a leap second, is the first moment of the next day, as in Unix
time; any other ``:60``, and ``24:00``, are refused. So is everything before 1970-01-01 or from 2100-01-01 on.
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

__all__ = ["END_MS", "TimeReader"]

END_MS = 4_102_444_800_000
"""2100-01-01 UTC: the first millisecond that is too late."""

MISSING, WRONG_KIND, UNREADABLE, NO_UNIT, NOT_FINITE = range(-(2**63), -(2**63) + 5)
"""What stands in a column of times where there is none; any other negative number is a time before 1970."""

REASONS = {
    MISSING: "the time is missing or null",
    WRONG_KIND: "the time is neither text nor a number",
    UNREADABLE: "the time is neither RFC 3339 nor a date",
    NO_UNIT: "the time is a number, and the mapping has no time_unit",
    NOT_FINITE: "the time is not a finite number",
}
OUTSIDE = "the time lies outside 1970-01-01 to 2100-01-01"

_UNIT_US = {"s": 1_000_000, "ms": 1_000, "us": 1}
_INTEGER_TEXT = re.compile(r"[+-]?[0-9]{1,24}")
_DECIMAL_TEXT = re.compile(r"[+-]?[0-9]{1,24}\.[0-9]{1,24}")
_FAR_US = 10**16  # beyond both ends of the accepted years, and exact in int64


class TimeReader:
    """Reads the times at one path, by the unit of numbers and the zone of wall-clock times."""

    def __init__(self, path: str, unit: TimeUnit | None, zone: ZoneInfo) -> None:
        """Keep how times are written."""
        self._path, self._unit, self._zone = path, unit, zone

    def column(self, values: Sequence[Any], findings: Findings) -> NDArray[np.int64]:
        """Read plain values, one kind at a time, to int64 [n]; marked where there is no usable time."""
        kinds = list(map(type, values))
        times = np.full(len(values), WRONG_KIND, dtype=np.int64)
        for kind in set(kinds):
            if kinds.count(kind) == len(kinds):
                times[:] = self._of_kind(kind, list(values))
            else:
                rows = np.fromiter((k is kind for k in kinds), np.bool_, len(kinds))
                times[rows] = self._of_kind(kind, list(compress(values, rows)))
        return self.checked(times, findings)

    def _of_kind(self, kind: type, values: list[Any]) -> NDArray[np.int64] | int:
        if kind is str:
            return self.texts(values)
        if kind is int:
            return self.integers(_clipped(values))
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
        if is_local.any():
            times[is_local] = self.local(times[is_local])
        if not is_read.all():
            times[~is_read] = self._number_texts(list(compress(texts, ~is_read)))
        return times

    def _number_texts(self, texts: list[str]) -> NDArray[np.int64]:
        times = np.full(len(texts), UNREADABLE, dtype=np.int64)
        whole = np.fromiter((bool(_INTEGER_TEXT.fullmatch(text)) for text in texts), np.bool_, len(texts))
        times[whole] = self.integers(_clipped(list(map(int, compress(texts, whole)))))
        broken = np.fromiter((bool(_DECIMAL_TEXT.fullmatch(text)) for text in texts), np.bool_, len(texts))
        times[broken] = self.floats(np.array(list(map(float, compress(texts, broken))), dtype=np.float64))
        return times

    def local(self, local_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Wall-clock milliseconds to UTC; what lies outside the accepted years stays outside."""
        day = 86_400_000
        near = np.clip(local_ms, -2 * day, END_MS + 2 * day)
        return utc_from_local(near, self._zone)

    def integers(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Times of whole numbers in the mapping's unit."""
        if self._unit is None:
            return np.full(len(numbers), NO_UNIT, dtype=np.int64)
        unit_us = _UNIT_US[self._unit]
        return np.clip(numbers, -_FAR_US // unit_us, _FAR_US // unit_us) * unit_us // 1000

    def floats(self, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
        """Times of numbers in the mapping's unit, taken to the nearest microsecond first.

        A double near 1.7e9 is the nearest to a decimal with seven places, and often a little below it.
        """
        if self._unit is None:
            return np.full(len(numbers), NO_UNIT, dtype=np.int64)
        finite = np.isfinite(numbers)
        far = _FAR_US / _UNIT_US[self._unit]
        near = np.clip(np.where(finite, numbers, 0.0), -far, far)
        return np.where(finite, np.rint(near * _UNIT_US[self._unit]).astype(np.int64) // 1000, NOT_FINITE)


def _clipped(numbers: list[int]) -> NDArray[np.int64]:
    try:
        return np.array(numbers, dtype=np.int64)
    except OverflowError:
        return np.array([min(max(number, -(2**62)), 2**62) for number in numbers], dtype=np.int64)
