"""Event times as text: RFC 3339 in UTC with milliseconds and ``Z``, as every record and key has them."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_DAY_MS = 86_400_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)


def rfc3339(time_ms: NDArray[np.int64]) -> list[str]:
    """Times int64 [n], ms since 1970, as text."""
    days, rest = np.divmod(time_ms, _DAY_MS)
    return [f"{_date(day)}T{_clock(ms)}" for day, ms in zip(days.tolist(), rest.tolist(), strict=True)]


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
