"""Exactly one label for every event, whatever step of the protocol a worker ends or freezes at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from stream_seg.adapters.local import LocalServers
from tests.chaos import scenarios
from tests.chaos.crew import crew
from tests.chaos.mutants import NO_GROUP, UNSTABLE
from tests.chaos.scenarios import Theatre
from tests.chaos.verify import Verdict

pytest_plugins = ("tests.chaos.fixtures",)

Scenario = Callable[[Theatre], Verdict]
AT_ONCE = 5
"""Scenarios played at the same time: they wait for session time-outs most of theirs."""

KILLS: dict[str, Scenario] = {
    step: partial(scenarios.killed, step=step)
    for step in (
        "before_stage",
        "after_stage",
        "before_send",
        "after_send",
        "after_send_offsets",
        "before_commit",
        "after_commit",
        "after_apply",
        "before_mint",
        "after_mint",
    )
} | {
    "within_apply": scenarios.killed_in_apply,
    "claims of what was committed": partial(
        scenarios.killed_one_after_the_other, steps=("after_commit", "after_claim", "after_settle")
    ),
    "claims of what was not": partial(
        scenarios.killed_one_after_the_other, steps=("after_send_offsets", "after_fence", "after_committed")
    ),
}
ZOMBIES: dict[str, Scenario] = {
    step: partial(scenarios.zombie, step=step)
    for step in ("after_stage", "after_send", "after_send_offsets", "after_commit", "before_mint")
} | {"within_apply": scenarios.zombie_within_apply}
OTHERS: dict[str, Scenario] = {
    "open transaction": scenarios.open_transaction_of_the_forgotten,
    "new producer": scenarios.zombie_with_a_new_producer,
}
MUTANTS: dict[str, Scenario] = {
    UNSTABLE: partial(scenarios.open_transaction_of_the_forgotten, mutant=UNSTABLE),
    NO_GROUP: partial(scenarios.zombie_with_a_new_producer, mutant=NO_GROUP),
}
ALL = {"kill": KILLS, "zombie": ZOMBIES, "other": OTHERS, "mutant": MUTANTS}


@pytest.fixture(scope="module")
def verdicts(
    request: pytest.FixtureRequest, servers: LocalServers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Verdict]]]:
    """The scenarios that were asked for, played some at a time; each test waits for its own."""
    names = iter(range(10_000))
    folder: Path = tmp_path_factory.mktemp("chaos")
    beginning = folder.name

    def name(kind: str) -> str:
        return f"{kind}-{beginning}-{next(names)}"

    wanted = {item.callspec.params["scenario"] for item in request.session.items if _asks(item)}
    with crew() as hired, ThreadPoolExecutor(AT_ONCE) as pool:
        theatre = Theatre(hired, folder, servers.bootstrap_servers, servers.redis_url, name)
        yield {
            f"{kind}: {step}": pool.submit(play, theatre)
            for kind, some in ALL.items()
            for step, play in some.items()
            if f"{kind}: {step}" in wanted
        }
        hired.end()


def _asks(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and "verdicts" in item.fixturenames and hasattr(item, "callspec")


def _all(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("scenario", [f"{kind}: {step}" for step in ALL[kind]])


def _expect_no_violation(verdict: Verdict) -> None:
    assert not verdict.violations, str(verdict)
    assert verdict.labels == verdict.accepted > 0
    assert verdict.versions > 1


@_all("kill")
def test_a_worker_killed_at_a_step_leaves_nothing_that_the_next_one_does_not_mend(
    verdicts: dict[str, Future[Verdict]], scenario: str
) -> None:
    _expect_no_violation(verdicts[scenario].result())


@_all("zombie")
def test_a_worker_frozen_at_a_step_changes_nothing_when_it_goes_on_after_its_session(
    verdicts: dict[str, Future[Verdict]], scenario: str
) -> None:
    _expect_no_violation(verdicts[scenario].result())


@_all("other")
def test_what_fences_labels_where_the_former_owner_is_not_known(
    verdicts: dict[str, Future[Verdict]], scenario: str
) -> None:
    _expect_no_violation(verdicts[scenario].result())


@_all("mutant")
def test_a_planted_bug_is_found(verdicts: dict[str, Future[Verdict]], scenario: str) -> None:
    verdict = verdicts[scenario].result()
    assert verdict.doubled > 0, str(verdict)
