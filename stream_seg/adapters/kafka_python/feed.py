"""Filling an input topic through kafka-python.

Made as history needs it, placed by the client's own partitioner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kafka import errors as kafka_errors

from stream_seg.adapters.kafka_python.connection import open_producer
from stream_seg.adapters.kafka_python.refusals import translated
from stream_seg.adapters.kafka_topics import FOREVER, UNLIMITED, TopicFacts, TopicMissing, TopicSpec
from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream_seg.adapters.kafka_topics import TopicAdmin
    from stream_seg.settings.servers import KafkaSettings

__all__ = ["TopicFeed", "prepared_input"]

BROKER_DEFAULT: Final = -1
BATCH_BYTES: Final = 256 << 10
LINGER_MS: Final = 50
# The broker's own limit decides, and is known before anything is sent.
REQUEST_BYTES: Final = 64 << 20
CLOSE_SECONDS: Final = 0.5


def prepared_input(admin: TopicAdmin, topic: str, partitions: int | None, *, append: bool) -> TopicFacts:
    """Find the topic, or create it; gives its facts.

    It is created with ``partitions`` (``None``: as many as the broker gives a topic), keeps its records for
    ever and takes any timestamp, as records with the times of history need. Raises ``UsageError`` where it
    exists with another number of partitions, or holds records and ``append`` is not set.
    """
    found = admin.describe([topic]).get(topic)
    if found is None:
        config = {"retention.ms": FOREVER, "message.timestamp.after.max.ms": UNLIMITED}
        admin.create([TopicSpec(topic, partitions or BROKER_DEFAULT, config)])
        found = admin.describe([topic]).get(topic)
        if found is None:
            raise TopicMissing(f"topic {topic} was created and is gone again: look who deletes topics")
        return found
    if partitions is not None and partitions != found.partitions:
        raise UsageError(
            f"topic {topic} has {found.partitions} partitions, not {partitions}: leave --partitions out"
        )
    if not append and admin.oldest_ms(topic, found.partitions) is not None:
        raise UsageError(
            f"topic {topic} holds records already: give --append to add to them, or name another topic"
        )
    return found


class TopicFeed:
    """Sends records to one topic.

    A key goes where every Kafka client's default partitioner puts it (murmur2).

    Sending returns before records are acknowledged. What is refused or not acknowledged is raised by a later
    ``send`` or by ``flush``, as ``ServerRefused`` or ``ServerUnavailable``; records before it may be in the
    topic.
    """

    def __init__(self, settings: KafkaSettings, topic: str, *, start_timeout_s: float = 10.0) -> None:
        """Connect; raises what :func:`~stream_seg.adapters.kafka_python.connection.open_producer` does."""
        self._topic = topic
        self._failure: BaseException | None = None
        self._producer = open_producer(
            settings,
            start_timeout_s,
            acks="all",
            batch_size=BATCH_BYTES,
            linger_ms=LINGER_MS,
            max_request_size=REQUEST_BYTES,
        )

    def send(self, keys: Sequence[bytes], values: Sequence[bytes], timestamps_ms: Sequence[int]) -> None:
        """Send records of equal number of keys, values and timestamps (ms since 1970)."""
        try:
            for key, value, timestamp_ms in zip(keys, values, timestamps_ms, strict=True):
                sent = self._producer.send(self._topic, value, key, timestamp_ms=timestamp_ms)
                sent.add_errback(self._note)
        except kafka_errors.KafkaError as error:
            raise translated(error, f"topic {self._topic}") from error
        self._raise_noted()

    def flush(self) -> None:
        """Wait until everything sent is acknowledged."""
        try:
            self._producer.flush()
        except kafka_errors.KafkaError as error:
            raise translated(self._failure or error, f"topic {self._topic}") from error
        self._raise_noted()

    def close(self) -> None:
        """End the producer; what is not flushed may be lost."""
        self._producer.close(timeout=CLOSE_SECONDS)

    def _note(self, error: Any) -> None:  # noqa: ANN401 - kafka-python has no types
        self._failure = self._failure or error

    def _raise_noted(self) -> None:
        if self._failure is not None:
            raise translated(self._failure, f"topic {self._topic}") from self._failure
