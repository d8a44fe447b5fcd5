"""``stream-seg load`` on a real broker: the records it sends are the file's rows."""

from __future__ import annotations

import gc
import json
import socket
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2

from consumers.cli import run
from consumers.load import run_load
from stream_seg.adapters.files import FileSource
from stream_seg.adapters.kafka_python.admin import KafkaPythonAdmin
from stream_seg.adapters.kafka_topics import TopicSpec
from stream_seg.errors import ServerUnavailable, UsageError
from stream_seg.events.batch import EventBatch
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.records import RawRecords
from stream_seg.settings import KafkaSettings, Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)

CONFIG = """
[model]
name = "load"
[source]
topic = "orders"
[event]
customer = "customer"
time = "time"
id = "invoice"
[event.fields]
revenue = "revenue"
channel = "context.channel"
[features.spend]
aggregate = "sum"
field = "revenue"
[features.app]
aggregate = "share"
where = { channel = "app" }
"""


@pytest.fixture
def settings(bootstrap_servers: str) -> Settings:
    kafka = {"kafka": {"bootstrap_servers": bootstrap_servers}}
    return load_settings(None, overrides={**tomllib.loads(CONFIG), **kafka}, environ={})


@pytest.fixture
def topic(fresh_name: Callable[[str], str]) -> str:
    return fresh_name("load")


def rows(n: int) -> list[dict[str, Any]]:
    return [
        {
            "customer": f"c:{i % 11} \u00e9",
            "time": f"{2011 + i % 3}-12-{1 + i % 28:02d}T08:26:00.5Z",
            "invoice": f"{i:06d}",
            "revenue": i / 4,
            "context.channel": "app" if i % 2 else "web",
        }
        for i in range(n)
    ]


def written(folder: Path, kind: str, n: int) -> Path:
    path = folder / f"orders.{kind}"
    frame = pl.DataFrame(rows(n))
    if kind == "csv":
        frame.write_csv(path)
    elif kind == "parquet":
        frame.with_columns(pl.col("time").str.to_datetime(time_zone="UTC")).write_parquet(path)
    else:
        nested = [{**row, "context": {"channel": row["context.channel"]}} for row in rows(n)]
        path.write_text("\n".join(map(json.dumps, nested)), encoding="utf-8")
    return path


def records_of(servers: str, topic: str) -> list[Any]:
    """Every record of a topic, partition by partition."""
    found = []
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    try:
        places = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(places)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < ends[place] for place in places):
            for part in consumer.poll(timeout_ms=1000).values():
                found.extend(part)
    finally:
        consumer.close()
    return sorted(found, key=lambda record: (record.partition, record.offset))


def as_events(settings: Settings, records: list[Any]) -> EventBatch:
    n = len(records)
    raw = RawRecords(
        [r.key for r in records],
        [r.value for r in records],
        np.arange(n),
        np.array([r.timestamp for r in records]),
        n,
        single_partition=False,
    )
    decoded = JsonDecoder(settings.event, settings.features).decode(raw)
    assert decoded.rejected == []
    return decoded.events


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_records_are_the_rows_keyed_by_customer_at_their_event_time(
    settings: Settings, topic: str, tmp_path: Path, kind: str
) -> None:
    path = written(tmp_path, kind, 200)
    assert run_load(settings, path, topic, 3, append=False) == 0
    records = records_of(settings.kafka.bootstrap_servers, topic)
    (of_file,) = FileSource(path, settings.event, settings.features)
    of_topic = as_events(settings, records)
    assert sorted(of_topic.ids) == sorted(of_file.events.ids)  # type: ignore[type-var]
    file_row = {invoice: row for row, invoice in enumerate(of_file.events.ids)}
    row = [file_row[invoice] for invoice in of_topic.ids]
    assert of_topic.customers == [of_file.events.customers[i] for i in row]
    np.testing.assert_array_equal(of_topic.time_ms, of_file.events.time_ms[row])
    np.testing.assert_array_equal(of_topic.numbers, of_file.events.numbers[row])
    np.testing.assert_array_equal(of_topic.matches, of_file.events.matches[row])
    assert [r.timestamp for r in records] == of_topic.time_ms.tolist()
    for record, customer, place in zip(records, of_topic.customers, row, strict=True):
        assert record.key == customer.encode()
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % 3
        assert place == file_row[json.loads(record.value)["invoice"]]
    per_partition: dict[int, list[int]] = {}
    for record, place in zip(records, row, strict=True):
        per_partition.setdefault(record.partition, []).append(place)
    assert all(places == sorted(places) for places in per_partition.values())


def test_a_new_topic_keeps_history_and_takes_the_future(
    settings: Settings, topic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(
        "customer,time,invoice,revenue,context.channel\na,1970-01-02,1,5,app\na,2099-12-31,2,5,app\n"
    )
    assert run_load(settings, path, topic, 2, append=False) == 0
    assert len(records_of(settings.kafka.bootstrap_servers, topic)) == 2
    admin = KafkaPythonAdmin(settings.kafka)
    facts = admin.describe([topic])[topic]
    admin.close()
    assert facts.partitions == 2
    assert facts.config["retention.ms"] == "-1"
    assert facts.config["message.timestamp.after.max.ms"] == "9223372036854775807"
    assert f"2 rows of orders.csv are in topic {topic}, 2 partitions" in capsys.readouterr().out


def test_a_topic_with_records_needs_append(settings: Settings, topic: str, tmp_path: Path) -> None:
    path = written(tmp_path, "csv", 20)
    servers = settings.kafka.bootstrap_servers
    assert run_load(settings, path, topic, 1, append=False) == 0
    with pytest.raises(UsageError, match="holds records already: give --append"):
        run_load(settings, path, topic, None, append=False)
    with pytest.raises(UsageError, match="has 1 partitions, not 4"):
        run_load(settings, path, topic, 4, append=True)
    assert len(records_of(servers, topic)) == 20
    assert run_load(settings, path, topic, 1, append=True) == 0
    assert len(records_of(servers, topic)) == 40


def test_an_empty_topic_that_is_there_is_used_and_warned_of(
    settings: Settings, topic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = KafkaPythonAdmin(settings.kafka)
    admin.create([TopicSpec(topic, 2, {"retention.ms": "604800000"})])
    admin.close()
    assert run_load(settings, written(tmp_path, "csv", 5), topic, None, append=False) == 0
    assert f"topic {topic} keeps 7 days" in capsys.readouterr().err


def test_rows_that_cannot_be_used_are_named_and_skipped(
    settings: Settings, topic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "orders.csv"
    good = "a,2011-12-09,1,5,app"
    bad = [",2011-12-09,1,5,app", "secret,never,1,5,app", "secret,2011-12-09,1,much,app", "secret,short"]
    header = "customer,time,invoice,revenue,context.channel"
    path.write_text("\n".join([header, good, *bad, good, *["x,never,1,5,app"] * 30]))
    assert run_load(settings, path, topic, 1, append=False) == 1
    records = records_of(settings.kafka.bootstrap_servers, topic)
    assert [r.key for r in records] == [b"a", b"a"]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "34 rows cannot be used and were skipped (the first row is row 0):"
    assert said[1:5] == [
        "  row 1: customer: the customer is missing, null or empty",
        "  row 2: time: the time is neither RFC 3339 nor a date",
        "  row 3: revenue: a number is needed here, and the record has something else",
        "  row 4: the row has not as many cells as the header, 5",
    ]
    assert said[-1] == "  and 14 more"
    assert len(said) == 22
    assert not any("secret" in line for line in said)


def test_a_row_longer_than_the_topic_takes_is_skipped(
    settings: Settings, topic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = KafkaPythonAdmin(settings.kafka)
    admin.create([TopicSpec(topic, 1, {"max.message.bytes": "2000", "retention.ms": "-1"})])
    admin.close()
    path = tmp_path / "orders.jsonl"
    usual = {"customer": "a", "time": "2011-12-09"}
    fitting = [{**usual, "note": "x" * size} for size in (0, 1600, 1_900, 3_000)]
    path.write_text("\n".join(map(json.dumps, fitting)))
    assert run_load(settings, path, topic, None, append=False) == 1
    assert len(records_of(settings.kafka.bootstrap_servers, topic)) == 2
    assert "row 3: the row is longer than a record of this topic may be" in capsys.readouterr().err


def test_the_command(
    settings: Settings, topic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "stream-seg.toml"
    config.write_text(f'{CONFIG}\n[kafka]\nbootstrap_servers = "{settings.kafka.bootstrap_servers}"\n')
    path = written(tmp_path, "csv", 3)
    command = ["load", str(path), "--topic", topic, "--partitions", "4", "--config", str(config)]
    assert run(command) == 0
    assert f"3 rows of orders.csv are in topic {topic}, 4 partitions" in capsys.readouterr().out
    assert run(command) == 2
    assert "--append" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*unclosed:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_without_a_broker_it_says_so(settings: Settings, topic: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(ServerUnavailable, match="no Kafka answers"):
        run_load(replace(settings, kafka=nowhere), written(tmp_path, "csv", 1), topic, 1, append=False)
    gc.collect()  # kafka-python leaves the sockets of failed attempts to be collected, with a warning


def test_a_file_that_cannot_be_used_leaves_no_topic(settings: Settings, topic: str, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("costumer,time\n")
    with pytest.raises(UsageError, match='"customer"'):
        run_load(settings, path, topic, 1, append=False)
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    assert topic not in admin.list_topics()
    admin.close()
