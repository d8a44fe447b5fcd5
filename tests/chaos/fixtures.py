"""Fixtures of the tests that hurt workers: ``pytest_plugins = ("tests.chaos.fixtures",)`` brings them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stream_seg.adapters.local import LocalServers
from stream_seg.adapters.local.process import LocalServer
from stream_seg.adapters.local.redis import find_redis, local_redis
from tests.chaos.crew import Crew, crew
from tests.chaos.scenarios import Theatre


@pytest.fixture
def hired() -> Iterator[Crew]:
    """Workers of one test; all of them end with it."""
    with crew() as workers:
        yield workers


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[LocalServer]:
    """A Redis that one test has to itself; what it stores outlives its end."""
    redis = local_redis(find_redis(), tmp_path / "redis", keep=True)
    redis.start()
    try:
        yield redis
    finally:
        redis.kill()


@pytest.fixture
def theatre(
    servers: LocalServers, hired: Crew, tmp_path: Path, fresh_name: Callable[[str], str]
) -> Theatre:
    """Where scenarios are played: the shared servers, and workers of this test."""
    return Theatre(hired, tmp_path, servers.bootstrap_servers, servers.redis_url, fresh_name)
