"""Exactly one label for every event, whatever step of the protocol a worker ends or freezes at."""

from __future__ import annotations

from functools import partial

import pytest

from tests.chaos import scenarios
from tests.chaos.mutants import NO_GROUP, UNSTABLE
from tests.chaos.theatre import Scenario, Verdicts
from tests.chaos.verify import Verdict

pytest_plugins = ("tests.chaos.fixtures",)

KILLED_AT = (
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
FROZEN_AT = ("after_stage", "after_send", "after_send_offsets", "after_commit", "before_mint")
COMMITTED = ("after_commit", "after_claim", "after_settle")
NOT_COMMITTED = ("after_send_offsets", "after_fence", "after_committed")

KILLS: dict[str, Scenario] = {
    **{f"killed {step}": partial(scenarios.killed, step=step) for step in KILLED_AT},
    "killed within_apply": scenarios.killed_in_apply,
    f"killed {', '.join(COMMITTED)}": partial(scenarios.killed_one_after_the_other, steps=COMMITTED),
    f"killed {', '.join(NOT_COMMITTED)}": partial(scenarios.killed_one_after_the_other, steps=NOT_COMMITTED),
}
ZOMBIES: dict[str, Scenario] = {
    **{f"frozen {step}": partial(scenarios.zombie, step=step) for step in FROZEN_AT},
    "frozen within_apply": scenarios.zombie_within_apply,
}
UNKNOWN: dict[str, Scenario] = {
    "open transaction": scenarios.open_transaction_of_the_forgotten,
    "forgotten zombie": scenarios.zombie_of_the_forgotten,
}
MUTANTS: dict[str, Scenario] = {
    UNSTABLE: scenarios.found_in(partial(scenarios.open_transaction_of_the_forgotten, mutant=UNSTABLE)),
    NO_GROUP: scenarios.found_in(partial(scenarios.zombie_of_the_forgotten, mutant=NO_GROUP)),
}
SCENARIOS = KILLS | ZOMBIES | UNKNOWN | MUTANTS


def _expect_no_violation(verdict: Verdict) -> None:
    assert not verdict.violations, str(verdict)
    assert verdict.labels == verdict.accepted > 0
    assert verdict.versions > 1


@pytest.mark.parametrize("scenario", KILLS)
def test_a_worker_killed_at_a_step_leaves_nothing_that_the_next_one_does_not_mend(
    verdicts: Verdicts, scenario: str
) -> None:
    _expect_no_violation(verdicts.of(scenario))


@pytest.mark.parametrize("scenario", ZOMBIES)
def test_a_worker_frozen_at_a_step_changes_nothing_when_it_goes_on_after_its_session(
    verdicts: Verdicts, scenario: str
) -> None:
    _expect_no_violation(verdicts.of(scenario))


@pytest.mark.parametrize("scenario", UNKNOWN)
def test_labels_are_fenced_where_the_former_owner_s_producer_cannot_be(
    verdicts: Verdicts, scenario: str
) -> None:
    _expect_no_violation(verdicts.of(scenario))


@pytest.mark.parametrize("scenario", MUTANTS)
def test_a_planted_bug_is_found(verdicts: Verdicts, scenario: str) -> None:
    verdict = verdicts.of(scenario)
    assert verdict.doubled or "committed 2 times" in str(verdict), str(verdict)
