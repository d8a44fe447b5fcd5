"""A broker with users and rights: options pass through, and whatever is refused is said in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ACL, ACLFilter, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from stream_seg.adapters.kafka import KafkaClient, connect
from stream_seg.adapters.local.kafka import local_kafka, prepare_kafka
from stream_seg.adapters.local.process import free_port
from stream_seg.engine.ports import Transaction
from stream_seg.errors import ServerRefused, ServersUnavailable
from tests.contract.kafka_worlds import (
    CLIENTS,
    World,
    administering,
    at,
    columns,
    eventually,
    kafka_world,
    member,
    settings_of,
)

pytestmark = pytest.mark.timeout(180)

USER = "worker"
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Addresses of one broker: without login, where everything is allowed, and with."""
    folder: Path = tmp_path_factory.mktemp("secured")
    try:
        kafka = local_kafka(prepare_kafka(lambda _: None), folder, keep=False)
    except ServersUnavailable as unavailable:
        pytest.skip(str(unavailable))
    port = free_port()
    properties = folder / "server.properties"
    lines = dict(line.split("=", 1) for line in properties.read_text().splitlines())
    lines["listeners"] += f",SASL_PLAINTEXT://127.0.0.1:{port}"
    lines["advertised.listeners"] += f",SASL_PLAINTEXT://127.0.0.1:{port}"
    lines["listener.security.protocol.map"] += ",SASL_PLAINTEXT:SASL_PLAINTEXT"
    lines["sasl.enabled.mechanisms"] = "PLAIN"
    lines["listener.name.sasl_plaintext.plain.sasl.jaas.config"] = (
        f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    )
    lines["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
    lines["allow.everyone.if.no.acl.found"] = "true"
    lines["super.users"] = "User:ANONYMOUS"
    properties.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
    try:
        kafka.start()
        yield kafka.address, f"127.0.0.1:{port}"
    finally:
        kafka.kill()


@pytest.fixture(params=CLIENTS)
def world(
    request: pytest.FixtureRequest, secured: tuple[str, str], fresh_name: Callable[[str], str]
) -> Iterator[World]:
    with kafka_world(secured[0], request.param, fresh_name) as world:
        yield world


def login(world: World, address: str, password: str = PASSWORD) -> KafkaClient:
    """The client under test as the user, through the listener that asks for one."""
    options: dict[str, Any] = {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": USER,
        "sasl_plain_password": password,
    }
    if world.client_name == "confluent":
        names = {"sasl_plain_username": "sasl.username", "sasl_plain_password": "sasl.password"}
        options = {names.get(key, key.replace("_", ".")): value for key, value in options.items()}
    client = connect(settings_of(address, world.client_name, options=options), start_timeout_s=10)
    world.opened.append(client)
    return client


def deny(world: World, kind: ResourceType, name: str, operation: ACLOperation) -> None:
    """Take a right from the user; that of looking at the thing, which goes with the first rule, is left."""
    looking = (ACLOperation.DESCRIBE, ACLOperation.DESCRIBE_CONFIGS)
    rules = [(operation, ACLPermissionType.DENY)] + [(op, ACLPermissionType.ALLOW) for op in looking]
    what = ResourcePattern(kind, name)
    acls = [
        ACL(f"User:{USER}", "*", op, permission, what)
        for op, permission in rules
        if kind == ResourceType.TOPIC or permission == ACLPermissionType.DENY
    ]
    with administering(world.servers) as admin:
        admin.create_acls(acls)
        any_of_it = ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, what)
        eventually(lambda: len(admin.describe_acls(any_of_it)[0]) >= len(acls))


def test_a_user_with_the_right_password_does_everything(world: World, secured: tuple[str, str]) -> None:
    client = login(world, secured[1])
    source, model = world.topic(), world.fresh("model")
    client.topics.prepare(model, source)
    reader = world.source(source, world.fresh("group"), client)
    world.log(source, client=client).commit(
        Transaction(
            columns=[columns(f"{model}.labels", 0, [b"v"])],
            offsets={0: at(1, "m")},
            membership=member(reader, 1),
        )
    )
    assert reader.committed(0) == at(1, "m")
    assert world.values(f"{model}.labels") == [b"v"]
    assert client.available()


def test_a_wrong_password_is_said_at_once_and_not_shown(
    world: World, secured: tuple[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    client = login(world, secured[1], "hunter2")
    for attempt in (
        lambda: client.topics.describe("orders"),
        lambda: client.models("orders"),
        lambda: client.log("tx", "exactly_once", topic="orders").commit(Transaction()),
        client.available,
    ):
        with pytest.raises(ServerRefused, match="sasl") as raised:
            attempt()
        assert raised.value.exit_status == 3
        assert "hunter2" not in f"{raised.value!r} {raised.value.__cause__!r}"
        assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_topic_that_may_not_be_read_is_said(world: World, secured: tuple[str, str]) -> None:
    topic = world.topic()
    world.produce(topic, 0, [b"v"])
    deny(world, ResourceType.TOPIC, topic, ACLOperation.READ)
    source = world.source(topic, world.fresh("group"), login(world, secured[1]))

    def read() -> object:
        polled = source.poll(0.2)
        for partition in polled.gained:
            source.seek(partition, 0)
        return polled.records

    with pytest.raises(ServerRefused, match=topic):
        eventually(read)


def test_a_group_that_may_not_be_used_is_said(world: World, secured: tuple[str, str]) -> None:
    topic, group = world.topic(), world.fresh("group")
    deny(world, ResourceType.GROUP, group, ACLOperation.READ)
    source = world.source(topic, group, login(world, secured[1]))
    with pytest.raises(ServerRefused, match="right"):
        eventually(lambda: source.poll(0.2).assigned)


def test_a_topic_that_may_not_be_written_is_said_and_nothing_is_half_written(
    world: World, secured: tuple[str, str]
) -> None:
    allowed, denied = world.topic(), world.topic()
    deny(world, ResourceType.TOPIC, denied, ACLOperation.WRITE)
    log = world.log(allowed, client=login(world, secured[1]))
    with pytest.raises(ServerRefused, match="right"):
        log.commit(Transaction(columns=[columns(allowed, 0, [b"half"]), columns(denied, 0, [b"denied"])]))
    log.commit(Transaction(columns=[columns(allowed, 0, [b"next"])]))
    assert world.values(allowed) == [b"next"]


def test_a_transactional_id_that_may_not_be_used_is_said(world: World, secured: tuple[str, str]) -> None:
    topic, name = world.topic(), world.fresh("tx")
    deny(world, ResourceType.TRANSACTIONAL_ID, name, ACLOperation.WRITE)
    log = world.log(topic, name=name, client=login(world, secured[1]))
    with pytest.raises(ServerRefused, match="right"):
        log.commit(Transaction(columns=[columns(topic, 0, [b"v"])]))


def test_topics_that_may_not_be_created_are_said(world: World, secured: tuple[str, str]) -> None:
    source, model = world.topic(), world.fresh("model")
    for kind in ("labels", "transitions", "models", "dead-letters"):
        deny(world, ResourceType.TOPIC, f"{model}.{kind}", ACLOperation.CREATE)
    deny(world, ResourceType.CLUSTER, "kafka-cluster", ACLOperation.CREATE)
    with pytest.raises(ServerRefused, match="right"):
        login(world, secured[1]).topics.prepare(model, source)
