"""Replay from a topic on real servers: as recorded, minting for itself, interrupted, beside a live model."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from redis import Redis

from stream_seg.adapters.local import LocalServers
from tests.integration.replays import DAY_MS, START_MS, Place, fill, records, renamed
from tests.integration.test_online_retail import CONFIG, DATA, orders_of

KINDS = ("labels", "transitions", "models", "dead-letters")
EXPORTED = ("labels.parquet", "customers.parquet", "model.json")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, servers: LocalServers) -> Place:
    """A small shop with a live model that two workers have brought to the end of its topic."""
    folder = tmp_path_factory.mktemp("shop")
    place = Place(folder, "rt-shop", "rt-shop-orders", servers.bootstrap_servers, servers.redis_url)
    fill(place.kafka, place.topic)
    workers = [place.start("live", "--until-end") for _ in range(2)]
    for worker in workers:
        _, err = worker.communicate(timeout=240)
        assert worker.returncode == 0, err
    return place


def test_as_recorded_is_what_live_said(shop: Place) -> None:
    before = shop.fingerprint(shop.model)
    shop.run("replay", "--name", "recorded", "--as-recorded")
    live, again = shop.said(shop.model), shop.said(f"{shop.model}.replay-recorded")
    assert renamed(live, "live", "replay:recorded") == again
    assert sum(map(len, live["labels"].values())) > 1000
    assert sum(map(len, live["transitions"].values())) > 100
    assert shop.fingerprint(shop.model) == before


def test_as_recorded_writes_the_range_asked_for_only(shop: Place) -> None:
    shop.run("replay", "--name", "range", "--as-recorded", "--from", "2023-11-20", "--to", "2023-11-25")
    again = shop.said(f"{shop.model}.replay-range")
    live = renamed(shop.said(shop.model), "live", "replay:range")
    for kind, by_partition in live.items():
        for p, rows in by_partition.items():
            wanted = [r for r in rows if "2023-11-20" <= json.loads(r[1])["event_time"] < "2023-11-25"]
            assert again[kind][p] == wanted
    assert sum(map(len, again["labels"].values())) > 100


def test_a_replay_is_a_function_of_the_topic(shop: Place) -> None:
    """Two names and two clients; neither touches the live model."""
    before = shop.fingerprint(shop.model)
    shop.run("replay", "--name", "one", "--export", "one")
    shop.run("replay", "--name", "two", "--export", "two", "--client", "confluent")
    first, second = (shop.said(f"{shop.model}.replay-{name}", KINDS) for name in ("one", "two"))
    assert renamed(first, "replay:one", "replay:two") == second
    assert sum(map(len, first["dead-letters"].values())) > 10
    assert exported(shop.folder / "one", "replay:one") == exported(shop.folder / "two", "replay:two")
    assert shop.fingerprint(shop.model) == before
    label = json.loads(first["labels"][1][-1][1])["source"]
    name = "/".join(str(label[key]) for key in ("topic", "partition", "offset"))
    assert shop.run("audit", name, "--model", f"{shop.model}.replay-one").returncode == 0


def exported(folder: Path, run: str) -> tuple[object, ...]:
    labels = pl.read_parquet(folder / "labels.parquet")
    assert set(labels["run"]) == {run}
    model = (folder / "model.json").read_text().replace(f'"{run}"', '"run"')
    return labels.drop("run").rows(), (folder / "customers.parquet").read_bytes(), model


def test_a_file_and_a_topic_of_one_partition_say_the_same(
    servers: LocalServers, tmp_path: Path, fresh_name: Callable[[str], str]
) -> None:
    """Apart from the source, and the ids that stand in for missing ones."""
    name = fresh_name("ro")
    place = Place(tmp_path, name, f"{name}-orders", servers.bootstrap_servers, servers.redis_url)
    chance = np.random.default_rng(2)
    frame = pl.DataFrame(
        {
            "customer": [f"c{number}" for number in np.minimum(chance.zipf(1.3, 1500), 120)],
            "at": START_MS + np.arange(1500) * 20 * DAY_MS // 1000,
            "revenue": np.round(chance.lognormal(3.0, 1.0, 1500), 2),
        }
    )
    frame.write_parquet(tmp_path / "orders.parquet")
    place.run("load", "orders.parquet", "--topic", place.topic, "--partitions", "1")
    place.run("replay", "--name", "topic", "--export", "topic")
    place.run("replay", "--name", "file", "--export", "file", "--source", "orders.parquet")
    topic, file = (
        pl.read_parquet(tmp_path / run / "labels.parquet").drop("run", "source_topic", "event_id")
        for run in ("topic", "file")
    )
    assert topic.equals(file)
    assert len(file) == 1500
    customers = [(tmp_path / run / "customers.parquet").read_bytes() for run in ("topic", "file")]
    assert customers[0] == customers[1]
    models = [(tmp_path / run / "model.json").read_text() for run in ("topic", "file")]
    assert models[0].replace('"replay:topic"', '"replay:file"') == models[1]


def test_labels_are_exported_in_the_order_of_event_time_but_for_late_ones(shop: Place) -> None:
    if not (shop.folder / "one").exists():
        shop.run("replay", "--name", "one", "--export", "one")
    labels = pl.read_parquet(shop.folder / "one" / "labels.parquet")
    order = labels.with_columns(pl.col("event_time").cum_max().over("source_partition").alias("largest"))
    assert order["largest"].is_sorted()


def test_an_audited_label_that_was_forged_is_found_out(shop: Place) -> None:
    """The model's own labels are right; one derived under another configuration is not."""
    offset = json.loads(records(shop.kafka, f"{shop.model}.labels")[0][300][1])["source"]["offset"]
    name = f"{shop.topic}/0/{offset}"
    found = json.loads(shop.run("audit", name, "--json").stdout)
    assert found["identical"] is True
    assert found["derived"] == found["recorded"]
    assert set(found["features"]) == {"days_since_order", "orders", "spend"}
    other = shop.folder / "other.toml"
    other.write_text(shop.config.read_text().replace("half_life_days = 10", "half_life_days = 9"))
    wrong = subprocess.run(
        [*shop.command("audit", name)[:4], str(other), "audit", name],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert wrong.returncode == 1
    assert "NOT the same" in wrong.stdout


def test_an_audit_by_customer_and_time_finds_the_newest_label_before(shop: Place) -> None:
    labels = [
        json.loads(v) for rows in records(shop.kafka, f"{shop.model}.labels").values() for _, v, _ in rows
    ]
    own = [label for label in labels if label["customer_id"] == "c3"]
    wanted = own[len(own) // 2]
    at = wanted["event_time"]
    found = json.loads(shop.run("audit", "--customer", "c3", "--at", at, "--json").stdout)
    assert found["recorded"]["event_time"] <= at
    assert found["identical"] is True


BAD = [
    (("replay", "--name", "a/b"), 2, "letters, digits"),
    (("replay", "--name", "a b"), 2, "letters, digits"),
    (("replay", "--name", "bad", "--from", "2023-12-01", "--to", "2023-11-01"), 2, "earlier"),
    (("replay", "--name", "bad", "--to", "2001-01-01"), 2, "outside --from and --to"),
    (("replay", "--name", "bad", "--as-recorded", "--follow"), 2, "--follow"),
    (("compare", "nobody", "live"), 1, "no run nobody"),
    (("compare", "a b", "live"), 2, "neither a folder nor the name of a run"),
    (("audit", "rt-shop-orders/0/99999999"), 1, "no label"),
    (("audit", "rt-shop-orders/7/1"), 1, "partitions 0 to 3"),
    (("audit", "elsewhere/0/1"), 2, "reads topic"),
    (("audit", "nonsense"), 2, "topic/partition/offset"),
    (("audit",), 2, "Name one label"),
]


@pytest.mark.parametrize(("arguments", "status", "said"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_answered_in_a_sentence(
    shop: Place, arguments: tuple[str, ...], status: int, said: str
) -> None:
    done = shop.run(*arguments, status=status)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_finished_replay_is_not_run_again_unless_fresh(shop: Place) -> None:
    shop.run("replay", "--name", "again", "--segments", "3")
    once = shop.said(f"{shop.model}.replay-again", KINDS)
    assert "finished already" in shop.run("replay", "--name", "again", "--segments", "3", status=2).stderr
    assert "other settings" in shop.run("replay", "--name", "again", "--segments", "5", status=2).stderr
    shop.run("replay", "--name", "again", "--segments", "3", "--fresh")
    assert shop.said(f"{shop.model}.replay-again", KINDS) == once


def test_two_replays_under_one_name_at_once(shop: Place) -> None:
    running = shop.start("replay", "--name", "twice")
    with Redis.from_url(shop.redis) as client:
        while not client.exists(f"seg:{{{shop.model}.replay-twice:0}}:report"):
            assert running.poll() is None
            time.sleep(0.05)
    refused = shop.run("replay", "--name", "twice", status=2)
    assert "is running" in refused.stderr or "finished already" in refused.stderr
    _, err = running.communicate(timeout=240)
    assert running.returncode == 0, err


def test_runs_over_different_ranges_are_not_compared(shop: Place) -> None:
    shop.run("replay", "--name", "early", "--to", "2023-11-25")
    assert "compare runs over one range" in shop.run("compare", "early", "live", status=2).stderr


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("export", "most"), [(True, 3), (False, 10)], ids=["history taken again", "from the checkpoint"]
)
def test_a_replay_that_is_killed_at_random_moments_says_the_same(
    servers: LocalServers,
    tmp_path: Path,
    fresh_name: Callable[[str], str],
    export: bool,  # noqa: FBT001
    most: int,
) -> None:
    """Each time another client goes on; where it comes to its end before, it is begun again."""
    name = fresh_name("rk")
    place = Place(tmp_path, name, f"{name}-orders", servers.bootstrap_servers, servers.redis_url)
    fill(place.kafka, place.topic, count=4_000, seed=3)
    began = time.monotonic()
    place.run("replay", "--name", "whole", "--export", "whole")
    whole_s = time.monotonic() - began
    whole = renamed(place.said(f"{name}.replay-whole", KINDS), "replay:whole", "replay:killed")
    chance, kills, went_on, flags = random.Random(5), 0, [], ["--fresh"]  # noqa: S311 - a fixed one
    wanted = ("replay", "--name", "killed", *(("--export", "killed") if export else ()))
    while kills < most or not flags:
        running = place.start(*wanted, *flags, "--client", ("kafka-python", "confluent")[kills % 2])
        try:
            _, err = running.communicate(timeout=chance.uniform(0.2, 1.1) * whole_s if kills < most else None)
        except subprocess.TimeoutExpired:
            running.kill()
            _, err = running.communicate()
            kills += 1
            flags = []
        else:  # to its end, or it was there when it was killed
            assert running.returncode == 0 or "finished already" in err, err
            assert place.said(f"{name}.replay-killed", KINDS) == whole
            flags = ["--fresh"]
        went_on += re.findall(r"going on behind .*", err)
    assert went_on
    assert all(("taken again" in line) == export for line in went_on), went_on
    assert seen(place, "whole") == seen(place, "killed")
    if export:
        assert exported(tmp_path / "whole", "replay:whole") == exported(tmp_path / "killed", "replay:killed")


def seen(place: Place, run: str) -> object:
    customers = [f"c{i}" for i in range(150)]
    found = place.start("lookup", *customers, "--json", "--model", f"{place.model}.replay-{run}")
    out, _ = found.communicate(timeout=60)
    return json.loads(out)


def test_what_retention_has_deleted_is_said(
    servers: LocalServers, tmp_path: Path, fresh_name: Callable[[str], str]
) -> None:
    name = fresh_name("rg")
    place = Place(tmp_path, name, f"{name}-orders", servers.bootstrap_servers, servers.redis_url)
    fill(place.kafka, place.topic, seed=7)
    admin = KafkaAdminClient(bootstrap_servers=place.kafka)
    admin.delete_records({TopicPartition(place.topic, 0): 200})
    admin.close()
    refused = place.run("replay", "--name", "gap", status=2).stderr
    assert re.search(r"Asked from the beginning, and topic \S+ is beginning at 2023-", refused), refused
    assert (
        "Asked from 2023-11-15"
        in place.run("replay", "--name", "gap", "--from", "2023-11-15", status=2).stderr
    )
    place.run("replay", "--name", "gap", "--allow-gap")
    place.run("replay", "--name", "late", "--from", "2023-12-05")
    assert records(place.kafka, f"{name}.replay-gap.labels")[0]


def test_follow_goes_on_as_a_live_worker(
    servers: LocalServers, tmp_path: Path, fresh_name: Callable[[str], str]
) -> None:
    name = fresh_name("rf")
    place = Place(tmp_path, name, f"{name}-orders", servers.bootstrap_servers, servers.redis_url)
    fill(place.kafka, place.topic, seed=9)
    running = place.start("replay", "--name", "on", "--follow")
    try:
        first = wait_for_labels(place, 1000, running)
        fill(place.kafka, place.topic, seed=10, count=600, first_day=30.0, days=5.0)
        labels = wait_for_labels(place, first + 300, running)
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=60)
        assert running.returncode == 0, err
    finally:
        running.kill()
    assert labels > first
    values = [
        json.loads(v)
        for rows in records(place.kafka, f"{name}.replay-on.labels").values()
        for _, v, _ in rows
    ]
    assert {value["run"] for value in values} == {"replay:on"}
    sources = [tuple(value["source"].values()) for value in values]
    assert len(set(sources)) == len(sources)
    last = values[-1]["source"]
    place.run(
        "audit", f"{last['topic']}/{last['partition']}/{last['offset']}", "--model", f"{name}.replay-on"
    )


def wait_for_labels(place: Place, least: int, running: subprocess.Popen[str]) -> int:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        assert running.poll() is None, running.communicate()[1]
        try:
            count = sum(map(len, records(place.kafka, f"{place.model}.replay-on.labels").values()))
        except AssertionError:
            count = 0
        if count >= least:
            return count
        time.sleep(0.5)
    raise AssertionError(f"no {least} labels in time")


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Place:
    """Online Retail, live through the year with two workers over four partitions."""
    if not DATA.exists():
        pytest.skip(f"{DATA.name} is not beside this checkout: the real data is not in the repository")
    servers = request.getfixturevalue("servers")
    folder = tmp_path_factory.mktemp("retail-replay")
    orders_of(DATA).write_parquet(folder / "orders.parquet")
    model, topic = "rt-retail", "rt-retail-orders"
    addresses = (
        f'[kafka]\nbootstrap_servers = "{servers.bootstrap_servers}"\n[redis]\nurl = "{servers.redis_url}"\n'
    )
    (folder / f"{model}.toml").write_text(CONFIG.format(model=model, topic=topic) + addresses)
    place = Place(folder, model, topic, servers.bootstrap_servers, servers.redis_url)
    place.run("load", "orders.parquet", "--topic", topic, "--partitions", "4")
    for worker in [place.start("live", "--until-end") for _ in range(2)]:
        _, err = worker.communicate(timeout=280)
        assert worker.returncode == 0, err
    return place


@pytest.mark.timeout(900)
def test_the_first_half_of_the_year_again_is_what_live_said_then(retail: Place) -> None:
    before = retail.fingerprint(retail.model)
    retail.run("replay", "--name", "half", "--as-recorded", "--to", "2011-06-09")
    live = renamed(retail.said(retail.model), "live", "replay:half")
    again = retail.said(f"{retail.model}.replay-half")
    for kind, by_partition in live.items():
        for p, rows in by_partition.items():
            assert again[kind][p] == [r for r in rows if json.loads(r[1])["event_time"] < "2011-06-09"]
    assert sum(map(len, again["labels"].values())) > 7000
    assert retail.fingerprint(retail.model) == before


@pytest.mark.timeout(900)
def test_four_and_eight_segments_of_the_year_compared(retail: Place) -> None:
    retail.run("replay", "--name", "k4", "--segments", "4", "--export", "k4")
    retail.run("replay", "--name", "k4-again", "--segments", "4", "--export", "k4-again")
    retail.run("replay", "--name", "k8", "--segments", "8")
    assert exported(retail.folder / "k4", "replay:k4") == exported(
        retail.folder / "k4-again", "replay:k4-again"
    )
    found = json.loads(retail.run("compare", "k4", "k8", "--json", "--html", "page.html").stdout)
    assert [len(found[side]["segments"]) >= k for side, k in (("a", 4), ("b", 8))] == [True, True]
    assert sum(map(sum, found["migration"]["customers"])) == found["customers"]["both"] == 4338
    assert 0.2 < found["agreement"]["ari"] < 0.9
    assert found["cost"]["b"]["nearest_centroid"] < found["cost"]["a"]["nearest_centroid"]
    assert len(found["stability"]) == 12
    page = (retail.folder / "page.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 4
    assert not re.search(r"https?://|<script|src=", page)
    same = json.loads(retail.run("compare", "k4", "k4-again", "--json").stdout)
    assert same["agreement"] == {"ari": 1.0, "ami": 1.0}
    assert same["differ"]["customers"] == 0
    assert (
        json.loads(retail.run("compare", "k4", str(retail.folder / "k4"), "--json").stdout)["differ"][
            "customers"
        ]
        == 0
    )
