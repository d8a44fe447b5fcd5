"""A topic read through kafka-python from outside its groups."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kafka import errors as kafka_errors
from kafka.structs import ConsumerGroupMetadata, TopicPartition

from stream_seg.adapters.kafka_python.columns import join, read_columns
from stream_seg.adapters.kafka_python.connection import open_consumer
from stream_seg.adapters.kafka_python.membership import GroupToken
from stream_seg.adapters.kafka_python.refusals import translated
from stream_seg.engine.ports import Committed, Membership
from stream_seg.errors import ServerUnavailable
from stream_seg.events.records import RawRecords
from stream_seg.settings.servers import KafkaSettings

__all__ = ["KafkaPythonHistory"]

MAX_RECORDS: Final = 2**31 - 1  # bytes bound a poll: see the source
PARTITION_BYTES: Final = 1 << 20
FETCH_BYTES: Final = 4 << 20
FETCH_WAIT_MS: Final = 100
ASK_SECONDS: Final = 5.0
REST_SECONDS: Final = 0.05


class KafkaPythonHistory:
    """``History`` on kafka-python."""

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
        ours: dict[str, Any] = {
            "fetch_max_wait_ms": FETCH_WAIT_MS,
            "max_partition_fetch_bytes": PARTITION_BYTES,
            "fetch_max_bytes": FETCH_BYTES,
            "retry_backoff_ms": 20,
            "metrics_enabled": False,
        }
        self._consumer = open_consumer(
            settings,
            start_timeout_s,
            **{name: value for name, value in ours.items() if name not in settings.options},
            group_id=group,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="none",  # a position out of range is an error, never a jump
        )
        read_columns(self._consumer)
        metadata = ConsumerGroupMetadata(group_id=group)
        self.outsider = Membership(-1, "", GroupToken(metadata, self._consumer))
        self._sought: set[int] = set()
        self._paused: frozenset[int] = frozenset()
        self._consumer.assign([self._where(p) for p in range(partitions)])
        for partition in range(partitions):  # or the client would look for a position, and refuse to go on
            self._consumer.seek(self._where(partition), 0)
        self._set_paused()

    def _where(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition)

    def begins(self, partitions: Sequence[int]) -> dict[int, int]:
        """The first offsets the topic still holds."""
        return self._asked(self._consumer.beginning_offsets, partitions)

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """The offsets after the last stable records, transaction markers included."""
        return self._asked(self._consumer.end_offsets, partitions)

    def _asked(
        self, question: Callable[..., dict[TopicPartition, int]], partitions: Sequence[int]
    ) -> dict[int, int]:
        if not partitions:
            return {}
        try:
            found = question([self._where(p) for p in partitions], timeout_ms=int(ASK_SECONDS * 1000))
        except kafka_errors.KafkaError as error:
            raise translated(error, f"topic {self.topic}") from error
        return {where.partition: int(offset) for where, offset in found.items()}

    def seek(self, partition: int, next_offset: int) -> None:
        """Read on from there."""
        self._consumer.seek(self._where(partition), int(next_offset))
        self._sought.add(partition)
        self._set_paused()

    def pause(self, partitions: frozenset[int]) -> None:
        """Fetch nothing from exactly these."""
        self._paused = frozenset(partitions)
        self._set_paused()

    def _set_paused(self) -> None:
        everyone = frozenset(range(self.partitions))
        wanted = self._paused | (everyone - self._sought)
        paused = {where.partition for where in self._consumer.paused()}
        for partition in wanted - paused:
            self._consumer.pause(self._where(partition))
        for partition in paused - wanted:
            self._consumer.resume(self._where(partition))

    def poll(self, timeout_s: float) -> Mapping[int, RawRecords]:
        """Records per partition in offset order; empty while nothing comes."""
        try:
            polled: dict[TopicPartition, list[Any]] = self._consumer.poll(
                timeout_ms=int(timeout_s * 1000), max_records=MAX_RECORDS
            )
        except kafka_errors.KafkaError as error:
            failure = translated(error, f"topic {self.topic}")
            if not isinstance(failure, ServerUnavailable):
                raise failure from error
            time.sleep(min(timeout_s, REST_SECONDS))  # the client tries again; a caller's loop must not spin
            return {}
        return {where.partition: self._raw(parts) for where, parts in polled.items() if parts}

    def _raw(self, parts: list[Any]) -> RawRecords:
        keys, values, offset, timestamp_ms = join(parts)
        return RawRecords(keys, values, offset, timestamp_ms, int(offset[-1]) + 1, self.partitions == 1)

    def read_up(self, partition: int) -> int:
        """The next offset that will be returned; ``ServerUnavailable`` where that cannot be known."""
        if partition not in self._sought:
            raise ValueError(f"partition {partition} is not read yet: seek first")
        try:
            position = self._consumer.position(self._where(partition), timeout_ms=int(ASK_SECONDS * 1000))
        except kafka_errors.KafkaError as error:
            raise translated(error, f"topic {self.topic}") from error
        if position is None:
            raise ServerUnavailable(f"topic {self.topic} cannot be read: wait for Kafka to answer")
        return int(position)

    def committed(self, partition: int) -> Committed | None:
        """The group's stable offset: waits while a transaction is open on it."""
        deadline = time.monotonic() + self._stable_seconds
        while True:
            try:
                found = self._consumer.committed(
                    self._where(partition), metadata=True, timeout_ms=int(ASK_SECONDS * 1000)
                )
            except kafka_errors.KafkaError as error:
                failure = translated(error, f"group {self._group}")
                if not isinstance(failure, ServerUnavailable) or time.monotonic() > deadline:
                    raise failure from error
            else:
                return None if found is None else Committed(found.offset, found.metadata or "")

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close(autocommit=False, timeout_ms=int(ASK_SECONDS * 1000))
