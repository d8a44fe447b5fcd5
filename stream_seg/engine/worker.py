"""The live worker: one member of the consumer group, driving ``step`` over the partitions it owns.

Each round polls, decodes, steps, then commits what all partitions have as one batch each: **stage** in the store, **transact** in Kafka,
**apply** in the store (design §5). Kafka's committed offset is the decision record: after any exception the states concerned are thrown
away and their partitions taken over again, by looking at what is committed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from msgspec.structs import replace

from stream_seg.engine.livemint import Gathered, LiveMinter, Patience, horizon
from stream_seg.engine.minter import Minted
from stream_seg.engine.partition import LivePartition, Work
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.ports import (
    Committed,
    DeadLetters,
    Log,
    Membership,
    Models,
    Polled,
    Record,
    Records,
    Source,
    Store,
    Transaction,
)
from stream_seg.engine.publish import quality_fields, segment_fields
from stream_seg.engine.records import Encoded, Origin, encode_labels, encode_transitions
from stream_seg.engine.registry import Registry, adoption_record, version_records
from stream_seg.engine.reports import Report, Sample, draw_sample
from stream_seg.engine.state import DAY_MS
from stream_seg.engine.takeover import TakeOver, metadata
from stream_seg.errors import OwnershipLost, ServerUnavailable, StreamSegError
from stream_seg.events.records import Decoded, RawRecords

IDLE_POLL_S = 0.05
REPORT_EVERY_S = 0.2
SIZES_EVERY_S = 0.5
RETRY_FIRST_S, RETRY_MOST_S = 0.2, 2.0
HORIZON_PATIENCE_S = 30.0


class Decoder(Protocol):
    """Makes events of records."""

    def decode(self, records: RawRecords) -> Decoded:
        """Every record as an event or as a rejected one."""


@dataclass(frozen=True, slots=True)
class Topics:
    """Where a model's records go, and what they call where they came from."""

    source: str
    labels: str
    transitions: str
    models: str
    run: str = "live"


@dataclass(frozen=True, slots=True)
class Ports:
    """The worker's edges; ``now_s`` is wall time in seconds since 1970 (for patience and people, never for labels)."""

    source: Source
    log: Log
    models: Models
    store: Store
    decoder: Decoder
    dead_letters: DeadLetters
    now_s: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Options:
    """How a worker runs: ``until_end`` stops when the group has committed what the topic held at start."""

    worker: str
    partitions: int
    start: str = "earliest"
    until_end: bool = False
    patience: Patience = field(default_factory=Patience)
    horizon_days: float = 1.0
    horizon_patience_s: float = HORIZON_PATIENCE_S


@dataclass(slots=True)
class Progress:
    """What a worker has done so far, for people."""

    events: int = 0
    transitions: int = 0
    rejected: int = 0
    version: int = 0
    clock_ms: int = -1


class Observer(Protocol):
    """Is told what a person may want to know."""

    def notice(self, text: str) -> None:
        """One sentence, said once."""

    def committed(self, progress: Progress, work: list[Work]) -> None:
        """A batch was committed and applied."""


def no_hook(_: str) -> None:
    """Pass every named step of the protocol by."""


class Worker:
    """Runs until told to ``stop``; ``hook`` is called with the name of each step of the protocol (tests stop there)."""

    def __init__(
        self,
        plan: ModelPlan,
        instance: str,
        topics: Topics,
        ports: Ports,
        options: Options,
        observer: Observer,
        hook: Callable[[str], None] = no_hook,
    ) -> None:
        """Make a worker that owns nothing yet. ``instance`` names the model's life where no version does yet."""
        self.plan, self.topics, self.ports, self.options, self.observer = plan, topics, ports, options, observer
        self.progress = Progress()
        self.registry = Registry()
        self.owned: dict[int, LivePartition] = {}
        self._hook = hook
        self._minter = LiveMinter(plan, instance, options.patience, options.until_end)
        self._membership: Membership | None = None
        self._waiting: set[int] = set()
        self._retry_s, self._retry_at = RETRY_FIRST_S, 0.0
        self._stopping = False
        self._down = ""
        self._reported_at: dict[int, float] = {}
        self._sizes_at, self._sizes_dirty = 0.0, False
        self._published = 0
        self._ends: dict[int, int] = {}
        self._horizon: int | None = 0
        self._horizon_moved_at = ports.now_s()
        self._extra_days = 0

    # -- life ---------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Finish the round, give the partitions back, and end."""
        self._stopping = True

    @property
    def ready(self) -> bool:
        """Whether the worker is in the group and every partition it has been given is served."""
        return self._membership is not None and not self._waiting and not self._down

    def run(self) -> None:
        """Run until stopped, or until the end where that was asked for. Raises what a person must decide."""
        if self.options.until_end:
            self._ends = self.ports.source.ends(range(self.options.partitions))
        try:
            while not self._stopping:
                self._round()
                if self._ends and self._everything_committed():
                    break
        finally:
            self._leave()

    def _round(self) -> None:
        polled = self._poll()
        self._membership = polled.membership
        for partition in polled.lost:
            self.owned.pop(partition, None)
        self._waiting = (self._waiting | polled.gained) & polled.assigned
        try:
            self._feed(polled)
            self._take_over()
            self._work()
            self._up()
        except ServerUnavailable as error:
            self._drop_all(str(error))
        except OwnershipLost:
            self._drop_all("")

    def _poll(self) -> Polled:
        busy = any(not p.queue.empty and p.scratch is None for p in self.owned.values())
        resting = frozenset(p for p, owned in self.owned.items() if owned.full) | frozenset(self._waiting)
        self.ports.source.pause(resting)
        return self.ports.source.poll(0.0 if busy else IDLE_POLL_S, on_lost=self._on_revoke)

    def _on_revoke(self, partitions: frozenset[int]) -> None:
        """Leave partitions cleanly: everything made has been committed, only the token remains to be cleared."""
        for partition in partitions:
            owned = self.owned.pop(partition, None)
            if owned is not None:
                self._release(owned)

    def _release(self, owned: LivePartition) -> None:
        try:
            self.ports.store.release(owned.number, owned.token)
        except (ServerUnavailable, OwnershipLost) as error:
            self.observer.notice(f"A partition could not be left cleanly ({error}); its next owner will see to it.")

    def _leave(self) -> None:
        for owned in self.owned.values():
            self._release(owned)
        self.owned.clear()
        if self._sizes_dirty:
            self.ports.store.refresh_sizes()

    def _drop_all(self, why: str) -> None:
        self._waiting |= set(self.owned)
        self.owned.clear()
        self._retry_at = self.ports.now_s() + self._retry_s
        self._retry_s = min(self._retry_s * 2, RETRY_MOST_S)
        if why and why != self._down:
            if not self._down:
                self.observer.notice(f"{why} Waiting for it to come back.")
            self._down = why

    def _up(self) -> None:
        if self._waiting:
            return
        self._retry_s = RETRY_FIRST_S
        if self._down:
            self._down = ""
            self.observer.notice("The servers answer again; going on.")

    # -- taking over --------------------------------------------------------------------------------------

    def _take_over(self) -> None:
        if not self._waiting or self._membership is None or self.ports.now_s() < self._retry_at:
            return
        self.registry.take(self.ports.models.read())
        taker = TakeOver(
            plan=self.plan,
            source=self.ports.source,
            log=self.ports.log,
            store=self.ports.store,
            decode=self.ports.decoder.decode,
            registry=self.registry,
            membership=self._membership,
            start=self.options.start,
            keep_alive=self._keep_alive,
            hook=self._hook,
        )
        for partition in sorted(self._waiting):
            owned = taker.take(partition)
            if partition not in self._waiting:
                raise OwnershipLost("A partition was taken away while it was taken over.")
            self._waiting.discard(partition)
            self.owned[partition] = owned
            self._report(owned, force=True)
        if 0 in self.owned and self.registry.newest is not None:
            self._publish(self.registry.newest.version)
            self._minter.resume(self.registry.newest, self._gather())

    def _keep_alive(self, polled: Polled) -> None:
        """Note what a poll inside a take-over brought."""
        if polled.lost:
            for partition in polled.lost:
                self.owned.pop(partition, None)
            self._waiting |= polled.gained
            raise OwnershipLost("The group was rebalanced during a take-over.")
        self._waiting |= polled.gained
        self._membership = polled.membership

    def _feed(self, polled: Polled) -> None:
        for partition, records in polled.records.items():
            owned = self.owned.get(partition)
            if owned is not None:
                owned.feed(self.ports.decoder.decode(records))

    # -- a round's work -----------------------------------------------------------------------------------

    def _work(self) -> None:
        if self._membership is None or not self.owned:
            return
        self._look_at_ends()
        if self.registry.newest is None:
            self._commit([w for p in self.owned.values() if (w := p.take_rejected())])
            self._report_all()
            self._warm_up()
            return
        self._adopt()
        limit = self._limit_ms()
        work = [w for p in self.owned.values() if (w := p.take(limit))]
        work += [w for p in self.owned.values() if p.read_up and (w := p.skip_to(p.read_up))]
        self._commit(work)
        self._report_all(changed={w.partition for w in work})
        self._mint()
        self._refresh_sizes()

    def _look_at_ends(self) -> None:
        idle = [p for p in self.owned.values() if p.queue.empty or p.scratch is not None]
        due = [p for p in idle if self._due(p)]
        if not due:
            return
        ends = self.ports.source.ends([p.number for p in due])
        for owned in due:
            owned.end = ends[owned.number]
            owned.read_up = self.ports.source.read_up(owned.number)

    def _due(self, owned: LivePartition) -> bool:
        return self.ports.now_s() - self._reported_at.get(owned.number, 0.0) >= REPORT_EVERY_S or owned.end is None

    def _adopt(self) -> None:
        newest = self.registry.newest
        if newest is None:
            return
        behind = [p for p in self.owned.values() if p.numbers.version < newest.version]
        for owned in behind:
            owned.end_warm_up()
        if behind:
            self._commit([owned.adopt(newest) for owned in behind])

    def _limit_ms(self) -> float:
        """How far in event time the horizon lets anyone go; without any move for long, a day further at a time."""
        if self._minter_is_here():
            moved = horizon(self._gather())
        else:
            moved = self.ports.store.horizon()
        now = self.ports.now_s()
        if moved != self._horizon:
            self._horizon, self._horizon_moved_at, self._extra_days = moved, now, 0
        elif now - self._horizon_moved_at >= self.options.horizon_patience_s:
            self._horizon_moved_at, self._extra_days = now, self._extra_days + 1
        if self._horizon is None:
            return float("inf")
        return self._horizon + DAY_MS * (self.options.horizon_days + self._extra_days)

    def _commit(self, work: list[Work], extra: Iterable[Record] = (), *, minted: bool = False) -> None:
        """Stage, transact, apply: all of it or nothing, for all partitions at once."""
        if not work and not minted:
            return
        batch_ids = {w.partition: secrets.token_hex(8) for w in work}
        tokens = {w.partition: self.owned[w.partition].token for w in work}
        self._hook("before_stage")
        self.ports.store.stage([(w.checkpoint, batch_ids[w.partition], tokens[w.partition]) for w in work])
        self._hook("after_stage")
        offsets = {
            w.partition: Committed(w.outcome.end.next_offset, metadata(w.outcome.end.batch, batch_ids[w.partition]))
            for w in work
        }
        columns = [c for w in work for c in self._columns(w)]
        records = [*extra, *(r for w in work for r in self._records(w))]
        self.ports.log.commit(Transaction(columns, records, offsets, self._membership))
        self._hook("after_commit")
        self.ports.store.apply([(w.partition, batch_ids[w.partition], tokens[w.partition]) for w in work])
        self._hook("after_apply")
        self._sizes_dirty |= bool(work)
        self._note(work)

    def _columns(self, work: Work) -> list[Records]:
        origin = Origin(self.topics.source, work.partition, self.topics.run)
        labels = encode_labels(work.outcome, origin)
        moves = encode_transitions(work.outcome, origin, self.plan.features)
        return [
            _columns(self.topics.labels, work.partition, labels),
            _columns(self.topics.transitions, work.partition, moves),
        ]

    def _records(self, work: Work) -> list[Record]:
        records = self.ports.dead_letters(work.partition, work.rejected)
        if work.adopted is not None:
            key, value = adoption_record(work.partition, work.adopted)
            records.append(self._model_record(key, value, work.adopted.version.as_of_ms))
        return records

    def _model_record(self, key: str, value: bytes, timestamp_ms: int) -> Record:
        return Record(self.topics.models, 0, key.encode(), value, max(timestamp_ms, 0))

    def _note(self, work: list[Work]) -> None:
        progress = self.progress
        for w in work:
            progress.events += 0 if w.outcome.events is None else len(w.outcome.events)
            progress.transitions += len(w.outcome.transitions)
            progress.rejected += len(w.rejected)
            progress.clock_ms = max(progress.clock_ms, w.checkpoint.numbers.clock_ms)
            if w.outcome.version is not None:
                progress.version = max(progress.version, w.outcome.version.version)
        self.observer.committed(progress, work)

    # -- reports and minting ------------------------------------------------------------------------------

    def _report_all(self, changed: Iterable[int] = ()) -> None:
        for owned in self.owned.values():
            self._report(owned, force=owned.number in changed)

    def _report(self, owned: LivePartition, *, force: bool) -> None:
        now = self.ports.now_s()
        if not force and now - self._reported_at.get(owned.number, 0.0) < REPORT_EVERY_S:
            return
        sample = owned.new_sample(self._sample_rows(), self.plan.seed)
        self.ports.store.put_report(self._signed(owned), owned.token, sample)
        self._reported_at[owned.number] = now

    def _signed(self, owned: LivePartition) -> Report:
        lag = None if owned.end is None else max(owned.end - owned.numbers.position.next_offset, 0)
        return replace(
            owned.report(), worker=self.options.worker, reported_at_ms=int(self.ports.now_s() * 1000), lag=lag
        )

    def _sample_rows(self) -> int:
        return -(-self.plan.minting.sample_rows // self.options.partitions)

    def _minter_is_here(self) -> bool:
        return 0 in self.owned

    def _gather(self) -> Gathered:
        """All reports: our own partitions' as they are now, the others' as last stored."""
        mine = {p: self._signed(owned) for p, owned in self.owned.items()}
        if len(mine) == self.options.partitions:
            return Gathered(mine, {}, self.options.partitions)
        return Gathered({**self.ports.store.reports(), **mine}, {}, self.options.partitions)

    def _with_samples(self, gathered: Gathered) -> Gathered:
        stored: dict[int, Sample] = {}
        if len(self.owned) < self.options.partitions:
            stored = self.ports.store.samples()
        mine = {
            p: draw_sample(owned.scratch or owned.state, self._sample_rows(), self.plan.seed)
            for p, owned in self.owned.items()
        }
        return Gathered(gathered.reports, {**stored, **mine}, gathered.partitions)

    def _warm_up(self) -> None:
        if not self._minter_is_here():
            self.registry.take(self.ports.models.read())
            return
        gathered = self._with_samples(self._gather())
        minted = self._minter.warm_up(gathered, self.ports.now_s())
        if minted is not None:
            self._commit_version(minted)

    def _mint(self) -> None:
        if not self._minter_is_here():
            self.registry.take(self.ports.models.read())
            return
        gathered = self._gather()
        owed = False
        if self._minter.minter.current is not None and self._minter.minter.due(*_running(gathered)):
            minted, owed = self._minter.check(self._with_samples(gathered), self.ports.now_s())
            if minted is not None:
                self._commit_version(minted)
                return
        if not owed and len(self.owned) < self.options.partitions:
            self.ports.store.put_horizon(horizon(gathered), self.owned[0].token)

    def _commit_version(self, minted: Minted) -> None:
        """Commit a version together with partition 0's offset and the group's metadata: an old owner cannot mint."""
        owned = self.owned[0]
        records = [
            self._model_record(key, value, minted.version.as_of_ms) for key, value in version_records(minted)
        ]
        committed = self.ports.source.committed(0) or Committed(owned.numbers.position.next_offset, metadata(0, ""))
        self._hook("before_mint")
        self.ports.log.commit(Transaction((), records, {0: committed}, self._membership))
        self._hook("after_mint")
        self.registry.take((key, value) for key, value in version_records(minted))
        self._publish(minted.version.version)

    def _publish(self, number: int) -> None:
        version = self.registry.versions[number]
        self.ports.store.put_version(
            version.version, version.to_json(), segment_fields(version), quality_fields(version)
        )

    def _refresh_sizes(self) -> None:
        now = self.ports.now_s()
        if self._sizes_dirty and now - self._sizes_at >= SIZES_EVERY_S:
            self.ports.store.refresh_sizes()
            self._sizes_at, self._sizes_dirty = now, False

    def _everything_committed(self) -> bool:
        if self._waiting or any(p.numbers.position.next_offset < self._ends[p.number] for p in self.owned.values()):
            return False
        others = [p for p in self._ends if p not in self.owned]
        committed = {p: self.ports.source.committed(p) for p in others}
        return all(c is not None and c.next_offset >= self._ends[p] for p, c in committed.items())


def _columns(topic: str, partition: int, encoded: Encoded) -> Records:
    return Records(topic, partition, encoded.keys, encoded.values, encoded.timestamp_ms.tolist())


def _running(gathered: Gathered) -> tuple[int, int]:
    running = [r for r in gathered.reports.values() if r.version]
    return sum(r.events for r in running), sum(r.rows_passed for r in running)


__all__ = ["Decoder", "Observer", "Options", "Ports", "Progress", "StreamSegError", "Topics", "Worker"]
