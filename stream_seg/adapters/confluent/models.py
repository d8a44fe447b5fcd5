"""``<m>.models`` read through confluent-kafka: one compacted partition, from the beginning on."""

from __future__ import annotations

import time
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from stream_seg.adapters.confluent.connection import open_consumer
from stream_seg.adapters.confluent.offsets import watermarks
from stream_seg.adapters.confluent.refusals import translated
from stream_seg.errors import ServerUnavailable, StateError
from stream_seg.settings.servers import KafkaSettings

__all__ = ["ConfluentModels"]

# The end is reached once a fetch has come back empty; how long that waits is how long a read takes.
FETCH_WAIT_MS: Final = 20
MAX_RECORDS: Final = 5_000
# Nothing further read for so long means that nobody answers.
STALLED_SECONDS: Final = 15.0


class ConfluentModels:
    """``Models`` on confluent-kafka, read committed."""

    def __init__(self, settings: KafkaSettings, topic: str, *, start_timeout_s: float = 10.0) -> None:
        """Connect; raises what :func:`~stream_seg.adapters.confluent.connection.open_consumer` does."""
        self.topic = topic
        self._settings, self._start_timeout_s = settings, start_timeout_s
        self._position = 0
        self._found: list[tuple[str, bytes]] = []
        self._consumer: Consumer | None = None
        self._reader()

    def _reader(self) -> Consumer:
        """The consumer, a new one after a failure, which reads on from where the last one came to."""
        if self._consumer is None:
            self._consumer = open_consumer(
                self._settings,
                self._start_timeout_s,
                {
                    "group.id": f"{self.topic}-reader",  # the client asks for one
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "isolation.level": "read_committed",
                    "auto.offset.reset": "earliest",
                    "fetch.wait.max.ms": FETCH_WAIT_MS,
                    "fetch.error.backoff.ms": FETCH_WAIT_MS,
                },
            )
            self._consumer.assign([TopicPartition(self.topic, 0, self._position)])
        return self._consumer

    def read(self) -> list[tuple[str, bytes]]:
        """Give what has come since the last call, up to the end as of now; see ``Models.read``.

        The end counts markers and aborted records, which never come: the event of having reached the end
        passes them. Raises ``ServerUnavailable`` if the broker does not answer.
        """
        try:
            return self._read()
        except ServerUnavailable:
            self.close()  # it can hold for ever to what it learnt of a broker that had just started
            raise

    def _read(self) -> list[tuple[str, bytes]]:
        _, end = watermarks(self._reader(), self.topic, 0)
        if self._position > end:
            raise StateError(
                f"topic {self.topic} ends before what was read of it: it was made anew; start again"
            )
        self._read_to(end)
        found, self._found = self._found, []
        return found

    def _read_to(self, end: int) -> None:
        deadline = time.monotonic() + STALLED_SECONDS
        while self._position < end:
            before = self._position
            self._take()
            if self._position > before:
                deadline = time.monotonic() + STALLED_SECONDS
            elif time.monotonic() > deadline:
                raise ServerUnavailable(
                    f"topic {self.topic} cannot be read to its end: wait for Kafka to answer"
                )

    def _take(self) -> None:
        reader = self._reader()
        first = reader.poll(FETCH_WAIT_MS / 1000)
        messages: list[Any] = [] if first is None else [first, *reader.consume(MAX_RECORDS, 0)]
        for message in messages:
            error, key, value, offset = message.error(), message.key(), message.value(), message.offset() or 0
            if error is None:
                self._position = offset + 1
                if key is not None and value is not None:
                    self._found.append((bytes(key).decode(), value))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                self._position = offset
            else:
                failure = translated(error, f"topic {self.topic}")
                if not isinstance(failure, ServerUnavailable):
                    raise failure

    def close(self) -> None:
        """Stop reading."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()
