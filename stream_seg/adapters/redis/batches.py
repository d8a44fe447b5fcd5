"""Staging and applying batches: many short calls, each of which may be repeated."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from stream_seg.adapters.redis import staging
from stream_seg.adapters.redis.scripts import Call
from stream_seg.adapters.redis.server import Server, check_reply
from stream_seg.engine.checkpoint import Checkpoint
from stream_seg.errors import ServerUnavailable
from stream_seg.keys import Keys

__all__ = ["apply", "stage", "stage_calls"]

STAGE_TRIES: Final = 3
AHEAD: Final = 2
"""Calls under way: while the server works at one, the next is on its way and look-ups have their turn."""


def stage_calls(keys: Keys, batches: Sequence[tuple[Checkpoint, str, str]]) -> list[tuple[int, Call]]:
    """Return the calls that stage (checkpoint, batch id, token) each, with their partitions."""
    return [
        (checkpoint.partition, call)
        for checkpoint, batch_id, token in batches
        for call in staging.stage_calls(keys, checkpoint, batch_id, token)
    ]


def stage(server: Server, calls: Sequence[tuple[int, Call]], between: Callable[[str], None]) -> None:
    """Make all calls; ``between`` is called between two."""
    for _ in range(STAGE_TRIES):
        if _staged(server, calls, between):
            return
    raise ServerUnavailable(
        f"Redis at {server.address} loses what is written: see whether it keeps restarting"
    )


def _staged(server: Server, calls: Sequence[tuple[int, Call]], between: Callable[[str], None]) -> bool:
    """Make all calls, or return ``False`` where the server has lost the first ones in the meantime."""
    with server.calls([call for _, call in calls], AHEAD) as under_way:
        for number, (partition, _) in enumerate(calls):
            if number:
                between("stage")
            reply = under_way.reply()
            check_reply(partition, reply)
            if reply == b"incomplete":
                return False
    return True


def apply(
    server: Server, keys: Keys, batches: Sequence[tuple[int, str, str]], between: Callable[[str], None]
) -> None:
    """Apply (partition, batch id, token) each; ``between`` is called between two calls.

    A call applies the next piece, whatever became of the one before, and says how many are left: so one that
    is repeated does no harm.
    """
    whose = deque(batches)
    with server.calls([_apply_call(keys, *batch) for batch in batches], AHEAD) as under_way:
        while whose:
            batch = whose.popleft()
            reply = under_way.reply()
            check_reply(batch[0], reply)
            done, pieces = reply
            if done < pieces and batch not in whose:
                whose += [batch] * (pieces - done)
                under_way.add([_apply_call(keys, *batch)] * (pieces - done))
            if whose:
                between("apply")


def _apply_call(keys: Keys, partition: int, batch_id: str, token: str) -> Call:
    names = [*keys.batch(partition), keys.split(partition), keys.segments]
    prefixes = [keys.rows(partition), keys.customers, keys.segment_hashes]
    return Call("apply", names, [token, batch_id, partition, *prefixes])
