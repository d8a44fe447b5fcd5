"""The whole way on real servers with real data: a year of orders, loaded, labelled, looked up, checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from kafka import KafkaConsumer, TopicPartition
from redis import Redis

from stream_seg.lookup import SegmentLookup

DATA = Path(__file__).parents[3] / "shared" / "data" / "online_retail.parquet"
HALF_LIFE_DAYS = 180
PARTITIONS = 4
DAY_MS = 86_400_000

CONFIG = f"""
[model]
name = "{{model}}"
segments = 6
[source]
topic = "{{topic}}"
[event]
customer = "customer_id"
time = "invoice_date"
id = "invoice"
[event.fields]
revenue = "revenue"
[features.days_since_order]
aggregate = "days_since"
transform = "log1p"
[features.orders]
aggregate = "count"
half_life_days = {HALF_LIFE_DAYS}
transform = "log1p"
[features.spend]
aggregate = "sum"
field = "revenue"
half_life_days = {HALF_LIFE_DAYS}
transform = "log1p"
"""


def orders_of(path: Path) -> pl.DataFrame:
    """An order is one invoice of one customer with positive revenue (`data/README.md`)."""
    priced = pl.read_parquet(path).filter(pl.col("customer_id").is_not_null())
    return (
        priced.with_columns(revenue=pl.col("quantity") * pl.col("unit_price"))
        .group_by("invoice", "customer_id")
        .agg(pl.col("revenue").sum(), pl.col("invoice_date").min())
        .filter(pl.col("revenue") > 0)
        .sort("invoice_date", "invoice")
        .with_columns(pl.col("customer_id").cast(pl.String))
    )


def stream_seg(*arguments: str, config: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "consumers", "--config", str(config), *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert not check or done.returncode == 0, done.stderr
    return done


class Ran:
    """The servers after the year, and everything a check needs."""

    def __init__(self, config: Path, model: str, orders: pl.DataFrame, servers: tuple[str, str]) -> None:
        self.config, self.model, self.orders = config, model, orders
        self.bootstrap_servers, self.redis_url = servers
        self.labels = self.read("labels")
        self.redis = Redis.from_url(self.redis_url, decode_responses=True)
        keys = list(self.redis.scan_iter(f"seg:{model}:c:*", count=1000))
        self.customers = {key.removeprefix(f"seg:{model}:c:"): self.redis.hgetall(key) for key in keys}

    def read(self, kind: str) -> list[dict[str, object]]:
        topic = f"{self.model}.{kind}"
        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap_servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
        )
        partitions = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        consumer.seek_to_beginning()
        records: list[dict[str, object]] = []
        while any(consumer.position(tp) < ends[tp] for tp in partitions):
            for batch in consumer.poll(timeout_ms=500).values():
                records += [json.loads(r.value) for r in batch]
        consumer.close()
        return records


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Ran]:
    if not DATA.exists():
        pytest.skip(f"{DATA.name} is not beside this checkout: the real data is not in the repository")
    servers = request.getfixturevalue("servers")
    folder = tmp_path_factory.mktemp("retail")
    orders = orders_of(DATA)
    source = folder / "orders.parquet"
    orders.write_parquet(source)
    config = folder / "stream-seg.toml"
    model, topic = "retail-year", "retail-year-orders"
    addresses = f'[kafka]\nbootstrap_servers = "{servers.bootstrap_servers}"\n'
    addresses += f'[redis]\nurl = "{servers.redis_url}"\n'
    config.write_text(CONFIG.format(model=model, topic=topic) + addresses)
    stream_seg("load", str(source), "--topic", topic, "--partitions", str(PARTITIONS), config=config)
    stream_seg("live", "--until-end", config=config)
    yield Ran(config, model, orders, (servers.bootstrap_servers, servers.redis_url))
    stream_seg("reset", "--yes", config=config)


def test_there_is_one_label_for_every_order(ran: Ran) -> None:
    assert Counter(label["event_id"] for label in ran.labels) == Counter(ran.orders["invoice"].to_list())
    positions = [tuple(label["source"].values()) for label in ran.labels]  # type: ignore[attr-defined]
    assert len(set(positions)) == len(positions) == len(ran.orders)


def test_every_customer_is_readable(ran: Ran) -> None:
    known = set(ran.orders["customer_id"].to_list())
    assert set(ran.customers) == known
    with SegmentLookup.from_url(ran.redis_url, model=ran.model) as lookup:
        found = lookup.get_many(sorted(known))
    served = {one.customer_id: str(one.segment) for one in found if one is not None}
    assert served == {customer: fields["segment"] for customer, fields in ran.customers.items()}
    printed = json.loads(stream_seg("lookup", "17850", "--json", config=ran.config).stdout)
    assert printed[0]["segment"] == int(ran.customers["17850"]["segment"])


def test_feature_values_are_those_of_an_independent_computation(ran: Ran) -> None:
    """As of each customer's ``as_of``, from the orders alone."""
    as_of = pl.DataFrame(
        {
            "customer_id": list(ran.customers),
            "as_of": [fields["as_of"] for fields in ran.customers.values()],
        }
    ).with_columns(pl.col("as_of").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    weighed = (
        ran.orders.join(as_of, on="customer_id")
        .with_columns(days=(pl.col("as_of") - pl.col("invoice_date")).dt.total_milliseconds() / DAY_MS)
        .with_columns(weight=(-pl.col("days") / HALF_LIFE_DAYS * pl.lit(2.0).log()).exp())
        .group_by("customer_id")
        .agg(
            days_since_order=pl.col("days").min(),
            orders=pl.col("weight").sum(),
            spend=(pl.col("weight") * pl.col("revenue")).sum(),
            events=pl.len(),
        )
    )
    for row in weighed.iter_rows(named=True):
        fields = ran.customers[row["customer_id"]]
        assert int(fields["events"]) == row["events"]
        for name in ("days_since_order", "orders", "spend"):
            assert float(fields[f"f.{name}"]) == pytest.approx(row[name], rel=1e-9, abs=1e-9), name


def test_segment_sizes_are_a_count_of_the_customers(ran: Ran) -> None:
    counted = Counter(fields["segment"] for fields in ran.customers.values())
    stored: list[tuple[str, float]] = ran.redis.zrange(f"seg:{ran.model}:segments", 0, -1, withscores=True)  # type: ignore[assignment]
    sizes = {segment: int(size) for segment, size in stored if size}
    assert sizes == counted
    assert sum(sizes.values()) == ran.orders["customer_id"].n_unique()
    hashes = {s: ran.redis.hgetall(f"seg:{ran.model}:s:{s}") for s in sizes}
    assert {s: int(fields["size"]) for s, fields in hashes.items()} == counted
    assert sum(float(fields["share"]) for fields in hashes.values()) == pytest.approx(1.0)


def test_the_chain_of_previous_segments_is_unbroken(ran: Ran) -> None:
    """Labels and transitions of a customer, by source, tell one story that ends where Redis stands."""
    moves = ran.read("transitions")
    story = [(label["source"]["offset"], 1, label) for label in ran.labels]  # type: ignore[index]
    # a pass or an adoption names the next unread offset: it comes before the label at that offset
    story += [(m["source"]["offset"], 0, m) for m in moves if m["cause"] != "behaviour"]  # type: ignore[index]
    by_partition = sorted(story, key=lambda s: (s[2]["source"]["partition"], s[0], s[1]))  # type: ignore[index]
    segment: dict[object, object] = {}
    for _, is_label, record in by_partition:
        customer = record["customer_id"]
        before = record["previous_segment"] if is_label else record["from"]
        assert segment.get(customer) == before
        segment[customer] = record["segment"] if is_label else record["to"]
    assert {c: str(s) for c, s in segment.items()} == {c: f["segment"] for c, f in ran.customers.items()}
    behaviour = [m for m in moves if m["cause"] == "behaviour"]
    changed = [one for one in ran.labels if one["changed"] and one["previous_segment"] is not None]
    assert len(behaviour) == len(changed)


@pytest.fixture
def status(ran: Ran) -> Callable[[], dict[str, object]]:
    return lambda: json.loads(stream_seg("status", "--json", config=ran.config).stdout)


def test_status_says_that_all_is_read(status: Callable[[], dict[str, object]]) -> None:
    assert status()["lag"] == 0


def test_names_are_different_from_each_other(ran: Ran) -> None:
    segments = json.loads(stream_seg("segments", "--json", config=ran.config).stdout)
    active = [s["name"] for s in segments if s["status"] == "active"]
    assert len(set(active)) == len(active) >= 2
