"""A small shop's orders for chaos: the same ones for the same seed, some of them not events at all.

Customers come and go for good, so that passes move them, versions are minted and some are forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

START_MS = 1_700_000_000_000
DAY_MS = 86_400_000
BROKEN = b'{"customer": "c1", "at": '
BATCH_BYTES = 2048
"""Small batches of records, so that a fetch brings as few as are asked for."""
FOREVER = {"retention.ms": "-1", "message.timestamp.after.max.ms": "9223372036854775807"}


class Order(NamedTuple):
    """One record of the topic: where it goes, what it is, and its timestamp."""

    partition: int
    key: bytes
    value: bytes
    time_ms: int


@dataclass(frozen=True)
class Shop:
    """``customers`` in ``partitions`` order for ``days``; about one record in fifty cannot be an event."""

    seed: int = 1
    customers: int = 150
    partitions: int = 4
    days: float = 30.0
    first: int = 0

    def orders(self, count: int) -> list[Order]:
        """``count`` orders evenly over the days, a few of them late."""
        rng = np.random.default_rng([self.seed, self.first])
        rank = np.minimum(rng.zipf(1.4, count), self.customers) - 1
        shuffled = np.random.default_rng(self.seed).permutation(self.customers)
        step_ms = self.days * DAY_MS / count
        times = START_MS + ((self.first + np.arange(count)) * step_ms).astype(np.int64)
        late = np.where(rng.random(count) < 0.05, rng.exponential(2 * DAY_MS, count), 0.0).astype(np.int64)
        broken = rng.random(count) < 0.02
        revenue = np.round(rng.lognormal(3.0, 1.0, count), 2)
        return [
            self._order(int(who), int(when), float(paid), broken=bool(bad))
            for who, when, paid, bad in zip(shuffled[rank], times - late, revenue, broken, strict=True)
        ]

    def everyone(self) -> list[Order]:
        """One order of every customer, all within a minute."""
        return [
            self._order(who, START_MS + who * 10, 10.0 + who % 7, broken=False)
            for who in range(self.customers)
        ]

    def _order(self, who: int, time_ms: int, revenue: float, *, broken: bool) -> Order:
        customer = f"c{who}"
        value = {
            "customer": customer,
            "at": time_ms,
            "revenue": revenue,
            "channel": "app" if (who + time_ms) % 3 else "shop",
            "country": f"country-{(who * 7 + time_ms) % 5}",
        }
        text = BROKEN if broken else json.dumps(value).encode()
        return Order(who % self.partitions, customer.encode(), text, time_ms)


def create(bootstrap_servers: str, topic: str, partitions: int) -> None:
    """Create an input topic that keeps everything."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=FOREVER)])
    finally:
        admin.close()


class Sender:
    """Sends orders to a topic, each of them once, also where the broker goes away and comes back."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        """Connect."""
        self._topic = topic
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap_servers,
            linger_ms=5,
            batch_size=BATCH_BYTES,
            delivery_timeout_ms=300_000,
        )

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._producer.close(timeout=5)

    def send(self, orders: Iterable[Order]) -> None:
        """Send orders and wait until all of them are there."""
        _send(self._producer, self._topic, orders, timeout_s=300.0)


def send(bootstrap_servers: str, topic: str, orders: Iterable[Order]) -> None:
    """Write orders and wait until all of them are there."""
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers, linger_ms=5, batch_size=BATCH_BYTES)
    try:
        _send(producer, topic, orders)
    finally:
        producer.close()


def send_in_transactions(
    bootstrap_servers: str, topic: str, parts: Sequence[Sequence[Order]], *, abort: Sequence[bool]
) -> None:
    """Write each part in a transaction of its own, aborted where ``abort`` says so."""
    producer = KafkaProducer(
        bootstrap_servers=bootstrap_servers, transactional_id=f"shop-{topic}", batch_size=BATCH_BYTES
    )
    try:
        producer.init_transactions()
        for part, aborted in zip(parts, abort, strict=True):
            producer.begin_transaction()
            _send(producer, topic, part)
            if aborted:
                producer.abort_transaction()
            else:
                producer.commit_transaction()
    finally:
        producer.close()


def _send(producer: KafkaProducer, topic: str, orders: Iterable[Order], *, timeout_s: float = 30.0) -> None:
    futures = [
        producer.send(topic, o.value, o.key, partition=o.partition, timestamp_ms=o.time_ms) for o in orders
    ]
    producer.flush()
    for future in futures:
        future.get(timeout=timeout_s)


def cut(orders: Sequence[Order], parts: int) -> Iterator[Sequence[Order]]:
    """Consecutive parts of about equal length."""
    edges = np.linspace(0, len(orders), parts + 1).astype(int).tolist()
    for begin, end in pairwise(edges):
        yield orders[begin:end]
