"""``History`` on a real broker, the same for both clients: a topic read from outside its groups."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise

import pytest
from kafka import TopicPartition

from stream_seg.adapters.kafka_topics import TopicMissing
from stream_seg.engine.history import History, Reading, read_through
from stream_seg.engine.ports import Committed, Records, Transaction
from stream_seg.errors import StreamSegError
from tests.contract.kafka_worlds import (
    CLIENTS,
    World,
    administering,
    eventually,
    kafka_world,
    member,
    producing,
)

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=CLIENTS)
def world(
    request: pytest.FixtureRequest, bootstrap_servers: str, fresh_name: Callable[[str], str]
) -> Iterator[World]:
    with kafka_world(bootstrap_servers, str(request.param), fresh_name) as world:
        yield world


def opened(world: World, topic: str, group: str | None = None) -> History:
    history = world.client.history(topic, group)
    world.opened.append(history)
    return history


def whole(history: History) -> dict[int, tuple[int, int]]:
    """All that a topic holds now."""
    everyone = list(range(history.partitions))
    begins, ends = history.begins(everyone), history.ends(everyone)
    return {p: (begins[p], ends[p]) for p in everyone}


def values(history: History, spans: dict[int, tuple[int, int]]) -> dict[int, list[bytes | None]]:
    found: dict[int, list[bytes | None]] = {}
    for partition, records, read_up in read_through(history, spans):
        assert records.next_offset == read_up
        found.setdefault(partition, []).extend(records.values)
    return found


def numbered(first: int, count: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + count)]


def test_what_is_there_comes_once_and_in_order_and_empty_partitions_stall_nothing(world: World) -> None:
    topic = world.topic(3)
    world.produce(topic, 0, numbered(0, 3000))
    world.produce(topic, 2, numbered(0, 10))
    history = opened(world, topic)
    assert history.partitions == 3
    assert whole(history) == {0: (0, 3000), 1: (0, 0), 2: (0, 10)}
    found: dict[int, list[int]] = {}
    for partition, records, _ in read_through(history, whole(history)):
        found.setdefault(partition, []).extend(records.offset.tolist())
        assert [int(value or b"") for value in records.values] == records.offset.tolist()
    assert found == {0: list(range(3000)), 2: list(range(10))}


def test_a_span_is_what_is_read(world: World) -> None:
    topic = world.topic()
    world.produce(topic, 0, numbered(0, 100))
    history = opened(world, topic)
    assert values(history, {0: (40, 60)})[0] == numbered(40, 20)
    assert values(history, {0: (5, 6)})[0] == numbered(5, 1)  # back again
    assert values(history, {0: (7, 7)}) == {}


def test_markers_and_aborted_records_never_come_and_stall_nothing(world: World) -> None:
    topic = world.topic(2)
    world.abort(topic, 0, numbered(0, 50))
    with world.open_transaction(topic, 0, numbered(50, 5)):
        pass
    world.abort(topic, 0, numbered(55, 50))  # nothing but these and a marker behind the last record
    world.abort(topic, 1, numbered(0, 5))
    assert len(eventually(lambda: world.values(topic))) == 5
    history = opened(world, topic)
    spans = whole(history)
    assert spans == {0: (0, 108), 1: (0, 6)}  # with a marker for each transaction
    assert values(history, spans) == {0: numbered(50, 5)}


def test_an_open_transaction_bounds_what_the_topic_holds(world: World) -> None:
    topic = world.topic()
    world.produce(topic, 0, numbered(0, 7))
    history = opened(world, topic)
    with world.open_transaction(topic, 0, numbered(7, 3)):
        assert whole(history) == {0: (0, 7)}
        assert values(history, {0: (0, 7)})[0] == numbered(0, 7)
    eventually(lambda: whole(history) == {0: (0, 11)})
    assert values(history, {0: (0, 11)})[0] == numbered(0, 10)


def test_holes_that_compaction_leaves_stall_nothing(world: World) -> None:
    topic = world.topic(
        cleanup_policy="compact",
        segment_ms="100",
        min_cleanable_dirty_ratio="0.001",
        max_compaction_lag_ms="200",
        min_compaction_lag_ms="0",
        delete_retention_ms="0",
    )
    with producing(world.servers) as producer:
        for number in range(20):
            producer.send(topic, b"%d" % number, b"same", partition=0)
            producer.flush()
            time.sleep(0.02)
    history = opened(world, topic)

    def held() -> int:
        with producing(world.servers) as producer:  # a new segment, so that the one before may be cleaned
            producer.send(topic, b"more", b"other", partition=0)
        time.sleep(0.3)
        return len(world.values(topic))

    eventually(lambda: held() < 10, 60.0)
    (begin, end) = whole(history)[0]
    offsets = [o for f in read_through(history, {0: (begin, end)}) for o in f.records.offset.tolist()]
    assert offsets == sorted(set(offsets))
    assert any(after - before > 1 for before, after in pairwise([begin - 1, *offsets]))


def test_what_has_been_deleted_from_the_front_is_told_and_never_jumped_over(world: World) -> None:
    topic = world.topic()
    world.produce(topic, 0, numbered(0, 30))
    with administering(world.servers) as admin:
        admin.delete_records({TopicPartition(topic, 0): 12})
    history = opened(world, topic)
    assert whole(history) == {0: (12, 30)}
    assert values(history, {0: (12, 30)})[0] == numbered(12, 18)
    with pytest.raises(StreamSegError):
        values(history, {0: (3, 30)})


def test_who_rests_is_not_fetched_and_loses_nothing(world: World) -> None:
    topic = world.topic(2)
    for partition in (0, 1):
        world.produce(topic, partition, numbered(0, 200))
    reading = Reading(opened(world, topic), {0: (0, 200), 1: (0, 200)})
    seen: dict[int, list[bytes | None]] = {0: [], 1: []}
    while 0 in reading.left:
        for partition, records, _ in reading.poll(frozenset({1})):
            seen[partition] += records.values
    assert seen == {0: numbered(0, 200), 1: []}
    while reading.left:
        for partition, records, _ in reading.poll():
            seen[partition] += records.values
    assert seen == {0: numbered(0, 200), 1: numbered(0, 200)}


def test_reading_moves_nobody_s_group(world: World) -> None:
    topic, group = world.topic(), world.fresh("group")
    world.produce(topic, 0, numbered(0, 20))
    source = world.source(topic, group)
    membership = member(source, 1)
    world.log(topic).commit(Transaction((), (), {0: Committed(4, "of a member")}, membership))
    history = opened(world, topic, group)
    assert history.committed(0) == Committed(4, "of a member")
    assert len(values(history, {0: (0, 20)})[0]) == 20
    assert history.committed(0) == Committed(4, "of a member")
    assert source.poll(0.5).lost == frozenset()  # and the group has not been unsettled


def test_an_outsider_commits_for_a_group_without_members(world: World) -> None:
    topic, out, group = world.topic(), world.topic(), world.fresh("group")
    history = opened(world, topic, group)
    assert history.committed(0) is None
    records = Records(out, 0, [b"k"], [b"v"], [0])
    world.log(topic).commit(Transaction([records], (), {0: Committed(3, "mark")}, history.outsider))
    assert history.committed(0) == Committed(3, "mark")
    assert world.values(out) == [b"v"]


def test_a_topic_that_is_not_there_is_said(world: World) -> None:
    with pytest.raises(TopicMissing):
        opened(world, world.fresh("nothing"))


def test_one_reader_leaves_nothing_behind_for_the_next(world: World) -> None:
    topic = world.topic()
    world.produce(topic, 0, numbered(0, 3))
    with closing(world.client.history(topic)) as first:
        assert len(values(first, {0: (0, 3)})[0]) == 3
    assert values(opened(world, topic), {0: (0, 3)})[0] == numbered(0, 3)
