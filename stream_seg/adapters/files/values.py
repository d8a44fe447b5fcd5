"""Rows of a file as the JSON records that ``load`` sends; they decode to what the rows decode to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from stream_seg.adapters.files.cells import cell_as
from stream_seg.adapters.files.rowjson import row_as_json
from stream_seg.events.assembly import field_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stream_seg.events.mapping import EventMapping
    from stream_seg.features.spec import FeatureSet, Scalar

__all__ = ["RowJson", "cell_readers"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,300}")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,299})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?")


class RowJson:
    """Writes rows; a column named like a dotted path of the mapping becomes an object in an object."""

    def __init__(self, names: Sequence[str], mapping: EventMapping) -> None:
        """Keep the columns' names, and find those that are paths."""
        own = [path for path in (mapping.customer, mapping.time, mapping.id, mapping.type) if path]
        paths = {path for path in (*own, *mapping.fields.values()) if "." in path}
        self._names = list(names)
        self._inner = [name for name in names if name in paths]

    def __call__(self, row: Sequence[Any]) -> bytes:
        """One row as a JSON object; missing values are left out."""
        record: dict[str, Any] = dict(zip(self._names, row, strict=True))
        for path in self._inner:
            value = record.pop(path)
            if value is not None:
                _put(record, path.split("."), value)
        return row_as_json(record)


def _put(record: dict[str, Any], keys: list[str], value: object) -> None:
    for key in keys[:-1]:
        inner = record.get(key)
        record[key] = inner = dict(inner) if isinstance(inner, dict) else {}
        record = inner
    record[keys[-1]] = value


def cell_readers(mapping: EventMapping, features: FeatureSet) -> dict[str, Callable[[str], Scalar]]:
    """What the cells of a CSV column stand for in JSON, by the column's name; all others are text.

    A field that a feature adds up is a number, one that a filter compares has the kind of the filter's value.
    A field that no feature reads is a number where it is written as JSON writes one.
    """
    allowed: dict[str, tuple[Scalar, ...]] = {}
    for feature in features.features:
        for name, values in feature.where:
            allowed[name] = (*allowed.get(name, ()), *values)
    readers: dict[str, Callable[[str], Scalar]] = {}
    for path in mapping.fields.values():
        readers[path] = _as_json_number
    for path in field_paths(mapping, features.tokens).values():
        readers[path] = str
    for name, path in field_paths(mapping, features.filters).items():
        readers[path] = _one_of(allowed[name])
    for path in field_paths(mapping, features.numbers).values():
        readers[path] = _as_number
    readers.update({path: str for path in (mapping.customer, mapping.id) if path})
    readers[mapping.time] = str.strip
    return readers


def _one_of(allowed: tuple[Scalar, ...]) -> Callable[[str], Scalar]:
    return lambda cell: cell_as(cell, allowed)


def _as_number(cell: str) -> Scalar:
    text = cell.strip()
    return int(text) if _INTEGER.fullmatch(text) else float(text)


def _as_json_number(cell: str) -> Scalar:
    return _as_number(cell) if _JSON_NUMBER.fullmatch(cell) else cell
