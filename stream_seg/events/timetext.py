"""RFC 3339 text, dates and zoneless date-times to milliseconds, whole columns at once.

Texts of one length are laid out as a matrix of bytes and read column by column; what does not fit there is read one by
one with a regular expression, which is the definition: both give the same for every text.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["parse_text", "parse_texts"]

DAY_MS = 86_400_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LONGEST_IN_COLUMNS = 40
_TEXT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))?)?"
)


def parse_text(text: str) -> tuple[int, bool] | None:
    """Milliseconds since 1970 and whether they are wall-clock time (no zone given); ``None`` if it is no time."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(match[group]) for group in (1, 2, 3))
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    if match[4] is None:
        return days * DAY_MS, True
    hour, minute, second = (int(match[group]) for group in (4, 5, 6))
    offset = _offset_minutes(match)
    if hour > 23 or minute > 59 or second > 60 or offset is None:
        return None
    fraction = int((match[7] or "0")[:3].ljust(3, "0"))
    whole = days * DAY_MS + (hour * 60 + minute - offset) * 60_000 + second * 1000
    if second == 60 and (whole % DAY_MS or match[8] is None is match[9]):
        return None
    return whole + fraction, match[8] is None and match[9] is None
