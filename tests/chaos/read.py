"""Reading whole topics, read committed, with a consumer of our own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from kafka import KafkaConsumer, TopicPartition

from stream_seg.events.records import RawRecords

PATIENCE_S = 60.0


class Reader:
    """Reads topics whole, and what a group has committed, over one connection."""

    def __init__(self, bootstrap_servers: str, group: str) -> None:
        """Connect; the group is looked at, not joined."""
        self._consumer = KafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            group_id=group,
            isolation_level="read_committed",
            enable_auto_commit=False,
            fetch_max_wait_ms=20,
        )

    def topics(self, topics: Mapping[str, int]) -> dict[str, dict[int, list[Any]]]:
        """Topic → partition → every committed record in order, to the end as of the call.

        ``topics`` says how many partitions each has.
        """
        places = [TopicPartition(topic, p) for topic, partitions in topics.items() for p in range(partitions)]
        self._consumer.assign(places)
        self._consumer.seek_to_beginning(*places)
        ends = self._consumer.end_offsets(places)
        found: dict[str, dict[int, list[Any]]] = {topic: {} for topic in topics}
        for place in places:
            found[place.topic][place.partition] = []
        left = {place for place in places if ends[place]}
        deadline = time.monotonic() + PATIENCE_S
        while left:
            if time.monotonic() > deadline:
                raise TimeoutError(f"could not be read to their ends within {PATIENCE_S:.0f} s: {left}")
            for place, records in self._consumer.poll(timeout_ms=50).items():
                found[place.topic][place.partition] += records
            left = {place for place in left if self._consumer.position(place) < ends[place]}
        return found

    def committed(self, topic: str, partitions: int) -> dict[int, int | None]:
        """What the group has committed, partition by partition."""
        return {p: self._consumer.committed(TopicPartition(topic, p)) for p in range(partitions)}

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()


def raw(records: Sequence[Any], *, single: bool, end: int = 0) -> RawRecords:
    """Records as a decoder takes them; ``end`` is how far the partition was read, markers included."""
    offset = np.array([r.offset for r in records], dtype=np.int64)
    return RawRecords(
        keys=[r.key for r in records],
        values=[r.value for r in records],
        offset=offset,
        timestamp_ms=np.array([r.timestamp for r in records], dtype=np.int64),
        next_offset=max(int(offset[-1]) + 1 if len(offset) else 0, end),
        single_partition=single,
    )
