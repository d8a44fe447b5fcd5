"""What a store does for recovery: damage is found, sizes counted anew, a partition read at one point."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from stream_seg.adapters.redis.reading import read_frozen, read_whole
from stream_seg.errors import DamagedState, ServerUnavailable
from tests.contract.store_worlds import TOKEN, Crash, MemoryWorld, Population, RedisWorld, World

EMPTY = Population(0)


@pytest.fixture
def redis(redis_url: str, fresh_name: Callable[[str], str]) -> Iterator[RedisWorld]:
    world = RedisWorld(redis_url, fresh_name("recovery"))
    yield world
    world.close()


@pytest.fixture(params=["memory", "redis"])
def world(request: pytest.FixtureRequest) -> World:
    return MemoryWorld() if request.param == "memory" else request.getfixturevalue("redis")


def key(world: RedisWorld, name: str) -> str:
    return f"seg:{{{world.model}:0}}:{name}"


def test_sizes_that_are_not_known_are_counted_anew_from_the_other_partitions(world: World) -> None:
    _, checkpoint = EMPTY.step({f"c{i}": i % 3 for i in range(20)})
    world.commit(checkpoint, "b-1")
    other, checkpoint = Population(1).step({"x": 1, "y": 4})
    world.commit(checkpoint, "o-1")
    world.store.put_version(1, b"{}", {1: {"name": "one", "status": "active"}}, {})
    for _ in range(2):
        world.store.discard(0, TOKEN, None)
        sizes = world.contents().sizes
        assert {segment: size for segment, size in sizes.items() if size} == other.sizes
        assert world.contents().segments[1]["size"] == "1"
        assert world.contents().segments[1]["share"] == "0.5"


def test_nothing_of_a_partition_is_left_where_its_position_is_gone(redis: RedisWorld) -> None:
    _, checkpoint = EMPTY.step({f"c{i}": i % 3 for i in range(2500)})
    redis.commit(checkpoint, "b-1")
    redis.raw.delete(key(redis, "position"))
    redis.store.discard(0, TOKEN, None)
    assert redis.raw.keys(key(redis, "rows:*")) == []
    assert not any(redis.contents().sizes.values())


DAMAGE: dict[str, Callable[[RedisWorld], Any]] = {
    "numbers": lambda w: w.raw.hset(key(w, "position"), "numbers", '{"position":{}} 00000000'),
    "no checksum": lambda w: w.raw.hset(key(w, "position"), "numbers", "{}"),
    "offset": lambda w: w.raw.hset(key(w, "position"), "next_offset", "9"),
    "batch": lambda w: w.raw.hset(key(w, "position"), "batch", "x"),
    "blocks": lambda w: w.raw.hset(key(w, "position"), "blocks", "2"),
    "no blocks": lambda w: w.raw.hdel(key(w, "position"), "blocks"),
    "row number": lambda w: w.raw.hset(key(w, "rows:0"), "-1", "?"),
}


@pytest.mark.parametrize("harm", DAMAGE.values(), ids=DAMAGE)
def test_a_position_that_is_not_as_written_is_found(
    redis: RedisWorld, harm: Callable[[RedisWorld], Any]
) -> None:
    redis.commit(EMPTY.step({"a": 1, "b": 2})[1], "b-1")
    harm(redis)
    with pytest.raises(DamagedState):
        redis.store.load(0)


STAGED: dict[str, Callable[[RedisWorld], Any]] = {
    "piece": lambda w: w.bytes.hset(key(w, "staged"), "0", b"\xc1"),
    "no piece": lambda w: w.bytes.hdel(key(w, "staged"), "0"),
    "sizes": lambda w: w.bytes.hset(key(w, "pending"), "sizes", b"\xc1"),
    "pieces": lambda w: w.bytes.hset(key(w, "pending"), "pieces", b"x"),
}


@pytest.mark.parametrize("harm", STAGED.values(), ids=STAGED)
def test_a_staged_batch_that_cannot_be_read_is_found_and_moves_no_position(
    redis: RedisWorld, harm: Callable[[RedisWorld], Any]
) -> None:
    first, checkpoint = EMPTY.step({"a": 1})
    redis.commit(checkpoint, "b-1")
    redis.store.stage([(first.step({"a": 2})[1], "b-2", TOKEN)])
    harm(redis)
    with pytest.raises(DamagedState):
        redis.store.apply([(0, "b-2", TOKEN)])
    assert redis.store.load(0).numbers == first.numbers
    assert redis.contents().sizes == {1: 1}


def test_where_a_staged_batch_goes_is_not_as_written(redis: RedisWorld) -> None:
    redis.store.stage([(EMPTY.step({"a": 1})[1], "b-1", TOKEN)])
    redis.raw.hset(key(redis, "pending"), "end_offset", "1x")
    with pytest.raises(DamagedState):
        redis.store.pending(0)


def test_a_partition_is_read_at_one_point_while_batches_are_applied(redis: RedisWorld) -> None:
    """Every row says which batch wrote it last; a batch writes all of them."""
    customers = [f"c{i}" for i in range(900)]
    population, checkpoint = EMPTY.step(dict.fromkeys(customers, 0))
    redis.commit(checkpoint, "b-0")
    goes_on = threading.Event()
    goes_on.set()

    def write() -> None:
        current, number = population, 1
        while goes_on.is_set():
            current, made = current.step(dict.fromkeys(customers, number % 200))
            redis.commit(made, f"b-{number}")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for read in 15 * [read_frozen, read_whole]:  # from a copy; as it is where that can be
            stored = _patiently(partial(read, redis.store._server, redis.store.keys, 0))
            segments = {blob[256] for _, blob in stored.rows}
            assert len(segments) == 1
            assert stored.numbers.sizes == {segments.pop(): len(customers)}
    finally:
        goes_on.clear()
        writer.join()
    assert redis.raw.keys(key(redis, "frozen:*")) == []


def _patiently(read: Callable[[], Any]) -> Any:
    """Read, again while a batch is half applied."""
    while True:
        try:
            return read()
        except ServerUnavailable:
            continue


def test_a_batch_that_stays_half_applied_is_waited_for(redis: RedisWorld) -> None:
    assert redis.store.whole(0) is None
    _, checkpoint = EMPTY.step({f"c{i}": 0 for i in range(900)})
    redis.store.stage([(checkpoint, "b-1", TOKEN)])
    redis.stops.after = 1
    with pytest.raises(Crash):
        redis.store.apply([(0, "b-1", TOKEN)])
    with pytest.raises(ServerUnavailable, match="a batch of partition 0 is half applied"):
        redis.store.whole(0)
    redis.store.apply([(0, "b-1", TOKEN)])
    assert len(redis.store.whole(0).rows) == 900
