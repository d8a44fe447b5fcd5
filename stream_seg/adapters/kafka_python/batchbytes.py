"""Kafka's record batch, format 2, from columns and to columns: two kernels instead of Python for each record.

The format is described in Kafka's documentation ("Message format", record batch and record). What stands
here is the part after the batch's 61 bytes of header: length, attributes, timestamp delta, offset delta, key,
value and headers of each record, as zigzag varints and bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_seg.compiled import kernel

__all__ = ["Chunk", "EncodedBatch", "encode_batches", "read_records"]

# A record's varints: length 5, attributes 1, timestamp 10, offset 5, key length 5, value length 5, headers 1.
RECORD_OVERHEAD: Final = 32
_FIELDS: Final = 6


class Chunk(NamedTuple):
    """Consecutive records of one partition: lists of n, and int64 [n]."""

    keys: list[bytes | None]
    values: list[bytes | None]
    offset: NDArray[np.int64]
    timestamp_ms: NDArray[np.int64]


class EncodedBatch(NamedTuple):
    """The records of one batch as bytes, and what its header says of them."""

    body: memoryview
    records: int
    first_ms: int
    largest_ms: int


@kernel
def _put(out: NDArray[np.uint8], at: int, value: int) -> int:
    """Write a zigzag varint; the place after it."""
    rest = np.uint64((value << 1) ^ (value >> 63))
    while rest >= np.uint64(0x80):
        out[at] = np.uint8(rest & np.uint64(0x7F)) | np.uint8(0x80)
        rest >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(rest)
    return at + 1


@kernel
def _size(value: int) -> int:
    """How many bytes a zigzag varint takes."""
    rest = np.uint64((value << 1) ^ (value >> 63))
    size = 1
    while rest >= np.uint64(0x80):
        rest >>= np.uint64(7)
        size += 1
    return size


@kernel
def _get(data: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """Read a zigzag varint: the value, and the place after it or −1 where the bytes end before it does."""
    rest = np.uint64(0)
    shift = np.uint64(0)
    while at < end and shift < np.uint64(64):
        byte = data[at]
        at += 1
        rest |= np.uint64(byte & np.uint8(0x7F)) << shift
        if byte < np.uint8(0x80):
            # numba returns int64 for what is int to the type checker
            return np.int64(rest >> np.uint64(1)) ^ -np.int64(rest & np.uint64(1)), at  # type: ignore[return-value]
        shift += np.uint64(7)
    return 0, -1


@kernel
def _write(  # noqa: PLR0913, PLR0917 - a kernel takes arrays
    keys: NDArray[np.uint8],
    key_ends: NDArray[np.int64],
    values: NDArray[np.uint8],
    value_ends: NDArray[np.int64],
    times: NDArray[np.int64],
    limit: int,
    out: NDArray[np.uint8],
    batch_at: NDArray[np.int64],
    batch_row: NDArray[np.int64],
) -> tuple[int, int]:
    """Write all records to ``out``, a new batch wherever one would pass ``limit`` bytes.

    ``batch_at`` and ``batch_row`` get each batch's first byte and first record. Gives the number of batches
    and of bytes.
    """
    at = 0
    batches = 0
    key_at = 0
    value_at = 0
    first_row = 0
    for row in range(len(times)):
        key_size = key_ends[row] - key_at
        value_size = value_ends[row] - value_at
        content = 2 + _size(key_size) + key_size + _size(value_size) + value_size
        fresh = batches == 0
        if not fresh:
            length = content + _size(times[row] - times[first_row]) + _size(row - first_row)
            fresh = at - batch_at[batches - 1] + length + _size(length) > limit
        if fresh:
            batch_at[batches], batch_row[batches] = at, row
            batches += 1
            first_row = row
        length = content + _size(times[row] - times[first_row]) + _size(row - first_row)
        at = _put(out, at, length)
        out[at] = 0
        at = _put(out, at + 1, times[row] - times[first_row])
        at = _put(out, at, row - first_row)
        at = _put(out, at, key_size)
        out[at : at + key_size] = keys[key_at : key_at + key_size]
        at = _put(out, at + key_size, value_size)
        out[at : at + value_size] = values[value_at : value_at + value_size]
        at += value_size
        out[at] = 0
        at += 1
        key_at += key_size
        value_at += value_size
    return batches, at


@kernel
def _read(data: NDArray[np.uint8], at: int, base_offset: int, base_ms: int, found: NDArray[np.int64]) -> int:
    """Read records into ``found``, [6, n]: offset, time, key from and to, value from and to (to −1: none).

    Gives the place after the last record, −1 where the bytes are no records.
    """
    end = len(data)
    for row in range(found.shape[1]):
        length, at = _get(data, at, end)
        if at < 0 or length < 1 or length > end - at:
            return -1
        after = at + length
        delta_ms, at = _get(data, at + 1, after)
        if at < 0:
            return -1
        delta, at = _get(data, at, after)
        if at < 0:
            return -1
        found[0, row] = base_offset + delta
        found[1, row] = base_ms + delta_ms
        for part in (2, 4):
            size, at = _get(data, at, after)
            if at < 0 or size > after - at:
                return -1
            found[part, row] = at
            found[part + 1, row] = at + size if size >= 0 else -1
            at += max(size, 0)
        at = after
    return at


def encode_batches(
    keys: Sequence[bytes], values: Sequence[bytes], timestamps_ms: Sequence[int], limit: int
) -> list[EncodedBatch]:
    """Encode records without headers, in batches of at most ``limit`` bytes (or one record)."""
    times = np.asarray(timestamps_ms, dtype=np.int64)
    rows = len(times)
    if not len(keys) == len(values) == rows:
        raise ValueError("keys, values and timestamps must be as many")
    if not rows:
        return []
    key_bytes, key_ends = _joined(keys)
    value_bytes, value_ends = _joined(values)
    out = np.empty(len(key_bytes) + len(value_bytes) + RECORD_OVERHEAD * rows, dtype=np.uint8)
    batch_at, batch_row = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
    batches, size = _write(
        key_bytes, key_ends, value_bytes, value_ends, times, limit, out, batch_at, batch_row
    )
    ends = [*batch_at[1:batches].tolist(), size]
    last = [*batch_row[1:batches].tolist(), rows]
    view = out.data
    return [
        EncodedBatch(view[at:end], after - row, int(times[row]), int(times[row:after].max()))
        for at, end, row, after in zip(
            batch_at[:batches].tolist(), ends, batch_row[:batches].tolist(), last, strict=True
        )
    ]


def _joined(parts: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    sizes = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))
    return np.frombuffer(b"".join(parts), dtype=np.uint8), np.cumsum(sizes)


def read_records(raw: bytes, at: int, count: int, base_offset: int, base_ms: int) -> Chunk | None:
    """Read the ``count`` records of a batch that begin at ``at``; ``None`` where the bytes are no records."""
    found = np.empty((_FIELDS, count), dtype=np.int64)
    end = _read(np.frombuffer(raw, dtype=np.uint8), at, base_offset, base_ms, found)
    if end != len(raw):
        return None
    key_from, key_to, value_from, value_to = found[2:].tolist()
    return Chunk(
        [raw[a:b] if b >= 0 else None for a, b in zip(key_from, key_to, strict=True)],
        [raw[a:b] if b >= 0 else None for a, b in zip(value_from, value_to, strict=True)],
        found[0],
        found[1],
    )
