"""The input topic read through confluent-kafka, as a member of the consumer group."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_seg.adapters.confluent.connection import open_consumer
from stream_seg.adapters.confluent.membership import GroupToken, generation_of
from stream_seg.adapters.confluent.offsets import ConfluentOffsets
from stream_seg.adapters.confluent.refusals import cause, translated
from stream_seg.engine.ports import Committed, Membership, Polled
from stream_seg.errors import OwnershipLost, ServerUnavailable
from stream_seg.events.records import RawRecords
from stream_seg.settings.servers import KafkaSettings

__all__ = ["ConfluentSource"]

MAX_RECORDS: Final = 20_000
FETCH_WAIT_MS: Final = 100
ASK_SECONDS: Final = 5.0
SLICE_SECONDS: Final = 0.1
# A member learns of a rebalance by its heartbeat, so their time is most of what handing over takes.
HEARTBEATS_PER_SESSION: Final = 6
LONGEST_HEARTBEAT_MS: Final = 1_000


class ConfluentSource:
    """``Source`` on confluent-kafka: bytes, read committed, offsets committed by the ``Log`` only.

    A partition is assigned to the client only once ``seek`` has said from where: so it never looks for an
    offset of its own, and never waits for one. ``partitions`` asks the broker each time.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        group: str,
        *,
        count_partitions: Callable[[], int],
        start_timeout_s: float = 10.0,
    ) -> None:
        """Connect and subscribe; the group is joined by polling.

        ``count_partitions`` asks for the topic's number of partitions.
        Raises what :func:`~stream_seg.adapters.confluent.connection.open_consumer` does.
        """
        self.topic = topic
        self.group = group
        self._count_partitions = count_partitions
        self._single = count_partitions() == 1
        self._offsets = ConfluentOffsets(settings, topic, group, start_timeout_s)
        options = _consumer_options(settings, group)
        self._eager = "cooperative" not in str(
            settings.options.get("partition.assignment.strategy", "cooperative-sticky")
        )
        self._consumer = open_consumer(settings, start_timeout_s, options)
        self._ours: set[int] = set()
        self._positions: dict[int, int] = {}
        self._paused: frozenset[int] = frozenset()
        self._gained: set[int] = set()
        self._lost: set[int] = set()
        self._token: GroupToken | None = None
        self._on_lost: Callable[[frozenset[int]], None] | None = None
        self._error: BaseException | None = None
        self._consumer.subscribe(
            [topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._away
        )

    def partitions(self) -> int:
        """The number of partitions of the topic now; ``NotFoundError`` where there is no such topic."""
        return self._count_partitions()

    def poll(self, timeout_s: float, *, on_lost: Callable[[frozenset[int]], None] | None = None) -> Polled:
        """Fetch, and keep the membership alive; see ``Source.poll``.

        ``on_lost`` may commit with the newest membership that a poll has given. Nothing comes while the
        broker is away. Raises ``StateError`` where the topic no longer holds what comes next, and
        ``ServerRefused`` where the broker says no.
        """
        deadline = time.monotonic() + timeout_s
        self._on_lost = on_lost
        try:
            messages = self._fetch(min(timeout_s, SLICE_SECONDS))
            while not messages and not self._changed and (left := deadline - time.monotonic()) > 0:
                messages = self._fetch(min(left, SLICE_SECONDS))
        finally:
            self._on_lost = None
        error, self._error = self._error, None
        if error is not None:
            raise error
        changes = frozenset(self._gained & self._ours), frozenset(self._lost)
        self._gained, self._lost = set(), set()
        return Polled(self._columns(messages), frozenset(self._ours), *changes, self._membership())

    @property
    def _changed(self) -> bool:
        return bool(self._gained or self._lost or self._error)

    def _fetch(self, timeout_s: float) -> list[Message]:
        """Wait for one message, and take what is there: ``consume`` alone would wait for a full batch."""
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        messages: list[Message] = [first, *self._consumer.consume(MAX_RECORDS - 1, 0)]
        return [message for message in messages if self._is_record(message)]

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return message.partition() in self._positions
        partition = message.partition()
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            if partition in self._positions:
                self._positions[partition] = int(message.offset() or 0)
        elif error.code() not in {KafkaError._MAX_POLL_EXCEEDED, KafkaError.UNKNOWN_TOPIC_OR_PART}:  # noqa: SLF001
            failure = translated(error, f"topic {self.topic}")
            if not isinstance(failure, ServerUnavailable | OwnershipLost):
                raise failure
        return False

    def _columns(self, messages: list[Message]) -> dict[int, RawRecords]:
        found: dict[int | None, list[Message]] = {}
        for message in messages:
            found.setdefault(message.partition(), []).append(message)
        records = {
            partition: _raw(parts, self._single)
            for partition, parts in found.items()
            if partition is not None and partition in self._positions
        }
        for partition, raw in records.items():
            self._positions[partition] = max(self._positions[partition], raw.next_offset)
        return records

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for where in partitions:
            self._ours.add(where.partition)
            self._gained.add(where.partition)
        # Said to have been answered; each partition is assigned in earnest by seek().
        if self._eager:
            consumer.assign([])
        else:
            consumer.incremental_assign([])

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._on_lost is not None and partitions:
            if self._token is not None:
                self._token.renew()
            try:
                self._on_lost(frozenset(where.partition for where in partitions))
            except BaseException as error:  # noqa: BLE001 - raised again by the poll that this is in
                self._error = error
        self._away(consumer, partitions)

    def _away(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        gone = {where.partition for where in partitions}
        assigned = [TopicPartition(self.topic, p) for p in sorted(gone & self._positions.keys())]
        if self._eager:
            consumer.unassign()
        else:
            consumer.incremental_unassign(assigned)
        self._ours -= gone
        self._gained -= gone
        self._lost |= gone
        for partition in gone:
            self._positions.pop(partition, None)

    def _membership(self) -> Membership | None:
        metadata = self._consumer.consumer_group_metadata()
        member_id = self._consumer.memberid()
        if generation_of(metadata) <= 0 or not member_id:
            return None
        self._token = GroupToken(metadata, self._consumer)
        return Membership(generation_of(metadata), member_id, self._token)

    def committed(self, partition: int) -> Committed | None:
        """Give the stable offset; waits while a transaction is open on it, as long as one can stay open.

        Raises ``ServerUnavailable`` if it is not to be had by then: never taken for "no offset".
        """
        return self._offsets.committed(partition)

    def seek(self, partition: int, next_offset: int) -> None:
        """Read on from there. A partition that has been lost meanwhile raises ``OwnershipLost``."""
        if partition not in self._ours:
            raise OwnershipLost(f"partition {partition} of {self.topic} is not ours any more")
        known = partition in self._positions
        self._positions[partition] = int(next_offset)
        try:
            if known:
                self._seek(partition)
            else:
                self._assign(partition)
        except KafkaException as error:
            raise translated(error, f"topic {self.topic}") from error

    def _seek(self, partition: int) -> None:
        where = TopicPartition(self.topic, partition, self._positions[partition])
        try:
            self._consumer.seek(where)
        except KafkaException as error:
            if cause(error).code() != KafkaError._STATE:  # noqa: SLF001
                raise
            # Stopped by a position that was out of range: only a fresh assignment starts it again.
            if not self._eager:
                self._consumer.incremental_unassign([where])
            self._assign(partition)

    def _assign(self, partition: int) -> None:
        """Have the client read a partition from its position on.

        A pause outlives the assignment it was asked for in, so both kinds are said again.
        """
        if self._eager:  # all of them at once, or the others would end
            places = [TopicPartition(self.topic, p, offset) for p, offset in self._positions.items()]
            self._consumer.assign(places)
        else:
            places = [TopicPartition(self.topic, partition, self._positions[partition])]
            self._consumer.incremental_assign(places)
        assigned = frozenset(where.partition for where in places)
        self._pause(self._paused & assigned)
        self._resume(assigned - self._paused)

    def pause(self, partitions: frozenset[int]) -> None:
        """Fetch nothing from exactly these; all other assigned ones that have been sought are read."""
        before, self._paused = self._paused, frozenset(partitions)
        self._pause((self._paused - before) & self._positions.keys())
        self._resume((before - self._paused) & self._positions.keys())

    def _pause(self, partitions: frozenset[int]) -> None:
        self._consumer.pause([TopicPartition(self.topic, partition) for partition in partitions])

    def _resume(self, partitions: frozenset[int]) -> None:
        self._consumer.resume([TopicPartition(self.topic, partition) for partition in partitions])

    def begins(self, partition: int) -> int:
        """Give the first offset the topic still holds."""
        return self._offsets.begins(partition)

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Give the offsets after the last stable record, transaction markers included."""
        return self._offsets.ends(partitions)

    def read_up(self, partition: int) -> int | None:
        """Give the next offset to be returned, markers and aborted records passed over; ``None``: unknown.

        Markers are passed over once the end of the partition has been reached.
        """
        return self._positions.get(partition)

    def close(self) -> None:
        """Leave the group."""
        self._offsets.close()
        self._consumer.close()


def _consumer_options(settings: KafkaSettings, group: str) -> dict[str, Any]:
    """What must be so, and what may be set otherwise in ``[kafka.options]``."""
    fixed = {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",  # a position out of range is an error, never a jump
        "session.timeout.ms": settings.session_timeout_ms,
    }
    ours = {
        "heartbeat.interval.ms": min(
            LONGEST_HEARTBEAT_MS, settings.session_timeout_ms // HEARTBEATS_PER_SESSION
        ),
        "fetch.wait.max.ms": FETCH_WAIT_MS,
        "fetch.error.backoff.ms": FETCH_WAIT_MS,
        "fetch.queue.backoff.ms": FETCH_WAIT_MS,
        "partition.assignment.strategy": "cooperative-sticky",
        "retry.backoff.ms": 20,
    }
    theirs = settings.options
    return {**{name: value for name, value in ours.items() if name not in theirs}, **fixed}


def _raw(messages: list[Message], single_partition: bool) -> RawRecords:  # noqa: FBT001 - as RawRecords has it
    """Turn one partition's messages, in offset order, into columns."""
    offset = np.fromiter(map(Message.offset, messages), dtype=np.int64, count=len(messages))
    times = map(itemgetter(1), map(Message.timestamp, messages))
    return RawRecords(
        keys=list(map(Message.key, messages)),
        values=list(map(Message.value, messages)),
        offset=offset,
        timestamp_ms=np.fromiter(times, dtype=np.int64, count=len(messages)),
        next_offset=int(offset[-1]) + 1,
        single_partition=single_partition,
    )
