"""What the tests of Kafka's ports work with: a broker through one client, and others beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, OffsetSpec, TopicPartition

from stream_seg.adapters.kafka import KafkaClient, Mode, connect
from stream_seg.adapters.kafka_python.admin import KafkaPythonAdmin
from stream_seg.adapters.kafka_python.connection import open_admin, open_consumer, open_producer
from stream_seg.adapters.kafka_topics import TopicSpec
from stream_seg.engine.ports import Committed, Log, Membership, Models, Polled, Records, Source
from stream_seg.settings import KafkaSettings

CLIENTS = ("kafka-python", "confluent")
STRATEGIES = ("cooperative-sticky", "range")
PATIENCE_S = 20.0


class Stop(Exception):
    """A worker's end at a named step."""


def stops_at(step: str) -> Callable[[str], None]:
    """A hook that ends the commit at one step."""

    def hook(at: str) -> None:
        if at == step:
            raise Stop(step)

    return hook


def settings_of(
    servers: str, client: str, *, options: Mapping[str, Any] | None = None, **keys: Any
) -> KafkaSettings:
    """Settings of one client with quick time-outs."""
    times = {"session_timeout_ms": 6_000, "transaction_timeout_ms": 20_000}
    given = {"bootstrap_servers": servers, "client": client, "options": dict(options or {}), **times, **keys}
    return KafkaSettings.model_validate(given)


def assignment_by(strategy: str, client: str) -> dict[str, str]:
    """The option by which a client shares partitions out."""
    name = "partition.assignment.strategy" if client == "confluent" else "partition_assignment_strategy"
    return {name: strategy}


@dataclass
class World:
    """A broker seen through one client, and by the plainest means beside it."""

    servers: str
    client_name: str
    fresh: Callable[[str], str]
    client: KafkaClient
    opened: list[Any] = field(default_factory=list)

    def topic(self, partitions: int = 1, *, name: str | None = None, **config: str) -> str:
        """A new topic that keeps its records."""
        name = name or self.fresh("topic")
        settings = {"retention.ms": "-1", **{key.replace("_", "."): value for key, value in config.items()}}
        admin = KafkaPythonAdmin(settings_of(self.servers, "kafka-python"))
        admin.create([TopicSpec(name, partitions, settings)])
        admin.close()
        return name

    def through(self, *, options: Mapping[str, Any] | None = None, **keys: Any) -> KafkaClient:
        """The same client with other settings."""
        client = connect(settings_of(self.servers, self.client_name, options=options, **keys))
        self.opened.append(client)
        return client

    def source(self, topic: str, group: str, client: KafkaClient | None = None) -> Source:
        """A member of the group, not joined yet; closed at the end."""
        source = (client or self.client).source(topic, group)
        self.opened.append(source)
        return source

    def log(
        self,
        topic: str,
        *,
        mode: Mode = "exactly_once",
        name: str | None = None,
        hooks: Callable[[str], None] | None = None,
        client: KafkaClient | None = None,
    ) -> Log:
        """A log for offsets of ``topic``; closed at the end."""
        log = (client or self.client).log(name or self.fresh("tx"), mode, topic=topic, hooks=hooks)
        self.opened.append(log)
        return log

    def models(self, topic: str) -> Models:
        """A reader of a models topic; closed at the end."""
        models = self.client.models(topic)
        self.opened.append(models)
        return models

    def close(self) -> None:
        """End everything that was opened, the newest first."""
        while self.opened:
            self.opened.pop().close()
        self.client.close()

    # -- beside the client under test ------------------------------------------------------------------

    def produce(self, topic: str, partition: int, values: Sequence[bytes]) -> None:
        """Write records outside any transaction."""
        with producing(self.servers) as producer:
            for value in values:
                producer.send(topic, value, partition=partition)

    def abort(self, topic: str, partition: int, values: Sequence[bytes]) -> None:
        """Write records in a transaction that is aborted."""
        with producing(self.servers, transactional_id=self.fresh("aborted")) as producer:
            producer.init_transactions()
            producer.begin_transaction()
            for value in values:
                producer.send(topic, value, partition=partition)
            producer.flush()
            producer.abort_transaction()

    def abort_keyed(self, topic: str, values: Sequence[bytes]) -> None:
        """As ``abort``, for a compacted topic."""
        with producing(self.servers, transactional_id=self.fresh("aborted")) as producer:
            producer.init_transactions()
            producer.begin_transaction()
            for value in values:
                producer.send(topic, value, b"aborted", partition=0)
            producer.flush()
            producer.abort_transaction()

    @contextmanager
    def open_transaction(
        self, topic: str, partition: int, values: Sequence[bytes], key: bytes | None = None
    ) -> Iterator[None]:
        """A transaction that stays open inside the block and is committed after it."""
        with producing(self.servers, transactional_id=self.fresh("open")) as producer:
            producer.init_transactions()
            producer.begin_transaction()
            for value in values:
                producer.send(topic, value, key, partition=partition)
            producer.flush()
            yield
            producer.commit_transaction()

    def visible(self, topic: str, partition: int = 0) -> list[Any]:
        """All committed records of a partition, read by kafka-python's own consumer.

        Waits until no transaction is undecided: a commit returns before it can be read.
        """
        where = TopicPartition(topic, partition)
        with administering(self.servers) as admin:
            end = admin.list_partition_offsets({where: OffsetSpec.LATEST})[where].offset
        consumer = open_consumer(
            settings_of(self.servers, "kafka-python"),
            PATIENCE_S,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        try:
            consumer.assign([where])
            consumer.seek(where, 0)
            return gathered(
                lambda: consumer.poll(200).get(where, []), lambda _: consumer.position(where) >= end
            )
        finally:
            consumer.close()

    def values(self, topic: str, partition: int = 0) -> list[bytes | None]:
        """The values of :meth:`visible`."""
        return [record.value for record in self.visible(topic, partition)]


@contextmanager
def kafka_world(servers: str, client: str, fresh: Callable[[str], str]) -> Iterator[World]:
    """A world that is taken down at the end."""
    if client == "confluent":
        pytest.importorskip("confluent_kafka", reason="the extra confluent is not installed")
    world = World(servers, client, fresh, connect(settings_of(servers, client)))
    try:
        yield world
    finally:
        world.close()


@contextmanager
def producing(servers: str, **options: Any) -> Iterator[KafkaProducer]:
    """A producer of kafka-python's, flushed and closed."""
    producer = open_producer(settings_of(servers, "kafka-python"), PATIENCE_S, **options)
    try:
        yield producer
    finally:
        producer.close()


@contextmanager
def administering(servers: str) -> Iterator[KafkaAdminClient]:
    """An admin client of kafka-python's."""
    admin = open_admin(settings_of(servers, "kafka-python"), PATIENCE_S)
    try:
        yield admin
    finally:
        admin.close()


def eventually(done: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    """Ask until the answer is true, and give it; a test fails that waits longer."""
    deadline = time.monotonic() + seconds
    while not (answer := done()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return answer


def gathered(more: Callable[[], Sequence[Any]], enough: Callable[[list[Any]], object]) -> list[Any]:
    """Collect until it is enough; a test fails that waits longer."""
    found: list[Any] = []

    def go_on() -> object:
        found.extend(more())
        return enough(found)

    eventually(go_on)
    return found


def joined(source: Source, partitions: int) -> Polled:
    """Poll until a member has that many partitions and may commit; gives all that was gained on the way."""
    gained: set[int] = set()
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        polled = source.poll(0.2)
        gained |= polled.gained
        if len(polled.assigned) == partitions and polled.membership is not None:
            return Polled(polled.records, polled.assigned, frozenset(gained), polled.lost, polled.membership)
    raise AssertionError("the group did not settle in time")


def member(source: Source, partitions: int) -> Membership:
    """The membership of a source that has joined."""
    membership = joined(source, partitions).membership
    assert membership is not None
    return membership


def read(source: Source, partition: int, count: int) -> list[bytes | None]:
    """Poll until so many values of a partition have come; more or none in time fails."""
    found: list[bytes | None] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < deadline:
        records = source.poll(0.2).records.get(partition)
        found += [] if records is None else records.values
    assert len(found) == count
    return found


def columns(topic: str, partition: int, values: Sequence[bytes]) -> Records:
    """Records as a log takes them."""
    return Records(topic, partition, [b"key"] * len(values), values, [1_000] * len(values))


def at(next_offset: int, metadata: str = "") -> Committed:
    """A committed offset."""
    return Committed(next_offset, metadata)


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Do something in another thread during the block; what it raises is raised at the end."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(PATIENCE_S)
    assert not thread.is_alive()
    if failures:
        raise failures[0]
