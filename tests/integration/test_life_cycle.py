"""A worker's life: servers that are not there yet, go away and come back, and an end in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient, NewPartitions

from stream_seg.adapters.local import LocalServers
from tests.chaos.crew import Crew, Hand, crew
from tests.chaos.orders import create, send
from tests.chaos.scenarios import COUNT, SMALL
from tests.chaos.scene import Scene
from tests.chaos.theatre import Theatre
from tests.chaos.verify import verify
from tests.chaos.worker import Duty

pytest_plugins = ("tests.chaos.fixtures",)

OUTAGE_S = 60.0
"""What a machine under load may take to start a broker and to notice that it is back."""
DRAIN_S = 5.0
"""The bound for a worker's end in order; it takes 0.3 to 1.5 s on a machine of its own."""


@pytest.fixture
def hired() -> Iterator[Crew]:
    with crew() as workers:
        yield workers


def test_servers_may_be_absent_at_start_and_be_killed_and_come_back(
    private_servers: Callable[[], LocalServers], hired: Crew, tmp_path: Path
) -> None:
    servers = private_servers()
    scene = _scene(servers, tmp_path)
    servers.kafka.stop()
    servers.redis.stop()
    hand = hired.hire(Duty(scene.config, wait_s=OUTAGE_S))
    _waits_and_says_so(hand, since=0.0)
    servers.kafka.start()
    servers.redis.start()
    hand.wait_commits(1, timeout_s=OUTAGE_S)
    assert len([text for text in hand.notices if "waiting" in text]) <= 2, (
        "Kafka's absence once, Redis's once"
    )
    _outage(scene, hand, servers.redis.kill, servers.redis.start, COUNT)
    _outage(scene, hand, servers.kafka.kill, servers.kafka.start, COUNT + 30)
    _drains_without_violation(hired, scene, hand)


@pytest.mark.chaos
def test_servers_may_stop_answering_and_answer_again(
    private_servers: Callable[[], LocalServers], hired: Crew, tmp_path: Path
) -> None:
    """Connections stay open and nothing comes: as behind a broken network, or from a frozen machine."""
    servers = private_servers()
    scene = _scene(servers, tmp_path)
    hand = hired.hire(Duty(scene.config))
    hand.wait_commits(1)
    _outage(scene, hand, servers.redis.pause, servers.redis.resume, COUNT)
    _outage(scene, hand, servers.kafka.pause, servers.kafka.resume, COUNT + 30)
    _drains_without_violation(hired, scene, hand)


def _scene(servers: LocalServers, folder: Path) -> Scene:
    scene = Scene(folder, "outage", "outage-orders", servers.bootstrap_servers, servers.redis_url)
    scene.create(SMALL.partitions)
    send(scene.bootstrap_servers, scene.topic, SMALL.orders(COUNT))
    return scene


def _outage(scene: Scene, hand: Hand, away: Callable[[], None], back: Callable[[], None], first: int) -> None:
    """Take a server away and bring it back; the worker says so once each, and goes on."""
    hand.wait_idle()
    began, notices = time.monotonic(), len(hand.notices)
    away()
    _waits_and_says_so(hand, began)
    back()
    hand.wait_for(lambda m: _says(m, "answer again", began), OUTAGE_S)
    send(scene.bootstrap_servers, scene.topic, replace(SMALL, first=first).orders(30))
    hand.wait_commits(1, since=began, timeout_s=OUTAGE_S)
    hand.wait_idle()
    said = hand.notices[notices:]
    assert len([text for text in said if "waiting" in text]) == 1, said
    assert len([text for text in said if "answer again" in text]) == 1, said


def _drains_without_violation(hired: Crew, scene: Scene, hand: Hand) -> None:
    assert hand.dismiss() == 0
    assert hired.hire(Duty(scene.config, until_end=True)).wait_end() == 0
    verdict = verify(scene.settings)
    assert not verdict.violations, str(verdict)


def test_servers_that_do_not_come_end_the_start(hired: Crew, tmp_path: Path) -> None:
    scene = Scene(tmp_path, "nobody", "nobody-orders", "127.0.0.1:1", "redis://127.0.0.1:1/0")
    hand = hired.hire(Duty(scene.config, wait_s=1.0))
    assert hand.wait_end() == 3
    assert "127.0.0.1:1" in hand.messages[-1]["text"]


def test_sigterm_drains_within_a_bounded_time(
    stage: Theatre, record_property: Callable[[str, object], None]
) -> None:
    scene = stage.scene(replace(SMALL, partitions=4, days=60).orders(600), partitions=4)
    busy = stage.crew.hire(Duty(scene.config))
    busy.wait_commits(3)
    busy_s = _seconds(busy)
    idle = stage.crew.hire(Duty(scene.config))
    idle.wait_commits(1)
    idle.wait_idle()
    idle_s = _seconds(idle)
    record_property("busy_s", round(busy_s, 2))
    record_property("idle_s", round(idle_s, 2))
    assert max(busy_s, idle_s) < DRAIN_S
    verdict = stage.finish(scene)
    assert not verdict.violations, str(verdict)


def test_a_worker_that_has_drained_leaves_its_partitions_at_once(stage: Theatre) -> None:
    """The next one has neither to wait for a session time-out nor to fence anybody."""
    scene = stage.scene(SMALL.orders(COUNT))
    stage.catch_up(scene)
    stage.send(scene, replace(SMALL, first=COUNT).orders(30))
    following = stage.crew.hire(Duty(scene.config, tells=frozenset({"after_claim", "after_fence"})))
    claimed = following.wait_step("after_claim")["at"]
    fenced = following.wait_step("after_fence")["at"]
    running = following.wait_for(lambda m: m["what"] == "running")["at"]
    following.wait_commits(1)
    assert claimed - running < scene.session_timeout_ms / 1000
    assert fenced - claimed < 0.1
    assert not stage.drain(scene, [following]).violations


def test_another_number_of_partitions_stops_with_what_to_do(stage: Theatre) -> None:
    scene = stage.scene(SMALL.orders(COUNT))
    stage.catch_up(scene)
    admin = KafkaAdminClient(bootstrap_servers=scene.bootstrap_servers)
    try:
        admin.create_partitions({scene.topic: NewPartitions(SMALL.partitions + 1)})
    finally:
        admin.close()
    _stops(stage, scene, "partitions")


def test_a_topic_made_anew_stops_with_what_to_do(stage: Theatre) -> None:
    scene = stage.scene(SMALL.orders(COUNT))
    stage.catch_up(scene)
    admin = KafkaAdminClient(bootstrap_servers=scene.bootstrap_servers)
    try:
        admin.delete_topics([scene.topic])
    finally:
        admin.close()
    _create_again(scene)
    _stops(stage, scene, "made anew")


def _stops(stage: Theatre, scene: Scene, why: str) -> None:
    hand = stage.crew.hire(Duty(scene.config))
    assert hand.wait_end() == 4
    text = hand.messages[-1]["text"]
    assert why in text
    assert "stream-seg" in text, "the command that mends it"


def _create_again(scene: Scene) -> None:
    """A deletion takes a moment to be complete."""
    deadline = time.monotonic() + OUTAGE_S
    while True:
        try:
            create(scene.bootstrap_servers, scene.topic, SMALL.partitions)
        except Exception as error:
            if "TopicAlreadyExists" not in type(error).__name__ or time.monotonic() > deadline:
                raise
        else:
            return


def _waits_and_says_so(hand: Hand, since: float) -> None:
    hand.wait_for(lambda m: _says(m, "waiting", since), OUTAGE_S)


def _says(message: dict[str, object], what: str, since: float) -> bool:
    at = message["at"]
    assert isinstance(at, float)
    return message["what"] == "notice" and what in str(message["text"]) and at > since


def _seconds(hand: Hand) -> float:
    began = time.monotonic()
    assert hand.dismiss() == 0
    return time.monotonic() - began
