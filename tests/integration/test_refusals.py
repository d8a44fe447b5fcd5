"""What ``live`` refuses at start: exit status, one sentence that says what to do, nothing half-written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ACL, ACLOperation, ACLPermissionType, KafkaAdminClient, ResourcePattern, ResourceType
from kafka.structs import OffsetAndMetadata
from redis import Redis

from consumers.cli import run
from stream_seg.adapters.kafka_python.admin import KafkaPythonAdmin
from stream_seg.adapters.kafka_topics import TopicSpec
from stream_seg.adapters.local import LocalServers
from stream_seg.adapters.local.kafka import local_kafka, prepare_kafka
from stream_seg.adapters.local.process import LocalServer
from stream_seg.adapters.local.redis import find_redis, local_redis
from stream_seg.settings import KafkaSettings
from tests.contract.kafka_worlds import CLIENTS, eventually

UNAVAILABLE, PERSON = 3, 4
CONFIGURATION = """
[model]
name = "{model}"
segments = 2
[warm_up]
customers = 4
[source]
topic = "{topic}"
group = "{group}"
[event]
customer = "who"
time = "at"
time_unit = "ms"
[features.days]
aggregate = "days_since"
[features.orders]
aggregate = "count"
half_life_days = {half_life}
[kafka]
bootstrap_servers = "{kafka}"
client = "{client}"
session_timeout_ms = 3000
transaction_timeout_ms = 4000
[redis]
url = "{redis}"
"""
FOREVER = {"retention.ms": "-1", "message.timestamp.after.max.ms": "9223372036854775807"}


@dataclass
class Shop:
    """A model's configuration on given servers; ``capsys`` hears what the command line says."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    values: dict[str, object]

    @property
    def model(self) -> str:
        return str(self.values["model"])

    @property
    def redis(self) -> Any:
        return Redis.from_url(str(self.values["redis"]), decode_responses=True)

    def live(self, **other: object) -> tuple[int, list[str]]:
        """``stream-seg live`` to the end of the topic: its exit status and what it said on standard error."""
        config = self.folder / "stream-seg.toml"
        config.write_text(CONFIGURATION.format_map(self.values | other))
        self.capsys.readouterr()
        status = run(["--config", str(config), "live", "--until-end", "--wait", "5"])
        return status, self.capsys.readouterr().err.splitlines()

    def works(self) -> None:
        status, said = self.live()
        assert status == 0, said

    def refuses(self, status: int, *texts: str, **other: object) -> None:
        """The status, and a line for each text, which must be in it."""
        found, said = self.live(**other)
        assert found == status, said
        assert len(said) == len(texts), said
        for line, text in zip(said, texts, strict=True):
            assert line.startswith("stream-seg: ")
            assert text in line
            assert ": " in line.removeprefix("stream-seg: ")  # what to do stands behind a colon

    def admin(self) -> KafkaPythonAdmin:
        return KafkaPythonAdmin(KafkaSettings(bootstrap_servers=str(self.values["kafka"])))

    def create(self, topic: str, partitions: int = 1, config: Mapping[str, str] = FOREVER) -> None:
        with closing(self.admin()) as admin:
            admin.create([TopicSpec(topic, partitions, dict(config))])

    def topics(self) -> set[str]:
        """The model's output topics."""
        names = [f"{self.model}.{kind}" for kind in ("labels", "transitions", "models", "dead-letters")]
        with closing(self.admin()) as admin:
            return {name.partition(".")[2] for name in admin.describe(names)}

    def send(self, topic: str, key: str, value: object) -> None:
        producer = KafkaProducer(bootstrap_servers=str(self.values["kafka"]))
        producer.send(
            topic, json.dumps(value).encode(), key.encode(), partition=0, timestamp_ms=1_700_000_000_000
        )
        producer.close()

    def orders(self, customers: int = 6) -> None:
        for i in range(customers):
            self.send(
                str(self.values["topic"]), f"c{i}", {"who": f"c{i}", "at": 1_700_000_000_000 + i * 10**8}
            )


def shop_on(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    kafka: str,
    redis: str,
    client: str = "kafka-python",
) -> Shop:
    values = {
        "model": name,
        "topic": f"{name}-in",
        "group": name,
        "half_life": 10,
        "kafka": kafka,
        "redis": redis,
        "client": client,
    }
    made = Shop(folder, capsys, values)
    made.create(f"{name}-in")
    made.orders()
    return made


@pytest.fixture
def shop(
    servers: LocalServers,
    redis_url: str,
    fresh_name: Callable[[str], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Shop:
    """A model with a few orders that has not run yet, on the shared servers."""
    return shop_on(tmp_path, capsys, fresh_name("refused"), servers.bootstrap_servers, redis_url)


# What is stored is not this model's


def test_state_of_a_newer_contract(shop: Shop) -> None:
    shop.works()
    shop.redis.hset(f"seg:{shop.model}:meta", "contract", "10")
    shop.refuses(PERSON, "written under contract 10, this program knows 1: upgrade stream-seg")


def test_a_version_of_a_newer_contract(shop: Shop) -> None:
    shop.works()
    version = json.loads(shop.redis.get(f"seg:{shop.model}:model:1"))
    shop.send(f"{shop.model}.models", "version/2", version | {"version": 2, "contract": 2})
    shop.refuses(PERSON, "version 2 was written by contract 2, this program knows 1: upgrade stream-seg")


def test_other_features_under_the_same_name(shop: Shop) -> None:
    shop.works()
    shop.refuses(
        PERSON, "was made with other [features], [event], key, max_ahead or format: replay", half_life=20
    )


def test_other_settings_while_nothing_has_been_labelled_yet(shop: Shop) -> None:
    shop.refuses(PERSON, "has offsets that this program did not commit", **foreign(shop))
    shop.refuses(
        PERSON, "was made with other [features], [event], key, max_ahead or format: replay", half_life=20
    )


def foreign(shop: Shop) -> dict[str, object]:
    """A group with which a model gets as far as its meta hash, and no further."""
    commit(shop, f"{shop.model}-foreign")
    return {"group": f"{shop.model}-foreign"}


def test_another_model_of_the_same_name_on_another_redis(shop: Shop) -> None:
    shop.works()
    other = str(shop.values["redis"]).removesuffix("/0") + "/1"
    shop.refuses(PERSON, "versions of other [features]: give the model", half_life=20, redis=other)
    with Redis.from_url(other) as redis:
        assert redis.dbsize() == 0


def test_another_topic_under_the_same_name(shop: Shop) -> None:
    shop.works()
    shop.create(f"{shop.model}-other")
    shop.refuses(
        PERSON, f"reads topic {shop.model}-in, not {shop.model}-other: give", topic=f"{shop.model}-other"
    )


def test_a_topic_deleted_and_made_anew(shop: Shop) -> None:
    shop.works()
    with closing(shop.admin()) as admin:
        admin.delete_topics([f"{shop.model}-in"])
    shop.create(f"{shop.model}-in")
    shop.refuses(PERSON, "has been deleted and made anew: replay the topic")


def test_more_partitions_than_before(shop: Shop) -> None:
    shop.works()
    admin = KafkaAdminClient(bootstrap_servers=str(shop.values["kafka"]))
    admin.create_partitions({f"{shop.model}-in": 2})
    admin.close()
    shop.refuses(PERSON, "had 1 partitions and has 2, so customers would move: replay the topic")


def test_a_models_topic_that_is_gone(shop: Shop) -> None:
    shop.works()
    with closing(shop.admin()) as admin:
        admin.delete_topics([f"{shop.model}.models"])
    shop.refuses(PERSON, f"topic {shop.model}.models none: restore a snapshot")


def test_a_redis_of_another_life(shop: Shop) -> None:
    shop.works()
    shop.redis.hset(f"seg:{shop.model}:meta", "instance", "another")
    shop.refuses(
        PERSON,
        "another life of model",
    )


# Somebody else uses the group


def commit(shop: Shop, group: str) -> None:
    """Commit an offset as any application does."""
    consumer = KafkaConsumer(bootstrap_servers=str(shop.values["kafka"]), group_id=group)
    place = TopicPartition(f"{shop.model}-in", 0)
    consumer.commit({place: OffsetAndMetadata(3, "", -1)})
    consumer.close()


def test_a_group_with_offsets_of_another_application(shop: Shop) -> None:
    commit(shop, shop.model)
    shop.refuses(PERSON, "has offsets that this program did not commit: give the model a group of its own")
    assert not shop.redis.exists(f"seg:{shop.model}:model:current")


def test_a_group_that_another_application_is_in(shop: Shop) -> None:
    consumer = KafkaConsumer(
        f"{shop.model}-in", bootstrap_servers=str(shop.values["kafka"]), group_id=shop.model
    )
    eventually(lambda: consumer.poll(100) or consumer.assignment())
    try:
        shop.refuses(UNAVAILABLE, "the group's other members share partitions out otherwise: stop them")
    finally:
        consumer.close(autocommit=False)


def test_a_group_of_another_model(shop: Shop) -> None:
    shop.works()
    shop.refuses(
        PERSON, f"is used by another model, of topic {shop.model}.models: give each", model=f"{shop.model}-2"
    )


# Output topics


def test_output_topics_that_lose_records_are_named_with_what_mends_them(shop: Shop) -> None:
    shop.create(f"{shop.model}.labels", 3)
    shop.create(f"{shop.model}.models", 1, {**FOREVER, "cleanup.policy": "delete"})
    shop.refuses(
        PERSON,
        f"topic {shop.model}.labels has 3 partitions where 1 are needed: run kafka-topics.sh",
        f"topic {shop.model}.models loses or refuses records with cleanup.policy=delete: run kafka-configs",
    )
    assert shop.topics() == {"labels", "models"}
    assert not shop.redis.keys(f"seg:*{shop.model}*")


# The servers


@contextmanager
def redis_with(folder: Path, *arguments: str) -> Iterator[LocalServer]:
    """A Redis of its own with other settings."""
    server = local_redis(find_redis(), folder, keep=False)
    server._program = replace(server._program, command=[*server._program.command, *arguments])
    server.start()
    try:
        yield server
    finally:
        server.kill()


def url_of(server: LocalServer, user: str = "") -> str:
    return f"redis://{user}127.0.0.1:{server.port}/0"


def test_a_replica_of_redis(shop: Shop, servers: LocalServers, tmp_path: Path) -> None:
    primary = str(servers.redis.port)
    with redis_with(tmp_path / "replica", "--replicaof", "127.0.0.1", primary) as replica:
        shop.refuses(
            UNAVAILABLE, "is a replica, which can only be read: use its primary's", redis=url_of(replica)
        )


def test_a_redis_cluster(shop: Shop, tmp_path: Path) -> None:
    with redis_with(tmp_path / "cluster", "--cluster-enabled", "yes") as cluster:
        shop.refuses(UNAVAILABLE, "is part of a Cluster", redis=url_of(cluster))


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random"])
def test_a_redis_that_would_throw_state_away(shop: Shop, tmp_path: Path, policy: str) -> None:
    with redis_with(tmp_path / "full", "--maxmemory", "50mb", "--maxmemory-policy", policy) as redis:
        text = f"may throw stored state away (maxmemory-policy {policy}): set maxmemory-policy noeviction"
        shop.refuses(UNAVAILABLE, text, redis=url_of(redis))
        with Redis.from_url(url_of(redis)) as client:
            assert client.dbsize() == 0


def test_a_redis_user_without_the_right_to_write(shop: Shop) -> None:
    admin = shop.redis
    admin.execute_command(
        "ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@read", "+@connection", "+info", "+@scripting"
    )
    try:
        url = str(shop.values["redis"]).replace("redis://", "redis://reader:secret@")
        shop.refuses(UNAVAILABLE, "does not allow its user the commands or keys needed: grant", redis=url)
    finally:
        admin.execute_command("ACL", "DELUSER", "reader")
    assert not shop.redis.keys(f"seg:*{shop.model}*")


def test_a_redis_user_of_other_keys(shop: Shop) -> None:
    admin = shop.redis
    admin.execute_command("ACL", "SETUSER", "other", "on", ">secret", "~other:*", "+@all")
    try:
        url = str(shop.values["redis"]).replace("redis://", "redis://other:secret@")
        shop.refuses(UNAVAILABLE, "does not allow its user the commands or keys needed: grant", redis=url)
    finally:
        admin.execute_command("ACL", "DELUSER", "other")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """A broker that looks at rights; everybody may do what nothing is said about."""
    request.getfixturevalue("servers")  # skips where none can be had
    folder = tmp_path_factory.mktemp("guarded")
    kafka = local_kafka(prepare_kafka(lambda _: None), folder, keep=False)
    with (folder / "server.properties").open("a") as properties:
        properties.write("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n")
        properties.write("allow.everyone.if.no.acl.found=true\n")
    kafka.start()
    try:
        yield f"127.0.0.1:{kafka.port}"
    finally:
        kafka.kill()


def deny(kafka: str, topic: str, operation: ACLOperation) -> None:
    """Forbid everybody to do something with a topic, and allow the rest."""
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    everybody, pattern = "User:ANONYMOUS", ResourcePattern(ResourceType.TOPIC, topic)
    acls = [
        ACL(everybody, "*", ACLOperation.ALL, ACLPermissionType.ALLOW, pattern),
        ACL(everybody, "*", operation, ACLPermissionType.DENY, pattern),
    ]
    assert not admin.create_acls(acls)["failed"]
    admin.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_no_right_to_write_an_output_topic(
    guarded: str,
    client: str,
    redis_url: str,
    fresh_name: Callable[[str], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shop = shop_on(tmp_path, capsys, fresh_name("guarded"), guarded, redis_url, client)
    shop.works()
    deny(guarded, f"{shop.model}.labels", ACLOperation.WRITE)
    shop.refuses(UNAVAILABLE, f"topic {shop.model}.labels: Kafka does not allow us to write it: grant WRITE")
    deny(guarded, f"{shop.model}-in", ACLOperation.READ)
    shop.refuses(UNAVAILABLE, f"topic {shop.model}-in: Kafka does not allow us to read it: grant READ")
