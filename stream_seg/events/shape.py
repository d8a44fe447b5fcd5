"""From dotted paths to a typed JSON decoder, and from its objects to columns.

Only what the mapping names is decoded: the paths become nested ``msgspec`` structs, built once, and
everything else in a record is checked for being JSON and skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Shape"]

_NUMBER = float | None
_SCALAR = str | int | float | bool | None


@dataclass
class _Node:
    """A place in the record: a leaf with its path, or an object with children by key."""

    path: str | None = None
    children: dict[str, _Node] = field(default_factory=dict)
    empty: Any = None


class Shape:
    """The part of a record that a set of dotted paths reads.

    ``numeric`` are the paths decoded as float (integers too; text and booleans refused), ``scalar`` those
    decoded as whatever single value stands there; missing and null are both ``None``. Raises ``UsageError``
    where one path runs through another, and for a key that JSON can only write with an escape.
    """

    def __init__(self, numeric: Iterable[str], scalar: Iterable[str]) -> None:
        """Build the types once."""
        self.scalar = frozenset(scalar)
        self.numeric = frozenset(numeric) - self.scalar
        self._root = _Node()
        for path in sorted(self.numeric | self.scalar):
            self._plant(path)
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._struct(self._root, "Record"))
        self.decode: Callable[[bytes], Any] = decoder.decode
        """Decode one JSON object; raises ``msgspec.MsgspecError`` or ``UnicodeDecodeError``."""

    @property
    def empty(self) -> Any:  # noqa: ANN401 - a type built at run time
        """A record in which nothing is set: stands in for one that could not be decoded."""
        return self._root.empty

    def columns(self, records: list[Any]) -> dict[str, list[Any]]:
        """One list of n values for each path, ``None`` where missing or null."""
        found: dict[str, list[Any]] = {}
        _fill(self._root, records, found)
        return found

    def _plant(self, path: str) -> None:
        node, parts = self._root, path.split(".")
        for depth, key in enumerate(parts):
            node = node.children.setdefault(key, _Node())
            if node.path is not None:
                outer = ".".join(parts[: depth + 1])
                raise UsageError(
                    f'[event] reads "{outer}" as one value and "{path}" inside it; change one of them'
                )
        node.path = path

    def _struct(self, node: _Node, name: str) -> type[msgspec.Struct]:
        fields, keys = [], {}
        for place, (key, child) in enumerate(node.children.items()):
            keys[f"f{place}"] = key
            if child.path is None:
                kind: Any = self._struct(child, f"{name}_{place}") | None
            else:
                kind = _NUMBER if child.path in self.numeric else _SCALAR
            fields.append((f"f{place}", kind, None))
        try:
            struct = msgspec.defstruct(name, fields, rename=keys, gc=False)
        except ValueError as error:
            raise UsageError(f"[event] names a key that cannot be read from JSON: {error}") from error
        node.empty = struct()
        return struct


def _fill(node: _Node, records: list[Any], found: dict[str, list[Any]]) -> None:
    for place, child in enumerate(node.children.values()):
        column = list(map(attrgetter(f"f{place}"), records))
        if child.path is not None:
            found[child.path] = column
            continue
        if None in column:
            column = [child.empty if value is None else value for value in column]
        _fill(child, column, found)
