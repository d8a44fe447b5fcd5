"""Records into a confluent-kafka producer, until every one is acknowledged."""

from __future__ import annotations

import time
from typing import Final

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Producer

from stream_seg.adapters.confluent.refusals import cause
from stream_seg.engine.ports import Record, Records, Transaction
from stream_seg.errors import ServerUnavailable

__all__ = ["Deliveries"]

SLICE_SECONDS: Final = 1.0
PAUSE_SECONDS: Final = 0.05
ANY_PARTITION: Final = -1
# The client takes a timestamp of 0 for "now".
EARLIEST_MS: Final = 1
_WAKE: Final = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})  # noqa: SLF001


class Deliveries:
    """Sends, and collects what was not delivered: it is the producer's delivery callback."""

    def __init__(self) -> None:
        """Begin without failures."""
        self._failed: list[KafkaError] = []

    def __call__(self, error: KafkaError | None, _: object) -> None:
        """Note what became of a record."""
        if error is not None:
            self._failed.append(error)

    def send(self, producer: Producer, transaction: Transaction, deadline: float) -> None:
        """Send everything and wait until every record is acknowledged.

        The first failure is raised, as ``KafkaException``; ``ServerUnavailable`` at ``deadline`` (monotonic).
        """
        self._failed.clear()
        try:
            for columns in transaction.columns:
                self._produce_columns(producer, columns, deadline)
            for record in transaction.records:
                self._produce(producer, record, deadline)
            while producer.flush(SLICE_SECONDS) and not self._failed:
                _check(deadline)
        except SystemError as error:
            raise _behind(error, producer) from error
        if self._failed:
            raise self._cause(producer)

    def _cause(self, producer: Producer) -> KafkaException:
        """Give what went wrong first; records are thrown out in the wake of it, and may be told of sooner."""
        for error in self._failed:
            if error.code() not in _WAKE:
                return KafkaException(error)
        try:
            producer.begin_transaction()  # in vain, and where the transaction has failed it says why
        except KafkaException as error:
            if cause(error).txn_requires_abort():
                return error
        return KafkaException(self._failed[0])

    def _produce_columns(self, producer: Producer, columns: Records, deadline: float) -> None:
        topic, partition, produce = columns.topic, columns.partition, producer.produce
        timestamps = np.maximum(columns.timestamps_ms, EARLIEST_MS).tolist()
        for key, value, timestamp in zip(columns.keys, columns.values, timestamps, strict=True):
            try:
                produce(topic, value, key, partition=partition, timestamp=timestamp)
            except BufferError:
                self._produce(producer, Record(topic, partition, key, value, timestamp), deadline)

    def _produce(self, producer: Producer, record: Record, deadline: float) -> None:
        partition = ANY_PARTITION if record.partition is None else record.partition
        while True:
            try:
                producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    partition=partition,
                    timestamp=max(EARLIEST_MS, record.timestamp_ms),
                    headers=list(record.headers),
                )
            except BufferError:  # the queue is full; what is acknowledged makes room
                producer.poll(PAUSE_SECONDS)
                _check(deadline)
            else:
                return


def _behind(error: SystemError, producer: Producer) -> Exception:
    """Give the fatal error behind a SystemError.

    The client (2.16) raises a fatal error inside itself and then calls back with that still set, which Python
    takes amiss. Nothing is to be committed any more, so aborting can do no harm, and says it again.
    """
    if isinstance(error.__cause__, KafkaException):
        return error.__cause__
    try:
        producer.abort_transaction(SLICE_SECONDS)
    except KafkaException as again:
        return again
    return error


def _check(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise ServerUnavailable("records are not acknowledged: Kafka does not answer, wait until it is back")
