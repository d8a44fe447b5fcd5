"""``<m>.models`` read through kafka-python: one compacted partition, from the beginning on."""

from __future__ import annotations

import time
from typing import Final

from kafka import errors as kafka_errors
from kafka.structs import TopicPartition

from stream_seg.adapters.kafka_python.connection import open_consumer
from stream_seg.adapters.kafka_python.refusals import translated
from stream_seg.errors import ServerUnavailable, StateError
from stream_seg.settings.servers import KafkaSettings

__all__ = ["KafkaPythonModels"]

ASK_SECONDS: Final = 5.0
FETCH_WAIT_MS: Final = 100
RETRY_BACKOFF_MS: Final = 20
MAX_RECORDS: Final = 5_000
# Nothing further read for so long means that nobody answers.
STALLED_SECONDS: Final = 15.0


class KafkaPythonModels:
    """``Models`` on kafka-python, read committed."""

    def __init__(self, settings: KafkaSettings, topic: str, *, start_timeout_s: float = 10.0) -> None:
        """Connect; raises what :func:`~stream_seg.adapters.kafka_python.connection.open_consumer` does."""
        self.topic = topic
        self._where = TopicPartition(topic, 0)
        self._consumer = open_consumer(
            settings,
            start_timeout_s,
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            metrics_enabled=False,
        )
        self._found: list[tuple[str, bytes]] = []
        self._consumer.assign([self._where])
        self._consumer.seek(self._where, 0)

    def read(self) -> list[tuple[str, bytes]]:
        """Give what has come since the last call, up to the end as of now; see ``Models.read``.

        The end counts markers and aborted records, which never come: the position passes them. Raises
        ``ServerUnavailable`` if the broker does not answer.
        """
        try:
            end = self._consumer.end_offsets([self._where], timeout_ms=int(ASK_SECONDS * 1000))[self._where]
            self._read_to(int(end))
        except kafka_errors.KafkaError as error:
            raise translated(error, f"topic {self.topic}") from error
        found, self._found = self._found, []
        return found

    def _read_to(self, end: int) -> None:
        position = self._position()
        if position > end:
            raise StateError(
                f"topic {self.topic} ends before what was read of it: it was made anew; start again"
            )
        deadline = time.monotonic() + STALLED_SECONDS
        while position < end:
            for records in self._consumer.poll(timeout_ms=FETCH_WAIT_MS, max_records=MAX_RECORDS).values():
                self._found += [
                    (r.key.decode(), r.value) for r in records if r.key is not None and r.value is not None
                ]
            before, position = position, self._position()
            if position > before:
                deadline = time.monotonic() + STALLED_SECONDS
            elif time.monotonic() > deadline:
                raise ServerUnavailable(
                    f"topic {self.topic} cannot be read to its end: wait for Kafka to answer"
                )

    def _position(self) -> int:
        position = self._consumer.position(self._where, timeout_ms=int(ASK_SECONDS * 1000))
        return 0 if position is None else int(position)

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close(autocommit=False, timeout_ms=1000)
