"""``Source`` on a real broker, the same for both clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from kafka import TopicPartition

from stream_seg.adapters.kafka_topics import TopicMissing
from stream_seg.adapters.local import LocalServers
from stream_seg.engine.ports import Polled, Source, Transaction
from stream_seg.errors import OwnershipLost, ServerUnavailable, StateError
from stream_seg.events.records import RawRecords
from tests.contract.kafka_worlds import (
    CLIENTS,
    STRATEGIES,
    World,
    administering,
    assignment_by,
    at,
    eventually,
    gathered,
    joined,
    kafka_world,
    meanwhile,
    member,
    producing,
    read,
)

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=CLIENTS)
def client_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(client_name: str, bootstrap_servers: str, fresh_name: Callable[[str], str]) -> Iterator[World]:
    with kafka_world(bootstrap_servers, client_name, fresh_name) as world:
        yield world


def reading(world: World, topic: str, partitions: int = 1, group: str | None = None) -> Source:
    """A member that reads all partitions from their beginning."""
    source = world.source(topic, group or world.fresh("group"))
    joined(source, partitions)
    for partition in range(partitions):
        source.seek(partition, 0)
    return source


RECORDS: list[tuple[bytes | None, bytes | None, int, list[tuple[str, bytes]]]] = [
    (b"k", b"v", 0, []),
    (None, b"no key", 1, []),
    (b"tombstone", None, 2, []),
    (b"", b"", 3, []),
    (b"headers", b"passed over", 1_700_000_000_000, [("a", b"1"), ("b", b"x" * 300)]),
    ("ключ".encode(), "日本".encode(), -1, []),
    (b"\x00\xff", bytes(range(256)), 4_102_444_800_000, []),
    (b"large", b"z" * 500_000, 5, []),
]


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_records_come_as_they_were_written(world: World, compression: str | None) -> None:
    topic = world.topic(message_timestamp_after_max_ms="9223372036854775807")
    with producing(world.servers, compression_type=compression, max_request_size=4_000_000) as producer:
        for key, value, timestamp, headers in RECORDS * 3:
            given = None if timestamp < 0 else timestamp
            producer.send(topic, value, key, headers, 0, given)
            producer.flush()  # a batch each, then all at once
        for key, value, timestamp, headers in RECORDS * 3:
            producer.send(topic, value, key, headers, 0, None if timestamp < 0 else timestamp)
    source = reading(world, topic)
    parts: list[RawRecords] = []
    while sum(len(part) for part in parts) < len(RECORDS) * 6:
        records = source.poll(5.0).records
        assert set(records) <= {0}
        parts += list(records.values())
    expected = world.visible(topic)
    assert [key for part in parts for key in part.keys] == [record.key for record in expected]
    assert [value for part in parts for value in part.values] == [record.value for record in expected]
    assert np.concatenate([p.offset for p in parts]).tolist() == [record.offset for record in expected]
    assert np.concatenate([p.timestamp_ms for p in parts]).tolist() == [r.timestamp for r in expected]
    assert all(part.next_offset == part.offset[-1] + 1 for part in parts)
    assert all(part.single_partition for part in parts)


def test_a_topic_that_stamps_by_itself_gives_its_own_times(world: World) -> None:
    topic = world.topic(message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000) - 1000
    with producing(world.servers) as producer:
        for number in range(3):
            producer.send(topic, b"v", partition=0, timestamp_ms=number)
    source = reading(world, topic)
    times = source.poll(5.0).records[0].timestamp_ms
    assert times.tolist() == [record.timestamp for record in world.visible(topic)]
    assert (times > before).all()


def test_nothing_of_an_aborted_transaction_comes(world: World) -> None:
    topic = world.topic()
    world.abort(topic, 0, [b"aborted"] * 3)
    world.produce(topic, 0, [b"one"])
    world.abort(topic, 0, [b"aborted"])
    with world.open_transaction(topic, 0, [b"two"]):
        pass
    world.abort(topic, 0, [b"aborted"] * 2)
    world.produce(topic, 0, [b"three"])
    assert read(reading(world, topic), 0, 3) == [b"one", b"two", b"three"]


def test_a_partition_is_read_only_once_sought_and_from_there(world: World) -> None:
    topic = world.topic(2)
    world.produce(topic, 0, [b"a0", b"a1", b"a2"])
    world.produce(topic, 1, [b"b0", b"b1"])
    source = world.source(topic, world.fresh("group"))
    polled = joined(source, 2)
    assert polled.gained == {0, 1}
    assert not polled.records
    assert source.poll(0.5).records == {}
    assert source.read_up(0) is None
    source.seek(1, 1)
    assert read(source, 1, 1) == [b"b1"]
    assert source.read_up(0) is None
    source.seek(0, 0)
    assert read(source, 0, 3) == [b"a0", b"a1", b"a2"]
    source.seek(0, 2)
    assert read(source, 0, 1) == [b"a2"]


def test_paused_partitions_rest_and_exactly_those(world: World) -> None:
    topic = world.topic(3)
    source = reading(world, topic, 3)
    source.pause(frozenset({0, 2}))
    for partition in range(3):
        world.produce(topic, partition, [b"v%d" % partition])
    assert read(source, 1, 1) == [b"v1"]
    assert source.poll(0.5).records == {}
    source.pause(frozenset({1, 2}))
    assert read(source, 0, 1) == [b"v0"]
    world.produce(topic, 1, [b"later"])
    assert source.poll(0.5).records == {}
    source.pause(frozenset())
    seen = gathered(lambda: [*source.poll(0.2).records.items()], lambda found: len(found) >= 2)
    assert {partition: records.values for partition, records in seen} == {1: [b"later"], 2: [b"v2"]}


def test_a_paused_partition_stays_paused_when_it_is_sought(world: World) -> None:
    topic = world.topic(2)
    world.produce(topic, 0, [b"a"])
    world.produce(topic, 1, [b"b"])
    source = world.source(topic, world.fresh("group"))
    joined(source, 2)
    source.pause(frozenset({0}))
    source.seek(0, 0)
    source.seek(1, 0)
    assert read(source, 1, 1) == [b"b"]
    assert source.poll(0.5).records == {}


def test_ends_count_markers_and_read_up_reaches_them(world: World) -> None:
    topic = world.topic(2)
    world.produce(topic, 0, [b"one"])
    world.abort(topic, 0, [b"aborted"] * 5)
    source = reading(world, topic, 2)
    assert source.ends([0, 1]) == {0: 7, 1: 0}
    assert source.begins(0) == 0
    assert read(source, 0, 1) == [b"one"]

    def has_read_up() -> bool:
        assert source.poll(0.1).records == {}
        return source.read_up(0) == 7

    eventually(has_read_up)
    assert source.read_up(1) == 0
    world.abort(topic, 0, [b"aborted again"])
    eventually(lambda: source.poll(0.1).records == {} and source.read_up(0) == 9)


def test_ends_stop_where_a_transaction_is_open(world: World) -> None:
    topic = world.topic()
    world.produce(topic, 0, [b"before"])
    source = reading(world, topic)
    with world.open_transaction(topic, 0, [b"in it"]):
        world.produce(topic, 0, [b"after"])
        assert source.ends([0]) == {0: 1}
        assert read(source, 0, 1) == [b"before"]
        assert source.poll(0.5).records == {}
    eventually(lambda: source.ends([0]) == {0: 4})
    assert read(source, 0, 2) == [b"in it", b"after"]


def test_no_offset_is_none_and_a_committed_one_has_its_metadata(world: World) -> None:
    topic = world.topic(2)
    source = world.source(topic, world.fresh("group"))
    membership = member(source, 2)
    assert source.committed(0) is None
    offsets = {0: at(5, "7:batch"), 1: at(0, "")}
    world.log(topic).commit(Transaction(offsets=offsets, membership=membership))
    assert source.committed(0) == at(5, "7:batch")
    assert source.committed(1) == at(0, "")


def test_committed_waits_while_a_transaction_is_open(world: World) -> None:
    """Neither the offset before it nor "no offset" is an answer then."""
    topic = world.topic()
    source = world.source(topic, world.fresh("group"))
    membership = member(source, 1)
    sent, let_go = threading.Event(), threading.Event()

    def hold(step: str) -> None:
        if step == "after_send_offsets":
            sent.set()
            assert let_go.wait(15)

    holding = world.log(topic, hooks=hold)
    answers: list[Any] = []
    commit = Transaction(offsets={0: at(9, "held")}, membership=membership)
    with meanwhile(lambda: holding.commit(commit)):
        assert sent.wait(15)
        with meanwhile(lambda: answers.append(source.committed(0))):
            time.sleep(1.5)  # not to wait for something, but to see that nothing comes
            assert answers == []
            let_go.set()
    assert answers == [at(9, "held")]


def test_committed_gives_up_as_unavailable_never_as_none(world: World) -> None:
    topic, group = world.topic(), world.fresh("group")
    membership_of = world.source(topic, group)
    membership = member(membership_of, 1)
    hasty = world.source(topic, group, world.through(transaction_timeout_ms=1_000))

    def ask(step: str) -> None:
        if step == "after_send_offsets":
            with pytest.raises(ServerUnavailable):
                hasty.committed(0)

    world.log(topic, hooks=ask).commit(Transaction(offsets={0: at(1)}, membership=membership))
    assert hasty.committed(0) == at(1)


def test_an_answer_that_came_too_late_is_never_given(
    private_servers: Callable[[], LocalServers], client_name: str, fresh_name: Callable[[str], str]
) -> None:
    """Or events are labelled twice: an offset that is read must be as new as the question."""
    servers = private_servers()
    with kafka_world(servers.bootstrap_servers, client_name, fresh_name) as world:
        topic = world.topic()
        asking = world.source(topic, world.fresh("group"), world.through(transaction_timeout_ms=1_000))
        world.log(topic).commit(Transaction(offsets={0: at(1)}, membership=member(asking, 1)))
        assert asking.committed(0) == at(1)
        servers.kafka.pause()
        try:
            with pytest.raises(ServerUnavailable):
                asking.committed(0)
        finally:
            servers.kafka.resume()
        world.log(topic).commit(Transaction(offsets={0: at(2)}, membership=member(asking, 1)))
        assert asking.committed(0) == at(2)


def test_membership_is_there_only_with_a_generation_and_an_id(world: World) -> None:
    source = world.source(world.topic(), world.fresh("group"))
    assert source.poll(0.0).membership is None
    membership = member(source, 1)
    assert membership.generation > 0
    assert membership.member_id


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_group_settles_however_short_its_polls_are(world: World, strategy: str) -> None:
    """kafka-python forgets an assignment that arrives between two polls, and would join for ever."""
    topic, group = world.topic(4), world.fresh("group")
    client = world.through(options=assignment_by(strategy, world.client_name))
    sources = [world.source(topic, group, client) for _ in range(2)]

    def settled() -> bool:
        polled = []
        for source in sources:
            time.sleep(0.03)  # for answers to arrive while nobody polls
            polled.append(source.poll(0.0))
        return all(len(one.assigned) == 2 and one.membership is not None for one in polled)

    eventually(settled, 30)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_partitions_move_between_members_and_the_last_commit_gets_through(
    world: World, strategy: str
) -> None:
    topic, group = world.topic(4), world.fresh("group")
    client = world.through(options=assignment_by(strategy, world.client_name))
    for partition in range(4):
        world.produce(topic, partition, [b"v"])
    first = world.source(topic, group, client)
    first_log = world.log(topic, client=client)
    last: dict[str, Polled] = {"first": joined(first, 4)}
    newest = [last["first"].membership]
    for partition in range(4):
        first.seek(partition, 0)
    gone: list[frozenset[int]] = []

    def drain(partitions: frozenset[int]) -> None:
        gone.append(partitions)
        offsets = {partition: at(1, "drained") for partition in partitions}
        first_log.commit(Transaction(offsets=offsets, membership=newest[-1]))

    second = world.source(topic, group, client)
    seen: set[int] = set()
    gained: set[int] = set()

    def settled() -> bool:
        last["first"] = first.poll(0.1, on_lost=drain)
        newest.append(last["first"].membership or newest[-1])
        last["second"] = second.poll(0.1)
        gained.update(last["second"].gained)
        assert not last["first"].assigned & last["second"].assigned or strategy == "range"
        seen.update(last["second"].records)
        return len(last["first"].assigned) == len(last["second"].assigned) == 2

    eventually(settled, 30)
    moved = last["second"].assigned
    assert moved <= frozenset().union(*gone)
    assert moved <= gained
    assert not seen  # nothing is read before it is sought
    for partition in moved:
        assert second.committed(partition) == at(1, "drained")
    if strategy == "cooperative-sticky":
        assert frozenset().union(*gone) == moved  # the others stayed where they were
        with pytest.raises(OwnershipLost):
            first.seek(min(moved), 0)
    second.close()
    world.opened.remove(second)
    back: set[int] = set()

    def returned() -> bool:
        polled = first.poll(0.1)
        back.update(polled.gained)
        return len(polled.assigned) == 4

    eventually(returned)
    assert moved <= back


def test_what_on_lost_raises_comes_out_of_the_poll(world: World) -> None:
    topic, group = world.topic(2), world.fresh("group")
    first, second = world.source(topic, group), world.source(topic, group)
    joined(first, 2)

    def fail(_: frozenset[int]) -> None:
        raise StateError("a person must decide")

    def poll_both() -> bool:
        second.poll(0.1)
        first.poll(0.1, on_lost=fail)
        return False

    with pytest.raises(StateError, match="a person must decide"):
        eventually(poll_both)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_old_membership_commits_nothing(world: World, strategy: str) -> None:
    topic, group = world.topic(2), world.fresh("group")
    client = world.through(options=assignment_by(strategy, world.client_name))
    first, second = world.source(topic, group, client), world.source(topic, group, client)
    old = member(first, 2)
    eventually(lambda: [len(second.poll(0.1).assigned), len(first.poll(0.1).assigned)] == [1, 1])
    with pytest.raises(OwnershipLost):
        world.log(topic).commit(Transaction(offsets={0: at(3)}, membership=old))
    with pytest.raises(OwnershipLost):
        world.log(topic, mode="at_least_once").commit(Transaction(offsets={0: at(3)}, membership=old))
    assert first.committed(0) is None


def test_whoever_left_commits_nothing(world: World) -> None:
    topic, group = world.topic(), world.fresh("group")
    gone = world.source(topic, group)
    old = member(gone, 1)
    gone.close()
    world.opened.remove(gone)
    with pytest.raises(OwnershipLost):
        world.log(topic).commit(Transaction(offsets={0: at(3)}, membership=old))
    assert world.source(topic, group).committed(0) is None


def test_leaving_hands_partitions_over_at_once(world: World) -> None:
    topic, group = world.topic(), world.fresh("group")
    slow = world.through(session_timeout_ms=30_000)
    first, second = world.source(topic, group, slow), world.source(topic, group, slow)
    joined(first, 1)
    begun = time.monotonic()
    first.close()
    world.opened.remove(first)
    joined(second, 1)
    assert time.monotonic() - begun < 10


def test_records_that_are_deleted_before_they_are_read_stop_us(world: World) -> None:
    topic = world.topic()
    world.produce(topic, 0, [b"v"] * 5)
    source = world.source(topic, world.fresh("group"))
    joined(source, 1)
    with administering(world.servers) as admin:
        admin.delete_records({TopicPartition(topic, 0): 3})
    assert source.begins(0) == 3
    source.seek(0, 1)
    with pytest.raises(StateError, match="no longer holds"):
        eventually(lambda: source.poll(0.2).records)
    source.seek(0, 3)
    assert read(source, 0, 2) == [b"v", b"v"]


def test_a_position_after_the_end_stops_us(world: World) -> None:
    topic = world.topic()
    world.produce(topic, 0, [b"v"])
    source = world.source(topic, world.fresh("group"))
    joined(source, 1)
    source.seek(0, 5)
    with pytest.raises(StateError, match="no longer holds"):
        eventually(lambda: source.poll(0.2).records)


def test_a_missing_topic_is_named_and_not_created(world: World) -> None:
    missing = world.fresh("missing")
    with pytest.raises(TopicMissing, match=missing) as raised:
        world.source(missing, world.fresh("group"))
    assert raised.value.exit_status == 3
    with pytest.raises(TopicMissing):
        world.client.topics.describe(missing)


def test_the_number_of_partitions_is_asked_for_each_time(world: World) -> None:
    topic = world.topic(2)
    source = world.source(topic, world.fresh("group"))
    assert source.partitions() == 2
    with administering(world.servers) as admin:
        admin.create_partitions({topic: 3})
    eventually(lambda: source.partitions() == 3)
