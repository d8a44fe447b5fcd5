"""Reading all of a partition: by its owner, or beside it at one point."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Final, NamedTuple

from stream_seg.adapters.redis.server import Server
from stream_seg.engine.checkpoint import decode_numbers
from stream_seg.engine.ports import Stored
from stream_seg.errors import DamagedState, ServerUnavailable
from stream_seg.keys import BLOCK_ROWS, Keys

__all__ = ["read_frozen", "read_partition", "read_whole"]

LOAD_BLOCKS: Final = 16
"""Blocks of rows read in one round trip: some 2 MB."""
WHOLE_TRIES: Final = 2
"""How often a partition is read as it is, in the hope that no batch is applied meanwhile."""
FROZEN_S: Final = 3600
"""When a copy that nobody deletes expires."""


def read_partition(server: Server, keys: Keys, partition: int) -> Stored | None:
    """All of a partition, rows in ascending order; ``None`` where nothing is stored.

    ``DamagedState`` where it is not as written. Whether the rows themselves are whole is for the reader to
    see (``engine.checkpoint.restore``).
    """
    return _read(server, keys.position(partition), keys.rows(partition))


def read_whole(server: Server, keys: Keys, partition: int) -> Stored | None:
    """All of a partition at one point, while its owner may go on; ``None`` where nothing is stored.

    Read as it is, if no batch is applied meanwhile, and else from a copy. Raises ``ServerUnavailable`` while
    a batch is half applied, and ``DamagedState``.
    """
    for _ in range(WHOLE_TRIES):
        before = _standing(server, keys, partition)
        stored = read_partition(server, keys, partition)
        if before.settled and before == _standing(server, keys, partition):
            return stored
    return read_frozen(server, keys, partition)


def read_frozen(server: Server, keys: Keys, partition: int) -> Stored | None:
    """All of a partition, from a copy that the server makes in one call.

    That takes 1.3 ms for 1,000 customers, during which it does nothing else. Raises as ``read_whole``.
    """
    copies = f"{keys.frozen(partition)}{secrets.token_hex(8)}:"
    position, rows = f"{copies}position", f"{copies}rows:"
    names = [keys.position(partition), keys.pending(partition), position]
    reply = server.call("freeze", names, [keys.rows(partition), rows, FROZEN_S])
    if reply == b"applying":
        raise ServerUnavailable(
            f"a batch of partition {partition} is half applied: try again while a worker is running"
        )
    try:
        return _read(server, position, rows)
    finally:
        with server.our_errors:
            server.client.unlink(position, *(f"{rows}{block}" for block in range(reply)))


class _Standing(NamedTuple):
    """The batch a partition stands at, and how much of the next one is applied (``None``: there is none)."""

    batch: bytes | None
    done: bytes | None

    @property
    def settled(self) -> bool:
        """Whether no batch is half applied."""
        return self.done in {None, b"0"}


def _standing(server: Server, keys: Keys, partition: int) -> _Standing:
    pipeline = server.client.pipeline(transaction=True)
    pipeline.hget(keys.position(partition), "batch")
    pipeline.hget(keys.pending(partition), "done")
    with server.our_errors:
        return _Standing(*pipeline.execute())


def _read(server: Server, position: str, rows: str) -> Stored | None:
    with server.our_errors:
        text, *places = server.client.hmget(position, "numbers", "next_offset", "batch", "blocks")
    if text is None:
        return None
    numbers = decode_numbers(text)
    at, blocks = numbers.position, -(-numbers.used // BLOCK_ROWS)
    if places != [b"%d" % number for number in (at.next_offset, at.batch, blocks)]:
        raise DamagedState("the stored position of a partition is damaged")
    return Stored(numbers, list(_rows(server, rows, blocks)))


def _rows(server: Server, prefix: str, blocks: int) -> Iterator[tuple[int, bytes]]:
    for first in range(0, blocks, LOAD_BLOCKS):
        pipeline = server.client.pipeline(transaction=False)
        for block in range(first, min(first + LOAD_BLOCKS, blocks)):
            pipeline.hgetall(f"{prefix}{block}")
        with server.our_errors:
            found = pipeline.execute()
        for rows in found:
            if not all(map(bytes.isdigit, rows)):
                raise DamagedState("the number of a stored row is damaged")
            yield from sorted((int(row), blob) for row, blob in rows.items())
