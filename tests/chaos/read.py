"""Reading whole topics, read committed, with a consumer of our own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from kafka import KafkaConsumer, TopicPartition

from stream_seg.events.records import RawRecords

PATIENCE_S = 60.0


def read_topic(bootstrap_servers: str, topic: str, partitions: int) -> dict[int, list[Any]]:
    """Every committed record of each partition in order, to the end as of the call."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
    )
    try:
        places = [TopicPartition(topic, p) for p in range(partitions)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        return _read(consumer, consumer.end_offsets(places))
    finally:
        consumer.close()


def _read(consumer: KafkaConsumer, ends: Mapping[TopicPartition, int]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {place.partition: [] for place in ends}
    deadline = time.monotonic() + PATIENCE_S
    while any(consumer.position(place) < end for place, end in ends.items()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"could not be read to its end within {PATIENCE_S:.0f} s: {dict(ends)}")
        for place, records in consumer.poll(timeout_ms=100).items():
            found[place.partition] += records
    return found


def raw(records: Sequence[Any], *, single: bool) -> RawRecords:
    """Records as a decoder takes them."""
    offset = np.array([r.offset for r in records], dtype=np.int64)
    return RawRecords(
        keys=[r.key for r in records],
        values=[r.value for r in records],
        offset=offset,
        timestamp_ms=np.array([r.timestamp for r in records], dtype=np.int64),
        next_offset=int(offset[-1]) + 1 if len(offset) else 0,
        single_partition=single,
    )


def committed_offsets(
    bootstrap_servers: str, group: str, topic: str, partitions: int
) -> dict[int, int | None]:
    """What the group has committed, partition by partition."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    try:
        return {p: consumer.committed(TopicPartition(topic, p)) for p in range(partitions)}
    finally:
        consumer.close()
