"""The Lua scripts, and how they are called: by hash, several in one round trip, loaded where unknown.

Redis runs a script whole, with nothing in between, and writes what it did to the append-only file as one
transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final, Literal, NamedTuple, get_args

from redis import Redis
from redis.exceptions import NoScriptError

from stream_seg.errors import ServerUnavailable
from stream_seg.redis_server import checked, our_errors

__all__ = ["Argument", "Call", "ScriptName", "run"]

ScriptName = Literal[
    "apply",
    "claim",
    "discard",
    "drop",
    "freeze",
    "meta",
    "own",
    "publish",
    "put",
    "read",
    "recount",
    "refresh",
    "rights",
    "stage",
]
Argument = str | bytes | int

_TRIES: Final = 3


class Call(NamedTuple):
    """One call of a script. Repeating it must do no harm: redis-py does so by itself, and so does ``run``."""

    script: ScriptName
    keys: Sequence[str]
    arguments: Sequence[Argument]


def _text(name: str) -> str:
    return resources.files(__package__).joinpath("scripts", f"{name}.lua").read_text(encoding="utf-8")


def _joined(name: str) -> str:
    """A script: its first line (what it may do when memory is short), the common part, and the rest."""
    first, _, rest = _text(name).partition("\n")
    return f"{first}\n{_text('common')}{rest}"


_TEXTS: Final[dict[str, str]] = {name: _joined(name) for name in get_args(ScriptName)}
_HASHES: Final = {
    name: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() for name, text in _TEXTS.items()
}


def run(client: Redis, address: str, calls: Sequence[Call]) -> list[Any]:
    """Call scripts one after the other in one round trip; returns their replies.

    A server that has just been started knows none of them: they are loaded, and all calls repeated.
    """
    for _ in range(_TRIES):
        with our_errors(address):
            pipeline = client.pipeline(transaction=False)
            for call in calls:
                pipeline.evalsha(_HASHES[call.script], len(call.keys), *call.keys, *call.arguments)
            replies = pipeline.execute(raise_on_error=False)
        if not any(isinstance(reply, NoScriptError) for reply in replies):
            break
        with our_errors(address):
            for text in _TEXTS.values():
                client.script_load(text)
    else:
        raise ServerUnavailable(
            f"Redis at {address} forgets its scripts at once: see whether it keeps restarting"
        )
    with our_errors(address):
        return checked(replies)
