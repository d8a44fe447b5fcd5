"""What the tests of replay from a topic work with: a small shop's topic, the command line, whole topics."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from redis import Redis

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
FOREVER = {"retention.ms": "-1", "message.timestamp.after.max.ms": "9223372036854775807"}

CONFIG = """
[model]
name = "{model}"
segments = 4
forget_after_days = 20
[warm_up]
customers = 40
[source]
topic = "{topic}"
[event]
customer = "customer"
time = "at"
time_unit = "ms"
[event.fields]
revenue = "revenue"
[features.days_since_order]
aggregate = "days_since"
transform = "log1p"
[features.orders]
aggregate = "count"
half_life_days = 10
transform = "log1p"
[features.spend]
aggregate = "sum"
field = "revenue"
half_life_days = 10
transform = "log1p"
[clustering]
warm_up_idle_s = 1.0
[kafka]
bootstrap_servers = "{kafka}"
session_timeout_ms = 6000
transaction_timeout_ms = 60000
[redis]
url = "{redis}"
"""

Records = dict[int, list[tuple[bytes | None, bytes, int]]]


@dataclass
class Place:
    """A model on given servers; ``folder`` holds its configuration and what is exported."""

    folder: Path
    model: str
    topic: str
    kafka: str
    redis: str
    config: Path = field(init=False)

    def __post_init__(self) -> None:
        """Write the configuration, unless there is one."""
        self.config = self.folder / f"{self.model}.toml"
        if not self.config.exists():
            self.config.write_text(
                CONFIG.format(model=self.model, topic=self.topic, kafka=self.kafka, redis=self.redis)
            )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "consumers", "--config", str(self.config), *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, "NO_COLOR": "1"},
        )

    def run(
        self, *arguments: str, status: int = 0, timeout_s: float = 280
    ) -> subprocess.CompletedProcess[str]:
        started = self.start(*arguments)
        try:
            out, err = started.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            started.kill()
            raise
        assert started.returncode == status, err
        return subprocess.CompletedProcess(started.args, started.returncode, out, err)

    def said(self, model: str, kinds: Sequence[str] = ("labels", "transitions")) -> dict[str, Records]:
        """Everything that a model has written to its topics, with ``run`` and ``instance`` made equal."""
        return {kind: records(self.kafka, f"{model}.{kind}") for kind in kinds}

    def fingerprint(self, model: str) -> str:
        """A hash over everything a model has: topics, keys (but for wall times in reports), offsets."""
        told = hashlib.sha256(
            repr(self.said(model, ("labels", "transitions", "models", "dead-letters"))).encode()
        )
        with Redis.from_url(self.redis) as client:
            patterns = f"seg:{model}:*", f"seg:{{{model}:*}}:*"
            keys = sorted(key for pattern in patterns for key in client.scan_iter(pattern, count=1000))
            for key in keys:
                kind = client.type(key)
                hashed = kind == b"hash"
                told.update(
                    key
                    + (
                        repr(sorted(client.hgetall(key).items())).encode()
                        if hashed
                        else client.dump(key) or b""
                    )
                )
        consumer = KafkaConsumer(bootstrap_servers=self.kafka, group_id=model, enable_auto_commit=False)
        count = len(consumer.partitions_for_topic(self.topic))
        offsets = [consumer.committed(TopicPartition(self.topic, p), metadata=True) for p in range(count)]
        consumer.close()
        told.update(repr(offsets).encode())
        return told.hexdigest()


def records(servers: str, topic: str) -> Records:
    """Every committed record of a topic: key, value, timestamp."""
    consumer = KafkaConsumer(
        bootstrap_servers=servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
    )
    try:
        found = consumer.partitions_for_topic(topic)
        assert found, f"topic {topic} is not there"
        places = [TopicPartition(topic, p) for p in sorted(found)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        result: Records = {place.partition: [] for place in places}
        while any(consumer.position(place) < end for place, end in ends.items()):
            for place, batch in consumer.poll(timeout_ms=200).items():
                result[place.partition] += [(r.key, r.value, r.timestamp) for r in batch]
        return result
    finally:
        consumer.close()


def renamed(said: dict[str, Records], before: str, after: str) -> dict[str, Records]:
    """The same records of a run of another name."""
    old, new = f'"{before}"'.encode(), f'"{after}"'.encode()
    return {
        kind: {p: [(key, value.replace(old, new), at) for key, value, at in rows] for p, rows in by.items()}
        for kind, by in said.items()
    }


def fill(
    servers: str, topic: str, *, count: int = 2500, seed: int = 1, days: float = 30.0, first_day: float = 0.0
) -> None:
    """Write a shop's orders in transactions, some of them aborted, the last one too; some are no events.

    The topic gets four partitions, the last of which stays empty.
    """
    admin = KafkaAdminClient(bootstrap_servers=servers)
    if topic not in admin.list_topics():
        admin.create_topics([NewTopic(topic, 4, 1, topic_configs=FOREVER)])
    admin.close()
    rng = np.random.default_rng(seed)
    who = np.minimum(rng.zipf(1.3, count), 150) - 1
    times = START_MS + ((first_day + np.arange(count) * (days / count)) * DAY_MS).astype(np.int64)
    late = np.where(rng.random(count) < 0.05, rng.exponential(DAY_MS, count), 0.0).astype(np.int64)
    paid = np.round(rng.lognormal(3.0, 1.0, count), 2)
    broken = rng.random(count) < 0.02
    producer = KafkaProducer(bootstrap_servers=servers, transactional_id=f"shop-{topic}")
    producer.init_transactions()
    for number, part in enumerate(np.array_split(np.arange(count), 12)):
        producer.begin_transaction()
        for i in part.tolist():
            customer = f"c{who[i]}"
            order = {"customer": customer, "at": int(times[i] - late[i]), "revenue": float(paid[i])}
            value = b'{"customer": ' if broken[i] else json.dumps(order).encode()
            producer.send(
                topic, value, customer.encode(), partition=int(who[i]) % 3, timestamp_ms=int(times[i])
            )
        producer.flush()
        if number % 4 == 3:
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    producer.close()
