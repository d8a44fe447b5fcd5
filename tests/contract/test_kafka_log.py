"""``Log`` on a real broker, the same for both clients: a commit is there wholly or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaError

from stream_seg.adapters.kafka import Mode
from stream_seg.adapters.kafka_python.log import discard, open_transactional, send
from stream_seg.adapters.kafka_python.refusals import is_fenced
from stream_seg.engine.ports import Log, Membership, Record, Records, Transaction
from stream_seg.errors import OwnershipLost, ServerError, ServerRefused, ServerUnavailable
from tests.contract.kafka_worlds import (
    CLIENTS,
    Stop,
    World,
    administering,
    at,
    columns,
    eventually,
    joined,
    kafka_world,
    meanwhile,
    member,
    settings_of,
    stops_at,
)

if TYPE_CHECKING:
    from stream_seg.adapters.local import LocalServers

pytestmark = pytest.mark.timeout(120)

MODES: tuple[Mode, ...] = ("exactly_once", "at_least_once")
FOREVER = "9223372036854775807"
STEPS = ("before_send", "after_send", "after_send_offsets", "before_commit")


@pytest.fixture(params=CLIENTS)
def client_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(client_name: str, bootstrap_servers: str, fresh_name: Callable[[str], str]) -> Iterator[World]:
    with kafka_world(bootstrap_servers, client_name, fresh_name) as world:
        yield world


class Member:
    """A member of a group of its own that has all partitions of a new topic, and an output topic."""

    def __init__(self, world: World, partitions: int = 2) -> None:
        self.input = world.topic(partitions)
        self.output = world.topic(partitions, message_timestamp_after_max_ms=FOREVER)
        self.source = world.source(self.input, world.fresh("group"))
        self.membership: Membership = member(self.source, partitions)


@pytest.mark.parametrize("mode", MODES)
def test_everything_of_a_commit_is_there_as_it_was_given(world: World, mode: Mode) -> None:
    ours = Member(world)
    headers = (("topic", b"orders"), ("offset", b"7"))
    log = world.log(ours.input, mode=mode)
    log.commit(
        Transaction(
            columns=[
                Records(
                    ours.output, 1, [b"a", "ключ".encode()], [b"{}", b"v" * 1000], [5, 4_102_444_800_000]
                ),
                Records(ours.output, 0, [], [], []),
                Records(ours.output, 0, [b""], [b""], [1]),
            ],
            records=[
                Record(ours.output, 0, b"k", None, 1, headers),
                Record(ours.output, 0, None, b"v", 2),
                Record(ours.output, None, b"by its key", b"w", 3),
            ],
            offsets={0: at(3, "2:batch"), 1: at(9)},
            membership=ours.membership,
        )
    )
    first, second = (
        [(r.key, r.value, r.timestamp, tuple(r.headers)) for r in world.visible(ours.output, partition)]
        for partition in (0, 1)
    )
    assert second[:2] == [(b"a", b"{}", 5, ()), ("ключ".encode(), b"v" * 1000, 4_102_444_800_000, ())]
    assert first[:3] == [(b"", b"", 1, ()), (b"k", None, 1, headers), (None, b"v", 2, ())]
    assert first[3:] + second[2:] == [(b"by its key", b"w", 3, ())]
    assert ours.source.committed(0) == at(3, "2:batch")
    assert ours.source.committed(1) == at(9)


@pytest.mark.parametrize("mode", MODES)
def test_many_records_keep_their_order(world: World, mode: Mode) -> None:
    """More than fit into one batch, into one request, and a record larger than a batch among them."""
    output = world.topic(2, max_message_bytes="4000000")
    large = b"L" * 1_500_000
    values = [b"%d:" % i + b"x" * (i % 700) for i in range(20_000)]
    values[10_000] = large
    log = world.log(output, mode=mode)
    log.commit(Transaction(columns=[columns(output, 0, values), columns(output, 1, values[:100])]))
    log.commit(Transaction(columns=[columns(output, 0, [b"after"])]))
    assert world.values(output, 0) == [*values, b"after"]
    assert world.values(output, 1) == values[:100]


def test_the_client_s_own_options_hold_for_what_is_sent(world: World) -> None:
    option = "compression.type" if world.client_name == "confluent" else "compression_type"
    output = world.topic()
    values = [b"the same again and again %d" % (number % 10) for number in range(5_000)]
    log = world.log(output, client=world.through(options={option: "gzip"}))
    log.commit(Transaction(columns=[columns(output, 0, values)]))
    assert world.values(output) == values
    with administering(world.servers) as admin:
        (broker,) = admin.describe_log_dirs([output])
    sizes = [p["partition_size"] for d in broker["log_dirs"] for t in d["topics"] for p in t["partitions"]]
    assert sum(sizes) < 5_000 * 10


def test_a_record_too_large_for_its_topic_is_refused_and_the_next_commit_works(world: World) -> None:
    output = world.topic()
    log = world.log(output)
    with pytest.raises(ServerRefused, match="record"):
        log.commit(Transaction(columns=[columns(output, 0, [b"fine", b"x" * 2_000_000])]))
    log.commit(Transaction(columns=[columns(output, 0, [b"next"])]))
    assert world.values(output) == [b"next"]


def test_a_topic_of_small_batches_is_named(world: World) -> None:
    output = world.topic(max_message_bytes="20000")
    log = world.log(output)
    with pytest.raises(ServerRefused, match=r"max\.message\.bytes"):
        log.commit(Transaction(columns=[columns(output, 0, [b"x" * 1_000] * 100)]))
    assert world.values(output) == []


def test_a_record_from_the_future_is_refused_where_the_topic_limits_it(world: World) -> None:
    output = world.topic()
    far = int(time.time() * 1000) + 86_400_000
    log = world.log(output)
    with pytest.raises(ServerRefused, match="record"):
        log.commit(Transaction(columns=[Records(output, 0, [b"k"], [b"v"], [far])]))
    log.commit(Transaction(columns=[columns(output, 0, [b"next"])]))
    assert world.values(output) == [b"next"]


@pytest.mark.parametrize("step", STEPS)
def test_a_commit_that_stops_before_its_end_leaves_nothing(world: World, step: str) -> None:
    ours = Member(world)
    name = world.fresh("tx")
    stopping = world.log(ours.input, name=name, hooks=stops_at(step))
    commit = Transaction(
        columns=[columns(ours.output, 0, [b"lost"])],
        records=[Record(ours.output, 1, b"k", b"lost", 1)],
        offsets={0: at(5, "lost")},
        membership=ours.membership,
    )
    with pytest.raises(Stop):
        stopping.commit(commit)
    assert ours.source.committed(0) is None
    assert world.values(ours.output, 0) == world.values(ours.output, 1) == []


def test_after_the_commit_everything_is_there_whatever_happens(world: World) -> None:
    ours = Member(world)
    stopping = world.log(ours.input, hooks=stops_at("after_commit"))
    with pytest.raises(Stop):
        stopping.commit(
            Transaction(
                columns=[columns(ours.output, 0, [b"kept"])],
                offsets={0: at(5, "kept")},
                membership=ours.membership,
            )
        )
    assert ours.source.committed(0) == at(5, "kept")
    assert world.values(ours.output) == [b"kept"]


@pytest.mark.parametrize("step", STEPS)
def test_what_failed_does_not_leak_into_the_next_commit(world: World, step: str) -> None:
    ours = Member(world)
    failing = [step]

    def once(at_step: str) -> None:
        if failing and at_step == failing[0]:
            failing.clear()
            raise Stop

    log = world.log(ours.input, hooks=once)
    with pytest.raises(Stop):
        log.commit(
            Transaction(
                columns=[columns(ours.output, 0, [b"lost"])],
                offsets={0: at(5, "lost")},
                membership=ours.membership,
            )
        )
    log.commit(
        Transaction(
            columns=[columns(ours.output, 1, [b"kept"])],
            offsets={1: at(7, "kept")},
            membership=ours.membership,
        )
    )
    assert ours.source.committed(0) is None
    assert ours.source.committed(1) == at(7, "kept")
    assert world.values(ours.output, 0) == []
    assert world.values(ours.output, 1) == [b"kept"]


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_seen_of_what_is_not_ready(world: World, mode: Mode) -> None:
    ours = Member(world)
    log = world.log(ours.input, mode=mode)

    def commit(value: bytes, ready: Callable[[], object]) -> None:
        records = [columns(ours.output, 0, [value])]
        log.commit(Transaction(records, offsets={0: at(5)}, membership=ours.membership), ready)

    def not_ready() -> None:
        raise Stop

    with pytest.raises(Stop):
        commit(b"lost", not_ready)
    assert world.values(ours.output) == []
    assert ours.source.committed(0) is None
    commit(b"kept", lambda: None)
    assert ours.source.committed(0) == at(5)
    assert world.values(ours.output) == [b"kept"]


def test_at_least_once_commits_offsets_only_after_the_records(world: World) -> None:
    ours = Member(world)
    log = world.log(ours.input, mode="at_least_once", hooks=stops_at("before_commit"))
    with pytest.raises(Stop):
        log.commit(
            Transaction(
                columns=[columns(ours.output, 0, [b"acknowledged"])],
                offsets={0: at(5)},
                membership=ours.membership,
            )
        )
    assert world.values(ours.output) == [b"acknowledged"]
    assert ours.source.committed(0) is None


@pytest.mark.parametrize("mode", MODES)
def test_without_a_membership_no_offset_is_committed(world: World, mode: Mode) -> None:
    ours = Member(world)
    with pytest.raises(OwnershipLost):
        world.log(ours.input, mode=mode).commit(
            Transaction(columns=[columns(ours.output, 0, [b"lost"])], offsets={0: at(1)})
        )
    assert ours.source.committed(0) is None
    assert world.values(ours.output) == []


# -- fencing ----------------------------------------------------------------------------------------------


def test_a_fenced_producer_commits_nothing(world: World) -> None:
    ours = Member(world)
    zombie, successor = world.log(ours.input), world.log(ours.input)
    zombie.commit(Transaction(columns=[columns(ours.output, 0, [b"before"])]))
    successor.fence(zombie.transactional_id)
    with pytest.raises(OwnershipLost):
        zombie.commit(
            Transaction(
                columns=[columns(ours.output, 0, [b"zombie"])],
                offsets={0: at(5)},
                membership=ours.membership,
            )
        )
    assert ours.source.committed(0) is None
    assert world.values(ours.output) == [b"before"]
    # Its other partitions may well be its own still: it goes on.
    zombie.commit(Transaction(columns=[columns(ours.output, 0, [b"after"])]))
    assert world.values(ours.output) == [b"before", b"after"]


@pytest.mark.parametrize("step", STEPS)
def test_fencing_in_the_middle_of_a_commit_ends_it(world: World, step: str) -> None:
    ours = Member(world)
    name, successor = world.fresh("tx"), world.log(ours.input)
    fenced: list[str] = []

    def overtake(at_step: str) -> None:
        if at_step == step and not fenced:
            fenced.append(name)
            successor.fence(name)

    zombie = world.log(ours.input, name=name, hooks=overtake)
    with pytest.raises(OwnershipLost):
        zombie.commit(
            Transaction(
                columns=[columns(ours.output, 0, [b"zombie"])],
                offsets={0: at(5)},
                membership=ours.membership,
            )
        )
    assert fenced
    assert zombie.transactional_id != name
    assert set(zombie.former_ids) == {name}
    assert ours.source.committed(0) is None
    assert world.values(ours.output) == []


def test_who_was_fenced_does_not_fence_in_turn(world: World) -> None:
    """Whoever has fenced it may be sweeping yet, and begins again if it is fenced itself: without an end."""
    ours = Member(world)
    zombie = world.log(ours.input)
    zombie.commit(Transaction(columns=[columns(ours.output, 0, [b"before"])]))

    def go_on(step: str) -> None:
        if step == "after_send":
            with pytest.raises(OwnershipLost):
                zombie.commit(Transaction(columns=[columns(ours.output, 0, [b"zombie"])]))
            zombie.commit(Transaction(columns=[columns(ours.output, 0, [b"after"])]))

    taker = world.log(ours.input, name=zombie.transactional_id, hooks=go_on)  # one that sweeps has the id
    taker.commit(Transaction(columns=[columns(ours.output, 1, [b"swept"])]))
    assert world.values(ours.output, 0) == [b"before", b"after"]
    assert world.values(ours.output, 1) == [b"swept"]


def test_who_is_not_ready_because_it_was_fenced_goes_by_another_id(world: World) -> None:
    ours = Member(world)
    log = world.log(ours.input)
    records = [columns(ours.output, 0, [b"lost"])]
    log.commit(Transaction([columns(ours.output, 0, [b"kept"])], membership=ours.membership))
    before = log.transactional_id

    def lost() -> None:
        world.log(ours.input).fence(before)
        raise OwnershipLost("another has it")

    with pytest.raises(OwnershipLost):
        log.commit(Transaction(records, offsets={0: at(5)}, membership=ours.membership), lost)
    assert log.transactional_id != before
    assert log.former_ids == {before}
    assert world.values(ours.output) == [b"kept"]


def test_a_producer_that_is_fenced_does_not_take_its_id_back(
    bootstrap_servers: str, fresh_name: Callable[[str], str]
) -> None:
    """kafka-python would, when what it sends to a partition of its transaction is refused."""
    settings, name = settings_of(bootstrap_servers, "kafka-python"), fresh_name("tx")
    with ExitStack() as stack:
        world = stack.enter_context(kafka_world(bootstrap_servers, "kafka-python", fresh_name))
        output = world.topic()

        def begun(value: bytes) -> KafkaProducer:
            producer = open_transactional(settings, name, 10.0, 10.0)
            stack.callback(discard, producer)
            producer.begin_transaction()
            send(producer, Transaction(columns=[columns(output, 0, [value])]), time.monotonic() + 10)
            return producer

        zombie, taker = begun(b"zombie"), begun(b"taker")
        with pytest.raises(KafkaError) as refused:
            send(zombie, Transaction(columns=[columns(output, 0, [b"more"])]), time.monotonic() + 10)
        assert is_fenced(refused.value)
        time.sleep(0.5)  # in which it would
        taker.commit_transaction()
        assert world.values(output) == [b"taker"]


def test_fencing_resolves_what_a_dead_producer_left_open(world: World) -> None:
    """Long before the transaction's own time-out, which is what a reader would have to wait for else."""
    ours = Member(world)
    name, held, ended = world.fresh("tx"), threading.Event(), threading.Event()

    def die(step: str) -> None:
        if step == "before_commit":
            held.set()
            ended.wait(30)
            raise Stop

    dying = world.log(ours.input, name=name, hooks=die, client=world.through(transaction_timeout_ms=60_000))

    def commit() -> None:
        with pytest.raises((Stop, ServerError, OwnershipLost)):
            dying.commit(
                Transaction(
                    columns=[columns(ours.output, 0, [b"lost"])],
                    offsets={0: at(5)},
                    membership=ours.membership,
                )
            )

    with meanwhile(commit):
        assert held.wait(30)
        begun = time.monotonic()
        world.log(ours.input).fence(name)
        assert ours.source.committed(0) is None
        assert time.monotonic() - begun < 10
        ended.set()
    assert world.values(ours.output) == []


def test_fencing_an_id_that_nobody_has_is_nothing(world: World) -> None:
    topic = world.topic()
    world.log(topic).fence(world.fresh("nobody"))
    world.log(topic, mode="at_least_once").fence("")


def test_nothing_of_a_sweep_is_ever_seen(world: World) -> None:
    """Each partition of it ends with a marker, and is as stable as before."""
    ours = Member(world)
    failing: list[str] = []

    def fail(step: str) -> None:
        if step in failing:
            failing.clear()
            raise Stop

    zombie, successor = world.log(ours.input, hooks=fail), world.log(ours.input)
    zombie.commit(Transaction(columns=[columns(ours.output, 0, [b"before"])]))
    sweep = Transaction(
        records=[Record(ours.output, 0, b"", b"", 1)], offsets={0: at(9)}, membership=ours.membership
    )
    successor.fence(zombie.transactional_id, sweep)
    assert ours.source.committed(0) is None
    assert world.values(ours.output) == [b"before"]
    with pytest.raises(OwnershipLost):
        zombie.commit(Transaction(columns=[columns(ours.output, 0, [b"zombie"])]))
    for left in zombie.former_ids:
        zombie.fence(left, sweep)
    assert not zombie.former_ids
    failing.append("before_commit")
    with pytest.raises(Stop):
        zombie.commit(Transaction(columns=[columns(ours.output, 0, [b"failed"])]))
    zombie.fence(zombie.transactional_id, sweep)  # its last commit has failed
    zombie.commit(
        Transaction(
            columns=[columns(ours.output, 0, [b"after"])], offsets={0: at(2)}, membership=ours.membership
        )
    )
    assert world.values(ours.output) == [b"before", b"after"]
    assert ours.source.committed(0) == at(2)


def test_fencing_our_own_id_does_not_fence_us(world: World) -> None:
    topic = world.topic()
    log = world.log(topic)
    log.fence(log.transactional_id)
    log.commit(Transaction(columns=[columns(topic, 0, [b"one"])]))
    log.fence(log.transactional_id)
    log.commit(Transaction(columns=[columns(topic, 0, [b"two"])]))
    assert world.values(topic) == [b"one", b"two"]


def test_a_generation_that_is_over_commits_nothing_and_the_log_goes_on(world: World) -> None:
    ours = Member(world)
    other = world.source(ours.input, ours.source.group)  # type: ignore[attr-defined]
    eventually(lambda: [len(other.poll(0.1).assigned), len(ours.source.poll(0.1).assigned)] == [1, 1])
    log = world.log(ours.input)
    with pytest.raises(OwnershipLost):
        log.commit(
            Transaction(
                columns=[columns(ours.output, 0, [b"old"])], offsets={0: at(5)}, membership=ours.membership
            )
        )
    log.commit(Transaction(columns=[columns(ours.output, 0, [b"next"])]))
    assert ours.source.committed(0) is None
    assert world.values(ours.output) == [b"next"]


# -- a broker that is slow, away or of another opinion -----------------------------------------------------


def test_a_transaction_that_the_broker_gave_up_is_not_taken_for_committed(world: World) -> None:
    """kafka-python's commit can return all the same."""
    ours = Member(world)
    name = world.fresh("tx")

    def dawdle(step: str) -> None:
        if step == "before_commit":
            # The offset is stable again once the broker has aborted the transaction by itself.
            assert ours.source.committed(0) is None

    slow = world.log(ours.input, name=name, hooks=dawdle, client=world.through(transaction_timeout_ms=1_500))
    slow._limit_s = 60.0  # type: ignore[attr-defined] # or our own time limit would come first
    with pytest.raises(OwnershipLost):
        slow.commit(
            Transaction(
                columns=[columns(ours.output, 0, [b"lost"])],
                offsets={0: at(5)},
                membership=ours.membership,
            )
        )
    assert ours.source.committed(0) is None
    assert world.values(ours.output) == []


def test_a_missing_output_topic_is_said_in_bounded_time_and_not_created(world: World) -> None:
    missing = world.fresh("missing")
    hasty = world.through(transaction_timeout_ms=4_000)
    begun = time.monotonic()
    with pytest.raises(ServerError):
        world.log(missing, client=hasty).commit(Transaction(columns=[columns(missing, 0, [b"v"])]))
    assert time.monotonic() - begun < 30
    assert world.client.topics._admin.describe([missing]) == {}


def test_a_missing_partition_is_said(world: World) -> None:
    topic = world.topic()
    hasty = world.through(transaction_timeout_ms=4_000)
    with pytest.raises(ServerError):
        world.log(topic, client=hasty).commit(Transaction(columns=[columns(topic, 5, [b"v"])]))
    assert world.values(topic) == []


@pytest.fixture
def private(
    client_name: str, private_servers: Callable[[], LocalServers], fresh_name: Callable[[str], str]
) -> Iterator[tuple[World, LocalServers]]:
    """A world whose broker the test has to itself."""
    servers = private_servers()
    with kafka_world(servers.bootstrap_servers, client_name, fresh_name) as world:
        yield world, servers


def in_the_end(ours: Member, log: Log, value: bytes) -> None:
    """Commit as a worker does: whatever fails, look at what is committed, and try again if it is not."""
    wanted = at(2, value.decode())

    def commit() -> bool:
        commit = Transaction(
            columns=[columns(ours.output, 0, [value])],
            offsets={0: wanted},
            membership=joined(ours.source, 2).membership,
        )
        with suppress(OwnershipLost, ServerUnavailable):
            log.commit(commit)
        return ours.source.committed(0) == wanted

    eventually(commit, 60)


@pytest.mark.parametrize("step", ["before_send", "before_commit"])
def test_a_broker_that_hangs_does_not_hang_us(private: tuple[World, LocalServers], step: str) -> None:
    world, servers = private
    ours = Member(world)
    hang = [step]

    def freeze(at_step: str) -> None:
        if hang and at_step == hang[0]:
            hang.clear()
            servers.kafka.pause()

    client = world.through(transaction_timeout_ms=3_000)
    log = world.log(ours.input, hooks=freeze, client=client)
    begun = time.monotonic()
    commit = Transaction(
        columns=[columns(ours.output, 0, [b"first"])], offsets={0: at(1, "first")}, membership=ours.membership
    )
    with pytest.raises(ServerUnavailable):
        log.commit(commit)
    assert time.monotonic() - begun < 20
    servers.kafka.resume()
    assert world.client.available(15)
    # The outcome is unknown until it is looked at.
    committed = ours.source.committed(0) is not None
    in_the_end(ours, log, b"second")
    assert world.values(ours.output) == ([b"first", b"second"] if committed else [b"second"])


@pytest.mark.parametrize("mode", MODES)
def test_a_broker_that_goes_and_comes_back(private: tuple[World, LocalServers], mode: Mode) -> None:
    world, servers = private
    ours = Member(world)
    log = world.log(ours.input, mode=mode, client=world.through(transaction_timeout_ms=3_000))
    log.commit(Transaction(columns=[columns(ours.output, 0, [b"before"])]))
    eventually(lambda: world.values(ours.output) == [b"before"], 10)  # killed earlier, it can forget (0018)
    servers.kafka.kill()
    begun = time.monotonic()
    with pytest.raises(ServerUnavailable):
        log.commit(Transaction(columns=[columns(ours.output, 0, [b"away"])]))
    assert time.monotonic() - begun < 30
    servers.kafka.start()
    assert world.client.available(15)
    in_the_end(ours, log, b"after")
    values = world.values(ours.output)
    assert [value for value in values if value != b"away"][:2] == [b"before", b"after"]
    assert mode == "at_least_once" or values == [b"before", b"after"]
