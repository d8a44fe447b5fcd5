"""Taking a partition over.

From whatever a former owner left to a state that is exactly what Kafka has committed.

The order matters (design §5): a fresh token first, then the former owner's producer is fenced, then the
stable committed offset is read, and only then is what was staged applied or dropped. Where the store lags
behind Kafka (Redis lost data) the gap is read again silently, following the recorded adoptions.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace as with_fields

from stream_seg.engine.checkpoint import full_checkpoint, restore
from stream_seg.engine.partition import LivePartition
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.ports import Committed, Log, Membership, Polled, Source, Store, Stored, Transaction
from stream_seg.engine.queue import EventQueue
from stream_seg.engine.registry import Registry
from stream_seg.engine.state import Numbers, Position, State
from stream_seg.engine.step import step
from stream_seg.errors import StateError
from stream_seg.events.batch import EventBatch
from stream_seg.events.records import Decoded, RawRecords


def metadata(batch: int, batch_id: str) -> str:
    """What is committed with an offset: the batch's number and id."""
    return f"{batch}:{batch_id}"


def read_metadata(text: str) -> tuple[int, str]:
    """(batch number, batch id) of committed metadata; ``StateError`` where somebody else has committed."""
    number, separator, batch_id = text.partition(":")
    if not separator or not number.isdecimal():
        raise StateError(
            "the consumer group has offsets that this program did not commit: give the model a group of its own "
            "(source.group), or reset the model"
        )
    return int(number), batch_id


@dataclass(slots=True)
class TakeOver:
    """Takes partitions over, one at a time, for the member that ``membership`` names."""

    plan: ModelPlan
    source: Source
    log: Log
    store: Store
    decode: Callable[[RawRecords], Decoded]
    registry: Registry
    membership: Membership
    start: str
    keep_alive: Callable[[Polled], None]
    hook: Callable[[str], None]

    def take(self, partition: int) -> LivePartition:
        """Own ``partition``; its source then stands at its next unread record.

        Raises ``OwnershipLost`` where the group moved on meanwhile, ``StateError`` where a person must
        decide.
        """
        token = secrets.token_hex(16)
        former = self.store.claim(partition, token).former
        self.hook("after_claim")
        if former and former != self.log.transactional_id:
            self.log.fence(former)
        self.store.own(partition, token, self.log.transactional_id)
        committed = self.source.committed(partition)
        self._settle_pending(partition, token, committed)
        stored = self.store.load(partition)
        if committed is None:
            committed = self._first_commit(partition, stored)
        state = self._state(partition, token, committed, stored)
        position = state.numbers.position
        self.source.seek(partition, position.next_offset)
        scratch = State(partition, self.plan.features) if self.registry.newest is None else None
        return LivePartition(self.plan, state, EventQueue(position.next_offset), token, scratch)

    def _settle_pending(self, partition: int, token: str, committed: Committed | None) -> None:
        pending = self.store.pending(partition)
        if pending is None:
            return
        if committed is not None and read_metadata(committed.metadata)[1] == pending.batch_id:
            self.store.apply([(partition, pending.batch_id, token)])
        else:
            self.store.drop(partition, pending.batch_id, token)

    def _first_commit(self, partition: int, stored: Stored | None) -> Committed:
        """Commit where a partition starts; with "latest" a restart would otherwise skip what is held back."""
        if stored is not None:
            position = stored.numbers.position
            first = Committed(position.next_offset, metadata(position.batch, ""))
        elif self.start == "latest":
            first = Committed(self.source.ends([partition])[partition], metadata(0, ""))
        else:
            first = Committed(self.source.begins(partition), metadata(0, ""))
        self.log.commit(Transaction(offsets={partition: first}, membership=self.membership))
        return first

    def _state(self, partition: int, token: str, committed: Committed, stored: Stored | None) -> State:
        batch, batch_id = read_metadata(committed.metadata)
        target = Position(committed.next_offset, batch)
        if stored is None and not self.registry.adoptions_of(partition):
            state = State(partition, self.plan.features)
            state.numbers = Numbers(position=target)
            return state
        numbers = Numbers() if stored is None else stored.numbers
        here = numbers.position
        if here.next_offset > target.next_offset or here.batch > target.batch:
            raise StateError(
                f"the stored state of partition {partition} is ahead of what Kafka has committed (offset "
                f"{here.next_offset}, batch {here.batch} against {target.next_offset}, {target.batch}): the group's "
                "offsets were set back; reset the model, or set them forward again"
            )
        version = self.registry.versions.get(numbers.version)
        if numbers.version and version is None:
            raise StateError(
                f"partition {partition} stands under version {numbers.version}, which the models topic does not hold: "
                "Redis and Kafka belong to different lives of the model; reset it"
            )
        state = (
            State(partition, self.plan.features)
            if stored is None
            else restore(partition, self.plan.features, numbers, version, stored.rows)
        )
        if here == target:
            return state
        return self._reread(state, token, target, batch_id or secrets.token_hex(8), numbers.sizes)

    def _reread(
        self, state: State, token: str, target: Position, batch_id: str, sizes: dict[int, int]
    ) -> State:
        """Bring a state that lost data up to what is committed, without emitting anything, and store it whole.

        It is staged under the committed batch's id: should we end half-way, the next owner applies the rest.
        """
        partition = state.partition
        adoptions = [a for a in self.registry.adoptions_of(partition) if a.version > state.numbers.version]
        start = (
            state.numbers.position.next_offset if state.numbers.position.batch else adoptions[0].next_offset
        )
        begins = self.source.begins(partition)
        if begins > start:
            raise StateError(
                f"partition {partition} lost its stored state and the topic no longer reaches back to offset {start} "
                f"(it begins at {begins}): restore a snapshot, or reset the model"
            )
        gone: set[str] = set()
        self.source.seek(partition, start)
        reading = EventQueue(start)
        while True:
            if adoptions and adoptions[0].next_offset <= target.next_offset:
                until = adoptions[0].next_offset
            else:
                until = target.next_offset
            self._read_to(partition, reading, until)
            for batch in reading.take_before(until):
                gone |= _step_silently(state, batch)
            if not (adoptions and adoptions[0].next_offset <= target.next_offset):
                break
            gone |= {c for _, c in step(state, self.registry.adoption(adoptions.pop(0))).removed}
        state.numbers = with_fields(state.numbers, position=target)
        whole = full_checkpoint(state, self.registry.versions, gone)
        self.store.discard(partition, token, sizes)
        self.store.stage([(whole, batch_id, token)])
        self.store.apply([(partition, batch_id, token)])
        return state

    def _read_to(self, partition: int, reading: EventQueue, until: int) -> None:
        """Fetch until every record before ``until`` is in ``reading`` or known not to arrive (markers, aborted ones)."""
        others = frozenset(range(self.source.partitions())) - {partition}
        while reading.next_offset < until:
            self.source.pause(others)
            polled = self.source.poll(0.2)
            self.keep_alive(polled)
            records = polled.records.get(partition)
            if records is not None:
                reading.put(self.decode(records))
            read_up = self.source.read_up(partition)
            if records is None and read_up is not None and read_up >= until:
                break


def _step_silently(state: State, batch: EventBatch) -> set[str]:
    outcome = step(state, batch)
    return {customer for _, customer in outcome.removed if customer not in state.rows.index}
