"""Real workers over a model of Kafka and the store in memory, moved on one atomic step at a time.

Each worker runs in a thread of its own, but only while it is told to: it stops before every call of a port
and at every named step of the protocol, and there it can be left, killed, or let go on when the world has
changed. So a sequence of moves decides everything, and the same one gives the same story.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from stream_seg.adapters.memory import MemoryStore
from stream_seg.engine.committer import OutputTopics
from stream_seg.engine.edges import Aside, Options, Ports, Progress, at_once
from stream_seg.engine.livemint import Patience
from stream_seg.engine.minter import Minted
from stream_seg.engine.partition import Work
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.ports import Committed, Emitted, Membership, Polled, Record, Transaction
from stream_seg.engine.worker import Worker
from stream_seg.events.batch import Rejected
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.mapping import EventMapping
from tests.chaos.kafka_model import Broker, Txn
from tests.chaos.read import raw

TOPICS = OutputTopics("orders", "m.labels", "m.transitions", "m.models")
RECORDS_A_POLL = 9
TICK_S = 0.05
PATIENCE_S = 60.0
MOST_ASKED = 5

T = TypeVar("T")


class Killed(BaseException):
    """The process is gone: nothing it calls has any effect any more."""


class Steps:
    """Lets one worker's thread run from one stop to the next."""

    def __init__(self) -> None:
        """Not begun yet."""
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self.killed = self.ended = False
        self.where = "begin"

    def stop(self, where: str) -> None:
        """Called by the worker: wait until it is told to go on."""
        if self.killed:
            raise Killed
        self.where = where
        self._stopped.release()
        self._go.acquire()
        if self.killed:
            raise Killed

    def begin(self) -> None:
        """Called by the worker's thread first."""
        self._go.acquire()

    def end(self) -> None:
        """Called by the worker's thread last."""
        self.ended = True
        self.where = "ended"
        self._stopped.release()

    def next(self) -> None:
        """Called by the world: let it run to its next stop."""
        if not self.ended:
            self._go.release()
            assert self._stopped.acquire(timeout=PATIENCE_S), f"stuck after {self.where}"


class Guarded:
    """A port whose every call is a stop."""

    def __init__(self, port: Any, name: str, steps: Steps) -> None:
        """Guard ``port``."""
        self._port, self._name, self._steps = port, name, steps

    def __getattr__(self, name: str) -> Any:
        """Give its attributes; methods stop first."""
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **keywords: Any) -> Any:
            self._steps.stop(f"{self._name}.{name}")
            return found(*arguments, **keywords)

        return call


@dataclass
class ModelSource:
    """``Source`` of one member."""

    broker: Broker
    member: str
    steps: Steps
    topic: str = TOPICS.source
    mine: set[int] = field(default_factory=set)
    positions: dict[int, int] = field(default_factory=dict)
    paused: frozenset[int] = frozenset()
    generation: int = -1

    def partitions(self) -> int:
        return self.broker.group.partitions

    def poll(self, _: float, *, on_lost: Callable[[frozenset[int]], None] | None = None) -> Polled:
        group, lost = self.broker.group, set[int]()
        if self.member not in group.members:  # new, or its session has timed out
            lost, self.mine = self.mine, set()
            group.join(self.member)
        leaving = self.mine - group.wanted(self.member)
        if leaving and on_lost is not None:
            on_lost(frozenset(leaving))
            if self.member not in group.members:  # while it was leaving them
                lost, self.mine = lost | self.mine, set()
                group.join(self.member)
        before = self.mine - leaving
        self.mine = group.sync(self.member, leaving)
        lost |= leaving | (before - self.mine)
        gained = self.mine - (before - lost)
        for p in lost | gained:
            self.positions.pop(p, None)
        membership = Membership(group.generation, self.member, None)
        return Polled(self._records(), frozenset(self.mine), frozenset(gained), frozenset(lost), membership)

    def _records(self) -> dict[int, Any]:
        found = {}
        for p, position in self.positions.items():
            rows = self.broker.input[p][position : position + RECORDS_A_POLL]
            if rows and p not in self.paused:
                found[p] = raw([_Row(row, position + i) for i, row in enumerate(rows)], single=False)
                self.positions[p] = position + len(rows)
        return found

    def committed(self, partition: int) -> Committed | None:
        while not self.broker.is_stable(partition):
            self.steps.stop("waiting for the stable offset")
        return self.broker.offsets.get(partition)

    def seek(self, partition: int, next_offset: int) -> None:
        if partition in self.mine:
            self.positions[partition] = next_offset

    def pause(self, partitions: frozenset[int]) -> None:
        self.paused = partitions

    def begins(self, _: int) -> int:
        return 0

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        return {p: len(self.broker.input[p]) for p in partitions}

    def read_up(self, partition: int) -> int | None:
        return self.positions.get(partition)

    def close(self) -> None:
        self.broker.group.leave(self.member)


class _Row:
    """A record as a consumer gives it."""

    def __init__(self, record: Record, offset: int) -> None:
        self.key, self.value, self.timestamp, self.offset = (
            record.key,
            record.value,
            record.timestamp_ms,
            offset,
        )


@dataclass
class ModelLog:
    """``Log`` that is exactly once; after a failure its producer is begun anew, a fenced one as another."""

    broker: Broker
    transactional_id: str
    steps: Steps
    epoch: int | None = None
    former_ids: frozenset[str] = frozenset()
    beside: bool = True

    def commit(self, transaction: Transaction, ready: Callable[[], object] = lambda: None) -> None:
        try:
            self._transact(transaction, ready)
        except Exception:
            if self.epoch != self.broker.epochs.get(self.transactional_id):
                self.former_ids |= {self.transactional_id}
                self.transactional_id += "'"
            self.epoch = None
            raise

    def _transact(self, transaction: Transaction, ready: Callable[[], object]) -> None:
        if self.epoch is None:
            self.epoch = self.broker.init_producer(self.transactional_id)
            self.steps.stop("the producer has begun")
        txn = self.broker.begin(self.transactional_id, self.epoch)
        for record in _records(transaction):
            self.broker.send(txn, record)
        self.steps.stop("after_send")
        if transaction.offsets and transaction.membership is not None:
            self._send_offsets(txn, transaction, transaction.membership)
            self.steps.stop("after_send_offsets")
        ready()
        self.broker.commit(txn)

    def _send_offsets(self, txn: Txn, transaction: Transaction, membership: Membership) -> None:
        self.broker.send_offsets(txn, dict(transaction.offsets), membership)

    def fence(self, transactional_id: str, _: Transaction | None = None) -> None:
        epoch = self.broker.init_producer(transactional_id)
        self.former_ids -= {transactional_id}
        if transactional_id == self.transactional_id:
            self.epoch = epoch

    def close(self) -> None:
        self.broker.abort(self.transactional_id)


def worker_of(transactional_id: str) -> str:
    """The worker whose producer it is, or was."""
    return transactional_id.removeprefix("m-").rstrip("'")


def _records(transaction: Transaction) -> list[Record]:
    columns = [
        Record(c.topic, c.partition, key, value, stamp)
        for c in transaction.columns
        for key, value, stamp in zip(c.keys, c.values, c.timestamps_ms, strict=True)
    ]
    return [*columns, *transaction.records]


@dataclass
class ModelModels:
    """``Models``: what can be read of the models topic."""

    broker: Broker
    position: int = 0

    def read(self) -> list[tuple[str, bytes]]:
        found, self.position = self.broker.read(TOPICS.models, 0, self.position)
        return [((r.key or b"").decode(), r.value or b"") for r in found]

    def close(self) -> None:
        return


class NoOutputs:
    """``Outputs`` where a group never forgets its offsets."""

    def last(self, _: int) -> Emitted | None:
        return None


class NoLetters:
    """``DeadLetters`` as records without headers."""

    def __call__(self, partition: int, rejected: Sequence[Rejected]) -> list[Record]:
        return [Record("m.dead-letters", partition, None, b"%d" % one.offset, 0) for one in rejected]


class Silent:
    """An ``Observer`` that says nothing."""

    def notice(self, _: str) -> None:
        return

    def committed(self, _: Progress, __: list[Work]) -> None:
        return

    def minted(self, _: Minted) -> None:
        return


@dataclass
class Actor:
    """One worker: its thread, its stops, and the error it ended with, if it did."""

    name: str
    worker: Worker
    steps: Steps
    source: ModelSource
    log: ModelLog
    error: BaseException | None = None

    def start(self) -> None:
        """Have its thread wait for its first step."""
        threading.Thread(target=self._run, daemon=True, name=self.name).start()

    def _run(self) -> None:
        self.steps.begin()
        try:
            self.worker.run()
            self.source.close()
            self.log.close()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - told to whoever moves the world
            self.error = error
        self.steps.end()

    def kill(self) -> None:
        """End its process; its session and what it has open are left behind."""
        if not self.steps.ended:
            self.steps.killed = True
            self.steps.next()


class Late(Generic[T]):
    """Work that is done when it, or later work of the same lane, is waited for, or asked for often."""

    def __init__(self, work: Callable[[], T], lane: deque[Late[Any]]) -> None:
        """Note what is to be done."""
        self._work, self._lane = work, lane
        self._ended: Future[T] = Future()
        self._asked = 0
        lane.append(self)

    def done(self) -> bool:
        """Say whether somebody has waited for it; it does end some time if nobody does."""
        self._asked += 1
        if self._asked > MOST_ASKED:
            with suppress(Exception):
                self.result()
        return self._ended.done()

    def result(self) -> T:
        """Do it, the first time, and before it all that was begun before."""
        while not self._ended.done():
            self._lane.popleft()._do()
        return self._ended.result()

    def _do(self) -> None:
        try:
            self._ended.set_result(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again to whoever waits
            self._ended.set_exception(error)


def lane(*, late: bool) -> Aside:
    """Where one piece of work is done after the other: as late as it can be, or at once."""
    if not late:
        return at_once
    waiting = deque[Late[Any]]()
    return lambda work: Late(work, waiting)


class World:
    """The broker, the store, and the workers; ``plan`` and ``mapping`` are the model's."""

    def __init__(self, plan: ModelPlan, mapping: EventMapping, broker: Broker) -> None:
        """Start with nothing but an input topic."""
        self.plan, self.mapping, self.broker = plan, mapping, broker
        self.store = MemoryStore(between=self._within_apply, piece_customers=3)
        self.meta = {"partitions": str(broker.group.partitions), "instance": "model"}
        self.store.put_meta(self.meta)
        self.actors: list[Actor] = []
        self.saved: list[dict[str, Any]] = []
        self.clock_s = 0.0
        self._running: Steps | None = None

    def _within_apply(self, what: str) -> None:
        if self._running is not None:
            self._running.stop(f"within_{what}")

    def now_s(self) -> float:
        """Wall time, which passes as it is looked at."""
        self.clock_s += TICK_S
        return self.clock_s

    def hire(self, *, until_end: bool = False) -> Actor:
        """Add a worker, stopped before its first step."""
        name, late = f"w{len(self.actors)}", bool(len(self.actors) % 2)
        steps = Steps()
        source, log = ModelSource(self.broker, name, steps), ModelLog(self.broker, f"m-{name}", steps)
        ports = Ports(
            source=Guarded(source, "source", steps),
            log=Guarded(log, "log", steps),
            models=Guarded(ModelModels(self.broker), "models", steps),
            store=Guarded(self.store, "store", steps),
            decoder=JsonDecoder(self.mapping, self.plan.features),
            dead_letters=NoLetters(),
            outputs=NoOutputs(),
            now_s=self.now_s,
            committing=lane(late=late),
            storing=lane(late=late),
            minting=lane(late=late),
        )
        options = Options(
            worker=name,
            partitions=self.broker.group.partitions,
            until_end=until_end,
            patience=Patience(idle_s=1.0, silent_s=2.0),
            max_latency_s=0.0,
            horizon_patience_s=3.0,
            adopted_rows=8 if len(self.actors) % 3 else 32_768,
            meta=self.meta,
        )
        actor = Actor(
            name, Worker(self.plan, "model", TOPICS, ports, options, Silent(), steps.stop), steps, source, log
        )
        self.actors.append(actor)
        actor.start()
        return actor

    @property
    def alive(self) -> list[Actor]:
        """Workers that have not ended."""
        return [actor for actor in self.actors if not actor.steps.ended]

    def go(self, actor: Actor, steps: int) -> None:
        """Move a worker on by some steps."""
        self._running = actor.steps
        for _ in range(steps):
            actor.steps.next()
        self._running = None
        if actor.error is not None:
            raise AssertionError(f"{actor.name} ended in an error") from actor.error

    def save(self) -> None:
        """Keep a copy of the store as it is."""
        kept = ("public", "_partitions", "_horizon_ms")
        self.saved.append({name: copy.deepcopy(getattr(self.store, name)) for name in kept})

    def set_back(self, which: int) -> None:
        """Have the store be as it was."""
        for name, value in self.saved[which].items():
            setattr(self.store, name, copy.deepcopy(value))

    def flush(self) -> None:
        """Have the store forget everything."""
        self.store.reset()
