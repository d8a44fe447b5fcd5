"""A replay's results on its servers, exactly once: staged, sent in one transaction, applied.

Each commit stands at one place of the merged order: its transaction carries the offsets of all partitions
that moved. An interrupted replay takes its history again in memory up to the place of the last commit, and
sends from there on (decision 0008).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec.structs import replace

from consumers.replay.store import one_at_a_time
from stream_seg.adapters.kafka_topics import LABELS, MODELS, TRANSITIONS
from stream_seg.engine.checkpoint import full_checkpoint
from stream_seg.engine.edges import Aside, Running, at_once
from stream_seg.engine.joined import joined_checkpoint
from stream_seg.engine.mark import Mark
from stream_seg.engine.ports import Committed, Record, Records, Stored, Transaction
from stream_seg.engine.publish import quality_fields, segment_fields
from stream_seg.engine.records import Encoded, Origin, encode_labels, encode_transitions
from stream_seg.engine.registry import adoption_record, version_records
from stream_seg.engine.reports import Report, report
from stream_seg.engine.state import Numbers, Position, State
from stream_seg.errors import StateError

if TYPE_CHECKING:
    from consumers.replay.bounds import Bounds
    from stream_seg.adapters.redis import RedisStore
    from stream_seg.engine.minter import Minted
    from stream_seg.engine.ports import DeadLetters, Log, Membership
    from stream_seg.engine.replay import Run, Step
    from stream_seg.engine.version import ModelVersion
    from stream_seg.events.batch import Rejected

__all__ = ["Commits", "Servers"]

REPORT_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the results of the model ``model`` go; ``topic`` is what its records call their source.

    ``written`` are the event times that are written. Without ``emit`` only offsets are committed.
    ``committing`` is where that is done while the replay goes on.
    """

    model: str
    topic: str
    run: str
    worker: str
    store: RedisStore
    log: Log
    outsider: Membership
    dead_letters: DeadLetters
    written: Bounds
    emit: bool
    committing: Aside = at_once
    hook: Callable[[str], None] = lambda _: None


@dataclass(slots=True)
class Commits:
    """An ``Output``: what comes between two calls of ``commit`` is one transaction.

    ``begin`` is called once before the first one. ``resume`` maps each partition to what was committed last;
    up to there nothing is sent. ``place`` gives a checkpoint of the replay as it stands, to go on from where
    the newest batches of all partitions are those given (``None``: none is kept).
    """

    servers: Servers
    ends: dict[int, int]
    begin: Callable[[], None]
    resume: dict[int, Committed]
    place: Callable[[Mapping[int, str]], bytes | None] = lambda _: None
    tokens: dict[int, str] = field(default_factory=dict)
    versions: dict[int, ModelVersion] = field(default_factory=dict)
    _steps: dict[int, list[Step]] = field(default_factory=dict)
    _rejected: dict[int, list[Rejected]] = field(default_factory=dict)
    _models: list[tuple[str, bytes, int]] = field(default_factory=list)
    _minted: list[ModelVersion] = field(default_factory=list)
    _counted: dict[int, int] = field(default_factory=dict)
    _gone: dict[int, set[str]] = field(default_factory=dict)
    _last: dict[int, str] = field(default_factory=dict)
    _count: int = 0
    _begun: bool = False
    _reported_at: float = 0.0
    _under_way: Running[None] | None = None

    @property
    def until(self) -> dict[int, int] | None:
        """Where the last commit stood; ``None`` once that place has been passed."""
        return {p: found.next_offset for p, found in self.resume.items()} or None

    # -- an Output ------------------------------------------------------------------------------------------

    def step(self, step: Step) -> None:
        """Keep it for the next commit."""
        partition = step.state.partition
        self._steps.setdefault(partition, []).append(step)
        if self.resume:
            removed = {customer for _, customer in step.outcome.removed}
            self._gone.setdefault(partition, set()).update(removed)
        if step.adopted is not None:
            key, value = adoption_record(partition, step.adopted)
            self._models.append((key, value, step.adopted.version.as_of_ms))

    def version(self, minted: Minted) -> None:
        """Keep it for the next commit."""
        self.publish(minted.version, version_records(minted))

    def publish(self, version: ModelVersion, records: Sequence[tuple[str, bytes]]) -> None:
        """Keep a version and its records for the next commit."""
        self.versions[version.version] = version
        self._minted.append(version)
        self._models += [(key, value, version.as_of_ms) for key, value in records]

    def rejected_of(self, partition: int, rows: Sequence[Rejected]) -> None:
        """Keep dead letters until their partition has passed them."""
        self._rejected.setdefault(partition, []).extend(rows)

    def rejected(self, rows: Sequence[Rejected]) -> None:
        """They come with their partition, by ``rejected_of``."""

    def complete(self, driver: Run) -> None:
        """Say that the replay has finished, and leave."""
        self.settle()
        store = self.servers.store
        with one_at_a_time():
            for last in self._reports(driver.states, caught_up=True):
                store.put_report(last, self.tokens[last.partition])
                store.release(last.partition, self.tokens[last.partition])
            store.refresh_sizes()

    # -- a commit -------------------------------------------------------------------------------------------

    def commit(self, states: dict[int, State]) -> None:
        """Commit what has been told since the last time, unless it was committed before.

        It is done beside what comes next; what goes wrong with it comes out of the next call, or of
        ``settle``.
        """
        if not self._steps:
            return
        with one_at_a_time():
            if self.resume:
                self._take_again(states)
                return
            if not self._begun:
                self.begin()
                self._begun = True
        work = self._prepared(states)
        self._forget_told()
        self.settle()
        self._under_way = self.servers.committing(work)

    def settle(self) -> None:
        """Wait until nothing is under way any more."""
        running, self._under_way = self._under_way, None
        if running is not None:
            with one_at_a_time():
                running.result()

    def _prepared(self, states: dict[int, State]) -> Callable[[], None]:
        """All that is committed of what has been told, as it is now: the states go on meanwhile."""
        made = {p: joined_checkpoint(steps, self.versions) for p, steps in self._steps.items()}
        ids = {p: secrets.token_hex(8) for p in made}
        known, models = max(self.versions), f"{self.servers.model}.{MODELS}"
        offsets = {
            p: Committed(
                one.end.next_offset, Mark(one.end.batch, ids[p], one.numbers.version, known, models).text
            )
            for p, one in made.items()
        }
        steps, records, minted = self._steps, self._records(states), self._minted
        self._last.update(ids)
        self._count += 1
        number, place = self._count % 2, self.place(self._last)
        reports = self._reports(states) if time.monotonic() - self._reported_at >= REPORT_EVERY_S else []
        servers, store, tokens = self.servers, self.servers.store, self.tokens

        def work() -> None:
            servers.hook("before_stage")
            store.stage([(made[p], ids[p], tokens[p]) for p in made])
            if place is not None:  # beside the one before: which of them counts, the offsets tell
                store.put_place(number, place, tokens[0])
            servers.hook("after_stage")
            columns = _columns(servers, steps)
            servers.log.commit(Transaction(columns, records, offsets, servers.outsider))
            servers.hook("after_commit")
            store.apply([(p, ids[p], tokens[p]) for p in made])
            _publish(store, minted)
            servers.hook("after_apply")
            for one in reports:
                store.put_report(one, tokens[one.partition])
            if reports:
                store.refresh_sizes()

        return work

    def _reports(self, states: dict[int, State], *, caught_up: bool = False) -> list[Report]:
        self._reported_at = time.monotonic()
        return [self._report(state, caught_up=caught_up) for state in states.values()]

    def _records(self, states: dict[int, State]) -> list[Record]:
        if not self.servers.emit:
            return []
        topic = f"{self.servers.model}.{MODELS}"
        records = [Record(topic, 0, key.encode(), value, max(at, 0)) for key, value, at in self._models]
        for partition, state in states.items():
            records += self.servers.dead_letters(partition, self._passed(state))
        return records

    def _passed(self, state: State) -> list[Rejected]:
        """The dead letters that the partition has passed by now, counted and forgotten here."""
        end, waiting = state.numbers.position.next_offset, self._rejected.get(state.partition, [])
        passed = [row for row in waiting if row.offset < end]
        self._counted[state.partition] = self._counted.get(state.partition, 0) + len(passed)
        del waiting[: len(passed)]
        return passed

    def _forget_told(self) -> None:
        self._steps, self._models, self._minted = {}, [], []

    def _report(self, state: State, *, caught_up: bool) -> Report:
        partition = state.partition
        made = report(
            state, next_event_ms=None, caught_up=caught_up, rejected=self._counted.get(partition, 0)
        )
        lag = max(self.ends[partition] - state.numbers.position.next_offset, 0)
        return replace(made, worker=self.servers.worker, reported_at_ms=int(time.time() * 1000), lag=lag)

    # -- going on after an interruption ---------------------------------------------------------------------

    def go_on(self, versions: Mapping[int, ModelVersion], last: Mapping[int, str], number: int) -> None:
        """Send what comes from now on: a checkpoint, the one of that ``number``, has been gone back to.

        ``versions`` are all that there are, ``last`` each partition's newest batch.
        """
        self.versions, self._last, self._count = dict(versions), dict(last), number
        _publish(self.servers.store, [versions[known] for known in sorted(versions)])
        self.resume, self._begun = {}, True

    def _take_again(self, states: dict[int, State]) -> None:
        """Nothing of this is sent: it was before. At the place of the last commit the store is settled."""
        for state in states.values():
            self._passed(state)
        self._forget_told()
        stand = {p: states[p].numbers.position.next_offset for p in self.resume}
        if any(stand[p] > found.next_offset for p, found in self.resume.items()):
            raise _differs()
        if any(stand[p] < found.next_offset for p, found in self.resume.items()):
            return
        for partition, found in self.resume.items():
            self._settle(states[partition], found)
        _publish(self.servers.store, [self.versions[number] for number in sorted(self.versions)])
        self.resume, self._gone, self._begun = {}, {}, True

    def stored(self, partition: int, mark: Mark) -> Stored | None:
        """What is stored of a partition, a batch that was half-way settled: applied if it was committed."""
        store, token = self.servers.store, self.tokens[partition]
        pending = store.pending(partition)
        if pending is not None and (pending.batch_id == mark.batch_id or pending.begun):
            store.apply([(partition, pending.batch_id, token)])
        elif pending is not None:
            store.drop(partition, pending.batch_id, token)
        return store.load(partition)

    def _settle(self, state: State, found: Committed) -> None:
        """Bring what is stored of a partition to where it was committed, whatever a crash has left."""
        store, partition, mark = self.servers.store, state.partition, Mark.read(found.metadata)
        token = self.tokens[partition]
        state.numbers = replace(state.numbers, position=Position(found.next_offset, mark.batch))
        stored = self.stored(partition, mark)
        numbers = Numbers() if stored is None else stored.numbers
        if numbers.position == state.numbers.position:
            if numbers != state.numbers:
                raise _differs()
            return
        whole = full_checkpoint(state, self.versions, self._gone.get(partition, set()))
        batch_id = mark.batch_id or secrets.token_hex(8)
        store.discard(partition, token, numbers.sizes)
        store.stage([(whole, batch_id, token)])
        store.apply([(partition, batch_id, token)])


def _publish(store: RedisStore, minted: Sequence[ModelVersion]) -> None:
    for version in minted:
        store.put_version(
            version.version, version.to_json(), segment_fields(version), quality_fields(version)
        )


def _columns(servers: Servers, steps_of: Mapping[int, Sequence[Step]]) -> list[Records]:
    """Labels and transitions of each partition's steps; none where only offsets are committed."""
    if not servers.emit:
        return []
    columns = []
    for partition, steps in steps_of.items():
        origin = Origin(servers.topic, partition, servers.run)
        for one in steps:
            labels = encode_labels(one.outcome, origin)
            moves = encode_transitions(one.outcome, origin, one.state.features)
            columns += [
                _inside(servers, LABELS, partition, labels),
                _inside(servers, TRANSITIONS, partition, moves),
            ]
    return [part for part in columns if part.values]


def _inside(servers: Servers, kind: str, partition: int, encoded: Encoded) -> Records:
    """Records whose event time is one that is written."""
    topic, times = f"{servers.model}.{kind}", encoded.timestamp_ms
    inside = servers.written.holds(times)
    if inside.all():
        return Records(topic, partition, encoded.keys, encoded.values, times.tolist())
    which = np.flatnonzero(inside).tolist()
    keys, values = [encoded.keys[i] for i in which], [encoded.values[i] for i in which]
    return Records(topic, partition, keys, values, times[inside].tolist())


def _differs() -> StateError:
    return StateError(
        "the replay does not come again to what it had committed (the topic or the program has changed): "
        "give --fresh to begin anew"
    )
