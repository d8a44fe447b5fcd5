"""Plain reading and writing with kafka-python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kafka.structs import OffsetAndMetadata, TopicPartition

from consumers.bench.clients import BATCH_BYTES, RETRY_BACKOFF_MS, TIMEOUT_S, Read
from stream_seg.adapters.kafka_python.connection import open_consumer, open_producer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.bench.clients import Reader
    from stream_seg.settings.servers import KafkaSettings

__all__ = ["KafkaPythonReader", "KafkaPythonWriter"]


def _offsets(topic: str, offsets: Mapping[int, int]) -> dict[TopicPartition, OffsetAndMetadata]:
    return {TopicPartition(topic, p): OffsetAndMetadata(offset, "", -1) for p, offset in offsets.items()}


class KafkaPythonReader:
    """See ``clients.Reader``."""

    def __init__(self, settings: KafkaSettings, topic: str, group: str) -> None:
        """Connect; the group is joined with the first read."""
        self.topic = topic
        self._consumer = open_consumer(
            settings,
            TIMEOUT_S,
            group_id=group,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        self._consumer.subscribe([topic])

    def read(self, most: int, wait_s: float) -> list[Read]:
        """The next records."""
        polled = self._consumer.poll(timeout_ms=int(wait_s * 1000), max_records=most)
        return [
            Read(r.partition, r.offset, r.key, r.value, r.timestamp)
            for records in polled.values()
            for r in records
        ]

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit next offsets."""
        self._consumer.commit(_offsets(self.topic, offsets))

    def metadata(self) -> object:
        """The group's metadata."""
        return self._consumer.group_metadata()

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close(autocommit=False)


class KafkaPythonWriter:
    """See ``clients.Writer``."""

    def __init__(self, settings: KafkaSettings, transactional_id: str | None) -> None:
        """Connect."""
        tuning: dict[str, Any] = {"batch_size": BATCH_BYTES, "retry_backoff_ms": RETRY_BACKOFF_MS}
        if transactional_id is not None:
            tuning["transactional_id"] = transactional_id
        self._producer = open_producer(settings, TIMEOUT_S, **tuning)
        self._futures: list[Any] = []
        if transactional_id is not None:
            self._producer.init_transactions()

    def begin(self) -> None:
        """Begin a transaction."""
        self._producer.begin_transaction()

    def send(self, topic: str, key: bytes, value: bytes, partition: int, timestamp_ms: int) -> None:
        """Send without waiting."""
        future = self._producer.send(topic, value, key, partition=partition, timestamp_ms=timestamp_ms)
        self._futures.append(future)

    def flush(self) -> None:
        """Wait for every acknowledgement."""
        self._producer.flush()
        futures, self._futures = self._futures, []
        for future in futures:
            future.get(timeout=TIMEOUT_S)

    def commit(self, reader: Reader, offsets: Mapping[int, int]) -> None:
        """Commit the transaction."""
        self._producer.send_offsets_to_transaction(_offsets(reader.topic, offsets), reader.metadata())
        self._producer.commit_transaction()

    def close(self) -> None:
        """End."""
        self._producer.close()
