"""Bad input to the dead letters with position, stage and reason; the stream goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from redis import Redis

from consumers.live import live_worker
from consumers.progress import LiveProgress
from stream_seg.adapters.kafka_python.admin import KafkaPythonAdmin
from stream_seg.adapters.kafka_topics import TopicSpec
from stream_seg.lookup import SegmentLookup
from stream_seg.settings import Settings, load_settings

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
LARGE = 12 << 20

CONFIG = """
[model]
name = "{model}"
segments = 2
[warm_up]
customers = 4
[source]
topic = "{model}-in"
[event]
customer = "who"
time = "at"
time_unit = "ms"
[event.fields]
amount = "amount"
[features.days_since]
aggregate = "days_since"
[features.spend]
aggregate = "sum"
field = "amount"
transform = "log1p"
[kafka]
bootstrap_servers = "{kafka}"
[redis]
url = "{redis}"
"""


@dataclass(frozen=True)
class Bad:
    """A record that cannot be an event, and what is said of it."""

    value: bytes | None
    stage: str
    key: bytes | None = b"ann"


def event(**fields: Any) -> bytes:
    return json.dumps({"who": "ann", "at": NOW_MS, "amount": 1} | fields).encode()


BAD = {
    "not JSON": Bad(b"hello", "json"),
    "not UTF-8": Bad(b'{"who": "\xff\xfe", "at": 1}', "json"),
    "two objects": Bad(event() + b"," + event(), "json"),
    "a list": Bad(b"[1]", "json"),
    "tombstone": Bad(None, "json"),
    "no customer": Bad(b'{"at": 1700000000000}', "event"),
    "null customer": Bad(event(who=None), "event"),
    "boolean customer": Bad(event(who=True), "event"),
    "no time": Bad(b'{"who": "ann"}', "time"),
    "text for a time": Bad(event(at="yesterday"), "time"),
    "year 1": Bad(event(at=-62_135_596_800_000), "time"),
    "year 9999": Bad(event(at=253_370_764_800_000), "time"),
    "three days ahead of its record": Bad(event(at=NOW_MS + 3 * DAY_MS), "time"),
    "NaN": Bad(b'{"who": "ann", "at": 1700000000000, "amount": NaN}', "json"),
    "infinite": Bad(b'{"who": "ann", "at": 1700000000000, "amount": 1e400}', "event"),
    "text for a number": Bad(event(amount="ten"), "event"),
    "key of another customer": Bad(event(), "key", key=b"bob"),
    "10 MB": Bad(b'{"who": "' + b"x" * (10 << 20) + b'"}', "json"),
}
ODD = ["a b", "a:b", "{a}", "seg:x:c:y", "*", "naïve 🛒", "ü" * 500, "0", "00", "1e3", "\t", '"quoted"', "\\"]


@pytest.fixture
def settings(servers: Any, redis_url: str, fresh_name: Callable[[str], str], tmp_path: Path) -> Settings:
    config = tmp_path / "stream-seg.toml"
    model = fresh_name("bad")
    config.write_text(CONFIG.format(model=model, kafka=servers.bootstrap_servers, redis=redis_url))
    found = load_settings(config)
    with closing(KafkaPythonAdmin(found.kafka)) as admin:
        times = {"message.timestamp.after.max.ms": "9223372036854775807", "retention.ms": "-1"}
        admin.create([TopicSpec(found.topic, 1, {"max.message.bytes": str(LARGE), **times})])
    return found


def send(settings: Settings, records: list[tuple[bytes | None, bytes | None]]) -> None:
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka.servers, max_request_size=LARGE, acks="all", linger_ms=0
    )
    for key, value in records:
        producer.send(settings.topic, value, key, timestamp_ms=NOW_MS, partition=0).get(timeout=30)
    producer.close()


def run(settings: Settings) -> None:
    with LiveProgress() as progress, live_worker(settings, progress, until_end=True) as worker:
        worker.run()


def read(settings: Settings, kind: str) -> list[Any]:
    topic = TopicPartition(f"{settings.model.name}.{kind}", 0)
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka.servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        max_partition_fetch_bytes=LARGE,
        fetch_max_bytes=LARGE,
    )
    consumer.assign([topic])
    end = consumer.end_offsets([topic])[topic]
    consumer.seek_to_beginning()
    records: list[Any] = []
    while consumer.position(topic) < end:
        for batch in consumer.poll(timeout_ms=500).values():
            records += batch
    consumer.close()
    return records


def test_every_bad_record_is_a_dead_letter_and_the_stream_goes_on(settings: Settings) -> None:
    good = [(name.encode(), event(who=name, amount=i)) for i, name in enumerate(["ann", "bob", "cy", "di"])]
    bad = [(one.key, one.value) for one in BAD.values()]
    mixed = [pair for i, one in enumerate(bad) for pair in (one, good[i % len(good)])]
    send(settings, mixed)
    run(settings)
    letters = read(settings, "dead-letters")
    headers = [{name: value.decode() for name, value in letter.headers} for letter in letters]
    assert [int(h["offset"]) for h in headers] == list(range(0, 2 * len(bad), 2))
    assert {(h["topic"], h["partition"]) for h in headers} == {(settings.topic, "0")}
    assert dict(zip(BAD, [h["stage"] for h in headers], strict=True)) == {n: b.stage for n, b in BAD.items()}
    assert all(h["error"] and h["message"] for h in headers)
    for letter, (name, one) in zip(letters, BAD.items(), strict=True):
        assert letter.key == one.key
        if one.value is not None and len(one.value) < 1 << 20:
            assert letter.value == one.value, name
    assert len(read(settings, "labels")) == len(bad)
    with SegmentLookup.from_url(settings.redis.url, model=settings.model.name) as lookup:
        reports = lookup.status()["partitions"]
    assert sum(report["rejected"] for report in reports) == len(bad)


def test_odd_customers_keep_their_own_keys(settings: Settings) -> None:
    send(settings, [(name.encode(), event(who=name, amount=i)) for i, name in enumerate(ODD)])
    run(settings)
    with SegmentLookup.from_url(settings.redis.url, model=settings.model.name) as lookup:
        found = lookup.get_many(ODD)
    assert [one.customer_id if one else None for one in found] == ODD
    spends = [one.features["spend"] if one else None for one in found]
    assert spends == [float(i) for i in range(len(ODD))]
    with Redis.from_url(settings.redis.url) as redis:
        keys = set(redis.scan_iter(f"seg:{settings.model.name}:c:*", count=1000))
    assert keys == {f"seg:{settings.model.name}:c:{name}".encode() for name in ODD}


def test_an_empty_topic_ends_at_once_with_nothing_known(settings: Settings) -> None:
    run(settings)
    assert read(settings, "labels") == []
    with SegmentLookup.from_url(settings.redis.url, model=settings.model.name) as lookup:
        assert lookup.get("ann") is None


def test_a_topic_of_garbage_alone_is_read_to_its_end(settings: Settings) -> None:
    send(settings, [(b"ann", b"garbage")] * 5)
    run(settings)
    assert len(read(settings, "dead-letters")) == 5
