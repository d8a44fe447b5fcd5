"""Ids of customers and events: text, or a number without fraction as its decimal digits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stream_seg.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream_seg.events.findings import Findings

__all__ = ["ID_LIMIT_BYTES", "customer_column", "id_column", "whole_number_text"]

ID_LIMIT_BYTES = 4096
"""Longest id of a customer or an event in bytes of UTF-8: ids become Redis keys and record keys."""

EXACT_BELOW = 2.0**53
"""From here on a float no longer holds every integer, and two ids could become one."""


def customer_column(values: Sequence[Any], path: str, findings: Findings) -> list[str]:
    """Customers' ids as text; marked (and "") where missing, null, empty, too long, or of another kind."""
    texts = _texts(values)
    if "" in texts:
        for row, text in enumerate(texts):
            if not text:
                findings.mark_row(row, DecodeError("event", path, _why_not(values[row], "the customer")))
    _mark_too_long(texts, path, findings)
    return texts


def id_column(values: Sequence[Any], path: str, findings: Findings) -> list[str | None]:
    """Events' ids as text, ``None`` where missing or empty; marked where too long or of another kind."""
    texts = _texts(values)
    _mark_too_long(texts, path, findings)
    if "" not in texts:
        return texts  # type: ignore[return-value] # nobody else holds this list
    for row, text in enumerate(texts):
        if not text and values[row] is not None and values[row] != "":
            findings.mark_row(row, DecodeError("event", path, _why_not(values[row], "the event's id")))
    return [text or None for text in texts]


def whole_number_text(value: float) -> str | None:
    """Decimal digits of a number without fraction (1e3: "1000"); ``None`` for any other number."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else None
    return str(value)


def _texts(values: Sequence[Any]) -> list[str]:
    """Ids as text, "" for what is none."""
    if set(map(type, values)) <= {str}:
        return list(values)
    return [value if type(value) is str else _id_text(value) for value in values]


def _id_text(value: object) -> str:
    if type(value) is int or (type(value) is float and abs(value) < EXACT_BELOW):
        return whole_number_text(value) or ""
    return ""


def _why_not(value: object, what: str) -> str:
    if value is None or value == "":
        return f"{what} is missing, null or empty"
    if isinstance(value, bool):
        return f"{what} is a boolean, which is no id"
    if isinstance(value, float):
        return f"{what} is a number with a fraction, or from 2^53 on and not written as an integer"
    return f"{what} is neither text nor a whole number"


def _mark_too_long(texts: list[str], path: str, findings: Findings) -> None:
    short = ID_LIMIT_BYTES // 4  # no character takes more than four bytes
    if max(map(len, texts), default=0) > short:
        too_long = [
            len(text) > short and len(text.encode("utf-8", "surrogatepass")) > ID_LIMIT_BYTES
            for text in texts
        ]
        findings.mark(
            np.array(too_long), DecodeError("event", path, f"an id has at most {ID_LIMIT_BYTES} bytes")
        )
