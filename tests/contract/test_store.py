"""One suite for every store: in memory and in Redis (design §5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from stream_seg.engine.reports import Report, Sample
from stream_seg.engine.state import Position
from stream_seg.errors import OwnershipLost, StateError
from tests.contract.store_worlds import (
    TOKEN,
    Contents,
    Crash,
    MemoryWorld,
    Population,
    RedisWorld,
    World,
    outcome,
)

EMPTY = Population(0)
MANY = {f"customer-{i}": i % 3 for i in range(1300)}  # several pieces, two blocks of rows


@pytest.fixture(params=["memory", "redis"])
def world(request: pytest.FixtureRequest, fresh_name: Callable[[str], str]) -> Iterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    redis = RedisWorld(request.getfixturevalue("redis_url"), fresh_name("store"))
    yield redis
    redis.close()


def report(partition: int, version: int = 1) -> Report:
    return Report(
        partition=partition,
        version=version,
        position=Position(7, 3),
        clock_ms=1_300_000_000_000,
        next_event_ms=None,
        caught_up=True,
        residents=2,
        events=9,
        rows_passed=4,
        passes=1,
        clipped=0,
        rejected=1,
        count=[1, 1],
        total=[[2**62, -1], [0, 3]],
        square_high=[[1, 2], [3, 4]],
        square_low=[[5, 6], [7, 8]],
        worker="w-1",
        reported_at_ms=1_300_000_000_001,
        lag=0,
        events_per_second=12.5,
    )


def sample(partition: int) -> Sample:
    return Sample(partition, 1, 2, b"\x00\xff" * 8, b"\x80" * 8, b"\xc1" * 4)


# Batches


def test_what_is_applied_is_what_is_loaded(world: World) -> None:
    first, checkpoint = EMPTY.step({"a": 1, "b": 0}, events=5)
    world.commit(checkpoint, "b-1")
    second, checkpoint = first.step({"b": 2, "c": 1})
    world.commit(checkpoint, "b-2")
    stored = world.store.load(0)
    assert (stored.numbers, stored.rows) == (second.numbers, second.rows)
    assert world.contents().customers == second.public
    assert world.contents().sizes == {0: 0, 1: 2, 2: 1}


def test_nothing_is_stored_of_a_new_partition(world: World) -> None:
    assert world.store.load(0) is None
    assert world.store.pending(0) is None


def test_a_staged_batch_is_pending_and_not_visible(world: World) -> None:
    after, checkpoint = EMPTY.step({"a": 1})
    world.store.stage([(checkpoint, "b-1", TOKEN)])
    assert world.store.pending(0) == ("b-1", EMPTY.position, after.position, False)
    assert world.store.load(0) is None
    assert world.contents().customers == {}
    assert world.contents().sizes == {}
    world.store.apply([(0, "b-1", TOKEN)])
    assert world.store.pending(0) is None


def test_a_batch_without_rows_moves_the_position(world: World) -> None:
    after, checkpoint = EMPTY.step({}, events=0)
    world.commit(checkpoint, "adoption")
    assert world.store.load(0).numbers.position == after.position == Position(100, 1)


def test_a_large_batch_is_stored_whole_and_rows_ascend(world: World) -> None:
    after, checkpoint = EMPTY.step(MANY)
    world.commit(checkpoint, "b-1")
    stored = world.store.load(0)
    assert stored.rows == after.rows
    assert [row for row, _ in stored.rows] == list(range(1300))
    assert world.contents().customers == after.public
    after, checkpoint = after.step(dict.fromkeys(list(MANY)[::2]))
    world.commit(checkpoint, "b-2")
    assert world.store.load(0).rows == after.rows
    assert world.contents().customers == after.public
    assert world.contents().sizes == after.sizes


def test_rows_on_both_sides_of_a_block_s_end_are_found_again(world: World) -> None:
    first, checkpoint = EMPTY.step({f"first-{i}": 1 for i in range(1000)})
    world.commit(checkpoint, "b-1")
    second, checkpoint = first.step({f"second-{i}": 1 for i in range(100)})
    world.commit(checkpoint, "b-2")
    third, checkpoint = second.step({f"second-{i}": None if i % 2 else 2 for i in range(10, 50)})
    world.commit(checkpoint, "b-3")
    assert world.store.load(0).rows == third.rows


def test_a_field_that_is_absent_now_goes(world: World) -> None:
    first, checkpoint = EMPTY.step({"a": 1})
    world.commit(checkpoint, "b-1")
    assert world.contents().customers["a"]["confidence"] == "0.25"
    second, checkpoint = first.step({"a": 0})
    world.commit(checkpoint, "b-2")
    assert "confidence" not in world.contents().customers["a"]
    assert world.contents().customers == second.public


def test_a_forgotten_customer_s_key_and_row_go(world: World) -> None:
    first, checkpoint = EMPTY.step({"a": 1, "b": 1})
    world.commit(checkpoint, "b-1")
    second, checkpoint = first.step({"a": None})
    assert checkpoint.freed == [0]
    world.commit(checkpoint, "b-2")
    assert world.contents().customers == second.public
    assert world.store.load(0).rows == second.rows
    third, checkpoint = second.step({"c": 2})
    assert [row.row for row in checkpoint.rows] == [0]
    world.commit(checkpoint, "b-3")
    assert world.store.load(0).rows == third.rows
    assert world.contents().sizes == {1: 1, 2: 1}


def test_a_batch_starts_from_the_stored_position_only(world: World) -> None:
    first, checkpoint = EMPTY.step({"a": 1})
    world.commit(checkpoint, "b-1")
    before = world.contents()
    for start in (Position(100, 0), Position(101, 0), Position(101, 2), Position(102, 1), Position(0, 0)):
        _, checkpoint = Population(0, start, first.members, first.free, first.used).step({"b": 1})
        with pytest.raises(OwnershipLost, match="partition 0 is stored at another position"):
            world.store.stage([(checkpoint, "b-2", TOKEN)])
    assert world.contents() == before


def test_where_nothing_is_stored_a_batch_starts_from_number_0(world: World) -> None:
    _, checkpoint = Population(0, Position(0, 1)).step({"a": 1})
    with pytest.raises(OwnershipLost, match="another position"):
        world.store.stage([(checkpoint, "b-1", TOKEN)])
    after, checkpoint = Population(0, Position(2**40, 0)).step({"a": 1})
    world.commit(checkpoint, "b-1")
    assert world.store.load(0).numbers.position == after.position


def test_an_unapplied_batch_is_replaced_by_another(world: World) -> None:
    world.store.stage([(EMPTY.step(MANY)[1], "lost", TOKEN)])
    after, checkpoint = EMPTY.step({"z": 1})
    world.store.stage([(checkpoint, "b-1", TOKEN)])
    with pytest.raises(OwnershipLost, match="not stored any more"):
        world.store.apply([(0, "lost", TOKEN)])
    world.store.apply([(0, "b-1", TOKEN)])
    assert world.contents().customers == after.public
    assert world.store.load(0).rows == after.rows


def test_a_dropped_batch_is_forgotten(world: World) -> None:
    after, checkpoint = EMPTY.step({"a": 1})
    before = world.contents()
    world.store.stage([(checkpoint, "b-1", TOKEN)])
    world.store.drop(0, "another", TOKEN)
    assert world.store.pending(0) is not None
    world.store.drop(0, "b-1", TOKEN)
    assert world.contents() == before
    world.commit(checkpoint, "b-2")
    assert world.contents().customers == after.public


def test_several_partitions_go_in_one_call(world: World) -> None:
    steps = [Population(p).step({f"c-{p}-{i}": p for i in range(300)}) for p in range(3)]
    world.store.stage([(checkpoint, f"b-{p}", TOKEN) for p, (_, checkpoint) in enumerate(steps)])
    world.store.apply([(p, f"b-{p}", TOKEN) for p in range(3)])
    for p, (after, _) in enumerate(steps):
        assert world.store.load(p).rows == after.rows
    assert world.contents().customers == {c: f for after, _ in steps for c, f in after.public.items()}
    assert world.contents().sizes == {0: 300, 1: 300, 2: 300}


ODD_IDS = [
    " ",
    "a b",
    "a:b",
    "a:",
    ":",
    "{a}",
    "{",
    "}{",
    "*",
    "[a]",
    "?",
    "\\",
    "segments",
    "meta",
    "model:current",
    "s:1",
    "c:c:",
    "17850",
    "🛒🧑‍🤝‍🧑",
    "\N{COMBINING ACUTE ACCENT}e",
    "é",
    "e\N{COMBINING ACUTE ACCENT}",
    "\n",
    "\x00",
    "a\r\nDEL b",
    "x" * 1024,
    "x" * 1025,
    "\N{RIGHT-TO-LEFT OVERRIDE}id",
]


def test_any_customer_id_works_as_it_is(world: World) -> None:
    after, checkpoint = EMPTY.step({customer: i % 4 for i, customer in enumerate(ODD_IDS)})
    world.commit(checkpoint, "b-1")
    contents = world.contents()
    assert contents.customers == after.public
    assert set(contents.customers) == set(ODD_IDS)
    assert contents.meta["partitions"] == "3"
    after, checkpoint = after.step(dict.fromkeys(ODD_IDS))
    world.commit(checkpoint, "b-2")
    assert world.contents().customers == {}
    assert world.store.load(0).rows == []


# Exactly once


def history(world: World, store: Any) -> Contents:
    """Every kind of call, a few batches of two partitions among them."""
    store.claim(0, TOKEN)
    store.own(0, TOKEN, "producer-1")
    store.put_version(1, b"{}", {0: {"name": "zero", "status": "active"}, 1: {"name": "one"}}, {"cost": "1"})
    first, checkpoint = EMPTY.step(MANY)
    other, other_checkpoint = Population(1).step({"x": 1, "customer-5": 0})
    store.stage([(checkpoint, "b-1", TOKEN), (other_checkpoint, "o-1", TOKEN)])
    store.apply([(0, "b-1", TOKEN), (1, "o-1", TOKEN)])
    _, checkpoint = first.step({"dropped": 1})
    store.stage([(checkpoint, "b-2", TOKEN)])
    store.drop(0, "b-2", TOKEN)
    _, checkpoint = first.step({"customer-1": None, "customer-2": 7, "new": 1})
    store.stage([(checkpoint, "b-3", TOKEN)])
    store.apply([(0, "b-3", TOKEN)])
    _, other_checkpoint = other.step({"x": None, "y": 1})
    store.stage([(other_checkpoint, "o-2", TOKEN)])
    store.apply([(1, "o-2", TOKEN)])
    store.put_report(report(0), TOKEN, sample(0))
    store.put_horizon(1_300_000_000_000, TOKEN)
    store.discard(1, TOKEN, {0: 1, 1: 1})
    store.refresh_sizes()
    store.put_meta({"partitions": "9"})
    store.release(0, TOKEN)
    return world.contents()


class Twice:
    """A store on which every call is made twice, as a client does that lost the first answer."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._store, name)

        def twice(*arguments: Any) -> Any:
            first, second = call(*arguments), call(*arguments)
            assert first == second
            return second

        return twice


def test_every_call_may_be_repeated(world: World) -> None:
    once = MemoryWorld()
    contents = history(world, Twice(world.store))
    assert contents == history(once, once.store)
    assert contents.split == {}  # discarded with partition 1
    assert contents.sizes[7] == 1


def test_a_late_repeat_of_an_earlier_call_changes_nothing(world: World) -> None:
    first, checkpoint_1 = EMPTY.step(MANY)
    world.commit(checkpoint_1, "b-1")
    _, checkpoint_2 = first.step({"customer-1": None, "customer-2": 9})
    world.store.stage([(checkpoint_2, "b-2", TOKEN)])
    staged = world.contents()
    for late in (
        lambda: world.store.stage([(checkpoint_1, "b-1", TOKEN)]),
        lambda: world.store.apply([(0, "b-1", TOKEN)]),
        lambda: world.store.drop(0, "b-1", TOKEN),
    ):
        assert outcome(late) in {"done", "OwnershipLost"}
        assert world.contents() == staged
    world.store.apply([(0, "b-2", TOKEN)])
    applied = world.contents()
    assert outcome(lambda: world.store.stage([(checkpoint_2, "b-2", TOKEN)])) == "OwnershipLost"
    world.store.drop(0, "b-2", TOKEN)
    assert world.contents() == applied


def test_applying_what_is_not_stored_any_more_is_refused(world: World) -> None:
    with pytest.raises(OwnershipLost, match="batch that partition 0 should apply is not stored any more"):
        world.store.apply([(0, "b-1", TOKEN)])


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_a_new_owner_finishes_what_a_crash_left_half_applied(world: World, pieces: int) -> None:
    first, checkpoint = EMPTY.step({f"customer-{i}": 2 for i in range(1000)} | {"old": 1})
    world.commit(checkpoint, "b-0")
    after, checkpoint = first.step(MANY | {"old": None})
    world.store.stage([(checkpoint, "b-1", TOKEN)])
    world.stops.after = pieces
    with pytest.raises(Crash):
        world.store.apply([(0, "b-1", TOKEN)])
    assert world.contents().sizes == first.sizes  # public sizes and position wait for the last piece
    assert world.store.load(0).numbers == first.numbers

    world.store.claim(0, "token-2")
    assert world.store.pending(0) == ("b-1", first.position, after.position, True)
    assert outcome(lambda: world.store.apply([(0, "b-1", TOKEN)])) == "OwnershipLost"
    world.store.apply([(0, "b-1", "token-2")])
    assert world.store.load(0).rows == after.rows
    assert world.contents().customers == after.public
    assert {s: n for s, n in world.contents().sizes.items() if n} == after.sizes


def test_a_half_applied_batch_is_neither_dropped_nor_replaced(world: World) -> None:
    _, checkpoint = EMPTY.step(MANY)
    world.store.stage([(checkpoint, "b-1", TOKEN)])
    world.stops.after = 2
    with pytest.raises(Crash):
        world.store.apply([(0, "b-1", TOKEN)])
    before = world.contents()
    with pytest.raises(StateError, match="half of a batch that was never committed"):
        world.store.drop(0, "b-1", TOKEN)
    with pytest.raises(OwnershipLost, match="holds another batch, half applied"):
        world.store.stage([(EMPTY.step({"z": 1})[1], "b-2", TOKEN)])
    assert world.contents() == before
    world.store.discard(0, TOKEN, {})
    assert world.store.load(0) is None
    assert world.store.pending(0) is None
    after, checkpoint = EMPTY.step({"z": 1})
    world.commit(checkpoint, "b-2")
    assert world.store.load(0).rows == after.rows


# Owners


def test_a_claim_tells_the_former_owner_s_producer(world: World) -> None:
    store = world.store
    assert store.claim(0, "t-1").former == ""
    store.own(0, "t-1", "producer-1")
    assert store.claim(0, "t-2").former == "producer-1"
    assert store.claim(0, "t-2").former == "producer-1"
    assert store.claim(0, "t-3").former == "producer-1"  # t-2 ended before it had fenced it
    store.own(0, "t-3", "producer-3")
    store.release(0, "t-3")
    assert store.claim(0, "t-4").former == ""


STALE: dict[str, Callable[[Any], object]] = {
    "own": lambda store: store.own(0, TOKEN, "producer-1"),
    "release": lambda store: store.release(0, TOKEN),
    "stage": lambda store: store.stage([(EMPTY.step({"z": 1})[1], "b-9", TOKEN)]),
    "stage again": lambda store: store.stage([(EMPTY.step(MANY)[1], "b-1", TOKEN)]),
    "apply": lambda store: store.apply([(0, "b-1", TOKEN)]),
    "drop": lambda store: store.drop(0, "b-1", TOKEN),
    "discard": lambda store: store.discard(0, TOKEN, {}),
    "report": lambda store: store.put_report(report(0), TOKEN, sample(0)),
    "horizon": lambda store: store.put_horizon(5, TOKEN),
}


@pytest.mark.parametrize("step", ["nothing", "staged", "half applied", "applied"])
@pytest.mark.parametrize("call", STALE)
def test_a_former_owner_changes_nothing(world: World, step: str, call: str) -> None:
    _, checkpoint = EMPTY.step(MANY)
    if step != "nothing":
        world.store.stage([(checkpoint, "b-1", TOKEN)])
    if step == "half applied":
        world.stops.after = 2
    if step in {"half applied", "applied"}:
        with suppress(Crash):
            world.store.apply([(0, "b-1", TOKEN)])
    world.store.claim(0, "token-2")
    before = world.contents()
    with pytest.raises(OwnershipLost, match="partition 0 has another owner now"):
        STALE[call](world.store)
    assert world.contents() == before
    assert world.store.claim(0, "token-3").former == ""


def test_a_partition_nobody_claimed_takes_nothing(world: World) -> None:
    _, checkpoint = Population(7).step({"a": 1})
    with pytest.raises(OwnershipLost):
        world.store.stage([(checkpoint, "b-1", TOKEN)])


def test_an_owner_stopped_inside_apply_wakes_up_and_changes_nothing(world: World) -> None:
    after, checkpoint = EMPTY.step(MANY)
    world.store.stage([(checkpoint, "b-1", TOKEN)])
    finished: list[Contents] = []

    def taken_over(_: str) -> None:
        world.store._between = world.stops  # once
        world.store.claim(0, "token-2")
        world.store.apply([(0, "b-1", "token-2")])
        world.commit(after.step({"customer-0": 9})[1], "b-2", "token-2")
        finished.append(world.contents())

    world.store._between = taken_over
    with pytest.raises(OwnershipLost):
        world.store.apply([(0, "b-1", TOKEN)])
    assert world.contents() == finished[0]


# Sizes and segments


def test_public_sizes_are_the_sum_over_partitions(world: World) -> None:
    first, checkpoint = EMPTY.step({"a": 1, "b": 1, "c": 2})
    world.commit(checkpoint, "b-1")
    world.commit(Population(1).step({"d": 1, "e": 3})[1], "o-1")
    assert world.contents().sizes == {1: 3, 2: 1, 3: 1}
    world.commit(first.step({"a": 3, "c": None})[1], "b-2")
    assert world.contents().sizes == {1: 2, 2: 0, 3: 2}


def test_segments_hashes_follow_the_sizes(world: World) -> None:
    described = {
        1: {"name": "one", "status": "active", "born": "1", "f.spend": "2.5"},
        2: {"name": "two", "status": "active", "born": "1", "size": "999", "share": "9"},
    }
    world.store.put_version(1, b"{}", described, {})
    assert world.contents().segments[1] == {**described[1], "size": "0", "share": "0"}
    first, checkpoint = EMPTY.step({"a": 1, "b": 1, "c": 2})
    world.commit(checkpoint, "b-1")
    assert [world.contents().segments[s]["size"] for s in (1, 2)] == ["2", "1"]
    world.store.refresh_sizes()
    assert [world.contents().segments[s]["share"] for s in (1, 2)] == [str(2 / 3), str(1 / 3)]
    world.store.put_version(2, b"{}", {1: described[1], 2: {"name": "two", "status": "retired"}}, {})
    retired = {"name": "two", "status": "retired", "born": "1", "size": "1", "share": str(1 / 3)}
    assert world.contents().segments[2] == retired  # keeps what it had
    world.commit(first.step({"c": 1})[1], "b-2")
    assert world.contents().sizes == {1: 3, 2: 0}
    world.store.refresh_sizes()
    assert world.contents().sizes == {1: 3}  # retired, and empty now
    assert world.contents().segments[2]["size"] == world.contents().segments[2]["share"] == "0"
    assert world.contents().segments[1]["share"] == "1"


def test_a_segment_is_not_shown_before_its_version_is_published(world: World) -> None:
    world.commit(EMPTY.step({"a": 4})[1], "b-1")
    world.store.refresh_sizes()
    assert world.contents().segments == {}
    world.store.put_version(1, b"{}", {4: {"name": "four", "status": "active"}}, {})
    assert world.contents().segments[4]["size"] == "1"


def test_a_field_that_a_segment_has_no_more_goes(world: World) -> None:
    world.store.put_version(1, b"{}", {4: {"name": "f", "status": "active", "f.old": "1"}}, {})
    world.store.put_version(2, b"{}", {4: {"name": "f", "status": "active", "f.new": "1"}}, {})
    assert set(world.contents().segments[4]) == {"name", "status", "f.new", "size", "share"}


def test_positions_of_what_is_stored(world: World) -> None:
    first, checkpoint = EMPTY.step({"a": 1}, events=7)
    world.commit(checkpoint, "b-1")
    world.store.stage([(Population(1).step({"b": 1})[1], "o-1", TOKEN)])
    assert world.store.positions([0, 1, 2]) == {0: first.position}
    assert world.store.positions([]) == {}


def test_an_active_segment_without_customers_is_listed(world: World) -> None:
    world.store.put_version(1, b"{}", {4: {"name": "f", "status": "active"}, 5: {"status": "retired"}}, {})
    assert world.contents().sizes == {4: 0}


def test_versions_are_published_upwards_only(world: World) -> None:
    world.store.put_version(
        2, b'{"version": 2}', {1: {"name": "new", "status": "active"}}, {"cost": "1", "age": "2"}
    )
    before = world.contents()
    world.store.put_version(1, b'{"version": 1}', {1: {"name": "old", "status": "active"}}, {"cost": "9"})
    assert world.contents() == before
    world.store.put_version(10, b"\x00{}", {1: {"name": "newer", "status": "active"}}, {"cost": "0.5"})
    contents = world.contents()
    assert contents.current == 10
    assert contents.versions == {2: b'{"version": 2}', 10: b"\x00{}"}
    assert contents.quality == {"cost": "0.5"}
    assert contents.segments[1]["name"] == "newer"


def test_a_discarded_partition_s_sizes_are_taken_out_once(world: World) -> None:
    first, checkpoint = EMPTY.step(MANY)
    world.commit(checkpoint, "b-1")
    world.commit(Population(1).step({"x": 1})[1], "o-1")
    world.store.discard(0, TOKEN, first.sizes)
    world.store.discard(0, TOKEN, first.sizes)
    assert world.contents().sizes == {0: 0, 1: 1, 2: 0}
    assert world.store.load(0) is None
    assert world.store.load(1) is not None
    assert set(MANY) <= set(world.contents().customers)  # they are written again
    world.commit(EMPTY.step(MANY)[1], "b-1")
    assert world.store.load(0).rows == first.rows
    assert world.contents().sizes == {0: 434, 1: 434, 2: 433}


# Customers in two partitions


def test_a_customer_stays_with_the_partition_that_had_it_first(world: World) -> None:
    first, checkpoint = EMPTY.step({"both": 1, "a": 1})
    world.commit(checkpoint, "b-1")
    other, checkpoint = Population(1).step({"both": 2, "b": 2})
    world.commit(checkpoint, "o-1")
    assert world.contents().customers == {**other.public, **first.public}
    assert world.contents().split == {1: 1}
    other, checkpoint = other.step({"both": 3})
    world.commit(checkpoint, "o-2")
    assert world.contents().split == {1: 1}  # a customer, not a write
    assert world.store.load(1).rows == other.rows

    other, checkpoint = other.step({"both": None})
    world.commit(checkpoint, "o-3")
    assert world.contents().customers["both"] == first.shown("both")  # forgotten by the other one only
    assert world.contents().split == {}


def test_new_customers_come_together_with_those_that_have_a_hash_already(world: World) -> None:
    other, checkpoint = Population(1).step({"both": 2})
    world.commit(checkpoint, "o-1")
    first, checkpoint = EMPTY.step({"a": 1, "b": 1})
    world.commit(checkpoint, "b-1")
    world.store.discard(0, TOKEN, first.sizes)
    again, checkpoint = EMPTY.step({"new": 1, "a": 0, "both": 1, "newer": 0})
    world.commit(checkpoint, "b-1")
    assert world.contents().customers == {**again.public, **other.public, "b": first.shown("b")}
    assert world.contents().split == {0: 1}


def test_a_split_customer_passes_over_when_the_first_partition_forgets_it(world: World) -> None:
    first, checkpoint = EMPTY.step({"both": 1})
    world.commit(checkpoint, "b-1")
    other, checkpoint = Population(1).step({"both": 2})
    world.commit(checkpoint, "o-1")
    _, checkpoint = first.step({"both": None})
    world.commit(checkpoint, "b-2")
    assert world.contents().customers == {}
    other, checkpoint = other.step({"both": 3})
    world.commit(checkpoint, "o-2")
    assert world.contents().customers == other.public
    assert world.contents().split == {}


def test_a_freed_row_is_not_counted_as_split_for_its_next_customer(world: World) -> None:
    world.commit(EMPTY.step({"both": 1})[1], "b-1")
    other, checkpoint = Population(1).step({"both": 2})
    world.commit(checkpoint, "o-1")
    _, checkpoint = other.step({"both": None, "next": 2})
    assert checkpoint.freed == []  # the row has another customer already
    world.commit(checkpoint, "o-2")
    assert world.contents().split == {}


# Reports, horizon, meta


def test_reports_and_samples_come_back_as_they_were(world: World) -> None:
    assert world.store.reports() == {}
    assert world.store.samples() == {}
    world.store.put_report(report(0), TOKEN)
    world.store.put_report(report(2), TOKEN, sample(2))
    assert world.store.reports() == {0: report(0), 2: report(2)}
    assert world.store.samples() == {2: sample(2)}
    world.store.put_report(report(2, version=5), TOKEN)
    assert world.store.reports()[2].version == 5
    assert world.store.samples() == {2: sample(2)}


def test_the_horizon_is_open_until_it_is_put(world: World) -> None:
    assert world.store.horizon() is None
    world.store.put_horizon(0, TOKEN)
    assert world.store.horizon() == 0
    world.store.put_horizon(None, TOKEN)
    assert world.store.horizon() is None


def test_meta_is_written_once(world: World) -> None:
    assert world.store.put_meta({"instance": "another"}) == {"partitions": "3", "instance": "i-1"}
    assert world.store.meta() == {"partitions": "3", "instance": "i-1"}


def test_a_reset_store_is_empty(world: World) -> None:
    world.commit(EMPTY.step(MANY)[1], "b-1")
    world.store.put_report(report(0), TOKEN, sample(0))
    world.store.put_version(1, b"{}", {1: {"name": "one", "status": "active"}}, {"cost": "1"})
    world.store.put_horizon(5, TOKEN)
    world.store.reset()
    empty = world.contents()
    assert empty.stored == {0: None, 1: None, 2: None}
    assert (empty.customers, empty.segments, empty.sizes, empty.versions) == ({}, {}, {}, {})
    assert (empty.current, empty.horizon, empty.meta, empty.reports) == (None, None, {}, {})
    assert outcome(lambda: world.store.own(0, TOKEN, "p")) == "OwnershipLost"
