"""Staging and applying batches: many short calls, each of which may be repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from stream_seg.adapters.redis.scripts import Call
from stream_seg.adapters.redis.server import Server, check_reply
from stream_seg.adapters.redis.staging import CALL_BYTES, stage_calls
from stream_seg.engine.checkpoint import Checkpoint
from stream_seg.errors import ServerUnavailable
from stream_seg.keys import Keys

__all__ = ["apply", "stage"]

STAGE_TRIES: Final = 3
APPLY_CALLS: Final = 4
"""First pieces applied in one round trip; between two round trips, look-ups have their turn."""


def stage(
    server: Server,
    keys: Keys,
    batches: Sequence[tuple[Checkpoint, str, str]],
    between: Callable[[str], None],
) -> None:
    """Stage (checkpoint, batch id, token) each; ``between`` is called between two round trips."""
    calls = [
        (checkpoint.partition, call)
        for checkpoint, batch_id, token in batches
        for call in stage_calls(keys, checkpoint, batch_id, token)
    ]
    for _ in range(STAGE_TRIES):
        if _staged(server, calls, between):
            return
    raise ServerUnavailable(
        f"Redis at {server.address} loses what is written: see whether it keeps restarting"
    )


def _staged(server: Server, calls: Sequence[tuple[int, Call]], between: Callable[[str], None]) -> bool:
    """Make all calls, or return ``False`` where the server has lost the first ones in the meantime."""
    trips = _trips(calls)
    for number, trip in enumerate(trips):
        if number:
            between("stage")
        replies = server.run([call for _, call in trip])
        for (partition, _), reply in zip(trip, replies, strict=True):
            check_reply(partition, reply)
        if b"incomplete" in replies:
            return False
    return True


def _trips(calls: Sequence[tuple[int, Call]]) -> list[list[tuple[int, Call]]]:
    """Calls for one round trip each, by size."""
    trips: list[list[tuple[int, Call]]] = []
    size = 0
    for entry in calls:
        weight = sum(len(part) for part in entry[1].arguments if isinstance(part, bytes))
        if not trips or size + weight > CALL_BYTES:
            trips.append([])
            size = 0
        trips[-1].append(entry)
        size += weight
    return trips


def apply(
    server: Server, keys: Keys, batches: Sequence[tuple[int, str, str]], between: Callable[[str], None]
) -> None:
    """Apply (partition, batch id, token) each; ``between`` is called between two round trips.

    First pieces go together, for most batches are no longer; the others one by one. A call applies the next
    piece whatever became of the one before, so one that is repeated does no harm.
    """
    waiting, calls = batches, APPLY_CALLS
    while waiting:
        unfinished: list[tuple[int, str, str]] = []
        for first in range(0, len(waiting), calls):
            unfinished += _applied(server, keys, waiting[first : first + calls])
            if unfinished or first + calls < len(waiting):
                between("apply")
        waiting, calls = unfinished, 1


def _applied(
    server: Server, keys: Keys, batches: Sequence[tuple[int, str, str]]
) -> list[tuple[int, str, str]]:
    """Apply a piece of each in one round trip; returns those that have more."""
    replies = server.run([_apply_call(keys, *batch) for batch in batches])
    unfinished = []
    for batch, reply in zip(batches, replies, strict=True):
        check_reply(batch[0], reply)
        done, pieces = reply
        if done < pieces:
            unfinished.append(batch)
    return unfinished


def _apply_call(keys: Keys, partition: int, batch_id: str, token: str) -> Call:
    names = [*keys.batch(partition), keys.split(partition), keys.segments]
    prefixes = [keys.rows(partition), keys.customers, keys.segment_hashes]
    return Call("apply", names, [token, batch_id, partition, *prefixes])
