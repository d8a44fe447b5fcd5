"""A checkpoint cut into pieces: small enough for one call each, so that look-ups are not held up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import msgpack
import numpy as np
from numpy.typing import NDArray

from stream_seg.adapters.redis.packing import packed_rows
from stream_seg.adapters.redis.scripts import Argument, Call
from stream_seg.engine.checkpoint import Checkpoint, encode_numbers
from stream_seg.engine.storedrows import StoredRows
from stream_seg.engine.texts import Texts
from stream_seg.keys import BLOCK_ROWS, Keys

__all__ = ["PIECE_CUSTOMERS", "packed", "stage_calls"]

PIECE_CUSTOMERS: Final = 256
"""Customers of one piece: 2 to 3 ms of the server's time when they are applied."""
PIECE_BYTES: Final = 256 * 1024
"""A piece that is larger is halved, unless it is one customer's."""
CALL_BYTES: Final = 1024 * 1024
"""What one call should not carry much more of."""


@dataclass(frozen=True, slots=True)
class _Table:
    """Customers, each packed; ``few`` of their fields change with every event.

    All fields are written of those that are ``whole``, and the hashes of those that are ``fresh`` deleted
    first: bool [m].
    """

    names: bytes
    fields: int
    few: int
    rows: Texts
    whole: NDArray[np.bool_]
    fresh: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: StoredRows) -> Self:
        fields = len(rows.names)
        table = packed_rows(rows.rows, (rows.blobs, rows.customers, *rows.values))
        return cls(packed(rows.names), fields, fields - rows.steady, table, ~rows.kept, rows.fresh)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> Self:
        return replace(self, rows=self.rows[part], whole=self.whole[part], fresh=self.fresh[part])


@dataclass(frozen=True, slots=True)
class _Piece:
    table: _Table
    freed: Sequence[int] = ()
    gone: Sequence[str] = ()

    def packed(self) -> Iterator[bytes]:
        """What ``apply.lua`` reads, in halves where it is too large."""
        whole = self._packed()
        half = max(len(self.table), len(self.gone)) // 2
        if len(whole) <= PIECE_BYTES or not half:
            yield whole
            return
        yield from _Piece(self.table[:half], self.freed, self.gone[:half]).packed()
        yield from _Piece(self.table[half:], (), self.gone[half:]).packed()

    def _packed(self) -> bytes:
        """The fields' names, and how many of them change with every event; then the customers.

        Row, blob, id and values of one after the other; then the places of those of whom all fields are
        written, and of those whose hash is deleted first. An absent value is ``False``: a Lua table has no
        nil inside.
        """
        table, width, header = self.table, self.table.fields + 3, msgpack.Packer().pack_array_header
        places = np.arange(1, len(table) * width + 1, width)
        parts = [
            header(7),
            table.names,
            packed(table.few),
            header(len(table) * width),
            table.rows.data[table.rows.start[0] : table.rows.end[-1]] if len(table) else b"",
            packed(places[table.whole].tolist()),
            packed(places[table.fresh].tolist()),
            packed(list(self.freed)),
            packed(list(self.gone)),
        ]
        return b"".join(parts)


def packed(value: Any) -> bytes:  # noqa: ANN401 - whatever MessagePack takes
    """MessagePack without bin types: Redis's Lua knows one kind of string, for text and bytes."""
    data: bytes = msgpack.packb(value, use_bin_type=False)
    return data


def stage_calls(keys: Keys, checkpoint: Checkpoint, batch_id: str, token: str) -> list[Call]:
    """Return the calls that stage a checkpoint, in order; the last one makes it count."""
    pieces = _pieces(checkpoint)
    groups = list(_grouped(pieces))
    header = _header(checkpoint, batch_id, len(pieces))
    partition, start = checkpoint.partition, checkpoint.start
    names = keys.batch(partition)
    calls, first = [], 0
    for group in groups:
        last = first + len(group) == len(pieces)
        place: list[Argument] = [token, batch_id, start.next_offset, start.batch, first, len(pieces)]
        calls.append(Call("stage", names, [*place, header if last else b"", *group]))
        first += len(group)
    return calls


def _pieces(checkpoint: Checkpoint) -> list[bytes]:
    """All changes of a checkpoint; row numbers ascend, as they do in it."""
    table, freed, gone = _Table.of(StoredRows.of(checkpoint.rows)), checkpoint.freed, checkpoint.gone
    n = PIECE_CUSTOMERS
    parts = [_Piece(table[i : i + n]) for i in range(0, len(table), n)]
    longest = max(len(freed), len(gone))
    parts += [_Piece(table[:0], freed[i : i + n], gone[i : i + n]) for i in range(0, longest, n)]
    return [data for part in parts for data in part.packed()]


def _grouped(pieces: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Pieces for one call each; one empty group where there are none."""
    group: list[bytes] = []
    size = 0
    for piece in pieces:
        if group and size + len(piece) > CALL_BYTES:
            yield group
            group, size = [], 0
        group.append(piece)
        size += len(piece)
    yield group


def _header(checkpoint: Checkpoint, batch_id: str, pieces: int) -> bytes:
    """Return the pending hash as field, value, field and so on."""
    start, end, numbers = checkpoint.start, checkpoint.end, checkpoint.numbers
    sizes = [part for segment, change in checkpoint.sizes.items() for part in (str(segment), str(change))]
    fields: dict[str, str | bytes] = {
        "batch_id": batch_id,
        "start_offset": str(start.next_offset),
        "start_batch": str(start.batch),
        "end_offset": str(end.next_offset),
        "end_batch": str(end.batch),
        "numbers": encode_numbers(numbers),
        "blocks": str(-(-numbers.used // BLOCK_ROWS)),
        "sizes": packed(sizes),
        "pieces": str(pieces),
        "done": "0",
    }
    return packed([part for pair in fields.items() for part in pair])
