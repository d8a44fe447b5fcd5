"""What a broker says of a topic's and a group's offsets."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream_seg.adapters.confluent.connection import open_consumer
from stream_seg.adapters.confluent.membership import committed_of
from stream_seg.adapters.confluent.refusals import translated
from stream_seg.engine.ports import Committed
from stream_seg.errors import ServerUnavailable
from stream_seg.settings.servers import KafkaSettings

__all__ = ["ConfluentOffsets", "watermarks"]

ASK_SECONDS: Final = 5.0


class ConfluentOffsets:
    """Asks over connections of its own.

    A broker answers a connection's requests in order: behind a fetch that waits for records, or a request to
    join a group that waits for its other members, an answer would come late.
    """

    def __init__(self, settings: KafkaSettings, topic: str, group: str, start_timeout_s: float) -> None:
        """Describe the connection; it is opened when it is first needed."""
        self._settings, self._topic, self._group = settings, topic, group
        self._start_timeout_s = start_timeout_s
        self._stable_seconds = settings.transaction_timeout_ms / 1000 + ASK_SECONDS
        self._consumer: Consumer | None = None

    def _asked(self) -> Consumer:
        if self._consumer is None:
            self._consumer = open_consumer(
                self._settings,
                self._start_timeout_s,
                {
                    "group.id": self._group,
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",  # or the client asks for offsets that are not stable
                },
            )
        return self._consumer

    def committed(self, partition: int) -> Committed | None:
        """Give the stable offset; see ``Source.committed``.

        Waits while a transaction is open on it, as long as one can stay open. Raises ``ServerUnavailable`` if
        it is not to be had by then: never taken for "no offset".
        """
        deadline = time.monotonic() + self._stable_seconds
        while True:
            try:
                return self._committed(partition, min(ASK_SECONDS, max(0.5, deadline - time.monotonic())))
            except KafkaException as error:
                failure = translated(error, f"group {self._group}")
                if not isinstance(failure, ServerUnavailable) or time.monotonic() > deadline:
                    raise failure from error

    def _committed(self, partition: int, timeout_s: float) -> Committed | None:
        where = TopicPartition(self._topic, partition)
        found = self._asked().committed([where], timeout=timeout_s)[0]
        if found.error is not None:
            raise KafkaException(found.error)
        return committed_of(found)

    def begins(self, partition: int) -> int:
        """Give the first offset the topic still holds."""
        return self._marks(partition)[0]

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Give the offsets after the last stable record, transaction markers included."""
        return {partition: self._marks(partition)[1] for partition in partitions}

    def _marks(self, partition: int) -> tuple[int, int]:
        try:
            return watermarks(self._asked(), self._topic, partition)
        except ServerUnavailable:
            self.close()  # it can hold for ever to what it learnt of a broker that had just started
            raise

    def close(self) -> None:
        """End the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()


def watermarks(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """Give the first offset that is held, and the one after the last that is stable.

    Raises ``ServerUnavailable`` if the broker does not answer.
    """
    try:
        found: tuple[int, int] | None = consumer.get_watermark_offsets(
            TopicPartition(topic, partition), timeout=ASK_SECONDS
        )
    except KafkaException as error:
        raise translated(error, f"topic {topic}") from error
    if found is None:
        raise ServerUnavailable(f"topic {topic}: Kafka does not answer: wait until it is back")
    return found
