"""Plain reading and writing with confluent-kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from consumers.bench.clients import BATCH_BYTES, RETRY_BACKOFF_MS, TIMEOUT_S, Read
from stream_seg.adapters.confluent.connection import open_consumer, open_producer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.bench.clients import Reader
    from stream_seg.settings.servers import KafkaSettings

__all__ = ["ConfluentReader", "ConfluentWriter"]

QUEUE_RECORDS = 1_000_000


def _offsets(topic: str, offsets: Mapping[int, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]


class ConfluentReader:
    """See ``clients.Reader``."""

    def __init__(self, settings: KafkaSettings, topic: str, group: str) -> None:
        """Connect; the group is joined with the first read."""
        self.topic = topic
        self._consumer = open_consumer(
            settings,
            TIMEOUT_S,
            {
                "group.id": group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
            },
        )
        self._consumer.subscribe([topic])

    def read(self, most: int, wait_s: float) -> list[Read]:
        """The next records."""
        found: Any = self._consumer.consume(most, wait_s)
        return [
            Read(m.partition(), m.offset(), m.key(), m.value(), m.timestamp()[1])
            for m in found
            if m.error() is None
        ]

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit next offsets."""
        self._consumer.commit(offsets=_offsets(self.topic, offsets), asynchronous=False)

    def metadata(self) -> object:
        """The group's metadata."""
        return self._consumer.consumer_group_metadata()

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()


class ConfluentWriter:
    """See ``clients.Writer``."""

    def __init__(self, settings: KafkaSettings, transactional_id: str | None) -> None:
        """Connect."""
        tuning: dict[str, Any] = {
            "batch.size": BATCH_BYTES,
            "retry.backoff.ms": RETRY_BACKOFF_MS,
            "retry.backoff.max.ms": RETRY_BACKOFF_MS,
            "queue.buffering.max.messages": QUEUE_RECORDS,
            "delivery.report.only.error": True,
            "on_delivery": self._delivered,
        }
        if transactional_id is not None:
            tuning["transactional.id"] = transactional_id
        self._failure: KafkaError | None = None
        self._producer = open_producer(settings, TIMEOUT_S, tuning)
        if transactional_id is not None:
            self._producer.init_transactions(TIMEOUT_S)

    def _delivered(self, error: KafkaError | None, _: object) -> None:
        self._failure = self._failure or error

    def begin(self) -> None:
        """Begin a transaction."""
        self._producer.begin_transaction()

    def send(self, topic: str, key: bytes, value: bytes, partition: int, timestamp_ms: int) -> None:
        """Send without waiting."""
        self._producer.produce(topic, value, key, partition=partition, timestamp=timestamp_ms)

    def flush(self) -> None:
        """Wait for every acknowledgement."""
        self._producer.flush()
        if self._failure is not None:
            raise KafkaException(self._failure)

    def commit(self, reader: Reader, offsets: Mapping[int, int]) -> None:
        """Commit the transaction."""
        metadata: Any = reader.metadata()
        self._producer.send_offsets_to_transaction(_offsets(reader.topic, offsets), metadata)
        self._producer.commit_transaction()

    def close(self) -> None:
        """End."""
        self._producer.flush(TIMEOUT_S)
