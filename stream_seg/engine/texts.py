"""Columns of texts, and what is joined of them: bytes with bounds in place of an object for each value.

Numbers and strings become JSON in C, a column at a time; a kernel without Python's lock makes records of the
columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_seg.compiled import kernel

__all__ = ["ABSENT", "Texts", "arena", "copied", "join"]

ABSENT: Final = -1
"""Where a text that is absent starts."""
_NULL: Final = np.frombuffer(b"null", np.uint8)
_json: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, eq=False)
class Texts(Sequence["bytes | None"]):
    """n texts: ``data`` uint8, of which text i is ``data[start[i]:end[i]]`` (int64 [n]; start −1: absent)."""

    data: NDArray[np.uint8]
    start: NDArray[np.int64]
    end: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> Self:
        """Texts as they are."""
        length = np.fromiter(map(len, texts), np.int64, len(texts))
        end = np.cumsum(length)
        return cls(np.frombuffer(b"".join(texts), np.uint8), end - length, end)

    @classmethod
    def utf8(cls, texts: Sequence[str]) -> Self:
        """Texts in UTF-8."""
        data = "".join(texts).encode()
        length = np.fromiter(map(len, texts), np.int64, len(texts))
        end = np.cumsum(length)
        if len(data) != end[-1:].sum():  # characters of more bytes than one
            return cls.of(list(map(str.encode, texts)))
        return cls(np.frombuffer(data, np.uint8), end - length, end)

    @classmethod
    def json(cls, values: Sequence[object]) -> Self:
        """Strings or numbers as JSON; ``None`` and NaN are absent.

        Other floats are the shortest text that reads back the same; no text holds a line break.
        """
        data = np.frombuffer(_json.encode_lines(values), np.uint8)
        end = np.flatnonzero(data == ord("\n"))
        start = np.r_[0, end[:-1] + 1][: len(end)]
        absent = (end - start == len(_NULL)) & (data[start] == _NULL[0])  # of four letters, and no string
        start[absent] = ABSENT
        return cls(data, start, end)

    @classmethod
    def fixed(cls, records: NDArray[np.generic]) -> Self:
        """Texts of one length, ``records`` [n] as they are in memory."""
        n, width = len(records), records.dtype.itemsize
        start = np.arange(0, n * width, width)
        return cls(np.frombuffer(records.tobytes(), np.uint8), start, start + width)

    @classmethod
    def chosen(cls, place: NDArray[np.integer], texts: Sequence[bytes]) -> Self:
        """``texts[place[i]]`` for each i; those at −1 are absent."""
        table = cls.of([*texts, b""])
        start = np.where(place < 0, ABSENT, table.start[place])
        return cls(table.data, start, table.end[place])

    @classmethod
    def same(cls, text: bytes, n: int) -> Self:
        """One text n times."""
        return cls(np.frombuffer(text, np.uint8), np.zeros(n, np.int64), np.full(n, len(text)))

    @classmethod
    def concatenated(cls, parts: Sequence[Self]) -> Self:
        """The texts of one after the other; of one part at least."""
        if len(parts) == 1:
            return parts[0]
        data, start, end = arena(parts)
        return cls(data, np.concatenate(start), np.concatenate(end))

    def without(self, absent: NDArray[np.bool_]) -> Self:
        """The same, but for those that are ``absent`` bool [n]."""
        return type(self)(self.data, np.where(absent, ABSENT, self.start), self.end)

    def packed(self) -> Self:
        """The same, one after the other in bytes of their own, where none is absent."""
        length = self.end - self.start
        end = np.cumsum(length)
        data = np.empty(end[-1:].sum(), np.uint8)
        _pack(self.data, self.start, self.end, data)
        return type(self)(data, end - length, end)

    def __len__(self) -> int:
        """The number of texts, n."""
        return len(self.start)

    @overload
    def __getitem__(self, place: int) -> bytes | None: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> bytes | Self | None:
        """One text, ``None`` where it is absent, or some."""
        if isinstance(place, slice):
            return type(self)(self.data, self.start[place], self.end[place])
        start, end = int(self.start[place]), int(self.end[place])
        return None if start == ABSENT else self.data[start:end].tobytes()

    def __iter__(self) -> Iterator[bytes | None]:
        """One after the other."""
        return map(self.__getitem__, range(len(self)))

    def present(self) -> list[bytes]:
        """All of them where none is absent."""
        data = self.data.tobytes()
        return [data[start:end] for start, end in zip(self.start.tolist(), self.end.tolist(), strict=True)]

    def strings(self) -> list[str]:
        """All of them as strings, where none is absent; of UTF-8."""
        data = self.data.tobytes()
        if not data.isascii():
            return [text.decode() for text in self.present()]
        text = data.decode("ascii")
        return [text[start:end] for start, end in zip(self.start.tolist(), self.end.tolist(), strict=True)]


def arena(
    columns: Sequence[Texts],
) -> tuple[NDArray[np.uint8], list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """All columns' bytes as one, and where the texts of each start and end there."""
    data = {id(column.data): column.data for column in columns}  # some may share theirs
    ends = np.cumsum([0, *map(len, data.values())]).tolist()
    first = dict(zip(data, ends, strict=False))
    start = [np.where(c.start < 0, ABSENT, c.start + first[id(c.data)]) for c in columns]
    end = [c.end + first[id(c.data)] for c in columns]
    return np.concatenate(list(data.values())), start, end


def join(parts: Sequence[bytes | Texts]) -> Texts:
    """Row by row what stands in ``parts``: bytes are the same in every row; an absent text is ``null``.

    At least one part is a column, and all are of one length.
    """
    columns: list[Texts] = []
    glue = [b""]
    for part in parts:
        if isinstance(part, bytes):
            glue[-1] += part
        else:
            columns.append(part)
            glue.append(b"")
    data, start, end = arena(columns)
    starts, ends = np.stack(start), np.stack(end)
    between = Texts.of(glue)
    length = np.where(starts < 0, len(_NULL), ends - starts).sum(axis=0) + len(between.data)
    bounds = np.zeros(len(length) + 1, np.int64)
    np.cumsum(length, out=bounds[1:])
    joined = np.empty(bounds[-1], np.uint8)
    _join(data, starts, ends, between.data, between.end, _NULL, bounds, joined)
    return Texts(joined, bounds[:-1], bounds[1:])


@kernel
def copied(into: NDArray[np.uint8], at: int, data: NDArray[np.uint8], start: int, end: int) -> int:
    """Copy ``data[start:end]`` to ``into`` from ``at`` on, and return the place behind it."""
    first, shift = np.uint64(start), np.uint64(at) - np.uint64(start)
    for place in range(first, np.uint64(end)):  # unsigned: none counts from the end, so it is a memcpy
        into[place + shift] = data[place]
    return at + end - start


@kernel
def _pack(
    data: NDArray[np.uint8], start: NDArray[np.int64], end: NDArray[np.int64], packed: NDArray[np.uint8]
) -> None:
    """Fill ``packed`` with one text after the other."""
    at = 0
    for i in range(len(start)):
        at = copied(packed, at, data, start[i], end[i])


@kernel
def _join(  # noqa: PLR0913, PLR0917 - a kernel takes arrays
    data: NDArray[np.uint8],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    glue: NDArray[np.uint8],
    glue_end: NDArray[np.int64],
    null: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    joined: NDArray[np.uint8],
) -> None:
    """Row i is the first piece of glue, text i of the first column, the next piece, and so on.

    ``start`` and ``end`` [columns, n]; ``bounds`` [n + 1] where rows begin. Fills ``joined``.
    """
    columns, n = start.shape
    for i in range(n):
        at = copied(joined, bounds[i], glue, 0, glue_end[0])
        for c in range(columns):
            if start[c, i] < 0:
                at = copied(joined, at, null, 0, len(null))
            else:
                at = copied(joined, at, data, start[c, i], end[c, i])
            at = copied(joined, at, glue, glue_end[c], glue_end[c + 1])
