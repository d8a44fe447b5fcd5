"""What must hold of a record's bytes before and after the JSON parser has seen them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import numpy as np

from stream_seg.errors import DecodeError
from stream_seg.events.columns import NOT_FINITE

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DEPTH_LIMIT", "RECORD_LIMIT_BYTES", "are_plain", "checked", "explained"]

RECORD_LIMIT_BYTES = 1_048_576
"""Longest value taken for an event, in bytes: what a broker takes of a batch unless told otherwise."""

DEPTH_LIMIT = 256
"""Deepest nesting of a record.

The parser's own limit is near 1,000 but depends on how deep its caller stands, and what becomes of a record
must depend on the record only.
"""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_PLACE = re.compile(r" - at `\$\.(.*)`$", re.DOTALL)
_GOT = re.compile(r"got `(\w+)`")
_CALLED = {
    "array": "a list",
    "object": "an object",
    "str": "text",
    "bool": "a boolean",
    "int": "a number",
    "float": "a number",
    "null": "null",
}


def are_plain(values: Sequence[bytes | None]) -> bool:
    """Whether every value passes ``checked``: a quick look that may say no too often, never yes."""
    if None in values:
        return False
    present = cast("Sequence[bytes]", values)
    if max(map(len, present), default=0) <= DEPTH_LIMIT and all(map(bytes.isascii, present)):
        return True
    try:
        for value in present:
            if len(value) > DEPTH_LIMIT or not value.isascii():
                checked(value)
    except DecodeError:
        return False
    return True


def checked(value: bytes | None) -> bytes:
    """Give the value back, or raise ``DecodeError``: no value, too long, not UTF-8, nested too deeply."""
    if value is None:
        raise DecodeError("json", "", "the record has no value")
    if len(value) > RECORD_LIMIT_BYTES:
        raise DecodeError("json", "", f"the record is longer than {RECORD_LIMIT_BYTES} bytes")
    if not value.isascii():
        try:
            value.decode()
        except UnicodeDecodeError:
            raise DecodeError("json", "", "the record is not UTF-8") from None
    if value.count(b"[") + value.count(b"{") > DEPTH_LIMIT and _depth(value) > DEPTH_LIMIT:
        raise DecodeError("json", "", f"the record is nested more than {DEPTH_LIMIT} deep")
    return value


def _depth(value: bytes) -> int:
    brackets = np.frombuffer(_STRING.sub(b"", value).translate(None, _NOT_BRACKETS), np.uint8)
    return int(np.where((brackets == ord("[")) | (brackets == ord("{")), 1, -1).cumsum().max(initial=0))


def explained(error: Exception) -> DecodeError:
    """What ``msgspec`` found, as a ``DecodeError`` without anything of the record in it."""
    text = str(error)
    place = _PLACE.search(text)
    if "out of range" in text:
        return DecodeError("event", place[1] if place else "", NOT_FINITE)
    got = _GOT.search(text)
    if got is None:
        return DecodeError("json", "", "the record is not JSON")
    if place is None:
        return DecodeError("json", "", f"the record is {_CALLED[got[1]]}, where an object belongs")
    wanted = (
        "an object"
        if "Expected `object" in text
        else "a number"
        if "Expected `float" in text
        else "a single value"
    )
    return DecodeError("event", place[1], f"the record has {_CALLED[got[1]]} where {wanted} belongs")
