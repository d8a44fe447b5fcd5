"""A topic read through confluent-kafka from outside its groups."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from stream_seg.adapters.confluent.connection import open_consumer
from stream_seg.adapters.confluent.membership import GroupToken, committed_of
from stream_seg.adapters.confluent.offsets import watermarks
from stream_seg.adapters.confluent.refusals import translated
from stream_seg.engine.ports import Committed, Membership
from stream_seg.errors import ServerUnavailable
from stream_seg.events.records import RawRecords
from stream_seg.settings.servers import KafkaSettings

__all__ = ["ConfluentHistory"]

MAX_RECORDS: Final = 20_000
FETCH_WAIT_MS: Final = 100
ASK_SECONDS: Final = 5.0


class ConfluentHistory:
    """``History`` on confluent-kafka; a partition is assigned to the client once it is sought."""

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        group: str | None,
        partitions: int,
        start_timeout_s: float = 10.0,
    ) -> None:
        """Connect; ``group`` is whose committed offsets can be asked for and committed."""
        self.topic, self.partitions, self._group = topic, partitions, group
        self._stable_seconds = settings.transaction_timeout_ms / 1000 + ASK_SECONDS
        ours = {
            "fetch.wait.max.ms": FETCH_WAIT_MS,
            "fetch.error.backoff.ms": FETCH_WAIT_MS,
            "fetch.queue.backoff.ms": FETCH_WAIT_MS,
            "retry.backoff.ms": 20,
        }
        fixed = {
            "group.id": group or f"{topic}-reader",  # the client asks for one
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",  # a position out of range is an error, never a jump
        }
        kept = {name: value for name, value in ours.items() if name not in settings.options}
        self._consumer = open_consumer(settings, start_timeout_s, {**kept, **fixed})
        metadata = self._consumer.consumer_group_metadata()
        self.outsider = Membership(-1, "", GroupToken(metadata, self._consumer))
        self._positions: dict[int, int] = {}
        self._paused: frozenset[int] = frozenset()

    def begins(self, partitions: Sequence[int]) -> dict[int, int]:
        """The first offsets the topic still holds."""
        return {partition: watermarks(self._consumer, self.topic, partition)[0] for partition in partitions}

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """The offsets after the last stable records, transaction markers included."""
        return {partition: watermarks(self._consumer, self.topic, partition)[1] for partition in partitions}

    def seek(self, partition: int, next_offset: int) -> None:
        """Read on from there."""
        where = TopicPartition(self.topic, partition, int(next_offset))
        known = partition in self._positions
        self._positions[partition] = int(next_offset)
        try:
            if known:
                self._consumer.incremental_unassign([TopicPartition(self.topic, partition)])
            self._consumer.incremental_assign([where])
            if partition in self._paused:
                self._consumer.pause([where])
        except KafkaException as error:
            raise translated(error, f"topic {self.topic}") from error

    def pause(self, partitions: frozenset[int]) -> None:
        """Fetch nothing from exactly these."""
        before, self._paused = self._paused, frozenset(partitions)
        sought = self._positions.keys()
        self._consumer.pause([TopicPartition(self.topic, p) for p in (self._paused - before) & sought])
        self._consumer.resume([TopicPartition(self.topic, p) for p in (before - self._paused) & sought])

    def poll(self, timeout_s: float) -> Mapping[int, RawRecords]:
        """Records per partition in offset order; empty while nothing comes."""
        first = self._consumer.poll(timeout_s)
        messages = [] if first is None else [first, *self._consumer.consume(MAX_RECORDS - 1, 0)]
        found: dict[int, list[Any]] = {}
        for message in messages:
            if self._is_record(message):
                found.setdefault(int(message.partition() or 0), []).append(message)
        records = {partition: self._raw(parts) for partition, parts in found.items()}
        for partition, raw in records.items():
            self._positions[partition] = max(self._positions[partition], raw.next_offset)
        return records

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            partition = int(message.partition() or 0)
            self._positions[partition] = max(self._positions[partition], int(message.offset() or 0))
            return False
        failure = translated(error, f"topic {self.topic}")
        if not isinstance(failure, ServerUnavailable):
            raise failure
        return False

    def _raw(self, messages: list[Any]) -> RawRecords:
        offset = np.array([message.offset() for message in messages], dtype=np.int64)
        return RawRecords(
            keys=[message.key() for message in messages],
            values=[message.value() for message in messages],
            offset=offset,
            timestamp_ms=np.array([message.timestamp()[1] for message in messages], dtype=np.int64),
            next_offset=int(offset[-1]) + 1,
            single_partition=self.partitions == 1,
        )

    def read_up(self, partition: int) -> int:
        """The next offset that will be returned; markers are passed once the end has been reached."""
        return self._positions[partition]

    def committed(self, partition: int) -> Committed | None:
        """The group's stable offset: waits while a transaction is open on it."""
        deadline = time.monotonic() + self._stable_seconds
        while True:
            try:
                return self._committed_now(partition)
            except KafkaException as error:
                failure = translated(error, f"group {self._group}")
                if not isinstance(failure, ServerUnavailable) or time.monotonic() > deadline:
                    raise failure from error

    def _committed_now(self, partition: int) -> Committed | None:
        where = TopicPartition(self.topic, partition)
        found = self._consumer.committed([where], timeout=ASK_SECONDS)[0]
        if found.error is not None:
            raise KafkaException(found.error)
        return committed_of(found)

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()
