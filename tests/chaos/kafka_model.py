"""Kafka as the protocol sees it, as a plain value: logs, transactions, group offsets, generations.

Not an imitation to test clients with: a model of what the design relies on, small enough to check every
interleaving of workers against. Each method is one atomic step of the broker.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from stream_seg.engine.ports import Committed, Membership, Record
from stream_seg.errors import OwnershipLost, ServerUnavailable

OPEN, DONE, ABORTED = "open", "committed", "aborted"


@dataclass(eq=False)
class Txn:
    """One transaction of one producer; ``offsets`` become the group's when it is committed."""

    producer: str
    epoch: int
    state: str = OPEN
    offsets: dict[int, Committed] = field(default_factory=dict)


@dataclass
class Group:
    """The consumer group, cooperative: a partition goes to its next owner when the last one has let it go.

    ``generation`` counts memberships; ``owner`` is by partition, ``wanted`` what the leader decided.
    """

    partitions: int
    generation: int = 0
    members: list[str] = field(default_factory=list)
    owner: dict[int, str] = field(default_factory=dict)

    def join(self, member: str) -> None:
        """A new member; everyone's generation is a new one."""
        self.members.append(member)
        self.generation += 1

    def leave(self, member: str) -> None:
        """A member goes, or its session has timed out: its partitions are free."""
        if member in self.members:
            self.members.remove(member)
            self.generation += 1
            self.owner = {p: m for p, m in self.owner.items() if m != member}

    def wanted(self, member: str) -> set[int]:
        """The partitions a member is to have."""
        return {p for p in range(self.partitions) if self.members[p % len(self.members)] == member}

    def sync(self, member: str, letting_go: set[int]) -> set[int]:
        """A member lets partitions go and takes those of its own that are free; all that it has then."""
        for p in letting_go:
            self.owner.pop(p, None)
        for p in self.wanted(member):
            self.owner.setdefault(p, member)
        return {p for p, m in self.owner.items() if m == member}


@dataclass
class Broker:
    """Topics, transactions and the group."""

    group: Group
    input: dict[int, list[Record]]
    logs: dict[tuple[str, int], list[tuple[Txn, Record]]] = field(default_factory=dict)
    offsets: dict[int, Committed] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    open: dict[str, Txn] = field(default_factory=dict)
    refusing: bool = False

    def init_producer(self, producer: str) -> int:
        """Begin a producer's next epoch: what the one before has open is aborted, and it is fenced."""
        self.abort(producer)
        self.epochs[producer] = self.epochs.get(producer, -1) + 1
        return self.epochs[producer]

    def abort(self, producer: str) -> None:
        """End what a producer has open; so does the coordinator when its time is up, with a new epoch."""
        txn = self.open.pop(producer, None)
        if txn is not None:
            txn.state = ABORTED

    def time_out(self, producer: str) -> None:
        """The time of an open transaction is up."""
        if producer in self.open:
            self.abort(producer)
            self.epochs[producer] += 1

    def begin(self, producer: str, epoch: int) -> Txn:
        """A new transaction, of which the broker hears with its first record."""
        return Txn(producer, epoch)

    def send(self, txn: Txn, record: Record) -> None:
        """Append a record; nobody reads past it before the transaction ends."""
        self._enlist(txn)
        self.logs.setdefault((record.topic, record.partition or 0), []).append((txn, record))

    def send_offsets(self, txn: Txn, offsets: dict[int, Committed], membership: Membership) -> None:
        """Add offsets; only a member of the present generation may."""
        self._enlist(txn)
        if membership.member_id not in self.group.members or membership.generation != self.group.generation:
            raise OwnershipLost("the broker refuses offsets of another generation")
        txn.offsets.update(offsets)

    def commit(self, txn: Txn) -> None:
        """End a transaction; the generation is not looked at any more. ``refusing``: not this one."""
        self._enlist(txn)
        if self.refusing:
            self.refusing = False
            self.abort(txn.producer)
            raise ServerUnavailable("the broker refuses a transaction")
        txn.state = DONE
        self.offsets.update(txn.offsets)
        self.open.pop(txn.producer, None)

    def _enlist(self, txn: Txn) -> None:
        if txn.epoch != self.epochs.get(txn.producer) or txn.state != OPEN:
            raise OwnershipLost("the producer is fenced")
        self.open[txn.producer] = txn

    def is_stable(self, partition: int) -> bool:
        """Whether no open transaction holds offsets of a partition."""
        return not any(partition in txn.offsets for txn in self.open.values())

    def read(self, topic: str, partition: int, position: int) -> tuple[list[Record], int]:
        """Committed records from a position on, up to the first of an open transaction; the next position."""
        found: list[Record] = []
        log = self.logs.get((topic, partition), [])
        while position < len(log) and log[position][0].state != OPEN:
            txn, record = log[position]
            if txn.state == DONE:
                found.append(record)
            position += 1
        return found, position
