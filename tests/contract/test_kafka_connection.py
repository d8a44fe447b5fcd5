"""Opening, refusing and losing a broker, the same for both clients."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from stream_seg.adapters.kafka import connect
from stream_seg.engine.ports import Transaction
from stream_seg.errors import ConfigurationError, ServerRefused, ServerUnavailable
from tests.contract.kafka_worlds import (
    CLIENTS,
    World,
    eventually,
    joined,
    kafka_world,
    read,
    settings_of,
)

if TYPE_CHECKING:
    from stream_seg.adapters.local import LocalServers

pytestmark = pytest.mark.timeout(120)

# A TLS handshake that fails leaves kafka-python's socket to the collector.
UNCLOSED = "ignore:unclosed <ssl.SSLSocket:ResourceWarning"


@pytest.fixture(params=CLIENTS)
def client_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(client_name: str, bootstrap_servers: str, fresh_name: Callable[[str], str]) -> Iterator[World]:
    with kafka_world(bootstrap_servers, client_name, fresh_name) as world:
        yield world


def test_an_absent_broker_is_named_within_the_time_given(
    client_name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        client = connect(settings_of(address, client_name), start_timeout_s=1.0)
        begun = time.monotonic()
        with pytest.raises(ServerUnavailable, match=address):
            client.topics.describe("orders")
        with pytest.raises(ServerUnavailable, match=address):
            client.models("orders.models")
        with pytest.raises(ServerUnavailable, match=address):
            client.log("tx", "exactly_once", topic="orders").commit(Transaction())
        assert not client.available(0.5)
        assert time.monotonic() - begun < 10
    assert capfd.readouterr() == ("", "")


REFUSED = {
    "kafka-python": {
        "tls": {"security_protocol": "SSL"},
        "sasl": {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": "worker",
            "sasl_plain_password": "hunter2",
        },
    },
    "confluent": {
        "tls": {"security.protocol": "SSL"},
        "sasl": {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": "worker",
            "sasl.password": "hunter2",
        },
    },
}


@pytest.mark.filterwarnings(UNCLOSED)
@pytest.mark.parametrize("how", ["tls", "sasl"])
def test_a_broker_that_speaks_otherwise_is_reported_in_a_sentence(
    world: World, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(world.servers, world.client_name, options=REFUSED[world.client_name][how])
    client = connect(settings, start_timeout_s=3.0)
    begun = time.monotonic()
    with pytest.raises((ServerRefused, ServerUnavailable), match=world.servers) as raised:
        client.topics.describe("orders")
    assert time.monotonic() - begun < 8
    assert "security" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "hunter2" not in f"{raised.value!r} {raised.value.__cause__!r}"
    assert capfd.readouterr() == ("", "")
    del raised, client
    gc.collect()


def test_a_session_time_out_that_the_broker_refuses_is_said(world: World) -> None:
    topic = world.topic()
    source = world.source(topic, world.fresh("group"), world.through(session_timeout_ms=500))
    with pytest.raises(ServerRefused, match="session_timeout_ms"):
        eventually(lambda: source.poll(0.2).assigned)


def test_unknown_options_are_named_without_their_values(client_name: str, bootstrap_servers: str) -> None:
    settings = settings_of(bootstrap_servers, client_name, options={"secruity_protocol": "hunter2"})
    with pytest.raises(ConfigurationError, match="secruity_protocol") as raised:
        connect(settings).topics.describe("orders")
    assert "hunter2" not in f"{raised.value!r} {raised.value.__cause__!r}"


# -- a broker that goes and comes -------------------------------------------------------------------------


def test_while_the_broker_is_away_nothing_comes_and_then_it_goes_on(
    client_name: str,
    private_servers: Callable[[], LocalServers],
    fresh_name: Callable[[str], str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    servers = private_servers()
    with kafka_world(servers.bootstrap_servers, client_name, fresh_name) as world:
        topic = world.topic()
        world.produce(topic, 0, [b"before"])
        source = world.source(topic, world.fresh("group"))
        joined(source, 1)
        source.seek(0, 0)
        assert read(source, 0, 1) == [b"before"]
        assert world.client.available()
        servers.kafka.kill()
        begun = time.monotonic()
        while time.monotonic() - begun < 4:
            polling = time.monotonic()
            assert source.poll(0.3).records == {}
            assert time.monotonic() - polling < 3
        assert not world.client.available(0.5)
        with pytest.raises(ServerUnavailable):
            source.ends([0])
        servers.kafka.start()
        assert world.client.available(10)
        world.produce(topic, 0, [b"after"])

        def goes_on() -> list[bytes | None]:
            polled = source.poll(0.3)
            for partition in polled.gained:  # a group whose members the broker has forgotten joins again
                source.seek(partition, 1)
            return polled.records[0].values if 0 in polled.records else []

        assert eventually(goes_on, 40) == [b"after"]
    assert capfd.readouterr().err == ""
