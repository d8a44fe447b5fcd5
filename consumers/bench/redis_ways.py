"""What writing customers costs Redis, and us, by the way it is done: commands, a script, a function."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

import msgpack
from redis import Redis

from consumers.bench.figures import Share

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.bench.stand import Stand

__all__ = ["redis_ways"]

CUSTOMERS: Final = 8_192
PIECE: Final = 256
ROUNDS: Final = 7
FIELDS: Final = {
    "segment": "3",
    "name": "high-value",
    "confidence": "0.5123456789",
    "distance": "1.2512345678",
    "since": "2023-11-14T22:13:20.000Z",
    "event_time": "2023-11-15T22:13:20.000Z",
    "events": "17",
    "f.days_since_order": "0.5123456789",
    "f.orders": "12.251234567",
    "f.spend": "812.75123456",
}
_WRITE: Final = """
  local names, rows = unpack(cmsgpack.unpack(ARGS[1]))
  local hash = {}
  for j, name in ipairs(names) do hash[2 * j - 1] = name end
  for at = 1, #rows, #names + 1 do
    for j = 1, #names do hash[2 * j] = rows[at + j] end
    redis.call('HSET', rows[at], unpack(hash))
  end
"""


def redis_ways(stand: Stand) -> dict[str, Share]:
    """µs a customer with ten fields: Redis's processor time, and (``wall``) ours, the best of some rounds."""
    names = [f"{stand.prefix}:way:{number}" for number in range(CUSTOMERS)]
    with closing(Redis.from_url(stand.redis_url)) as redis:
        script = redis.script_load(_WRITE.replace("ARGS", "ARGV"))
        library = f"{stand.prefix}_ways".replace("-", "_")
        code = (
            f"#!lua name={library}\nredis.register_function('{library}', function(KEYS, ARGS) {_WRITE} end)"
        )
        redis.function_load(code)
        ways: dict[str, Callable[[], None]] = {
            "pipelined HSET": lambda: _pipelined(redis, names),
            "EVALSHA, 256 customers a call": lambda: _called(redis, ["EVALSHA", script, 0], names),
            "FCALL, 256 customers a call": lambda: _called(redis, ["FCALL", library, 0], names),
        }
        try:
            return {what: _least(stand, way) for what, way in ways.items()}
        finally:
            redis.function_delete(library)
            redis.unlink(*names)


def _least(stand: Stand, way: Callable[[], None]) -> Share:
    found = []
    for _ in range(ROUNDS):
        theirs, ours = stand.redis_cpu_s(), time.process_time()
        way()
        ours = time.process_time() - ours
        found.append(((stand.redis_cpu_s() - theirs) / CUSTOMERS * 1e6, ours / CUSTOMERS * 1e6))
    return Share(min(theirs for theirs, _ in found), min(ours for _, ours in found))


def _pipelined(redis: Redis, names: list[str]) -> None:
    flat = [part for field in FIELDS.items() for part in field]
    pipeline = redis.pipeline(transaction=False)
    for name in names:
        pipeline.hset(name, items=flat)
    pipeline.execute()


def _called(redis: Redis, call: list[object], names: list[str]) -> None:
    pipeline = redis.pipeline(transaction=False)
    for start in range(0, len(names), PIECE):
        rows = [part for name in names[start : start + PIECE] for part in (name, *FIELDS.values())]
        pipeline.execute_command(  # type: ignore[no-untyped-call] # redis-py has no type for it
            *call, msgpack.packb([list(FIELDS), rows], use_bin_type=False)
        )
    pipeline.execute()
