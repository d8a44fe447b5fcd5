"""Two bugs planted on purpose in the kafka-python adapter; the deterministic tests must find both.

Each is a subclass with one method that does the wrong thing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from kafka import KafkaConsumer, TopicPartition
from kafka.structs import ConsumerGroupMetadata

from stream_seg.adapters.kafka import KafkaClient, connect
from stream_seg.adapters.kafka_python.bundle import KafkaPythonClient
from stream_seg.adapters.kafka_python.membership import GroupToken
from stream_seg.adapters.kafka_python.source import KafkaPythonSource
from stream_seg.engine.ports import Committed, Polled
from stream_seg.settings.servers import KafkaSettings

START_S = 10.0
UNSTABLE = "offsets read while a transaction is open on them"
NO_GROUP = "transactions without group metadata"
MUTANTS = (UNSTABLE, NO_GROUP)


class UnstableSource(KafkaPythonSource):
    """Does not wait for the stable offset: asks as a read_uncommitted consumer would."""

    def committed(self, partition: int) -> Committed | None:
        """Give what was committed last, whatever is open on it."""
        consumer = KafkaConsumer(
            bootstrap_servers=self._consumer.config["bootstrap_servers"],
            group_id=self.group,
            enable_auto_commit=False,
            isolation_level="read_uncommitted",
        )
        try:
            found = consumer.committed(TopicPartition(self.topic, partition), metadata=True)
        finally:
            consumer.close()
        return None if found is None else Committed(found.offset, found.metadata or "")


class GrouplessSource(KafkaPythonSource):
    """Gives memberships that name no generation, which the broker takes from anybody."""

    def poll(self, timeout_s: float, *, on_lost: Callable[[frozenset[int]], None] | None = None) -> Polled:
        """Poll, and blank out the membership."""
        polled = super().poll(timeout_s, on_lost=on_lost)
        if polled.membership is None:
            return polled
        token = GroupToken(ConsumerGroupMetadata(self.group, -1, "", None), self._consumer)
        return replace(polled, membership=replace(polled.membership, token=token))


class UnstableClient(KafkaPythonClient):
    """Reads offsets uncommitted."""

    def source(self, topic: str, group: str) -> KafkaPythonSource:
        """Give the source with the bug."""
        return UnstableSource(
            self._settings, topic, group, count_partitions=partial(self.topics.partitions, topic)
        )


class GrouplessClient(KafkaPythonClient):
    """Sends transactions without group metadata."""

    def source(self, topic: str, group: str) -> KafkaPythonSource:
        """Give the source with the bug."""
        return GrouplessSource(
            self._settings, topic, group, count_partitions=partial(self.topics.partitions, topic)
        )


_CLIENTS = {UNSTABLE: UnstableClient, NO_GROUP: GrouplessClient}


def connecting(mutant: str) -> Callable[[KafkaSettings], KafkaClient]:
    """What gives a worker its Kafka client: the healthy one for an empty name."""
    if not mutant:
        return connect
    kind = _CLIENTS[mutant]
    return lambda settings: kind(settings, START_S)
