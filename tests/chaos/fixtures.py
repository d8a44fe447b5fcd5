"""Fixtures of the tests that hurt workers: ``pytest_plugins = ("tests.chaos.fixtures",)`` brings them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stream_seg.adapters.local import LocalServers
from tests.chaos.theatre import Scenario, Theatre, Verdicts, theatre

AT_ONCE = 6
"""Scenarios played at the same time: they wait for session time-outs most of theirs."""


@pytest.fixture
def stage(servers: LocalServers, tmp_path: Path) -> Iterator[Theatre]:
    """A theatre for one test."""
    with theatre(tmp_path, servers.bootstrap_servers) as built:
        yield built


@pytest.fixture(scope="module")
def verdicts(
    request: pytest.FixtureRequest, servers: LocalServers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Verdicts]:
    """The module's ``SCENARIOS`` that were asked for, played some at a time; each test waits for its own."""
    scenarios: dict[str, Scenario] = request.module.SCENARIOS
    wanted = {name for item in request.session.items for name in _parameters(item)}
    with (
        theatre(tmp_path_factory.mktemp("chaos"), servers.bootstrap_servers) as built,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        yield Verdicts(built, {name: play for name, play in scenarios.items() if name in wanted}, pool)
        built.crew.end()


def _parameters(item: pytest.Item) -> list[str]:
    callspec = getattr(item, "callspec", None)
    return [] if callspec is None else [str(value) for value in callspec.params.values()]
