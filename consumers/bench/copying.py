"""What a program must do at least: read records and write them, and perhaps a hash in Redis each."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from redis import Redis

from consumers.bench.clients import Read, Reader, Writer, reader, writer
from consumers.bench.figures import Run
from consumers.bench.processes import Clock

if TYPE_CHECKING:
    from consumers.bench.stand import Client, Stand

__all__ = ["copy"]

BATCH_RECORDS: Final = 8_192
WAIT_S: Final = 0.5
SCAN_KEYS: Final = 2_000


def copy(stand: Stand, topic: str, events: int, client: Client, *, transactions: bool, hashes: bool) -> Run:
    """Copy so many records of ``topic`` to another one in batches of 8,192.

    ``transactions``: a batch's records and offsets in one. ``hashes``: before it, one pipelined hash of ten
    fields for each distinct customer of the batch.
    """
    kafka, name = stand.kafka(client), stand.name("copy")
    clock, done = Clock(), 0
    with (
        stand.topic(stand.partitions(topic)) as target,
        closing(Redis.from_url(stand.redis_url)) as redis,
        closing(reader(kafka, topic, name)) as source,
        closing(writer(kafka, name if transactions else None)) as sink,
    ):
        redis_cpu = stand.redis_cpu_s()
        while done < events:
            batch = _batch(source, min(BATCH_RECORDS, events - done), clock)
            if hashes:
                _write_hashes(redis, stand.prefix, {record.key for record in batch}, done)
            _write(source, sink, target, batch, transactions=transactions)
            done += len(batch)
        clock.stop()
        redis_cpu = stand.redis_cpu_s() - redis_cpu
        if hashes:
            _remove_hashes(redis, stand.prefix)
    return Run(done, clock.seconds, clock.cpu_s, redis_cpu)


def _batch(source: Reader, size: int, clock: Clock) -> list[Read]:
    batch: list[Read] = []
    while len(batch) < size:
        batch += source.read(size - len(batch), WAIT_S)
        if batch:
            clock.start()
    return batch


def _write(source: Reader, sink: Writer, target: str, batch: list[Read], *, transactions: bool) -> None:
    if transactions:
        sink.begin()
    for record in batch:
        sink.send(target, record.key, record.value, record.partition, record.timestamp_ms)
    sink.flush()
    offsets = {record.partition: record.offset + 1 for record in batch}
    if transactions:
        sink.commit(source, offsets)
    else:
        source.commit(offsets)


def _write_hashes(redis: Redis, prefix: str, keys: set[bytes], number: int) -> None:
    """Write ten fields of each customer, as a service would that keeps segments in Redis."""
    pipeline = redis.pipeline(transaction=False)
    for key in keys:
        pipeline.hset(
            f"{prefix}:{key.decode()}",
            mapping={
                "segment": 3,
                "name": "high-value",
                "confidence": 0.5 + number * 1e-9,
                "distance": 1.25,
                "since": "2023-11-14T22:13:20.000Z",
                "event_time": "2023-11-15T22:13:20.000Z",
                "events": number,
                "f.days_since_order": 0.5,
                "f.orders": 12.25,
                "f.spend": 812.75,
            },
        )
    pipeline.execute()


def _remove_hashes(redis: Redis, prefix: str) -> None:
    keys = list(redis.scan_iter(match=f"{prefix}:*", count=SCAN_KEYS))
    for start in range(0, len(keys), SCAN_KEYS):
        redis.unlink(*keys[start : start + SCAN_KEYS])
