"""The input topic read through kafka-python, as a member of the consumer group."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from kafka import errors as kafka_errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import MemberState, TopicPartition

from stream_seg.adapters.kafka_python.columns import join, read_columns
from stream_seg.adapters.kafka_python.connection import open_consumer
from stream_seg.adapters.kafka_python.membership import GroupToken, is_member
from stream_seg.adapters.kafka_python.offsets import KafkaPythonOffsets
from stream_seg.adapters.kafka_python.rebalance import Rebalances, keep_joins
from stream_seg.adapters.kafka_python.refusals import translated
from stream_seg.engine.ports import Committed, Membership, Polled
from stream_seg.errors import OwnershipLost, ServerUnavailable
from stream_seg.events.records import RawRecords
from stream_seg.settings.servers import KafkaSettings

__all__ = ["KafkaPythonSource"]

OnLost = Callable[[frozenset[int]], None]

# Bytes bound a poll, never records: a partition that is paused when half of a fetched answer has been given
# out may get no more records when it is resumed (kafka-python 3.0.12).
MAX_RECORDS: Final = 2**31 - 1
PARTITION_BYTES: Final = 1 << 20
FETCH_BYTES: Final = 4 << 20
# How long a fetch waits for records; what is sought or resumed meanwhile waits for it too.
FETCH_WAIT_MS: Final = 100
ASK_SECONDS: Final = 5.0
REST_SECONDS: Final = 0.05
SLICE_SECONDS: Final = 0.1
JOIN_SECONDS: Final = 0.05
# A member learns of a rebalance by its heartbeat, so their time is most of what handing over takes.
HEARTBEATS_PER_SESSION: Final = 6
LONGEST_HEARTBEAT_MS: Final = 1_000


class KafkaPythonSource:
    """``Source`` on kafka-python: bytes, read committed, offsets committed by the ``Log`` only.

    A partition is not read before ``seek`` has said from where. ``partitions`` asks the broker each time.
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
        Raises what :func:`~stream_seg.adapters.kafka_python.connection.open_consumer` does.
        """
        self.topic = topic
        self.group = group
        self._count_partitions = count_partitions
        self._single = count_partitions() == 1
        self._offsets = KafkaPythonOffsets(settings, topic, group, start_timeout_s)
        self._consumer = open_consumer(settings, start_timeout_s, **_consumer_options(settings, group))
        read_columns(self._consumer)
        keep_joins(self._consumer)
        self._paused: frozenset[int] = frozenset()
        self._unsought: set[int] = set()
        self._token: GroupToken | None = None
        self._rebalances = Rebalances(self._consumer, topic, self._unsought)
        self._consumer.subscribe([topic], listener=self._rebalances.listener)

    def partitions(self) -> int:
        """The number of partitions of the topic now; ``NotFoundError`` where there is no such topic."""
        return self._count_partitions()

    def poll(self, timeout_s: float, *, on_lost: Callable[[frozenset[int]], None] | None = None) -> Polled:
        """Fetch, and keep the membership alive; see ``Source.poll``.

        ``on_lost`` runs in another thread while this one waits; it may use anything, this source included,
        and commit with the newest membership that a poll has given.
        Nothing comes while the broker is away. Raises ``StateError`` where the topic no longer holds what
        comes next, and ``ServerRefused`` where the broker says no.
        """
        deadline = time.monotonic() + timeout_s
        with self._rebalances.watched(self._before(on_lost)):
            batches = self._fetch(min(timeout_s, SLICE_SECONDS))
            # In slices, since the client alone would wait on although partitions have come or gone.
            while not batches and not self._rebalances.changed and (left := deadline - time.monotonic()) > 0:
                batches = self._fetch(min(left, SLICE_SECONDS))
        gained, lost = self._rebalances.taken()
        assigned = frozenset(tp.partition for tp in self._consumer.assignment())
        records = {
            tp.partition: _raw(records, self._single)
            for tp, records in batches.items()
            if tp.partition in assigned and tp.partition not in self._unsought
        }
        return Polled(records, assigned, gained & assigned, lost, self._membership())

    def _fetch(self, timeout_s: float) -> dict[TopicPartition, list[Any]]:
        if self._consumer.group_metadata().state == MemberState.REBALANCING:
            # A rejoin for changed metadata that ends between two polls is forgotten by the client (3.0.12):
            # it would be neither in the group nor out, for ever.
            self._consumer._coordinator.request_rejoin()  # noqa: SLF001
            timeout_s = max(timeout_s, JOIN_SECONDS)  # to act on what has come meanwhile takes a moment
        try:
            polled: dict[TopicPartition, list[Any]] = self._consumer.poll(
                timeout_ms=int(timeout_s * 1000), max_records=MAX_RECORDS
            )
        except kafka_errors.KafkaError as error:
            failure = translated(error, f"topic {self.topic}")
            if not isinstance(failure, ServerUnavailable | OwnershipLost):
                raise failure from error
            # The client goes on trying, or joins again, with the next poll; a caller's loop must not spin.
            time.sleep(min(timeout_s, REST_SECONDS))
            return {}
        return polled

    def _membership(self) -> Membership | None:
        metadata = self._consumer.group_metadata()
        if not is_member(metadata):
            return None
        self._token = GroupToken(metadata, self._consumer)
        return Membership(metadata.generation_id, metadata.member_id, self._token)

    def _before(self, on_lost: OnLost | None) -> OnLost | None:
        """Have the last poll's membership renewed before ``on_lost`` commits with it."""
        if on_lost is None:
            return None

        def renewed(partitions: frozenset[int]) -> None:
            if self._token is not None:
                self._token.renew()
            on_lost(partitions)

        return renewed

    def committed(self, partition: int) -> Committed | None:
        """Give the stable offset; waits while a transaction is open on it, as long as one can stay open.

        Raises ``ServerUnavailable`` if it is not to be had by then: never taken for "no offset".
        """
        return self._offsets.committed(partition)

    def seek(self, partition: int, next_offset: int) -> None:
        """Read on from there. A partition that has been lost meanwhile raises ``OwnershipLost``."""
        try:
            self._consumer.seek(TopicPartition(self.topic, partition), int(next_offset))
        except ValueError as error:
            raise OwnershipLost(f"partition {partition} of {self.topic} is not ours any more") from error
        self._unsought.discard(partition)
        self._set_paused()

    def pause(self, partitions: frozenset[int]) -> None:
        """Fetch nothing from exactly these; all other assigned ones that have been sought are read."""
        self._paused = frozenset(partitions)
        self._set_paused()

    def _set_paused(self) -> None:
        paused = {tp.partition for tp in self._consumer.paused()}
        ours = {tp.partition for tp in self._consumer.assignment()}
        wanted = (self._paused | self._unsought) & ours
        for partition in wanted - paused:
            self._consumer.pause(TopicPartition(self.topic, partition))
        for partition in (paused & ours) - wanted:
            self._consumer.resume(TopicPartition(self.topic, partition))

    def begins(self, partition: int) -> int:
        """Give the first offset the topic still holds."""
        return self._offsets.begins(partition)

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Give the offsets after the last stable record, transaction markers included."""
        return self._offsets.ends(partitions)

    def read_up(self, partition: int) -> int | None:
        """Give the next offset to be returned, markers and aborted records passed over; ``None``: unknown."""
        where = TopicPartition(self.topic, partition)
        if partition in self._unsought or where not in self._consumer.assignment():
            return None
        try:
            position: int | None = self._consumer.position(where, timeout_ms=0)
        except kafka_errors.KafkaError:
            return None
        return position

    def close(self) -> None:
        """Leave the group, within some seconds."""
        self._offsets.close()
        self._consumer.close(autocommit=False, timeout_ms=int(ASK_SECONDS * 1000))


def _consumer_options(settings: KafkaSettings, group: str) -> dict[str, Any]:
    """What must be so, and what may be set otherwise in ``[kafka.options]``."""
    fixed = {
        "group_id": group,
        "enable_auto_commit": False,
        "isolation_level": "read_committed",
        "auto_offset_reset": "none",  # a position out of range is an error, never a jump
        "session_timeout_ms": settings.session_timeout_ms,
    }
    ours = {
        "heartbeat_interval_ms": min(
            LONGEST_HEARTBEAT_MS, settings.session_timeout_ms // HEARTBEATS_PER_SESSION
        ),
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        "max_partition_fetch_bytes": PARTITION_BYTES,
        "fetch_max_bytes": FETCH_BYTES,
        "partition_assignment_strategy": CooperativeStickyAssignor.name,
        "retry_backoff_ms": 20,
        "metrics_enabled": False,
    }
    return {**{name: value for name, value in ours.items() if name not in settings.options}, **fixed}


def _raw(parts: list[Any], single_partition: bool) -> RawRecords:  # noqa: FBT001 - as RawRecords has it
    """Turn what a poll gave for one partition into columns."""
    keys, values, offset, timestamp_ms = join(parts)
    return RawRecords(keys, values, offset, timestamp_ms, int(offset[-1]) + 1, single_partition)
