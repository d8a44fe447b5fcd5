"""``stream-seg replay --source`` on real servers: keys and topics of its own, and never the live model's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from redis import Redis

from consumers.cli import run
from consumers.replay.driver import driver_of
from consumers.replay.options import ReplayOptions
from consumers.replay.run import Outputs, replay_events
from consumers.replay.served import served
from stream_seg.adapters.files import FileSource
from stream_seg.adapters.local import LocalServers
from stream_seg.errors import UsageError
from stream_seg.events.records import Decoded
from stream_seg.settings import load_settings

CONFIG = """
[model]
name = "{model}"
segments = 3
[warm_up]
customers = 20
[event]
customer = "who"
time = "at"
id = "order"
[event.fields]
revenue = "revenue"
[features.days_since_order]
aggregate = "days_since"
transform = "log1p"
[features.spend]
aggregate = "sum"
field = "revenue"
half_life_days = 30
transform = "log1p"
[clustering]
structure_restarts_small = 2
[kafka]
bootstrap_servers = "{kafka}"
[redis]
url = "{redis}"
"""


class World:
    """A model's name, its configuration, a file of orders, and both servers."""

    def __init__(self, folder: Path, model: str, servers: LocalServers) -> None:
        self.folder, self.model, self.servers = folder, model, servers
        self.config = folder / "shop.toml"
        self.config.write_text(
            CONFIG.format(model=model, kafka=servers.bootstrap_servers, redis=servers.redis_url)
        )
        self.redis: Any = Redis.from_url(servers.redis_url, decode_responses=True)
        self.raw: Any = Redis.from_url(servers.redis_url)
        self.file = folder / "orders.csv"
        self.file.write_text("\n".join(["order,who,at,revenue", *self._rows()]) + "\n")

    @staticmethod
    def _rows() -> Iterator[str]:
        for i in range(600):
            day, hour = divmod(i, 10)
            who = f"c {i * 7 % 40}:{{é}}" if i % 3 else f"c{i % 4}"
            yield f"o{i},{who},2024-0{1 + day // 28}-{1 + day % 28:02}T{2 * hour:02}:00:00Z,{1 + i * i % 97}"
        yield "o600,,2024-03-05,1"

    def replay(self, name: str, *more: str) -> int:
        arguments = ["replay", "--name", name, "--source", str(self.file)]
        return run(["--config", str(self.config), *arguments, "--export", str(self.folder / "out"), *more])

    def keys(self, model: str) -> dict[bytes, bytes]:
        """All keys of a model and what they hold, as Redis would copy it."""
        found = [*self.raw.scan_iter(f"seg:{model}:*"), *self.raw.scan_iter(f"seg:{{{model}:*")]
        return {key: self.raw.dump(key) for key in found}

    def hashes(self, model: str, kind: str) -> dict[str, dict[str, str]]:
        prefix = f"seg:{model}:{kind}:"
        return {k.removeprefix(prefix): self.redis.hgetall(k) for k in self.redis.scan_iter(f"{prefix}*")}

    def topics(self, model: str) -> set[str]:
        admin = KafkaAdminClient(bootstrap_servers=self.servers.bootstrap_servers)
        names = {name for name in admin.list_topics() if name.startswith(f"{model}.")}
        admin.close()
        return names

    def records(self, topic: str) -> list[Any]:
        consumer = KafkaConsumer(
            bootstrap_servers=self.servers.bootstrap_servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
        )
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning()
        end, found = consumer.end_offsets([partition])[partition], []
        while consumer.position(partition) < end:
            found += [r for batch in consumer.poll(timeout_ms=500).values() for r in batch]
        consumer.close()
        return found


@pytest.fixture
def world(
    tmp_path: Path, servers: LocalServers, redis_url: str, fresh_name: Callable[[str], str]
) -> Iterator[World]:
    assert redis_url == servers.redis_url
    made = World(tmp_path, fresh_name("shop"), servers)
    yield made
    made.redis.close()
    made.raw.close()


def test_a_replay_is_a_model_of_its_own(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.replay("r") == 0
    assert "1 row cannot be an event" in capsys.readouterr().err
    model = f"{world.model}.replay-r"
    exported = pl.read_parquet(world.folder / "out" / "labels.parquet")

    labels = [json.loads(r.value) for r in world.records(f"{model}.labels")]
    assert [label["source"]["offset"] for label in labels] == list(range(600))
    assert {label["source"]["topic"] for label in labels} == {"orders.csv"}
    assert {label["run"] for label in labels} == {"replay:r"}
    for column in ("customer_id", "event_id", "segment", "name", "confidence", "previous_segment"):
        assert [label[column] for label in labels] == exported[column].to_list()

    customers = world.hashes(model, "c")
    final = pl.read_parquet(world.folder / "out" / "customers.parquet")
    assert {c: int(h["segment"]) for c, h in customers.items()} == dict(
        final.select("customer_id", "segment").iter_rows()
    )
    counted = Counter(h["segment"] for h in customers.values())
    sizes = world.redis.zrange(f"seg:{model}:segments", 0, -1, withscores=True)
    assert {s: int(n) for s, n in sizes if n} == counted
    for segment, fields in world.hashes(model, "s").items():
        assert int(fields["size"]) == counted.get(segment, 0)

    version = world.redis.get(f"seg:{model}:model:current")
    assert (
        world.redis.get(f"seg:{model}:model:{version}") == (world.folder / "out" / "model.json").read_text()
    )
    meta = world.redis.hgetall(f"seg:{model}:meta")
    assert (meta["contract"], meta["topics"], meta["partitions"]) == ("1", "orders.csv", "1")


def test_transitions_and_models_are_on_their_topics(world: World) -> None:
    assert world.replay("r") == 0
    model = f"{world.model}.replay-r"
    labels = [json.loads(r.value) for r in world.records(f"{model}.labels")]
    moves = [json.loads(r.value) for r in world.records(f"{model}.transitions")]
    by_behaviour = [m for m in moves if m["cause"] == "behaviour"]
    changes = [x for x in labels if x["changed"] and x["previous_segment"] is not None]
    assert [(m["customer_id"], m["from"], m["to"], m["source"]) for m in by_behaviour] == [
        (x["customer_id"], x["previous_segment"], x["segment"], x["source"]) for x in changes
    ]
    where: dict[str, int] = {}
    for customer, before, after in sorted_moves(labels, moves):
        assert where.get(customer) == before
        where[customer] = after
    found = {r.key.decode() for r in world.records(f"{model}.models")}
    current = int(world.redis.get(f"seg:{model}:model:current"))
    for number in range(1, current + 1):
        assert {f"version/{number}", f"lineage/{number}", f"adoption/0/{number}"} <= found
    letters = world.records(f"{model}.dead-letters")
    assert [dict(r.headers)["offset"] for r in letters] == [b"600"]
    assert json.loads(letters[0].value)["order"] == "o600"


def sorted_moves(labels: list[Any], moves: list[Any]) -> Iterator[tuple[str, int | None, int]]:
    """Each customer's first segment and every change after it, in the order of the source.

    A pass and an adoption name the next unread offset, so they come before the event there.
    """
    steps = [
        ((m["source"]["offset"], m["cause"] == "behaviour"), m["customer_id"], m["from"], m["to"])
        for m in moves
    ]
    steps += [
        ((x["source"]["offset"], True), x["customer_id"], None, x["segment"])
        for x in labels
        if x["previous_segment"] is None
    ]
    for _, customer, before, after in sorted(steps, key=lambda step: step[0]):
        yield customer, before, after


def test_a_finished_replay_is_kept_until_fresh(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.replay("r") == 0
    model = f"{world.model}.replay-r"
    before, records = world.keys(model), len(world.records(f"{model}.labels"))
    assert world.replay("r") == 2
    assert "has finished already" in capsys.readouterr().err
    assert world.keys(model) == before
    assert world.replay("r", "--fresh", "--to", "2024-02-01") == 0
    assert 0 < len(world.records(f"{model}.labels")) < records


def test_the_live_model_and_other_replays_are_left_alone(world: World) -> None:
    live = world.model
    world.redis.hset(f"seg:{live}:c:c1", mapping={"segment": "5", "name": "theirs"})
    world.redis.set(f"seg:{live}:model:current", "9")
    world.redis.hset(f"seg:{{{live}:0}}:position", "numbers", "x")
    assert world.replay("other") == 0
    other = world.keys(f"{live}.replay-other")
    for fresh in ((), ("--fresh",)):
        assert world.replay("r", *fresh) == 0
    assert world.redis.hgetall(f"seg:{live}:c:c1") == {"segment": "5", "name": "theirs"}
    assert world.redis.get(f"seg:{live}:model:current") == "9"
    assert world.redis.hget(f"seg:{{{live}:0}}:position", "numbers") == "x"
    assert world.keys(f"{live}.replay-other") == other
    kinds = ("labels", "transitions", "models", "dead-letters")
    assert world.topics(live) == {f"{live}.replay-{n}.{kind}" for n in ("r", "other") for kind in kinds}


def test_without_emitting_there_are_keys_and_no_topics(world: World) -> None:
    assert world.replay("quiet", "--no-emit") == 0
    model = f"{world.model}.replay-quiet"
    assert world.topics(model) == set()
    assert len(world.hashes(model, "c")) > 30


def test_a_replay_that_did_not_finish_is_begun_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    model = f"{world.model}.replay-r"
    with pytest.raises(RuntimeError, match="power cut"):
        stopped_midway(world)
    assert world.hashes(model, "c")
    assert world.replay("r") == 0
    assert "did not finish" in capsys.readouterr().err
    offsets = [json.loads(r.value)["source"]["offset"] for r in world.records(f"{model}.labels")]
    assert offsets == list(range(600))
    versions = [r.key for r in world.records(f"{model}.models") if r.key.startswith(b"version/")]
    assert all(int(b.split(b"/")[1]) == int(a.split(b"/")[1]) + 1 for a, b in pairwise(versions))


def stopped_midway(world: World, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Replay some rows, do something else, replay some more, and end in an error that nobody foresaw."""
    settings = load_settings(world.config, environ={})
    outputs = Outputs()
    driver = driver_of(
        settings, {0: 0}, instance="replay:r", on_step=outputs.step, on_version=outputs.version
    )
    options, model = ReplayOptions(name="r", source=world.file), f"{world.model}.replay-r"

    def rows() -> Iterator[Decoded]:
        (events, rejected), *_ = FileSource(world.file, settings.event, settings.features)
        first, second = events.cut(len(events) // 2)
        yield Decoded(first, [])
        meanwhile()
        yield Decoded(second, rejected)
        raise RuntimeError("power cut")

    with served(settings, options, model, "orders.csv", lambda _: None) as serving:
        outputs.others.append(serving)
        replay_events(rows(), driver, outputs)


def test_two_at_once_need_two_names(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    statuses = []
    with pytest.raises(RuntimeError, match="power cut"):
        stopped_midway(world, lambda: statuses.append(world.replay("r")))
    assert statuses == [2]
    assert "is running" in capsys.readouterr().err
    with pytest.raises(UsageError, match="Another replay of this name"):
        stopped_midway(world, lambda: statuses.append(world.replay("r", "--fresh")))
    assert statuses == [2, 0]
    offsets = [
        json.loads(r.value)["source"]["offset"] for r in world.records(f"{world.model}.replay-r.labels")
    ]
    assert offsets == list(range(600))


def test_an_empty_file_deletes_nothing(world: World) -> None:
    assert world.replay("r") == 0
    model = f"{world.model}.replay-r"
    before = world.keys(model)
    world.file.write_text("order,who,at,revenue\n")
    assert world.replay("r", "--fresh") == 2
    assert world.keys(model) == before
    assert len(world.records(f"{model}.labels")) == 600


def test_a_server_that_is_not_there_is_said(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.replay("r", "--redis-url", "redis://127.0.0.1:1/0") == 3
    assert "127.0.0.1:1" in capsys.readouterr().err
