"""Both local servers, up together and down together."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stream_seg.adapters.local.cache import exclusive
from stream_seg.adapters.local.kafka import KafkaRuntime, local_kafka, prepare_kafka
from stream_seg.adapters.local.process import LocalServer, PortTaken
from stream_seg.adapters.local.redis import find_redis, local_redis
from stream_seg.adapters.local.settings import KAFKA_DEFAULT_PORT, REDIS_DEFAULT_PORT

__all__ = ["LocalServers", "local_servers"]

TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class LocalServers:
    """Addresses of the two servers, and handles to take them away and bring them back."""

    bootstrap_servers: str
    redis_url: str
    kafka: LocalServer
    redis: LocalServer


def _quiet(_: str) -> None:
    """Report nothing."""


@contextmanager
def local_servers(
    directory: Path | None = None,
    *,
    report: Callable[[str], None] = _quiet,
    default_ports: bool = False,
) -> Iterator[LocalServers]:
    """Run Kafka and Redis on free ports of 127.0.0.1 as long as the block lasts.

    ``directory`` keeps their data for the next time; without it they work in a temporary folder that is
    removed. ``report`` gets a sentence about each thing that takes a while. ``default_ports`` takes 9092 and
    6379 where they are free. However this process ends, SIGKILL included, the servers end too.

    Raises :class:`~stream_seg.errors.ServersUnavailable` with what to install where they cannot be had here,
    :class:`~stream_seg.errors.ServerUnavailable` with the end of a server's log if one does not come up, and
    :class:`~stream_seg.errors.UsageError` if other servers have ``directory``.
    """
    program = find_redis()
    runtime = prepare_kafka(report)
    with _folder(directory) as folder, ExitStack() as stack:
        report("starting Kafka and Redis")
        keep = directory is not None
        for attempt in range(TRIES):
            servers = _describe(
                runtime, program, folder, keep=keep, default_ports=default_ports and attempt == 0
            )
            try:
                with ExitStack() as starting:
                    starting.callback(_end, servers, keep=keep)
                    _start(servers)
                    stack.push(starting.pop_all())
                break
            except PortTaken:
                if attempt == TRIES - 1:
                    raise
        yield servers


@contextmanager
def _folder(directory: Path | None) -> Iterator[Path]:
    """Yield the folder to work in: ``directory``, held alone, or a temporary one."""
    if directory is None:
        folder = Path(tempfile.mkdtemp(prefix="stream-seg-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    else:
        folder = directory.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(folder):
            yield folder


def _describe(
    runtime: KafkaRuntime, program: Path, folder: Path, *, keep: bool, default_ports: bool
) -> LocalServers:
    """Choose ports and write the servers' settings."""
    kafka = local_kafka(
        runtime, folder / "kafka", keep=keep, preferred_port=KAFKA_DEFAULT_PORT if default_ports else None
    )
    redis = local_redis(
        program, folder / "redis", keep=keep, preferred_port=REDIS_DEFAULT_PORT if default_ports else None
    )
    return LocalServers(kafka.address, f"redis://{redis.address}/0", kafka, redis)


def _start(servers: LocalServers) -> None:
    """Start both at once, and wait until both serve."""
    both = (servers.kafka, servers.redis)
    for server in both:
        server.launch()
    for server in both:
        server.wait_ready()


def _end(servers: LocalServers, *, keep: bool) -> None:
    """Take both down: in order where data is kept, at once where it is thrown away."""
    for server in (servers.redis, servers.kafka):
        if keep:
            server.stop()
        else:
            server.kill()
