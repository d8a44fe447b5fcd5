"""A row of a file as the JSON record it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["json_values", "row_as_json"]

_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


def row_as_json(row: Mapping[str, Any]) -> bytes:
    """The row as a JSON object.

    Times are RFC 3339, without zone where the file has none; dates ``YYYY-MM-DD``; bytes base64; numbers that
    are not finite null; missing values are left out.
    """
    return _ENCODER.encode({name: value for name, value in row.items() if value is not None})


def json_values(values: Sequence[Any]) -> list[Any]:
    """Values of a column as the single values their JSON has: times, dates and bytes become text."""
    return [msgspec.to_builtins(value, enc_hook=str) for value in values]
