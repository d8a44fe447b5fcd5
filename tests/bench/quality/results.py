"""Rows of the quality table, kept in one JSON file: a run can be split, and goes on where it ended."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path

from tests.bench.quality.ours import Row

KEYS = ("table", "data", "features", "k", "seed", "partitions", "method")


class Results:
    """A row is found by its ``KEYS``; it is written at once, and not made again."""

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self._path, self._fresh = path, fresh
        self.rows: list[Row] = json.loads(path.read_text()) if path.exists() else []

    def add(self, key: Row, make: Callable[[], Row]) -> Row:
        """The row of a key: as stored, or made and stored."""
        found = next((row for row in self.rows if _key(row) == _key(key)), None)
        if found is not None and not self._fresh:
            return found
        row = {**key, **make()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # another process may be adding rows, too
            file.seek(0)
            stored = json.loads(file.read() or "[]")
            self.rows = sorted((r for r in [*stored, row] if r is row or _key(r) != _key(row)), key=_order)
            lines = ",\n".join(json.dumps(r, ensure_ascii=False) for r in self.rows)
            file.truncate(0)
            file.write(f"[\n{lines}\n]\n")
        return row


def _key(row: Row) -> tuple[object, ...]:
    return tuple(row.get(name) for name in KEYS)


def _order(row: Row) -> tuple[str, ...]:
    return tuple(f"{value:>9}" if isinstance(value, int) else str(value) for value in _key(row))
