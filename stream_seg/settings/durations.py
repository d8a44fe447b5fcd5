"""Lengths of time as people write them: ``30s``, ``90m``, ``12h``, ``1d``."""

from __future__ import annotations

import re

__all__ = ["DURATION_FORM", "parse_duration_ms"]

DURATION_FORM = 'a number with its unit, such as "30s", "90m", "12h", "1d" or "2w"'

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_DURATION = re.compile(r"(?P<count>\d{1,9}(?:\.\d{1,6})?)\s*(?P<unit>ms|s|m|h|d|w)", re.ASCII)


def parse_duration_ms(text: str) -> int:
    """Turn a length of time into whole milliseconds; ``ValueError`` where it is none."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"must be {DURATION_FORM}")
    return round(float(match["count"]) * _UNIT_MS[match["unit"]])
