"""``Models`` on a real broker, the same for both clients."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from stream_seg.adapters.local import LocalServers
from stream_seg.engine.ports import Record, Transaction
from stream_seg.errors import ServerUnavailable, StateError
from tests.contract.kafka_worlds import CLIENTS, World, eventually, gathered, kafka_world

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=CLIENTS)
def client_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(client_name: str, bootstrap_servers: str, fresh_name: Callable[[str], str]) -> Iterator[World]:
    with kafka_world(bootstrap_servers, client_name, fresh_name) as world:
        yield world


def models_topic(world: World) -> str:
    return world.topic(cleanup_policy="compact", message_timestamp_after_max_ms="9223372036854775807")


def committing(world: World, topic: str) -> Callable[..., None]:
    """Commit (key, value) pairs in one transaction each call."""
    log = world.log(topic)

    def commit(*pairs: tuple[str, bytes]) -> None:
        log.commit(Transaction(records=[Record(topic, 0, key.encode(), value, 1) for key, value in pairs]))

    return commit


def test_an_empty_topic_gives_nothing_at_once(world: World) -> None:
    models = world.models(models_topic(world))
    begun = time.monotonic()
    assert models.read() == []
    assert models.read() == []
    assert time.monotonic() - begun < 5


def test_first_everything_then_what_is_new(world: World) -> None:
    topic = models_topic(world)
    commit = committing(world, topic)
    commit(("version/1", b"{}"), ("lineage/1", b"[]"))
    commit(("adoption/0/1", b"a"))
    models = world.models(topic)
    first = [("version/1", b"{}"), ("lineage/1", b"[]"), ("adoption/0/1", b"a")]
    assert gathered(models.read, lambda found: len(found) >= 3) == first
    assert models.read() == []
    commit(("version/2", b"two"))
    assert eventually(models.read) == [("version/2", b"two")]
    assert world.models(topic).read() == [*first, ("version/2", b"two")]


def test_a_reader_follows_many_commits_without_a_gap(world: World) -> None:
    topic = models_topic(world)
    commit, models = committing(world, topic), world.models(topic)
    found: list[tuple[str, bytes]] = []
    for number in range(20):
        commit((f"version/{number}", b"%d" % number))
        found += models.read()
    found += gathered(models.read, lambda rest: len(found) + len(rest) >= 20)
    assert found == [(f"version/{number}", b"%d" % number) for number in range(20)]


def test_an_aborted_end_is_read_up_without_waiting(world: World) -> None:
    topic = models_topic(world)
    committing(world, topic)(("version/1", b"{}"))
    world.abort_keyed(topic, [b"aborted"] * 3)
    models = world.models(topic)
    begun = time.monotonic()
    assert eventually(models.read) == [("version/1", b"{}")]
    world.abort_keyed(topic, [b"aborted again"])
    assert models.read() == []
    committing(world, topic)(("version/2", b"two"))
    assert eventually(models.read) == [("version/2", b"two")]
    assert time.monotonic() - begun < 10


def test_an_open_transaction_is_not_waited_for(world: World) -> None:
    topic = models_topic(world)
    committing(world, topic)(("version/1", b"{}"))
    models = world.models(topic)
    assert eventually(models.read) == [("version/1", b"{}")]
    with world.open_transaction(topic, 0, [b"minting"], key=b"version/2"):
        begun = time.monotonic()
        assert models.read() == []
        assert time.monotonic() - begun < 2
    assert eventually(models.read) == [("version/2", b"minting")]


def test_large_versions_come_whole(world: World) -> None:
    topic = models_topic(world)
    commit = committing(world, topic)
    large = [(f"version/{number}", bytes([number]) * 700_000) for number in range(6)]
    for one in large:
        commit(one)
    assert gathered(world.models(topic).read, lambda found: len(found) >= 6) == large


def test_a_topic_that_was_made_anew_stops_its_reader(world: World) -> None:
    topic = models_topic(world)
    commit = committing(world, topic)
    for number in range(3):
        commit((f"version/{number}", b"{}"))
    models = world.models(topic)
    eventually(models.read)
    world.client.topics.delete_topics([topic])
    world.topic(name=topic, cleanup_policy="compact")

    def read() -> object:
        with suppress(ServerUnavailable):  # a client may think for a moment that the topic is gone
            return models.read()
        return []

    with pytest.raises(StateError, match="made anew"):
        eventually(read)


def test_after_the_broker_was_away_it_reads_on_where_it_was(
    private_servers: Callable[[], LocalServers], client_name: str, fresh_name: Callable[[str], str]
) -> None:
    servers = private_servers()
    with kafka_world(servers.bootstrap_servers, client_name, fresh_name) as world:
        topic = models_topic(world)
        models = world.models(topic)
        commit = committing(world, topic)
        commit(("version/1", b"one"))
        assert eventually(models.read) == [("version/1", b"one")]
        servers.kafka.pause()
        try:
            with pytest.raises(ServerUnavailable):
                models.read()
        finally:
            servers.kafka.resume()
        commit(("version/2", b"two"))
        assert eventually(lambda: again(models.read)) == [("version/2", b"two")]


def again(read: Callable[[], list[tuple[str, bytes]]]) -> list[tuple[str, bytes]]:
    """Nothing where the broker does not answer yet."""
    with suppress(ServerUnavailable):
        return read()
    return []
