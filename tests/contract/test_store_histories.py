"""Random histories on both stores at once.

The same refusals, the same contents, and those an independent count gives.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stream_seg.engine.checkpoint import Checkpoint
from tests.contract.store_worlds import TOKEN, MemoryWorld, Population, RedisWorld, World, outcome

PARTITIONS = st.integers(0, 1)
TOKENS = st.sampled_from([TOKEN, "token-2"])
# Few ids, so that they come back; some in both partitions.
CHANGES = st.dictionaries(
    st.sampled_from(["a", "b", "both", "{x}:1", "ü"]), st.none() | st.integers(0, 3), max_size=5
)
BULK = {f"bulk-{i}": 1 for i in range(600)}


class Stores(RuleBasedStateMachine):
    """Two workers, two partitions, staged batches that may be committed or not."""

    def __init__(self, redis: Callable[[], RedisWorld]) -> None:
        super().__init__()
        self.redis = redis()
        self.memory = MemoryWorld()
        self.worlds: tuple[World, World] = (self.memory, self.redis)
        self.stored = [Population(p) for p in range(2)]
        self.staged: list[tuple[str, Population] | None] = [None, None]
        self.owners = [TOKEN, TOKEN]
        self.half = [False, False]
        self.batches = 0

    def teardown(self) -> None:
        self.redis.close()

    def both(self, action: Callable[[World], object]) -> str:
        """Do it in both stores, which must answer alike."""
        first, second = (outcome(lambda world=world: action(world)) for world in self.worlds)  # type: ignore[misc]
        assert first == second
        return first

    @rule(partition=PARTITIONS, token=TOKENS)
    def claim(self, partition: int, token: str) -> None:
        first, second = (world.store.claim(partition, token) for world in self.worlds)
        assert first == second
        self.owners[partition] = token

    @rule(partition=PARTITIONS, token=TOKENS, changes=CHANGES, bulk=st.sampled_from([{}, BULK]))
    def stage(self, partition: int, token: str, changes: dict[str, int | None], bulk: dict[str, int]) -> None:
        present = self.stored[partition].members
        known = {c: s for c, s in changes.items() if s is not None or c in present}
        after, checkpoint = self.stored[partition].step(known | bulk)
        self._stage(partition, token, checkpoint, after)

    def _stage(self, partition: int, token: str, checkpoint: Checkpoint, after: Population) -> None:
        self.batches += 1
        batch_id = f"b-{self.batches}"
        expected = "done"
        if token != self.owners[partition] or self.half[partition]:
            expected = "OwnershipLost"
        assert self.both(lambda world: world.store.stage([(checkpoint, batch_id, token)])) == expected
        if expected == "done":
            self.staged[partition] = (batch_id, after)

    @precondition(lambda self: any(self.staged))
    @rule(partition=PARTITIONS, token=TOKENS, crash_after=st.none() | st.just(1))
    def apply(self, partition: int, token: str, crash_after: int | None) -> None:
        staged = self.staged[partition]
        if staged is None:
            return
        batch_id, after = staged
        for world in self.worlds:
            world.stops.after = crash_after
        result = self.both(lambda world: world.store.apply([(partition, batch_id, token)]))
        for world in self.worlds:
            world.stops.after = None
        if token != self.owners[partition]:
            assert result == "OwnershipLost"
        elif result == "Crash":
            self.half[partition] = True
        else:
            assert result == "done"
            self.stored[partition], self.staged[partition], self.half[partition] = after, None, False
            assert self.both(lambda world: world.store.apply([(partition, batch_id, token)])) == "done"

    @rule(partition=PARTITIONS)
    def drop(self, partition: int) -> None:
        batch_id, _ = self.staged[partition] or ("none", None)
        token = self.owners[partition]
        expected = "StateError" if self.half[partition] else "done"
        assert self.both(lambda world: world.store.drop(partition, batch_id, token)) == expected
        if expected == "done":
            self.staged[partition] = None

    @rule(partition=PARTITIONS)
    def discard(self, partition: int) -> None:
        sizes, token = self.stored[partition].sizes, self.owners[partition]
        assert self.both(lambda world: world.store.discard(partition, token, sizes)) == "done"
        self.stored[partition] = Population(partition)
        self.staged[partition], self.half[partition] = None, False

    @rule(version=st.integers(1, 3), retired=st.sets(st.integers(0, 3)))
    def publish(self, version: int, retired: set[int]) -> None:
        described = {
            s: {"name": f"s{s}", "status": "retired" if s in retired else "active"} for s in range(4)
        }
        for world in self.worlds:
            world.store.put_version(version, b"{}", described, {"cost": str(version)})

    @rule()
    def refresh(self) -> None:
        for world in self.worlds:
            world.store.refresh_sizes()

    @invariant()
    def alike(self) -> None:
        memory, redis = (world.contents() for world in self.worlds)
        if any(self.half):  # how far a half-applied batch came may differ
            assert (memory.sizes, memory.pending) == (redis.sizes, redis.pending)
            return
        assert memory == redis
        counted: dict[int, int] = {}
        for population in self.stored:
            for segment, size in population.sizes.items():
                counted[segment] = counted.get(segment, 0) + size
        assert {s: n for s, n in redis.sizes.items() if n} == counted
        for population in self.stored:
            stored = redis.stored[population.partition]
            if stored is not None:
                assert stored[1] == population.rows
            else:
                assert population.position.batch == 0


@pytest.fixture
def redis_worlds(redis_url: str) -> Iterator[Callable[[], RedisWorld]]:
    with closing(RedisWorld(redis_url, "unused")):
        yield lambda: RedisWorld(redis_url, f"history-{uuid.uuid4().hex[:8]}")


def test_both_stores_agree_on_any_history(redis_worlds: Callable[[], RedisWorld]) -> None:
    class OnThisRedis(Stores):
        def __init__(self) -> None:
            super().__init__(redis_worlds)

    run_state_machine_as_test(
        OnThisRedis,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
