"""Exactly one label for every event in a group: many workers, uneven partitions, offsets that expire."""

from __future__ import annotations

from functools import partial

import pytest

from tests.chaos import group_scenarios as scenarios
from tests.chaos.theatre import Scenario, Verdicts

pytest_plugins = ("tests.chaos.fixtures",)

SCENARIOS: dict[str, Scenario] = {
    "workers come and go": scenarios.coming_and_going,
    "workers come and go, all partitions revoked each time": partial(
        scenarios.coming_and_going, options=scenarios.EAGER
    ),
    "a worker joins in warm-up": scenarios.joined_in_warm_up,
    "the input has transactions": scenarios.transactions_in_the_input,
    "all orders on one partition": scenarios.all_on_one_partition,
    "offsets expired": scenarios.expired_offsets,
    "offsets expired, and Redis flushed": partial(scenarios.expired_offsets, flushed=True),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_event_has_one_label_when(verdicts: Verdicts, scenario: str) -> None:
    verdict = verdicts.of(scenario)
    assert not verdict.violations, str(verdict)
    assert verdict.labels == verdict.accepted > 0
    assert verdict.versions > 1
