"""The protocol as a state machine: workers stopped, killed and outlived between any two of its steps.

Real workers, committer and take-over run over a model of Kafka (``tests.chaos.kafka_model``) and the store
in memory. Whatever is done to them, in the end every event has one label, and labels, transitions and stored
rows are those derived again from the recorded adoptions; and at no time does the store show what Kafka does
not have.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stream_seg.engine.mark import Mark
from stream_seg.engine.plan import Minting, ModelPlan, WarmUp
from stream_seg.engine.ports import Committed, Membership, Record
from stream_seg.engine.registry import Registry
from stream_seg.engine.version import Rules
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.mapping import EventMapping
from stream_seg.features.spec import Feature, FeatureSet
from tests.chaos.derive import derive
from tests.chaos.kafka_model import Broker, Group, Txn
from tests.chaos.orders import Shop
from tests.chaos.protocol_model import TOPICS, Actor, World, _Row, worker_of
from tests.chaos.read import raw

PARTITIONS = 2
FEATURES = FeatureSet(
    (
        Feature("days_since_order", "days_since", transform="log1p"),
        Feature("spend", "sum", field="revenue", half_life_days=10, transform="log1p"),
    )
)
MAPPING = EventMapping(customer="customer", time="at", time_unit="ms", fields={"revenue": "revenue"})
PLAN = ModelPlan(
    FEATURES,
    segments=3,
    rules=Rules(forget_after_days=4),
    minting=Minting(structure_restarts_small=1, seeding_restarts=1),
    warm_up=WarmUp(customers=6, events=30),
)
SHOP = Shop(seed=11, customers=14, partitions=PARTITIONS, days=4)
FIRST, PORTION = 60, 20
MOST_STEPS = 300
"""A worker that is to go on to a step gives up after so many."""
END_STEPS = 60_000
STEPS = (
    "before_stage",
    "after_stage",
    "the producer has begun",
    "after_send",
    "after_send_offsets",
    "after_commit",
    "within_apply",
    "after_apply",
    "before_mint",
    "after_mint",
    "after_claim",
    "after_fence",
    "after_committed",
    "after_settle",
    "after_discard",
    "after_restage",
)


class Protocol(RuleBasedStateMachine):
    """Moves of a world that may do anything to its workers, one atomic step at a time."""

    broker_kind: type[Broker] = Broker

    def __init__(self) -> None:
        """Start with a filled topic and one worker."""
        super().__init__()
        broker = self.broker_kind(Group(PARTITIONS), {p: [] for p in range(PARTITIONS)})
        self.world = World(PLAN, MAPPING, broker)
        self.sent = 0
        self._send(FIRST)
        self.world.hire()

    def _send(self, count: int) -> None:
        shop = replace(SHOP, first=self.sent, days=SHOP.days * count / FIRST)
        for order in shop.orders(count):
            record = Record("orders", order.partition, order.key, order.value, order.time_ms)
            self.world.broker.input[order.partition].append(record)
        self.sent += count

    def _some(self, data: st.DataObject, actors: list[Actor]) -> Actor:
        name = data.draw(st.sampled_from([actor.name for actor in actors]), label="worker")
        return next(actor for actor in actors if actor.name == name)

    @rule(data=st.data(), steps=st.integers(1, 120))
    @precondition(lambda self: self.world.alive)
    def a_worker_goes_on(self, data: st.DataObject, steps: int) -> None:
        actor = self._some(data, self.world.alive)
        self.world.go(actor, steps)

    @rule(data=st.data(), step=st.sampled_from(STEPS))
    @precondition(lambda self: self.world.alive)
    def a_worker_goes_on_to_a_named_step(self, data: st.DataObject, step: str) -> None:
        self._to(self._some(data, self.world.alive), step)

    @rule(data=st.data(), step=st.sampled_from(STEPS), forgotten=st.booleans(), steps=st.integers(60, 300))
    @precondition(lambda self: self.world.alive)
    def a_worker_is_outlived(self, data: st.DataObject, step: str, steps: int, *, forgotten: bool) -> None:
        """It stops at a step, its session times out, another one works on, and then it wakes up."""
        self.outlive(self._some(data, self.world.alive), step, steps, forgotten=forgotten)

    def outlive(self, zombie: Actor, step: str, steps: int, *, forgotten: bool) -> None:
        """Have a worker stop at a step, another one make ``steps``, and the first one wake up."""
        world = self.world
        self._to(zombie, step)
        if forgotten:
            world.flush()
        world.broker.group.leave(zombie.name)
        others = [actor for actor in world.alive if actor is not zombie]
        world.go(others[0] if others else world.hire(), steps)
        world.go(zombie, 60)

    def _to(self, actor: Actor, step: str) -> None:
        for _ in range(MOST_STEPS):
            self.world.go(actor, 1)
            if actor.steps.where == step or actor.steps.ended:
                break

    @rule()
    @precondition(lambda self: len(self.world.alive) < 3)
    def a_worker_comes(self) -> None:
        self.world.hire()

    @rule(data=st.data())
    @precondition(lambda self: self.world.alive)
    def a_worker_is_killed(self, data: st.DataObject) -> None:
        self._some(data, self.world.alive).kill()

    @rule(data=st.data())
    @precondition(lambda self: self.world.alive)
    def a_worker_is_told_to_end(self, data: st.DataObject) -> None:
        self._some(data, self.world.alive).worker.stop()

    @rule(data=st.data())
    @precondition(lambda self: self.world.broker.group.members)
    def a_session_times_out(self, data: st.DataObject) -> None:
        group = self.world.broker.group
        group.leave(data.draw(st.sampled_from(sorted(group.members)), label="member"))

    @rule(data=st.data())
    @precondition(lambda self: self.world.broker.open)
    def a_transaction_times_out(self, data: st.DataObject) -> None:
        broker = self.world.broker
        broker.time_out(data.draw(st.sampled_from(sorted(broker.open)), label="producer"))

    @rule()
    def the_next_transaction_is_refused(self) -> None:
        self.world.broker.refusing = True

    @rule()
    @precondition(lambda self: self.sent < FIRST + 3 * PORTION)
    def orders_come(self) -> None:
        self._send(PORTION)

    @rule()
    def the_store_is_copied(self) -> None:
        self.world.save()

    @rule(data=st.data())
    @precondition(lambda self: self.world.saved)
    def the_store_is_set_back(self, data: st.DataObject) -> None:
        self.world.set_back(data.draw(st.integers(0, len(self.world.saved) - 1), label="copy"))

    @rule()
    def the_store_forgets_everything(self) -> None:
        self.world.flush()

    @invariant()
    def the_store_shows_nothing_that_is_not_committed(self) -> None:
        committed = self.world.broker.offsets
        for p, position in self.world.store.positions(range(PARTITIONS)).items():
            assert p in committed
            assert position.next_offset <= committed[p].next_offset
            assert position.batch <= Mark.read(committed[p].metadata).batch

    @invariant()
    def no_event_has_two_labels(self) -> None:
        for p in range(PARTITIONS):
            assert max(Counter(self._offsets(p)).values(), default=1) == 1

    def _offsets(self, partition: int) -> list[int]:
        return [json.loads(value)["source"]["offset"] for value in self._committed(TOPICS.labels, partition)]

    def _committed(self, topic: str, partition: int) -> list[bytes]:
        return [r.value or b"" for r in self.world.broker.read(topic, partition, 0)[0]]

    def teardown(self) -> None:
        """Let those that live go on for a while and end, have another one finish, and compare everything."""
        try:
            self._finish()
            self._compare()
        finally:
            for actor in self.world.alive:
                actor.kill()

    def _finish(self) -> None:
        world = self.world
        for actor in world.alive:
            world.go(actor, 40)
            actor.worker.stop()
        last = world.hire(until_end=True)
        for _ in range(END_STEPS // 20):
            for actor in world.alive:
                world.go(actor, 20)
            gone = {actor.name for actor in world.actors if actor.steps.ended}
            for member in [m for m in world.broker.group.members if m in gone]:
                world.broker.group.leave(member)
            for producer in [p for p in world.broker.open if worker_of(p) in gone]:
                world.broker.time_out(producer)
            if last.steps.ended and not world.alive:
                return
        raise AssertionError(
            f"the workers do not come to an end: {[(a.name, a.steps.where) for a in world.alive]}"
        )

    def _compare(self) -> None:
        broker, registry = self.world.broker, Registry()
        models = broker.read(TOPICS.models, 0, 0)[0]
        keys = Counter(r.key for r in models)
        assert max(keys.values()) == 1, "a version or an adoption was committed twice"
        registry.take(((r.key or b"").decode(), r.value or b"") for r in models)
        decoder = JsonDecoder(MAPPING, FEATURES)
        inputs = {
            p: decoder.decode(raw([_Row(r, i) for i, r in enumerate(rows)], single=False))
            for p, rows in broker.input.items()
        }
        shown: dict[str, dict[str, str]] = {}
        for p, one in derive(FEATURES, "orders", registry, inputs).items():
            assert self._offsets(p) == one.offsets
            assert self._committed(TOPICS.labels, p) == one.labels
            assert self._committed(TOPICS.transitions, p) == one.transitions
            stored = self.world.store.load(p)
            assert stored is not None
            rows = one.rows(registry)
            assert dict(stored.rows) == {row.row: row.blob for row in rows}
            shown |= {row.customer: dict(zip(row.fields[::2], row.fields[1::2], strict=True)) for row in rows}
            assert _but_for_the_position(stored.numbers) == _but_for_the_position(one.state.numbers)
            letters = [int(value) for value in self._committed("m.dead-letters", p)]
            assert letters == [one.offset for one in inputs[p].rejected]
        assert self.world.store.public.customers == shown


def _but_for_the_position(numbers: object) -> dict[str, object]:
    """Numbers but for the position, which shows how the history was cut into batches."""
    return {n: getattr(numbers, n) for n in numbers.__struct_fields__ if n != "position"}  # type: ignore[attr-defined]


SOME = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


def test_whatever_is_done_to_workers_every_event_has_its_one_label() -> None:
    run_state_machine_as_test(Protocol, settings=SOME)


class Unstable(Broker):
    """Offsets are read while a transaction is open on them."""

    def is_stable(self, _: int) -> bool:
        return True


class Groupless(Broker):
    """Offsets are taken from a member of any generation."""

    def send_offsets(self, txn: Txn, offsets: dict[int, Committed], membership: Membership) -> None:
        now = replace(membership, generation=self.group.generation)
        self.group.members.append(now.member_id)
        try:
            super().send_offsets(txn, offsets, now)
        finally:
            self.group.members.pop()


class Unfenced(Broker):
    """A producer's next epoch leaves the one before alone."""

    def init_producer(self, producer: str) -> int:
        return self.epochs.setdefault(producer, 0)


MANY = settings(SOME, max_examples=1_000, phases=[Phase.generate], database=None, print_blob=False)


def test_offsets_read_too_early_are_found() -> None:
    """Too rare for chance: a transaction must hold events when nobody knows whose it is."""

    class Broken(Protocol):
        broker_kind = Unstable

    machine = Broken()
    with pytest.raises(AssertionError):
        _outlive_over_and_over(machine)
    for actor in machine.world.alive:
        actor.kill()


def _outlive_over_and_over(machine: Protocol) -> None:
    for _ in range(50):
        machine.outlive(machine.world.alive[0], "after_send_offsets", 250, forgotten=True)
        machine.no_event_has_two_labels()
        machine.the_store_shows_nothing_that_is_not_committed()


@pytest.mark.parametrize("kind", [Groupless, Unfenced])
def test_a_broker_that_breaks_a_promise_is_found(kind: type[Broker]) -> None:
    class Broken(Protocol):
        broker_kind = kind

    with pytest.raises(AssertionError):
        run_state_machine_as_test(Broken, settings=MANY)
