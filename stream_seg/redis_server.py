"""How we talk to a Redis: where it is, with which time-outs, and what its errors mean in our words.

Shared by the store and by ``stream_seg.lookup``, so it needs nothing but redis-py. No message holds a
password or a key.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from redis import exceptions

from stream_seg.errors import ServerError, ServerRefused, ServerUnavailable, UsageError

__all__ = ["POOL_CONNECTIONS", "address_of", "checked", "opened", "options", "our_error", "our_errors"]

Pool = TypeVar("Pool")

POOL_CONNECTIONS: Final = 50
"""As many look-ups of one program may be under way at once; more wait for a connection."""

_DEFAULT_PORT: Final = 6379
_FIXED: Final = {"decode_responses": False, "protocol": 2}
"""Bytes as bytes, and one protocol's replies from every server."""
_CODES: Final = (
    (exceptions.AuthenticationError, "NOAUTH"),
    (exceptions.AuthorizationError, "NOAUTH"),
    (exceptions.BusyLoadingError, "LOADING"),
    (exceptions.ClusterDownError, "CLUSTERDOWN"),
    (exceptions.NoPermissionError, "NOPERM"),
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.ReadOnlyError, "READONLY"),
)
"""redis-py takes the code out of the messages of these."""
_PASSING: Final = frozenset(
    {"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "READONLY", "UNBLOCKED"}
)
"""Refusals that end by themselves or with a fail-over: waiting may help."""
_REFUSALS: Final = {
    "NOAUTH": "does not accept the user and password given: correct them in its URL",
    "NOPERM": "does not allow its user the commands or keys needed: grant what docs/reference/redis.md lists",
    "OOM": "has no memory left: raise its maxmemory or make room",
}


def address_of(url: str) -> str:
    """Return ``host:port`` or the socket's path, without user, password or options.

    Raises :class:`~stream_seg.errors.UsageError` where ``url`` is no Redis URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme == "unix" and parts.path:
        return parts.path
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or port == 0:
        raise UsageError(
            "the Redis URL cannot be read: write redis://[user:password@]host:port/db, rediss://… or unix:///path"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port or _DEFAULT_PORT}"


def options(timeout_s: float) -> dict[str, Any]:
    """Return connection options: time-outs on, also for a connection that has gone dead unnoticed."""
    return {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "socket_keepalive": True,
    }


def opened(kind: type[Pool], url: str, **keywords: Any) -> Pool:  # noqa: ANN401 - redis-py's
    """Make a connection pool of a kind, without connecting; the URL's own options come before ``keywords``.

    Raises :class:`~stream_seg.errors.UsageError` where the URL or an option in it is no good.
    """
    address = address_of(url)
    try:
        pool: Any = kind.from_url(url, **{**keywords, **_FIXED})  # type: ignore[attr-defined]
        pool.connection_kwargs.update(_FIXED)
        pool.connection_class(**pool.connection_kwargs)  # finds options that redis-py does not know
    except (TypeError, ValueError):
        # The cause would show the URL's options, and a password may be among them.
        raise UsageError(
            f"an option in the URL of Redis at {address} is unknown or has a wrong value: correct it"
        ) from None
    return cast("Pool", pool)


def checked(replies: list[Any]) -> list[Any]:
    """Return a pipeline's replies, or raise the first error among them."""
    for reply in replies:
        if isinstance(reply, exceptions.RedisError):
            raise reply
    return replies


@contextmanager
def our_errors(address: str) -> Iterator[None]:
    """Raise :class:`~stream_seg.errors.ServerError` for whatever redis-py raises in the block."""
    try:
        yield
    except (exceptions.RedisError, OSError) as error:
        # Without its cause: redis-py puts commands into messages, and with them customers' ids.
        raise our_error(error, address) from None


def our_error(error: Exception, address: str) -> ServerError:
    """Say in a sentence what an error of redis-py means: ``ServerUnavailable`` where waiting may help."""
    where = f"Redis at {address}"
    code = _code(error)
    if code in _REFUSALS:
        return ServerRefused(f"{where} {_REFUSALS[code]}")
    if code in _PASSING:
        return ServerUnavailable(f"{where} cannot do it at the moment ({code}): wait, or see its log")
    if code:
        return ServerRefused(f"{where} refuses a command ({code}): see its log")
    if isinstance(error, exceptions.TimeoutError | TimeoutError):
        return ServerUnavailable(f"{where} did not answer in time: check the server and the network")
    reason = _reason(error)
    return ServerUnavailable(f"{where} cannot be reached ({reason}): check its URL and that it runs")


def _code(error: Exception) -> str:
    """Return the code Redis begins its errors with, ``""`` for an error that is not Redis's."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    if not isinstance(error, exceptions.ResponseError):
        return ""
    text = str(error)
    if "ACL failure in script" in text or "user executing the script" in text:
        return "NOPERM"
    first = re.match(r"[A-Z]+\b", text)
    return first[0] if first else "ERR"


def _reason(error: BaseException) -> str:
    """Return what the operating system says of a connection that failed."""
    if "No connection available" in str(error):
        return "all connections are in use"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {cause.reason or 'failed'}".replace("_", " ").lower().replace("tls", "TLS")
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return "the connection was lost"
