"""Taking partitions over (design §5): claim, fence, look at what is committed, settle what was left half-way.

Run only after a poll whose membership is valid and still assigns the partitions. Everything that a former
owner may still commit is committed or fenced before anything is looked at: first the offsets, then the models
topic, whose versions and adoptions may belong to those offsets. Where the store is behind Kafka (Redis lost
data) the gap is read again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from stream_seg.engine.checkpoint import restore
from stream_seg.engine.expired import ModelsBehind, Reached, reached
from stream_seg.engine.mark import Mark
from stream_seg.engine.partition import LivePartition
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.ports import (
    Committed,
    Log,
    Membership,
    Outputs,
    Polled,
    Source,
    Store,
    Stored,
    Transaction,
)
from stream_seg.engine.queue import EventQueue
from stream_seg.engine.recovery import Recovery
from stream_seg.engine.registry import Registry
from stream_seg.engine.reread import Reread
from stream_seg.engine.snapshots import Snapshots
from stream_seg.engine.state import Numbers, Position, State
from stream_seg.errors import DamagedState, StateError
from stream_seg.events.records import Decoded, RawRecords

__all__ = ["ModelsBehind", "TakeOver"]


@dataclass(slots=True)
class TakeOver:
    """Takes partitions of a topic that has ``partitions`` over, for the member that ``membership`` names.

    ``follow`` reads the models topic on into ``registry``; ``poll`` fetches and keeps the membership alive,
    and raises ``OwnershipLost`` where partitions go away meanwhile; ``models`` names that topic, and
    ``notice`` is told what a person may want to know. ``lost_data`` says afterwards whether the store was
    behind what is committed. ``sweep`` makes the transaction that fencing somebody aborts.
    """

    plan: ModelPlan
    source: Source
    partitions: int
    log: Log
    store: Store
    decode: Callable[[RawRecords], Decoded]
    registry: Registry
    membership: Membership
    sweep: Callable[[Sequence[int], Membership], Transaction]
    start: str
    follow: Callable[[], object]
    poll: Callable[[float], Polled]
    hook: Callable[[str], None]
    models: str
    outputs: Outputs
    snapshots: Snapshots
    notice: Callable[[str], None]
    lost_data: bool = False

    def take(self, partitions: Iterable[int]) -> Iterator[LivePartition]:
        """Own ``partitions``, one after the other; the source then stands at each one's next unread record.

        Raises ``OwnershipLost`` where the group moved on meanwhile, ``ModelsBehind`` where waiting helps,
        ``StateError`` where a person must decide.
        """
        tokens = self._claimed(partitions)
        committed = {p: self.source.committed(p) for p in tokens}
        self.hook("after_committed")
        self.follow()
        for partition, found in committed.items():
            self._check_followed(partition, found)
        for partition, token in tokens.items():
            yield self._taken(partition, token, committed[partition])

    def _claimed(self, partitions: Iterable[int]) -> dict[int, str]:
        """Partition → our token; nobody else can change or commit anything of them any more."""
        tokens = {p: secrets.token_hex(16) for p in partitions}
        former = {p: self.store.claim(p, token).former for p, token in tokens.items()}
        self.hook("after_claim")
        ours = {self.log.transactional_id, *self.log.former_ids}  # a store that has forgotten names none
        for transactional_id in sorted({*former.values(), *ours} - {""}):
            whose = [p for p in tokens if transactional_id in {former[p], *ours}]
            self.log.fence(transactional_id, self.sweep(whose, self.membership))
        self.hook("after_fence")
        for partition, token in tokens.items():
            self.store.own(partition, token, self.log.transactional_id)
        return tokens

    def _check_followed(self, partition: int, committed: Committed | None) -> None:
        if committed is None:
            return
        mark = Mark.read(committed.metadata)
        if mark.models and mark.models != self.models:
            raise StateError(
                f"the consumer group is used by another model, of topic {mark.models}: give each model a "
                "group of its own (source.group), and reset this one"
            )
        adopted = not mark.adopted or (partition, mark.adopted) in self.registry.adoptions
        if mark.known > self.registry.known or not adopted:
            raise ModelsBehind(
                f"the models topic does not show yet under which version partition {partition} was committed"
            )

    def _taken(self, partition: int, token: str, committed: Committed | None) -> LivePartition:
        last = None if committed is not None else reached(partition, self.registry, self.outputs)
        stored = self._stored(partition, token, committed, last)
        # Somebody may have taken it meanwhile: what was read is judged only where it is still ours.
        self.store.own(partition, token, self.log.transactional_id)
        self.hook("after_settle")
        if committed is None:
            committed = self._first_commit(partition, stored, last)
        state = self._state(partition, token, committed, stored)
        position = state.numbers.position
        self.source.seek(partition, position.next_offset)
        scratch = State(partition, self.plan.features) if self.registry.newest is None else None
        return LivePartition(self.plan, state, EventQueue(position.next_offset), token, scratch)

    def _stored(
        self, partition: int, token: str, committed: Committed | None, last: Reached | None
    ) -> Stored | None:
        """What is stored once a staged batch is settled; ``None`` also where it cannot be read."""
        try:
            self._settle(partition, token, committed, last)
            return self.store.load(partition)
        except DamagedState as error:
            self.notice(f"{error}: the partition is rebuilt")
            return None

    def _settle(self, partition: int, token: str, committed: Committed | None, last: Reached | None) -> None:
        """Apply a staged batch that was committed, drop one that was not.

        One that is half applied was committed, whatever is committed now: applying begins after that.
        """
        pending = self.store.pending(partition)
        if pending is None:
            return
        named = committed is not None and Mark.read(committed.metadata).batch_id == pending.batch_id
        if last is not None:
            stored = self.store.load(partition)
            named = last.includes(pending, Numbers() if stored is None else stored.numbers)
        if named or pending.begun:
            self.store.apply([(partition, pending.batch_id, token)])
        else:
            self.store.drop(partition, pending.batch_id, token)

    def _first_commit(self, partition: int, stored: Stored | None, last: Reached | None) -> Committed:
        """Commit where a partition starts; with "latest" a restart would otherwise skip what is held back."""
        known = self.registry.known
        numbers = Numbers() if stored is None else stored.numbers
        if last is not None:
            first = last.committed(numbers, known, self.models)
            self.notice(f"the group has no offset of partition {partition}: its last label stands in for it")
        elif stored is not None:
            mark = Mark(numbers.position.batch, "", numbers.version, numbers.version, self.models)
            first = Committed(numbers.position.next_offset, mark.text)
        else:
            latest = self.start == "latest"
            start = self.source.ends([partition])[partition] if latest else self.source.begins(partition)
            first = Committed(start, Mark(0, models=self.models).text)
        self.log.commit(Transaction(offsets={partition: first}, membership=self.membership))
        return first

    def _state(self, partition: int, token: str, committed: Committed, stored: Stored | None) -> State:
        mark = Mark.read(committed.metadata)
        target = Position(committed.next_offset, mark.batch)
        found = None if stored is None else self._restored(partition, stored, target)
        if found is not None and found.numbers.position == target:
            return found
        if found is None and not mark.batch and not mark.adopted:
            self.store.discard(partition, token, None)
            state = State(partition, self.plan.features)
            state.numbers = Numbers(position=target)
            return state
        self.lost_data = True
        recovery = Recovery(self.source, self.registry, self.plan.features, self.snapshots)
        base = recovery.base(partition, found, target, mark.adopted)
        self.notice(
            f"the store had lost data of partition {partition}: it is brought up to date from {base.name}"
        )
        return self._reread(token).bring(base.state, target, mark, found)

    def _restored(self, partition: int, stored: Stored, target: Position) -> State | None:
        """The stored state; ``None`` where it is damaged."""
        numbers = stored.numbers
        _check_not_ahead(partition, numbers.position, target)
        version = self.registry.versions.get(numbers.version)
        if numbers.version and version is None:
            raise StateError(
                f"partition {partition} stands under version {numbers.version}, which the models topic "
                "does not hold: Redis and Kafka belong to different lives of the model; reset it"
            )
        try:
            return restore(partition, self.plan.features, numbers, version, stored.rows)
        except DamagedState as error:
            self.notice(f"{error}: the partition is rebuilt")
            return None

    def _reread(self, token: str) -> Reread:
        return Reread(
            self.source, self.partitions, self.store, self.decode, self.registry, self.poll, self.hook, token
        )


def _check_not_ahead(partition: int, here: Position, target: Position) -> None:
    if here.next_offset > target.next_offset or here.batch > target.batch:
        raise StateError(
            f"the stored state of partition {partition} is ahead of what Kafka has committed (offset "
            f"{here.next_offset}, batch {here.batch} against {target.next_offset}, {target.batch}): the "
            "group's offsets were set back; reset the model, or set them forward again"
        )
