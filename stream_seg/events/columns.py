"""Plain Python values, one a row, to the columns of an event batch.

A value is ``str``, ``int``, ``float``, ``bool`` or ``None`` (missing). A column of one kind, the common case,
runs in C; rows of another kind are looked at one by one. Reasons never hold the value.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from stream_seg.errors import DecodeError
from stream_seg.events.ids import whole_number_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stream_seg.events.findings import Findings
    from stream_seg.features.spec import Scalar

__all__ = ["NOT_A_NUMBER", "NOT_FINITE", "matching", "number_column", "token_column", "type_column"]

NOT_A_NUMBER = "a number is needed here, and the record has something else"
NOT_FINITE = "the number is not finite or too large to be held"

_TOKENS_KEPT = 65_536
_TOKEN_TEXT_LIMIT = 256


def type_column(values: Sequence[Any]) -> list[str | None]:
    """Event types as text; ``None`` where missing."""
    if set(map(type, values)) <= {str, type(None)}:
        return list(values)
    return [None if value is None else _text(value) for value in values]


def _text(value: Scalar) -> str:
    """A single value as text, as JSON writes it; a number without fraction as decimal digits."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return whole_number_text(value) or repr(value)


def number_column(values: Sequence[Any], path: str, findings: Findings) -> NDArray[np.float64]:
    """Numbers, float64 [n], NaN where missing.

    Marked are the rows with something else than a number, and with one that no finite double can hold.
    """
    if not set(map(type, values)) <= {float, int, type(None)}:
        wrong = np.fromiter((type(v) not in (float, int, type(None)) for v in values), np.bool_, len(values))
        findings.mark(wrong, DecodeError("event", path, NOT_A_NUMBER))
        values = [None if bad else value for value, bad in zip(values, wrong.tolist(), strict=True)]
    try:
        numbers = np.array(values, dtype=np.float64)
    except OverflowError:  # an integer beyond the largest double
        numbers = np.fromiter(map(_nearest_double, values), np.float64, len(values))
    strange = ~np.isfinite(numbers)
    if strange.any():
        strange[[row for row in np.flatnonzero(strange).tolist() if values[row] is None]] = False
        findings.mark(strange, DecodeError("event", path, NOT_FINITE))
    return numbers


def _nearest_double(value: float | None) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        return math.inf


def token_column(values: Sequence[Any]) -> NDArray[np.uint64]:
    """A stable 64-bit hash of each value, uint64 [n]; 0 where missing or NaN, and only there."""
    return np.fromiter(map(_token, values), np.uint64, len(values))


def _token(value: Scalar | None) -> int:
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return 0
    if isinstance(value, str) and len(value) > _TOKEN_TEXT_LIMIT:
        return _hash(value)
    return _remembered_hash(value)


def _hash(value: Scalar) -> int:
    """BLAKE2b, 8 bytes, of the value's kind and text: 5 and 5.0 are one value, "5" and true are others."""
    kind = "text" if isinstance(value, str) else "flag" if isinstance(value, bool) else "number"
    tagged = f"{kind}:{_text(value)}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(tagged, digest_size=8).digest(), "big") or 1


_remembered_hash = lru_cache(maxsize=_TOKENS_KEPT, typed=True)(_hash)


def matching(values: Sequence[Any], allowed: tuple[Scalar, ...]) -> NDArray[np.bool_]:
    """Whether each value is one of ``allowed``, bool [n]; a boolean equals only a boolean, 1 equals 1.0."""
    flags = frozenset(v for v in allowed if isinstance(v, bool))
    others = frozenset(v for v in allowed if not isinstance(v, bool))
    if not flags and bool not in set(map(type, values)):
        return np.fromiter(map(others.__contains__, values), np.bool_, len(values))
    return np.fromiter((v in (flags if type(v) is bool else others) for v in values), np.bool_, len(values))
