"""The model's topics on a real broker, the same for both clients: made as they must be, or named."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from stream_seg.adapters.dead_letters import KafkaDeadLetters
from stream_seg.adapters.kafka_topics import TopicMissing, Topics
from stream_seg.engine.ports import Transaction
from stream_seg.errors import StateError
from stream_seg.events.batch import Rejected
from tests.contract.kafka_worlds import CLIENTS, World, administering, at, kafka_world, member, producing

pytestmark = pytest.mark.timeout(120)

UNLIMITED = "9223372036854775807"
KINDS = ("labels", "transitions", "models", "dead-letters")


@pytest.fixture(params=CLIENTS)
def world(
    request: pytest.FixtureRequest, bootstrap_servers: str, fresh_name: Callable[[str], str]
) -> Iterator[World]:
    with kafka_world(bootstrap_servers, request.param, fresh_name) as world:
        yield world


@pytest.fixture
def topics(world: World) -> Topics:
    return world.client.topics


def alter(world: World, topic: str, **config: str) -> None:
    changes = {key.replace("_", "."): value for key, value in config.items()}
    with administering(world.servers) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, changes)])


def test_missing_output_topics_are_created_as_they_must_be(world: World, topics: Topics) -> None:
    source, model = world.topic(3, max_message_bytes="3000000"), world.fresh("model")
    prepared = topics.prepare(model, source)
    assert prepared.partitions == 3
    assert prepared.warnings == []
    facts = {kind: topics.describe(f"{model}.{kind}") for kind in KINDS}
    assert {kind: one.partitions for kind, one in facts.items()} == {
        "labels": 3,
        "transitions": 3,
        "models": 1,
        "dead-letters": 3,
    }
    for kind, one in facts.items():
        assert one.config["cleanup.policy"] == ("compact" if kind == "models" else "delete")
        assert one.config["retention.ms"] == "-1"
        assert one.config["message.timestamp.after.max.ms"] == UNLIMITED
    assert int(facts["dead-letters"].config["max.message.bytes"]) > 3_000_000
    assert prepared.dead_letter_bytes == int(facts["dead-letters"].config["max.message.bytes"])
    assert topics.prepare(model, source) == prepared  # a second worker finds them as they are


def test_both_clients_say_the_same_of_a_topic(
    bootstrap_servers: str, fresh_name: Callable[[str], str]
) -> None:
    said = []
    with kafka_world(bootstrap_servers, "confluent", fresh_name) as world:
        topic = world.topic(2, retention_ms="1000")
        said.append(world.client.topics.describe(topic))
    with kafka_world(bootstrap_servers, "kafka-python", fresh_name) as world:
        said.append(world.client.topics.describe(topic))
    assert said[0]._replace(config={}) == said[1]._replace(config={})
    assert dict(said[0].config)["retention.ms"] == dict(said[1].config)["retention.ms"] == "1000"


def test_a_topic_that_is_made_anew_has_another_id(world: World, topics: Topics) -> None:
    topic = world.topic()
    before = topics.describe(topic).topic_id
    topics.delete_topics([topic])
    with pytest.raises(TopicMissing):
        topics.describe(topic)
    world.topic(name=topic)
    assert topics.describe(topic).topic_id != before


def test_a_missing_input_topic_is_named_and_nothing_is_created(world: World, topics: Topics) -> None:
    model, missing = world.fresh("model"), world.fresh("missing")
    with pytest.raises(TopicMissing, match=f"topic {missing} does not exist"):
        topics.prepare(model, missing)
    for name in (missing, *(f"{model}.{kind}" for kind in KINDS)):
        with pytest.raises(TopicMissing):
            topics.describe(name)


def test_every_problem_of_every_topic_is_named_with_what_mends_it(world: World, topics: Topics) -> None:
    source, model = world.topic(2), world.fresh("model")
    world.topic(1, name=f"{model}.labels", retention_ms="604800000")
    world.topic(2, name=f"{model}.models", cleanup_policy="delete", message_timestamp_after_max_ms=UNLIMITED)
    world.topic(
        2,
        name=f"{model}.dead-letters",
        cleanup_policy="compact",
        retention_bytes="1000",
        message_timestamp_after_max_ms=UNLIMITED,
    )
    with pytest.raises(StateError) as raised:
        topics.prepare(model, source)
    said = str(raised.value)
    configs = (
        f"kafka-configs.sh --bootstrap-server {world.servers} --alter --entity-type topics --entity-name"
    )
    after = f"message.timestamp.after.max.ms={UNLIMITED}"
    kafka_topics = f"kafka-topics.sh --bootstrap-server {world.servers}"
    for command in (
        f"run {kafka_topics} --alter --topic {model}.labels --partitions 2",
        f"run {configs} {model}.labels --add-config retention.ms=-1,{after}",
        f"run {kafka_topics} --delete --topic {model}.models",
        f"run {configs} {model}.models --add-config cleanup.policy=compact",
        f"run {configs} {model}.dead-letters --add-config cleanup.policy=delete,retention.bytes=-1",
    ):
        assert command in said
    assert len(said.splitlines()) == 5
    with pytest.raises(TopicMissing):
        topics.describe(f"{model}.transitions")  # nothing is created beside topics that must be mended


def test_the_named_commands_mend(world: World, topics: Topics) -> None:
    source, model = world.topic(), world.fresh("model")
    world.topic(name=f"{model}.labels", retention_ms="1000")
    with pytest.raises(StateError, match="retention"):
        topics.prepare(model, source)
    alter(
        world,
        f"{model}.labels",
        retention_ms="-1",
        message_timestamp_after_max_ms=UNLIMITED,
        message_timestamp_before_max_ms=UNLIMITED,
    )
    topics.prepare(model, source)


def test_a_compacted_models_topic_may_not_delete_by_age(world: World, topics: Topics) -> None:
    source, model = world.topic(), world.fresh("model")
    world.topic(
        name=f"{model}.models",
        cleanup_policy="compact,delete",
        retention_ms="1000",
        message_timestamp_after_max_ms=UNLIMITED,
    )
    with pytest.raises(StateError, match="models"):
        topics.prepare(model, source)
    alter(
        world,
        f"{model}.models",
        cleanup_policy="compact,delete",
        retention_ms="-1",
        message_timestamp_after_max_ms=UNLIMITED,
    )
    topics.prepare(model, source)


def test_an_input_that_keeps_less_than_its_events_age_is_warned_of(world: World, topics: Topics) -> None:
    day = 86_400_000
    now = int(time.time() * 1000)
    week = world.topic(2, retention_ms=str(7 * day))
    for partition, age, expected in ((1, 3, 0), (0, 30, 1)):
        with producing(world.servers) as producer:
            producer.send(week, b"v", partition=partition, timestamp_ms=now - age * day)
        warnings = topics.prepare(world.fresh("model"), week).warnings
        assert len(warnings) == expected
    assert "keeps 7 days" in warnings[0]
    assert "30 days old" in warnings[0]
    assert f"--entity-name {week} --add-config retention.ms=-1" in warnings[0]


def test_two_workers_that_start_at_once_both_get_their_topics(world: World, topics: Topics) -> None:
    source, model = world.topic(), world.fresh("model")
    spec = topics.prepare(model, source)
    topics._admin.create([])  # nothing to create is nothing
    assert topics.prepare(model, source) == spec


def test_reset_removes_topics_and_group_and_may_be_repeated(world: World, topics: Topics) -> None:
    source, model, group = world.topic(), world.fresh("model"), world.fresh("group")
    topics.prepare(model, source)
    reader = world.source(source, group)
    world.log(source).commit(Transaction(offsets={0: at(3)}, membership=member(reader, 1)))
    with pytest.raises(StateError, match="still has members"):
        topics.remove(model, group)
    topics.describe(f"{model}.labels")  # nothing was deleted
    reader.close()
    world.opened.remove(reader)
    topics.remove(model, group)
    for kind in KINDS:
        with pytest.raises(TopicMissing):
            topics.describe(f"{model}.{kind}")
    topics.remove(model, group)
    topics.describe(source)  # the input stays
    assert world.source(source, group).committed(0) is None


def test_dead_letters_of_any_size_get_through(world: World, topics: Topics) -> None:
    source, model = world.topic(max_message_bytes="2000000"), world.fresh("model")
    prepared = topics.prepare(model, source)
    make = KafkaDeadLetters(f"{model}.dead-letters", source, prepared.dead_letter_bytes)
    largest = b"x" * 1_999_000
    rejected = [
        Rejected(5, b"k", b"not json", 1_000, "json", "DecodeError", "is not JSON"),
        Rejected(6, None, None, -1, "event", "DecodeError", "is empty"),
        Rejected(7, b"k", largest, 2_000, "json", "DecodeError", "is not JSON"),
        Rejected(8, b"k", b"y" * 10_000_000, 3_000, "json", "DecodeError", "is not JSON"),
    ]
    world.log(source).commit(Transaction(records=make(0, rejected)))
    found = world.visible(f"{model}.dead-letters")
    assert [r.value for r in found[:3]] == [b"not json", b"", largest]
    assert b'"length": 10000000' in found[3].value
    assert [dict(r.headers)["offset"] for r in found] == [b"5", b"6", b"7", b"8"]
    assert [r.timestamp for r in found][::2] == [1_000, 2_000]
