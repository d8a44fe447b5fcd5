"""Event times as text: RFC 3339 in UTC with milliseconds and ``Z``, as every record and key has them."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.texts import Texts

_DAY_MS = 86_400_000
_MINUTE_MS = 60_000
_SECOND_MS = 1000
_TEXT = np.dtype([("date", "S10"), ("minute", "S6"), ("second", "S3"), ("rest", "S5")])
_MINUTES = np.array([f"T{m // 60:02}:{m % 60:02}" for m in range(24 * 60)], dtype="S6")
_SECONDS = np.array([f":{s:02}" for s in range(60)], dtype="S3")
_RESTS = np.array([f".{ms:03}Z" for ms in range(_SECOND_MS)], dtype="S5")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)


def rfc3339(time_ms: NDArray[np.int64]) -> Texts:
    """Times int64 [n], ms since 1970, as text."""
    days, place = np.unique(time_ms // _DAY_MS, return_inverse=True)
    minutes, rest = np.divmod(time_ms % _DAY_MS, _MINUTE_MS)
    letters = np.empty(len(time_ms), dtype=_TEXT)
    letters["date"] = np.datetime_as_string(days.astype("M8[D]")).astype("S10")[place]
    letters["minute"] = _MINUTES[minutes]
    seconds, rest = np.divmod(rest, _SECOND_MS)
    letters["second"], letters["rest"] = _SECONDS[seconds], _RESTS[rest]
    return Texts.fixed(letters)


def moment(time_ms: int) -> str:
    """One time, ms since 1970, as text."""
    day, ms = divmod(time_ms, _DAY_MS)
    return f"{_date(day)}T{_clock(ms)}"


def milliseconds(text: str) -> int:
    """The time that ``moment`` wrote, in ms since 1970; ``ValueError`` for anything that is no RFC 3339."""
    return (dt.datetime.fromisoformat(text) - _EPOCH) // _MS


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return str(np.datetime64(day, "D"))


@lru_cache(maxsize=65536)
def _clock(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}.{ms:03}Z"
