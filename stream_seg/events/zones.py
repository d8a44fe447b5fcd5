"""Local times of a named zone to UTC, whole columns at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["utc_from_local"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_HOUR_MS = 3_600_000


def utc_from_local(local_ms: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """Milliseconds since 1970 on the zone's wall clock to milliseconds since 1970 UTC, int64 [n] both.

    A wall-clock time that comes twice is the first of the two, one that is skipped is read with the offset
    before the change (PEP 495, ``fold=0``). The offset is looked up once for an hour of the wall clock, and
    row by row in the hours in which it changes. Values must lie within the years 2 to 9998.
    """
    if zone.key == "UTC" or not len(local_ms):
        return local_ms
    hours, place = np.unique(local_ms // _HOUR_MS, return_inverse=True)
    first = np.array([_offset_ms(int(hour) * _HOUR_MS, zone) for hour in hours])
    last = np.array([_offset_ms(int(hour + 1) * _HOUR_MS - 1, zone) for hour in hours])
    offset: NDArray[np.int64] = first[place]
    for row in np.flatnonzero((first != last)[place]):
        offset[row] = _offset_ms(int(local_ms[row]), zone)
    return local_ms - offset


def _offset_ms(local_ms: int, zone: ZoneInfo) -> int:
    offset = zone.utcoffset(_EPOCH + timedelta(milliseconds=local_ms))
    if offset is None:  # pragma: no cover - a ZoneInfo always knows it for a datetime
        raise ValueError(f"zone {zone.key} has no offset")
    return offset // timedelta(milliseconds=1)
