"""Snapshots on real servers: taken beside the stream, found when Redis is lost, brought to other servers."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from redis import Redis

from consumers.cli import run
from stream_seg.adapters.kafka import connect
from stream_seg.adapters.local import LocalServers
from stream_seg.adapters.local.process import LocalServer
from stream_seg.adapters.local.redis import find_redis, local_redis
from stream_seg.adapters.snapshots import SnapshotFolder
from stream_seg.engine.registry import Registry
from stream_seg.events.decoder import JsonDecoder
from tests.chaos.derive import derive
from tests.chaos.orders import create
from tests.chaos.read import Reader, raw
from tests.chaos.scenarios import forget
from tests.chaos.scene import Scene
from tests.chaos.verify import Verdict, _redis, verify
from tests.contract.kafka_worlds import CLIENTS, eventually, producing
from tests.integration.played import BEGINNING, SHOP, Model, played

pytest.importorskip("polars", reason="the extra files is not installed")

EVERY_MINUTES = 0.005


def with_snapshots(scene: Scene, folder: Path, **settings: object) -> None:
    """Add a section to a model's configuration."""
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    with scene.config.open("a") as config:
        config.write(f'[snapshot]\ndir = "{folder}"\n{lines}')


def stream_seg(scene: Scene, *arguments: str) -> int:
    """The command line, in this process; its exit status."""
    return run(["--config", str(scene.config), *arguments])


def positions(folder: SnapshotFolder, name: str) -> dict[int, int]:
    """The offsets at which the partitions in a snapshot stand."""
    return {one.partition: one.numbers.position.next_offset for one in folder.open(name).manifest.holds}


def inputs(scene: Scene) -> dict[int, list[Any]]:
    """All records that the input topic holds."""
    with closing(Reader(scene.bootstrap_servers, scene.settings.group)) as reader:
        return reader.topics({scene.topic: SHOP.partitions})[scene.topic]


def newer(folder: SnapshotFolder, than: str) -> bool:
    """Whether a snapshot was taken since."""
    return folder.names()[0] > than


def delete_before(scene: Scene, offsets: dict[int, int]) -> None:
    """Have Kafka delete the beginning of the input topic, as retention does."""
    admin = KafkaAdminClient(bootstrap_servers=scene.bootstrap_servers)
    try:
        admin.delete_records({TopicPartition(scene.topic, p): offset for p, offset in offsets.items()})
    finally:
        admin.close()


def all_is_well(model: Model) -> None:
    """Every label, transition, row and number is there, once, and right."""
    assert not (found := verify(model.scene.settings, lost=model.lost)).violations, found


# Lost with the beginning of the topic


@pytest.fixture(scope="module")
def aged(servers: LocalServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """A model whose worker took snapshots, and whose topic has lost all before the last but one of them."""
    folder = tmp_path_factory.mktemp("aged")
    with played(servers, folder) as model:
        with_snapshots(model.scene, folder / "kept", every_minutes=EVERY_MINUTES, keep=2)
        model.send(BEGINNING)
        worker = model.hire()
        taken = SnapshotFolder(folder / "kept", model.scene.model)
        eventually(taken.names)
        for _ in range(2):
            model.send()
            worker.wait_idle(0.3)
            eventually(partial(newer, taken, taken.names()[0]))
        model.lost = inputs(model.scene)
        assert worker.dismiss() == 0, worker.messages[-5:]
        reached = positions(taken, taken.names()[-1])
        delete_before(model.scene, reached)
        model.lost = {p: [r for r in rows if r.offset < reached[p]] for p, rows in model.lost.items()}
        # from here on none is taken by itself
        model.scene.config.write_text(
            model.scene.config.read_text().replace(f"every_minutes = {EVERY_MINUTES}", "every_minutes = 0")
        )
        model.run()
        yield model


def kept(model: Model) -> SnapshotFolder:
    return SnapshotFolder(Path(model.scene.settings.snapshot.dir), model.scene.model)


def test_a_worker_takes_snapshots_of_all_it_owns_and_keeps_the_last(aged: Model) -> None:
    names = kept(aged).names()
    assert len(names) == 2
    for name in names:
        kept(aged).open(name).verify()
        assert positions(kept(aged), name).keys() == {0, 1}
    assert all(offset > 0 for offset in positions(kept(aged), names[-1]).values())


def test_redis_lost_where_the_topic_does_not_reach_back_is_rebuilt_from_a_snapshot(aged: Model) -> None:
    forget(aged.scene)
    newest = kept(aged).names()[0]
    said = aged.run()
    for partition in range(SHOP.partitions):
        expected = f"data of partition {partition}: it is brought up to date from snapshot {newest}"
        assert any(expected in text for text in said), said
    all_is_well(aged)


def test_an_older_snapshot_serves_where_the_newest_is_damaged(aged: Model) -> None:
    forget(aged.scene)
    newest, older = kept(aged).names()
    victim = kept(aged).path / newest / "partition-00001.parquet"
    whole = victim.read_bytes()
    victim.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    said = aged.run()
    victim.write_bytes(whole)
    assert any(f"snapshot {newest} is passed over" in text for text in said), said
    assert any(f"partition 1: it is brought up to date from snapshot {older}" in text for text in said), said
    all_is_well(aged)


def test_a_clear_stop_where_nothing_reaches_back_far_enough(aged: Model) -> None:
    forget(aged.scene)
    away = kept(aged).path.with_name("away")
    kept(aged).path.rename(away)
    said = aged.refused()
    away.rename(kept(aged).path)
    assert "must be read again from offset" in said
    assert "bring one that does, or delete the model with stream-seg reset" in said
    assert not aged.redis.exists(*(aged.keys.position(p) for p in range(SHOP.partitions)))
    aged.run()
    all_is_well(aged)


def test_a_row_damaged_where_the_topic_does_not_reach_back_is_rebuilt_from_a_snapshot(aged: Model) -> None:
    block = f"{aged.keys.rows(0)}0"
    row = min(aged.redis.hkeys(block))
    aged.redis.hset(block, row, aged.redis.hget(block, row)[:-1])
    said = aged.run()
    assert any("is damaged: the partition is rebuilt" in text for text in said), said
    all_is_well(aged)


# By hand, and to other servers


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[LocalServer]:
    """Another Redis."""
    redis = local_redis(find_redis(), tmp_path / "redis", keep=False)
    redis.start()
    try:
        yield redis
    finally:
        redis.kill()


@pytest.fixture
def model(servers: LocalServers, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Model]:
    """A model that has read everything so far."""
    with played(servers, tmp_path, client=getattr(request, "param", "kafka-python")) as one:
        with_snapshots(one.scene, tmp_path / "kept")
        one.send(BEGINNING)
        one.run()
        yield one


def move_to(model: Model, redis: LocalServer) -> None:
    """Have the model's workers use another Redis."""
    url = f"redis://127.0.0.1:{redis.port}/0"
    text = model.scene.config.read_text().replace(model.scene.redis_url, url)
    model.scene, model.redis = replace(model.scene, redis_url=url), Redis.from_url(url)
    model.scene.config.write_text(text)


def test_a_snapshot_taken_while_workers_run_moves_the_model_to_another_redis(
    model: Model, own_redis: LocalServer, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = model.hire()
    for turn in range(3):
        model.send()
        assert stream_seg(model.scene, "snapshot", "--keep", "2") == 0, (turn, capsys.readouterr())
    names = kept(model).names()
    assert len(names) == 2
    assert f"{kept(model).path / names[0]}: " in capsys.readouterr().out
    assert stream_seg(model.scene, "restore", "--yes") == 4
    assert f"group {model.scene.settings.group} has members: stop its workers" in capsys.readouterr().err
    model.send()
    worker.wait_idle()
    assert worker.dismiss() == 0
    move_to(model, own_redis)
    model.send()
    assert stream_seg(model.scene, "restore", names[1]) == 0
    assert f"model {model.scene.model} is back from {names[1]}: " in capsys.readouterr().out
    said = model.run()
    assert any("it is brought up to date from what is left of it" in text for text in said), said
    all_is_well(model)
    assert stream_seg(model.scene, "restore") == 2
    assert f"Redis holds model {model.scene.model} already: give --yes" in capsys.readouterr().err
    assert stream_seg(model.scene, "restore", "--yes") == 0
    model.run()
    all_is_well(model)


def remove_topics(model: Model) -> None:
    """Delete the model's output topics and the group's offsets."""
    with closing(connect(model.scene.settings.kafka)) as client:
        client.topics.remove(model.scene.model, model.scene.settings.group)


def goes_on_as_if_nothing_had_happened(model: Model, since: dict[int, int]) -> None:
    """Labels of all events after the snapshot, once and as derived from the whole history; so is Redis."""
    settings, partitions = model.scene.settings, SHOP.partitions
    name, topic = settings.model.name, settings.topic
    with closing(Reader(settings.kafka.bootstrap_servers, settings.group)) as reader:
        read = reader.topics({topic: partitions, f"{name}.labels": partitions, f"{name}.models": 1})
        ends = reader.committed(topic, partitions)
    registry = Registry()
    registry.take((r.key.decode(), r.value) for r in read[f"{name}.models"][0])
    decoder = JsonDecoder(settings.event, settings.features)
    decoded = {p: decoder.decode(raw(rows, single=False)) for p, rows in read[topic].items()}
    derived = derive(settings.features, topic, registry, decoded)
    for p, one in derived.items():
        wanted = [label for label, offset in zip(one.labels, one.offsets, strict=True) if offset >= since[p]]
        assert wanted
        assert [r.value for r in read[f"{name}.labels"][p]] == wanted
    verdict = Verdict()
    _redis(verdict, settings, registry, derived, ends)
    assert not verdict.violations, verdict


@pytest.mark.parametrize("model", CLIENTS, indirect=True)
def test_a_model_is_brought_to_servers_that_never_had_it(
    model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stream_seg(model.scene, "snapshot") == 0
    since = positions(kept(model), kept(model).names()[0])
    model.run()
    forget(model.scene)
    with closing(connect(model.scene.settings.kafka)) as client:
        client.topics.delete_topics([f"{model.scene.model}.models"])
    assert stream_seg(model.scene, "restore", "--yes") == 4
    assert "has labels of partition 0 up to offset" in capsys.readouterr().err
    assert not model.redis.exists(model.keys.meta)
    remove_topics(model)
    assert stream_seg(model.scene, "restore") == 0
    goes_on_as_if_nothing_had_happened_after_a_run(model, since)


def goes_on_as_if_nothing_had_happened_after_a_run(model: Model, since: dict[int, int]) -> None:
    model.run()
    goes_on_as_if_nothing_had_happened(model, since)


def test_a_topic_that_was_copied_record_for_record(model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    assert stream_seg(model.scene, "snapshot") == 0
    since = positions(kept(model), kept(model).names()[0])
    model.send()
    copy = f"{model.scene.topic}-copy"
    create(model.scene.bootstrap_servers, copy, SHOP.partitions)
    with producing(model.scene.bootstrap_servers) as producer:
        for p, rows in inputs(model.scene).items():
            for r in rows:
                producer.send(copy, r.value, r.key, partition=p, timestamp_ms=r.timestamp)
    forget(model.scene)
    remove_topics(model)
    model.scene.config.write_text(model.scene.config.read_text().replace(model.scene.topic, copy))
    assert stream_seg(model.scene, "restore") == 4
    assert f"topic {copy} is not the one that the snapshot was taken of" in capsys.readouterr().err
    assert stream_seg(model.scene, "restore", "--copied-topic") == 0
    goes_on_as_if_nothing_had_happened_after_a_run(model, since)


def test_what_several_workers_wrote_is_put_together(
    servers: LocalServers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with played(servers, tmp_path) as model:
        with_snapshots(model.scene, tmp_path / "kept", every_minutes=EVERY_MINUTES, keep=2)
        model.send(BEGINNING)
        workers = [model.hire(), model.hire()]

        for worker in workers:
            worker.wait_for(lambda m: m["what"] == "committed" and m["events"] > 0)
        eventually(lambda: len(kept(model).names()) >= 4)  # two of each partition
        for worker in workers:
            worker.signal(signal.SIGTERM)
        for worker in workers:
            assert worker.wait_end() == 0, worker.messages[-5:]
        held = {name: tuple(positions(kept(model), name)) for name in kept(model).names()}
        for name, both in held.items():
            if len(both) == 2:  # the one that stayed longer took a last one of both
                shutil.rmtree(kept(model).path / name)
        partial = next(name for name, one in held.items() if len(one) == 1)
        assert stream_seg(model.scene, "restore", partial, "--yes") == 4
        assert "leave SNAPSHOT out to take the newest of each" in capsys.readouterr().err
        assert stream_seg(model.scene, "restore", "--yes") == 0
        model.run()
        all_is_well(model)


def test_refusals_of_snapshot_and_restore_before_anything_is_written(
    model: Model, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def refused(status: int, text: str, *arguments: str) -> None:
        assert stream_seg(model.scene, *arguments) == status
        said = capsys.readouterr().err
        assert text in said
        assert said.count("\n") == 1
        assert said.startswith("stream-seg: ")

    other = tmp_path / "other.toml"
    other.write_text(model.scene.config.read_text().replace("half_life_days = 10", "half_life_days = 9"))
    refused(1, "there is no whole snapshot in", "restore")
    refused(1, "has no segments yet: start stream-seg live", "snapshot", "--model", "nobody")
    refused(2, "see [snapshot] dir", "snapshot", "--dir", str(other))
    refused(4, "is no snapshot, or was damaged", "restore", "nowhere")
    refused(4, "use the configuration that its workers use", "snapshot", "--config", str(other))
    assert stream_seg(model.scene, "snapshot") == 0
    capsys.readouterr()
    name = kept(model).names()[0]
    refused(4, "was made with other [features]", "restore", "--yes", "--config", str(other))
    refused(
        4,
        f"of model {model.scene.model}, not nobody",
        "restore",
        str(kept(model).path / name),
        "--model",
        "nobody",
    )
    create(model.scene.bootstrap_servers, f"{model.scene.topic}-3", 3)
    refused(4, "has 3 partitions, the snapshot 2", "restore", "--yes", "--topic", f"{model.scene.topic}-3")
    all_is_well(model)


def test_a_worker_goes_on_while_its_snapshots_are_written(model: Model) -> None:
    folder = kept(model).path
    model.scene.config.write_text(model.scene.config.read_text() + f"every_minutes = {EVERY_MINUTES}\n")
    worker = model.hire()
    eventually(lambda: folder.exists() and kept(model).names())
    began = time.monotonic()
    model.send()
    worker.wait_commits(1, since=began, timeout_s=5.0)
    worker.wait_idle()
    assert worker.dismiss() == 0
    all_is_well(model)
