"""How we talk to a Redis: where it is, with which time-outs, and what its errors mean in our words.

Shared by the store and by ``stream_seg.lookup``, so it needs nothing but redis-py. No message holds a password or a key.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,  # noqa: A004 - redis-py's names
    NoPermissionError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004
)

from stream_seg.errors import ServerError, ServerRefused, ServerUnavailable, UsageError

__all__ = ["address_of", "opened", "options", "our_error", "our_errors"]

Client = TypeVar("Client")

_PORT = 6379
_PASSING = ("BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "READONLY", "TRYAGAIN", "UNBLOCKED")
"""Refusals that end by themselves, or with a fail-over."""


def address_of(url: str) -> str:
    """Return ``host:port`` or the socket's path, without user, password or options.

    Raises :class:`~stream_seg.errors.UsageError` where ``url`` is no Redis URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORT
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme == "unix" and parts.path:
        return parts.path
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or not port:
        raise UsageError(
            "the Redis URL cannot be read: it must be redis://[user:password@]host:port/db, rediss://… or unix:///path"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}"


def options(timeout_s: float, connect_timeout_s: float | None = None) -> dict[str, Any]:
    """Return client options: time-outs on, bytes as bytes, and replies of one protocol on every server."""
    return {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s if connect_timeout_s is None else connect_timeout_s,
        "socket_keepalive": True,
        "decode_responses": False,
        "protocol": 2,
    }


def opened(from_url: Callable[..., Client], url: str, **keywords: Any) -> Client:  # noqa: ANN401 - redis-py's
    """Make a client without connecting; :class:`~stream_seg.errors.UsageError` where the URL is no good."""
    address = address_of(url)
    try:
        client = from_url(url, **keywords)
        pool = client.connection_pool  # type: ignore[attr-defined]
        pool.connection_class(**pool.connection_kwargs)  # finds options that redis-py does not know
    except (TypeError, ValueError):
        # The cause would show the URL's options.
        raise UsageError(f"an option in the URL of Redis at {address} is unknown or has a wrong value") from None
    return client


@contextmanager
def our_errors(address: str) -> Iterator[None]:
    """Raise :class:`~stream_seg.errors.ServerError` for what redis-py raises in the block."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise our_error(error, address) from None  # redis-py's message may name a customer's key


def our_error(error: Exception, address: str) -> ServerError:
    """Say in a sentence what an error of redis-py means: ``ServerUnavailable`` where waiting may help."""
    where = f"Redis at {address}"
    code, _, rest = str(error).partition(" ")
    if isinstance(error, AuthenticationError | AuthorizationError):
        return ServerRefused(f"{where} refuses the user or password: correct them in its URL")
    if isinstance(error, NoPermissionError) or "NOPERM" in str(error) or "ACL failure" in str(error):
        return ServerRefused(
            f"{where} does not give its user the rights that are needed: grant them (docs/reference/redis.md)"
        )
    if isinstance(error, OutOfMemoryError) or "OOM" in str(error).split():
        return ServerRefused(f"{where} has no memory left: raise its maxmemory or free some")
    if isinstance(error, TimeoutError | socket.timeout):
        return ServerUnavailable(f"{where} did not answer in time: check the server and the network, then try again")
    if isinstance(error, ConnectionError | OSError):
        return ServerUnavailable(
            f"{where} cannot be reached ({_reason(error)}): check that it runs and that its URL is right"
        )
    if isinstance(error, ResponseError):
        if _passes(error):
            return ServerUnavailable(f"{where} cannot serve us at the moment ({_kind(error)}): wait, or look at its log")
        return ServerRefused(f"{where} refuses a command ({code if code.isupper() else rest and 'ERR'}): look at its log")
    return ServerUnavailable(f"{where} gave an answer that cannot be understood: check that it is a Redis")
