"""Changed customers on their way to the store, in columns: a batch can change thousands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self, overload

__all__ = ["StoredRow", "StoredRows"]


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One changed customer.

    Its row number, its blob, its id, and its public hash as field, value, field, value, …; ``fresh`` where a
    hash of an earlier life may hold fields that are absent now, or be another partition's; ``kept`` where
    segment, its name and version are as they were written last.
    """

    row: int
    blob: bytes
    customer: str
    fields: list[str]
    fresh: bool = True
    kept: bool = False


@dataclass(frozen=True, slots=True)
class StoredRows(Sequence[StoredRow]):
    """m changed customers, a list each; ``values`` has one for each of ``names``, ``None`` where absent.

    The last ``steady`` of the names need not be written again of those that are ``kept``.
    """

    rows: list[int]
    blobs: list[bytes]
    customers: list[str]
    fresh: list[bool]
    kept: list[bool]
    names: tuple[str, ...]
    values: list[list[str | None]]
    steady: int = 0

    @classmethod
    def of(cls, rows: Sequence[StoredRow]) -> Self:
        """The same in columns."""
        if isinstance(rows, cls):
            return rows
        hashes = [dict(zip(row.fields[::2], row.fields[1::2], strict=True)) for row in rows]
        names = tuple(dict.fromkeys(chain.from_iterable(hashes)))
        return cls(
            [row.row for row in rows],
            [row.blob for row in rows],
            [row.customer for row in rows],
            [row.fresh for row in rows],
            [False] * len(rows),
            names,
            [[fields.get(name) for fields in hashes] for name in names],
        )

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Several with the same names, one after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            [row for part in parts for row in part.rows],
            [blob for part in parts for blob in part.blobs],
            [customer for part in parts for customer in part.customers],
            [fresh for part in parts for fresh in part.fresh],
            [kept for part in parts for kept in part.kept],
            parts[0].names if parts else (),
            [
                list(chain.from_iterable(columns))
                for columns in zip(*(part.values for part in parts), strict=True)
            ],
            parts[0].steady if parts else 0,
        )

    def __len__(self) -> int:
        """The number of customers, m."""
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> StoredRow: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> StoredRow | Self:
        """One of them, or some as columns."""
        if isinstance(place, int):
            return self._row(place)
        return type(self)(
            self.rows[place],
            self.blobs[place],
            self.customers[place],
            self.fresh[place],
            self.kept[place],
            self.names,
            [column[place] for column in self.values],
            self.steady,
        )

    def __iter__(self) -> Iterator[StoredRow]:
        """One after the other."""
        return map(self._row, range(len(self)))

    def _row(self, place: int) -> StoredRow:
        fields: list[str] = []
        for name, column in zip(self.names, self.values, strict=True):
            value = column[place]
            if value is not None:
                fields += (name, value)
        return StoredRow(
            self.rows[place],
            self.blobs[place],
            self.customers[place],
            fields,
            self.fresh[place],
            self.kept[place],
        )
