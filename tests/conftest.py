"""Fixtures that every test may use: real servers, and names nobody else uses."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import hypothesis
import pytest
from redis import Redis

from stream_seg.adapters.local import LocalServers, local_servers
from stream_seg.errors import ServersUnavailable

hypothesis.settings.register_profile("fuzz", max_examples=20_000, database=None, print_blob=True)

REQUIRE = "STREAM_SEG_REQUIRE_SERVERS"
"""Set where the servers must be there (in CI): a machine without them then fails instead of skipping."""


@contextmanager
def servers_or_skip(folder: Path | None = None) -> Iterator[LocalServers]:
    """``local_servers``, except that a machine that cannot have them skips the test with the reason."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(local_servers(folder))
        except ServersUnavailable as unavailable:
            if os.environ.get(REQUIRE):
                raise
            pytest.skip(str(unavailable))
        yield running


@pytest.fixture(scope="session")
def servers() -> Iterator[LocalServers]:
    """Kafka and Redis for the whole run; tests that take a server away use ``private_servers`` instead."""
    with servers_or_skip() as running:
        yield running


@pytest.fixture(scope="session")
def bootstrap_servers(servers: LocalServers) -> str:
    """Address of the shared Kafka."""
    return servers.bootstrap_servers


@pytest.fixture
def redis_url(servers: LocalServers) -> str:
    """URL of the shared Redis, emptied before each test that asks for it."""
    with Redis.from_url(servers.redis_url) as client:
        client.flushall()
    return servers.redis_url


@pytest.fixture
def fresh_name() -> Callable[[str], str]:
    """Make names of models, topics and groups that no other test has, from a readable beginning."""

    def name(beginning: str) -> str:
        return f"{beginning}-{uuid.uuid4().hex[:12]}"

    return name


@pytest.fixture
def private_servers(tmp_path: Path) -> Iterator[Callable[[], LocalServers]]:
    """Start servers that one test has to itself; what they store outlives their stop and kill."""
    with ExitStack() as stack:

        def start() -> LocalServers:
            folder = tmp_path / f"servers-{uuid.uuid4().hex[:6]}"
            return stack.enter_context(servers_or_skip(folder))

        yield start
