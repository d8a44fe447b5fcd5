"""Changed customers on their way to the store, in columns: a batch can change thousands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self, overload

import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.texts import Texts

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
    """m changed customers, by column; ``values`` has one column for each of ``names``.

    ``rows`` int64 [m] in ascending order, ``fresh`` and ``kept`` bool [m]. The last ``steady`` of the names
    need not be written again of those that are ``kept``.
    """

    rows: NDArray[np.int64]
    blobs: Texts
    customers: Texts
    fresh: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    names: tuple[str, ...]
    values: list[Texts]
    steady: int = 0

    @classmethod
    def of(cls, rows: Sequence[StoredRow]) -> Self:
        """The same in columns."""
        if isinstance(rows, cls):
            return rows
        hashes = [dict(zip(row.fields[::2], row.fields[1::2], strict=True)) for row in rows]
        names = tuple(dict.fromkeys(chain.from_iterable(hashes)))
        return cls(
            np.array([row.row for row in rows], np.int64),
            Texts.of([row.blob for row in rows]),
            Texts.of([row.customer.encode() for row in rows]),
            np.array([row.fresh for row in rows], np.bool_),
            np.zeros(len(rows), np.bool_),
            names,
            [_column([fields.get(name) for fields in hashes]) for name in names],
        )

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Several with the same names, one after the other."""
        if len(parts) <= 1:
            return parts[0] if parts else cls.of([])
        return cls(
            np.concatenate([part.rows for part in parts]),
            Texts.concatenated([part.blobs for part in parts]),
            Texts.concatenated([part.customers for part in parts]),
            np.concatenate([part.fresh for part in parts]),
            np.concatenate([part.kept for part in parts]),
            parts[0].names,
            [Texts.concatenated(column) for column in zip(*(part.values for part in parts), strict=True)],
            parts[0].steady,
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
                fields += (name, value.decode())
        return StoredRow(
            int(self.rows[place]),
            self.blobs[place] or b"",
            (self.customers[place] or b"").decode(),
            fields,
            bool(self.fresh[place]),
            bool(self.kept[place]),
        )


def _column(values: Sequence[str | None]) -> Texts:
    texts = Texts.of([(value or "").encode() for value in values])
    return texts.without(np.array([value is None for value in values], np.bool_))
