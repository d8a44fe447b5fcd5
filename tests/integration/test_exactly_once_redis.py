"""Redis is a view of Kafka: whatever it loses, it says the same again afterwards."""

from __future__ import annotations

import pytest

from tests.chaos import redis_scenarios as scenarios
from tests.chaos.theatre import Scenario, Verdicts

pytest_plugins = ("tests.chaos.fixtures",)

SCENARIOS: dict[str, Scenario] = {
    "flushed while two workers run": scenarios.flushed_while_running,
    "flushed in warm-up": scenarios.flushed_in_warm_up,
    "killed, with its append-only file": scenarios.killed_with_aof,
    "set back by one adoption": scenarios.one_adoption_lost,
    "set back while no event comes": scenarios.set_back_while_idle,
    "set back into an apply": scenarios.set_back_into_an_apply,
    "set back before customers were forgotten": scenarios.forgotten_after_expiry,
    "flushed, and killed while it is rebuilt": scenarios.killed_while_rebuilding,
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_redis_tells_the_story_of_kafka_after(verdicts: Verdicts, scenario: str) -> None:
    verdict = verdicts.of(scenario)
    assert not verdict.violations, str(verdict)
    assert verdict.labels == verdict.accepted > 0
    assert verdict.versions > 1
