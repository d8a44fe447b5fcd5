"""The Lua scripts, and how they are called: by hash, loaded where unknown.

Redis runs a script whole, with nothing in between, and writes what it did to the append-only file as one
transaction.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any, Final, Literal, NamedTuple, Self, get_args

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from stream_seg.errors import ServerUnavailable
from stream_seg.redis_server import our_errors

__all__ = ["Argument", "Call", "Calls", "ScriptName"]

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
    """One call of a script. Repeating it must do no harm: ``Calls`` does so after a broken connection."""

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


class Calls:
    """Calls of scripts on one connection, some of them sent before the first is answered.

    So the server need not wait for us between two, and others have their turn: it reads what has arrived
    from each client in turn. After a broken connection the unanswered ones are sent again.
    """

    def __init__(self, client: Redis, address: str, calls: Iterable[Call], ahead: int) -> None:
        """Make ``calls``, of which ``ahead`` may be unanswered; more can be added between two replies."""
        self._client: Any = client
        self._address = address
        self._to_send = deque(calls)
        self._sent: deque[Call] = deque()
        self._ahead = ahead

    def __enter__(self) -> Self:
        """Take a connection."""
        with our_errors(self._address):
            self._connection = self._client.connection_pool.get_connection()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the connection back, a broken one if there are replies to come that nobody will read."""
        if self._sent:
            self._connection.disconnect()
        self._client.connection_pool.release(self._connection)

    def add(self, calls: Iterable[Call]) -> None:
        """Make more calls after the others."""
        self._to_send.extend(calls)

    def reply(self) -> Any:  # noqa: ANN401 - whatever the script returns
        """Wait for the next reply, in the order of the calls."""
        retry = self._client.get_retry() or Retry(NoBackoff(), 0)
        with our_errors(self._address):
            reply = retry.call_with_retry(self._reply, lambda _: self._again())
        self._sent.popleft()
        return reply

    def _reply(self) -> Any:  # noqa: ANN401
        """Send what may be sent, and give the reply to the first of what was.

        A server that has just been started knows no script: they are loaded, and the calls repeated.
        """
        for _ in range(_TRIES):
            while self._to_send and len(self._sent) < self._ahead:
                self._sent.append(self._to_send.popleft())
                self._send("EVALSHA", *_arguments(self._sent[-1]))
            try:
                return self._connection.read_response()
            except NoScriptError:
                self._again()
            for text in _TEXTS.values():
                self._send("SCRIPT", "LOAD", text)
                self._connection.read_response()
        raise ServerUnavailable(
            f"Redis at {self._address} forgets its scripts at once: see whether it keeps restarting"
        )

    def _send(self, *command: Argument) -> None:
        packed = self._connection.pack_command(*command)
        self._connection.send_packed_command(packed, check_health=False)  # its reply would be among ours

    def _again(self) -> None:
        """Send once more what is unanswered, on a new connection."""
        self._connection.disconnect()
        self._to_send.extendleft(reversed(self._sent))
        self._sent.clear()


def _arguments(call: Call) -> tuple[Argument, ...]:
    return (_HASHES[call.script], len(call.keys), *call.keys, *call.arguments)
