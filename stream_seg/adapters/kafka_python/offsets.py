"""What a broker says of a topic's and a group's offsets."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from kafka import KafkaConsumer
from kafka import errors as kafka_errors
from kafka.structs import TopicPartition

from stream_seg.adapters.kafka_python.connection import open_consumer
from stream_seg.adapters.kafka_python.refusals import translated
from stream_seg.engine.ports import Committed
from stream_seg.errors import ServerUnavailable
from stream_seg.settings.servers import KafkaSettings

__all__ = ["KafkaPythonOffsets"]

ASK_SECONDS: Final = 5.0
RETRY_BACKOFF_MS: Final = 20
CLOSE_MS: Final = 200


class KafkaPythonOffsets:
    """Asks over connections of its own.

    A broker answers a connection's requests in order: behind a fetch that waits for records, or a request to
    join a group that waits for its other members, an answer would come late.

    A question that failed ends its connection. The client keeps one that timed out, and would give its
    answer, however old, to the next one who asks the same: an offset from before a former owner was fenced.
    """

    def __init__(self, settings: KafkaSettings, topic: str, group: str, start_timeout_s: float) -> None:
        """Describe the connection; it is opened when it is first needed."""
        self._settings, self._topic, self._group = settings, topic, group
        self._start_timeout_s = start_timeout_s
        self._stable_seconds = settings.transaction_timeout_ms / 1000 + ASK_SECONDS
        self._consumer: KafkaConsumer | None = None

    def _asked(self) -> KafkaConsumer:
        if self._consumer is None:
            self._consumer = open_consumer(
                self._settings,
                self._start_timeout_s,
                group_id=self._group,
                enable_auto_commit=False,
                isolation_level="read_committed",  # or the client asks for offsets that are not stable
                retry_backoff_ms=RETRY_BACKOFF_MS,
                metrics_enabled=False,
            )
        return self._consumer

    def committed(self, partition: int) -> Committed | None:
        """Give the stable offset; see ``Source.committed``.

        Waits while a transaction is open on it, as long as one can stay open. Raises ``ServerUnavailable`` if
        it is not to be had by then: never taken for "no offset".
        """
        where = TopicPartition(self._topic, partition)
        deadline = time.monotonic() + self._stable_seconds
        while True:
            timeout_ms = int(1000 * min(ASK_SECONDS, max(0.5, deadline - time.monotonic())))
            try:
                found = self._asked().committed(where, metadata=True, timeout_ms=timeout_ms)
            except kafka_errors.KafkaError as error:
                self.close()
                failure = translated(error, f"group {self._group}")
                if not isinstance(failure, ServerUnavailable) or time.monotonic() > deadline:
                    raise failure from error
            else:
                return None if found is None else Committed(found.offset, found.metadata or "")

    def begins(self, partition: int) -> int:
        """Give the first offset the topic still holds."""
        return self._of(KafkaConsumer.beginning_offsets, [partition])[partition]

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Give the offsets after the last stable record, transaction markers included."""
        return self._of(KafkaConsumer.end_offsets, partitions)

    def _of(
        self, question: Callable[..., dict[TopicPartition, int]], partitions: Sequence[int]
    ) -> dict[int, int]:
        where = [TopicPartition(self._topic, partition) for partition in partitions]
        try:
            found = question(self._asked(), where, timeout_ms=int(ASK_SECONDS * 1000))
        except kafka_errors.KafkaError as error:
            self.close()
            raise translated(error, f"topic {self._topic}") from error
        return {tp.partition: int(offset) for tp, offset in found.items()}

    def close(self) -> None:
        """End the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=CLOSE_MS)
