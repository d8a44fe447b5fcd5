"""One Redis: connecting to it, waiting for it, and calling scripts on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from redis import ConnectionPool, Redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from stream_seg.adapters.redis.scripts import Argument, Call, Calls, ScriptName
from stream_seg.errors import DamagedState, OwnershipLost, ServerUnavailable
from stream_seg.redis_server import address_of, opened, options, our_errors

__all__ = ["Server", "check_reply", "connected"]

TIMEOUT_S: Final = 5.0
"""How long the server may take for a call, unless its URL says ``socket_timeout``."""
REPEATS: Final = 1
"""How often redis-py repeats a call by itself after a broken connection or a time-out."""
LONGEST_PAUSE_S: Final = 1.0
_LOST: Final = {
    b"lost": "partition {} has another owner now",
    b"elsewhere": "partition {} is stored at another position than the batch starts from",
    b"applying": "partition {} holds another batch, half applied",
    b"gone": "the batch that partition {} should apply is not stored any more",
}


class Server:
    """A client that returns bytes, and the address to name in messages."""

    def __init__(self, client: Redis, address: str) -> None:
        """Use a client as it is."""
        self.client: Any = client  # redis-py types every reply as maybe awaitable
        self.address = address

    @property
    def our_errors(self) -> AbstractContextManager[None]:
        """A block in which redis-py's errors become ours."""
        return our_errors(self.address)

    def calls(self, calls: Iterable[Call], ahead: int) -> Calls:
        """Call scripts one after the other, ``ahead`` of them under way at once."""
        return Calls(self.client, self.address, calls, ahead)

    def call(self, script: ScriptName, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:  # noqa: ANN401
        """Call one script; returns its reply."""
        with self.calls([Call(script, keys, arguments)], ahead=1) as calls:
            return calls.reply()

    def guarded(
        self, partition: int, script: ScriptName, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> None:
        """Call one script; ``OwnershipLost`` where it refuses."""
        check_reply(partition, self.call(script, keys, arguments))


def connected(
    url: str, wait_s: float, on_wait: Callable[[str], None], check: Callable[[Server], None]
) -> Server:
    """Connect, and ``check`` the server: again for ``wait_s`` seconds where it does not answer."""
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), REPEATS)
    pool = opened(ConnectionPool, url, retry=retry, **options(TIMEOUT_S))
    server = Server(Redis.from_pool(pool), address_of(url))
    try:
        _wait(server, wait_s, on_wait, check)
    except BaseException:
        server.client.close()
        raise
    return server


def _wait(
    server: Server, wait_s: float, on_wait: Callable[[str], None], check: Callable[[Server], None]
) -> None:
    deadline = time.monotonic() + wait_s
    pause = 0.05
    told = False
    while True:
        try:
            check(server)
        except ServerUnavailable as unavailable:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            if not told:
                on_wait(str(unavailable))
                told = True
            pause = min(2 * pause, LONGEST_PAUSE_S)
            time.sleep(min(pause, left))
        else:
            return


def check_reply(partition: int, reply: object) -> None:
    """Raise ``OwnershipLost`` for a script's refusal: taking the partition over is the answer to each.

    ``DamagedState`` where it could not read what is staged: the answer is the same.
    """
    if reply == b"damaged":
        raise DamagedState(f"the batch staged for partition {partition} is damaged")
    if isinstance(reply, bytes) and reply in _LOST:
        raise OwnershipLost(_LOST[reply].format(partition) + ": take it over again")
