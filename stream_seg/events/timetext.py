"""RFC 3339 text, dates and zoneless date-times to milliseconds, whole columns at once.

Texts of one length are laid out as a matrix of characters and read position by position; what does not fit
there is read one by one with a regular expression, which is the definition: both give the same for every
text.
"""

from __future__ import annotations

import re
from datetime import date
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["ParsedTexts", "parse_text", "parse_texts"]

DAY_MS = 86_400_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_TEXT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?([Zz]|[+-][0-9]{2}:[0-9]{2})?)?"
)
_LENGTHS = (10, *range(19, 41))
_PUNCTUATION = {4: "-", 7: "-", 13: ":", 16: ":"}
_DATE_DIGITS = (0, 1, 2, 3, 5, 6, 8, 9)
_CLOCK_DIGITS = (11, 12, 14, 15, 17, 18)


class ParsedTexts(NamedTuple):
    """Texts as times: int64 [n] ms since 1970; bool [n] no zone given; bool [n] read at all."""

    ms: NDArray[np.int64]
    is_local: NDArray[np.bool_]
    is_read: NDArray[np.bool_]


def parse_text(text: str) -> tuple[int, bool] | None:
    """Milliseconds since 1970 and whether no zone is given; ``None`` if the text is no time.

    A second 60 is taken only at 23:59 UTC of a text that gives its zone.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    try:
        days = date(int(match[1]), int(match[2]), int(match[3])).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    if match[4] is None:
        return days * DAY_MS, True
    hour, minute, second, offset = int(match[4]), int(match[5]), int(match[6]), _offset_minutes(match[8])
    whole = days * DAY_MS + (hour * 60 + minute) * 60_000 + second * 1000
    if hour > 23 or minute > 59 or second > 60 or offset is None:
        return None
    whole -= offset * 60_000
    if second == 60 and (match[8] is None or whole % DAY_MS):
        return None
    return whole + int((match[7] or "")[:3].ljust(3, "0")), match[8] is None


def _offset_minutes(zone: str | None) -> int | None:
    if zone is None or zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 23 or minutes > 59:
        return None
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)


def parse_texts(texts: Sequence[str]) -> ParsedTexts:
    """Read every text as ``parse_text`` does."""
    n = len(texts)
    found = ParsedTexts(np.zeros(n, np.int64), np.zeros(n, np.bool_), np.zeros(n, np.bool_))
    lengths = np.fromiter(map(len, texts), np.int64, n)
    for length in np.intersect1d(lengths, _LENGTHS):
        rows = lengths == length
        # one "?" for each character that no time has, so that the places stay
        letters = "".join(compress(texts, rows)).encode("ascii", "replace")
        by_place = np.ascontiguousarray(np.frombuffer(letters, np.uint8).reshape(-1, int(length)).T)
        for whole, part in zip(found, _read_columns(by_place), strict=True):
            whole[rows] = part
    for row in np.flatnonzero(~found.is_read).tolist():
        parsed = parse_text(texts[row])
        if parsed is not None:
            found.ms[row], found.is_local[row] = parsed
            found.is_read[row] = True
    return found


def _read_columns(by_place: NDArray[np.uint8]) -> ParsedTexts:
    """Read texts of one length, uint8 [length, n]: by how they end, in ``Z``, an offset, or neither."""
    length, n = by_place.shape
    digits = by_place - np.uint8(ord("0"))  # anything else wraps to 10 or more
    ms, is_read = _read_dates(by_place, digits)
    if length == 10:
        return ParsedTexts(ms, np.ones(n, np.bool_), is_read)
    in_utc = _any_of(by_place[-1], "Zz")
    has_offset = _any_of(by_place[-6], "+-") if length >= 25 else np.zeros(n, np.bool_)
    is_local = ~(in_utc | has_offset)
    ms += _read_clock(digits)
    is_read &= _any_of(by_place[10], "Tt ") & (digits[list(_CLOCK_DIGITS)] <= 9).all(axis=0)
    is_read &= (_number(digits, 11, 13) <= 23) & (digits[14] <= 5) & (digits[17] <= 5)
    for width, rows in ((0, is_local), (1, in_utc), (6, has_offset)):
        if rows.any():
            fraction, is_fraction = _read_fraction(by_place, digits, length - width)
            ms += np.where(rows, fraction, 0)
            is_read &= is_fraction | ~rows
    if has_offset.any():
        offset, is_offset = _read_offsets(by_place, digits)
        ms -= np.where(has_offset, offset, 0)
        is_read &= is_offset | ~has_offset
    return ParsedTexts(ms, is_local, is_read)


def _read_dates(
    by_place: NDArray[np.uint8], digits: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    year, month, day = _number(digits, 0, 4), _number(digits, 5, 7), _number(digits, 8, 10)
    months = (year - 1970) * 12 + month - 1
    first = _first_days(months)
    is_read = (digits[list(_DATE_DIGITS)] <= 9).all(axis=0)
    for place, letter in _PUNCTUATION.items():
        if place < len(by_place):
            is_read &= by_place[place] == ord(letter)
    is_read &= (
        (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= _first_days(months + 1) - first)
    )
    return (first + day - 1) * DAY_MS, is_read


def _first_days(months: NDArray[np.int64]) -> NDArray[np.int64]:
    """Days since 1970 of the first day of each month, counted from January 1970."""
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _read_clock(digits: NDArray[np.uint8]) -> NDArray[np.int64]:
    hour, minute, second = (_number(digits, at, at + 2) for at in (11, 14, 17))
    return ((hour * 60 + minute) * 60 + second) * 1000


def _read_fraction(
    by_place: NDArray[np.uint8], digits: NDArray[np.uint8], end: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The milliseconds between place 19 and ``end``, and where they are well formed."""
    n = by_place.shape[1]
    if end <= 20:
        return np.zeros(n, np.int64), np.full(n, end == 19)
    kept = min(end, 23)
    is_read = (by_place[19] == ord(".")) & (digits[20:end] <= 9).all(axis=0)
    return _number(digits, 20, kept) * 10 ** (23 - kept), is_read


def _read_offsets(
    by_place: NDArray[np.uint8], digits: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The milliseconds to take off for ``±hh:mm`` at the end, and where it is well formed."""
    length = len(by_place)
    hours, minutes = _number(digits, length - 5, length - 3), _number(digits, length - 2, length)
    is_read = (digits[[-5, -4, -2, -1]] <= 9).all(axis=0) & (by_place[-3] == ord(":"))
    is_read &= (hours <= 23) & (minutes <= 59)
    return np.where(by_place[-6] == ord("-"), -1, 1) * (hours * 60 + minutes) * 60_000, is_read


def _number(digits: NDArray[np.uint8], start: int, stop: int) -> NDArray[np.int64]:
    total: NDArray[np.int64] = digits[start].astype(np.int64)
    for place in range(start + 1, stop):
        total = total * 10 + digits[place]
    return total


def _any_of(letters: NDArray[np.uint8], wanted: str) -> NDArray[np.bool_]:
    return np.isin(letters, np.frombuffer(wanted.encode(), np.uint8))
