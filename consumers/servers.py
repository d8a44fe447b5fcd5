"""``stream-seg servers``: a Kafka and a Redis to try things on, until interrupted."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import click

from stream_seg.adapters.local import LocalServers, local_servers
from stream_seg.errors import ServerUnavailable

__all__ = ["configuration_sections", "run_servers"]

LOOK_SECONDS: Final = 0.5


def configuration_sections(servers: LocalServers) -> str:
    """Return the ``[kafka]`` and ``[redis]`` sections that point a configuration at these servers."""
    kafka = f'[kafka]\nbootstrap_servers = "{servers.bootstrap_servers}"\n'
    redis = f'[redis]\nurl = "{servers.redis_url}"\n'
    return f"{kafka}\n{redis}"


def run_servers(directory: Path | None = None) -> int:
    """Run both servers until SIGINT or SIGTERM, take them down, and return the exit status 0.

    The addresses go to standard output, what is being done to standard error. ``directory`` keeps the data.
    9092 and 6379 are taken where they are free, so that a configuration without addresses finds the servers.

    Raises what :func:`~stream_seg.adapters.local.local_servers` raises, and
    :class:`~stream_seg.errors.ServerUnavailable` should one of the servers end by itself.
    """
    try:
        with interruptible(), local_servers(directory, report=_tell, default_ports=True) as servers:
            click.echo(f"Kafka is at {servers.bootstrap_servers}, Redis at {servers.redis_url}\n")
            click.echo(configuration_sections(servers))
            kept = f"their data stays in {directory}" if directory else "their data goes with them"
            _tell(f"both run until you press Ctrl-C; {kept}")
            _watch(servers)
    except KeyboardInterrupt:
        _tell("Kafka and Redis are down")
    return 0


def _watch(servers: LocalServers) -> None:
    """Wait for ever, unless a server ends by itself."""
    while True:
        for server in (servers.kafka, servers.redis):
            if not server.is_running:
                raise ServerUnavailable(
                    f"the local {server.name} ended by itself; it last wrote:\n{server.log_tail()}"
                )
        time.sleep(LOOK_SECONDS)


def _tell(sentence: str) -> None:
    """Write a sentence for people."""
    click.echo(sentence, err=True)


@contextmanager
def interruptible() -> Iterator[None]:
    """Make the first SIGINT or SIGTERM a ``KeyboardInterrupt``; later ones must not disturb the way down."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    former = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, former, strict=True):
            signal.signal(number, handler)
