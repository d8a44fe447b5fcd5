"""One commit: stage in the store, transact in Kafka, apply in the store (design §5).

All three go on while the next batch is fetched, decoded, computed and encoded, and a batch's records are sent
while the one before is applied. A batch is applied before the next one is staged, and staged before it is
committed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from stream_seg.engine.checkpoint import Checkpoint
from stream_seg.engine.edges import Aside, Running
from stream_seg.engine.mark import Mark
from stream_seg.engine.minter import Minted
from stream_seg.engine.partition import Work
from stream_seg.engine.ports import (
    Committed,
    DeadLetters,
    Log,
    Membership,
    Record,
    Records,
    Source,
    Store,
    Transaction,
)
from stream_seg.engine.records import Encoded, Origin, encode_labels, encode_transitions
from stream_seg.engine.registry import Registry, adoption_record, version_records
from stream_seg.errors import OwnershipLost, StreamSegError
from stream_seg.events.batch import Rejected
from stream_seg.features.spec import FeatureSet

_SWEPT_MS = 1
_LARGE_ROWS = 100_000
"""So many rows take seconds to be stored: no transaction is begun meanwhile, whose time would run out."""


@dataclass(frozen=True, slots=True)
class OutputTopics:
    """Where a model's records go, what they call the topic they came from, and the name of the run."""

    source: str
    labels: str
    transitions: str
    models: str
    run: str = "live"


@dataclass(slots=True)
class Committer:
    """Commits the work of several partitions at once, and new versions, beside what goes on.

    ``hook`` is called at each named step of the protocol; ``committed`` with work that is committed and
    applied, ``minted`` with a version that is committed, once its end is waited for. ``aside`` is where Kafka
    is waited for, ``storing`` where the store is, one call after the other.
    """

    topics: OutputTopics
    features: FeatureSet
    registry: Registry
    source: Source
    store: Store
    log: Log
    dead_letters: DeadLetters
    hook: Callable[[str], None]
    aside: Aside
    storing: Aside
    committed: Callable[[list[Work]], None]
    minted: Callable[[Minted], None]
    _sending: tuple[Running[Running[None]], list[Work]] | None = None
    _minting: tuple[Running[None], Minted] | None = None
    _applying: tuple[Running[None], list[Work]] | None = None
    _large: bool = False
    _reached: dict[int, Committed] = field(default_factory=dict)

    def commit(
        self,
        work: list[Work],
        tokens: Mapping[int, str],
        membership: Membership | None,
        then: Callable[[], None],
    ) -> None:
        """Begin to commit all of ``work`` or nothing, once what was begun before is committed.

        That may raise what the former commit failed with.

        ``then`` is called at the end, beside what goes on as well. See ``settle``: after any exception only a
        take-over can tell what became of it.
        """
        ids = {w.partition: secrets.token_hex(8) for w in work}
        batches = [(w.checkpoint, ids[w.partition], tokens[w.partition]) for w in work]
        columns = [c for w in work for c in self._columns(w)]
        records = [r for w in work for r in self._records(w)]
        self._sent()  # a version that came after it is known from here on
        offsets = {w.partition: self._offset(w, ids[w.partition]) for w in work}
        self._reached |= offsets
        transaction = Transaction(columns, records, offsets, membership)
        self._sending = (self.aside(lambda: self._commit(batches, transaction, then)), work)
        if not self.log.beside:
            self.settle()

    def commit_version(self, minted: Minted, membership: Membership | None) -> None:
        """Begin to commit a new version, once what was begun before is committed; nothing waits for it.

        Partition 0's offset goes with it, marked with it: so an old owner of that partition cannot mint, and
        a new one knows what it must have read.
        """
        first = self._reached.get(0) or self.source.committed(0)
        if first is None:
            raise OwnershipLost("the group's offset of partition 0 is gone: take it over again")
        mark = Mark.read(first.metadata)._replace(known=minted.version.version)
        records = [
            self._model_record(key, value, minted.version.as_of_ms) for key, value in version_records(minted)
        ]
        transaction = Transaction((), records, {0: first._replace(metadata=mark.text)}, membership)
        before = None if self._sending is None else self._sending[0]
        self._minting = (self.aside(lambda: self._commit_version(transaction, before)), minted)
        if not self.log.beside:
            self.settle()

    def taken_over(self) -> None:
        """Forget how far partitions were committed: it may have been somebody else who did it last."""
        self._reached.clear()

    def settle(self, *, wait: bool = True) -> None:
        """Wait until what was begun last is committed and applied; raises what that raised, once.

        Without ``wait`` only for what has ended.
        """
        last = self._minting or self._sending
        if last is not None and (wait or last[0].done()):
            self._sent()
        if self._applying is not None and (wait or self._applying[0].done()):
            applying, self._applying = self._applying, None
            self._applied(applying)

    def rest(self) -> None:
        """Wait like ``settle``, but leave it to that to raise."""
        with suppress(StreamSegError):
            if self._applying is not None:
                self._applying[0].result()
        with suppress(StreamSegError):
            if self._sending is not None:
                self._sending[0].result().result()
        with suppress(StreamSegError):
            if self._minting is not None:
                self._minting[0].result()

    def _sent(self) -> None:
        """Wait until what was begun last is committed in Kafka, and the batch that came before it applied."""
        sending, self._sending = self._sending, None
        minting, self._minting = self._minting, None
        before = None
        try:
            if sending is not None:
                before, self._applying = self._applying, None
                self._applying = sending[0].result(), sending[1]
            if minting is not None:
                minting[0].result()
                self.minted(minting[1])
        finally:
            if before is not None:
                self._applied(before)

    def _applied(self, applying: tuple[Running[None], list[Work]]) -> None:
        running, work = applying
        running.result()
        self.committed(work)

    def _commit(
        self,
        batches: Sequence[tuple[Checkpoint, str, str]],
        transaction: Transaction,
        then: Callable[[], None],
    ) -> Running[None]:
        stage = self.store.prepared(batches)  # while the batch before is applied
        staging = self.storing(lambda: self._stage(stage))
        before, self._large = self._large, sum(len(one.rows) for one, _, _ in batches) > _LARGE_ROWS
        try:
            if before or self._large:
                staging.result()
            self.log.commit(transaction, staging.result)
        except BaseException:
            with suppress(StreamSegError):
                staging.result()  # it has ended before anybody looks what has become of it
            raise
        self.hook("after_commit")
        return self.storing(lambda: self._apply(batches, then))

    def _commit_version(self, transaction: Transaction, before: Running[Running[None]] | None) -> None:
        if before is not None:
            before.result()  # its offset is marked: where it is not committed, this must not be
        self.hook("before_mint")
        self.log.commit(transaction)
        self.hook("after_mint")

    def _stage(self, stage: Callable[[], None]) -> None:
        self.hook("before_stage")
        stage()
        self.hook("after_stage")

    def _apply(self, batches: Sequence[tuple[Checkpoint, str, str]], then: Callable[[], None]) -> None:
        self.store.apply([(checkpoint.partition, i, token) for checkpoint, i, token in batches])
        self.hook("after_apply")
        then()

    def sweep(self, partitions: Sequence[int], membership: Membership | None) -> Transaction:
        """A transaction that touches all that one over ``partitions`` can have touched; to be aborted."""
        topics = (self.topics.labels, self.topics.transitions)
        records = [Record(topic, p, b"", b"", _SWEPT_MS) for topic in topics for p in partitions]
        blank = Rejected(0, b"", b"", _SWEPT_MS, "", "", "")
        records += [letter for p in partitions for letter in self.dead_letters(p, [blank])]
        records.append(Record(self.topics.models, 0, b"", b"", _SWEPT_MS))
        return Transaction((), records, {p: Committed(0, "") for p in partitions}, membership)

    def _offset(self, work: Work, batch_id: str) -> Committed:
        end, adopted = work.outcome.end, work.checkpoint.numbers.version
        mark = Mark(end.batch, batch_id, adopted, self.registry.known, self.topics.models)
        return Committed(end.next_offset, mark.text)

    def _columns(self, work: Work) -> list[Records]:
        origin = Origin(self.topics.source, work.partition, self.topics.run)
        labels = encode_labels(work.outcome, origin)
        moves = encode_transitions(work.outcome, origin, self.features)
        both = [
            _columns(self.topics.labels, work.partition, labels),
            _columns(self.topics.transitions, work.partition, moves),
        ]
        return [columns for columns in both if columns.values]

    def _records(self, work: Work) -> list[Record]:
        records = self.dead_letters(work.partition, work.rejected)
        if work.adopted is not None:
            key, value = adoption_record(work.partition, work.adopted)
            records.append(self._model_record(key, value, work.adopted.version.as_of_ms))
        return records

    def _model_record(self, key: str, value: bytes, timestamp_ms: int) -> Record:
        return Record(self.topics.models, 0, key.encode(), value, max(timestamp_ms, 0))


def _columns(topic: str, partition: int, encoded: Encoded) -> Records:
    return Records(topic, partition, encoded.keys, encoded.values, encoded.timestamp_ms.tolist())
