"""The edges of the engine: what a driver needs of the outside, and nothing of who provides it.

Adapters implement these for Kafka clients, Redis, memory and files; one contract test suite runs against
every adapter of a port. Calls block; they raise ``ServerUnavailable`` when waiting may help,
``ServerRefused`` when it will not, and ``OwnershipLost`` when another worker has the partition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from stream_seg.engine.checkpoint import Checkpoint
from stream_seg.engine.reports import Report, Sample
from stream_seg.engine.state import Numbers, Position
from stream_seg.events.batch import Rejected
from stream_seg.events.records import RawRecords


class Committed(NamedTuple):
    """A partition's stable committed offset and the metadata that was committed with it."""

    next_offset: int
    metadata: str


@dataclass(frozen=True, slots=True)
class Membership:
    """The group membership as of the last ``poll``.

    What fences a transaction. ``token`` is the client's own object.
    """

    generation: int
    member_id: str
    token: object


@dataclass(frozen=True, slots=True)
class Polled:
    """What one ``poll`` brought.

    ``records`` per partition, in offset order (a partition without is absent); ``assigned`` all partitions
    now ours; ``gained`` and ``lost`` since the last poll (a partition can be in both: it was away in
    between). ``membership`` is ``None`` while the group is not stable, and nothing may be committed then.
    """

    records: Mapping[int, RawRecords]
    assigned: frozenset[int]
    gained: frozenset[int]
    lost: frozenset[int]
    membership: Membership | None


class Source(Protocol):
    """The input topic, read by a member of the consumer group, read_committed."""

    topic: str

    def partitions(self) -> int:
        """The number of partitions of the topic; ``NotFoundError`` where there is no such topic."""

    def poll(self, timeout_s: float, *, on_lost: Callable[[frozenset[int]], None] | None = None) -> Polled:
        """Fetch, and keep the membership alive.

        ``on_lost`` runs inside the client before partitions go away cleanly (a revoke).
        """

    def committed(self, partition: int) -> Committed | None:
        """The stable offset: waits while a transaction is open on it. ``None`` if the group has none."""

    def seek(self, partition: int, next_offset: int) -> None:
        """Read on from there."""

    def pause(self, partitions: frozenset[int]) -> None:
        """Fetch nothing from exactly these; all other assigned ones are read."""

    def begins(self, partition: int) -> int:
        """The first offset the topic still holds."""

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """The offsets after the last stable record, transaction markers included."""

    def read_up(self, partition: int) -> int | None:
        """The client's own position.

        The next offset it would fetch, markers and aborted records passed over; ``None``: unknown.
        """

    def close(self) -> None:
        """Leave the group."""


class Record(NamedTuple):
    """A record to send; ``partition`` ``None`` lets the key decide."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Records:
    """Many records for one topic partition, as columns."""

    topic: str
    partition: int
    keys: Sequence[bytes]
    values: Sequence[bytes]
    timestamps_ms: Sequence[int]


@dataclass(frozen=True, slots=True)
class Transaction:
    """Everything one commit carries: records, and the offsets they came from with their metadata."""

    columns: Sequence[Records] = ()
    records: Sequence[Record] = ()
    offsets: Mapping[int, Committed] = field(default_factory=dict)
    membership: Membership | None = None


def no_wait() -> None:
    """Wait for nothing."""


class Log(Protocol):
    """Output topics and consumer offsets, committed together.

    In mode exactly once one Kafka transaction; in mode at least once the records are acknowledged first,
    then the offsets are committed. After any exception the outcome is unknown: the log has rebuilt its
    producer, and the caller must look at what is committed.

    ``beside`` says whether a commit may go on while the source is polled.

    A producer that another has fenced is begun anew under another ``transactional_id``: who fenced it sweeps
    the old one, and is not to be fenced in turn. ``former_ids`` are those left so, until ``fence`` has been
    called for each.
    """

    beside: bool

    @property
    def transactional_id(self) -> str:
        """The id in use; empty where there are no transactions."""

    @property
    def former_ids(self) -> frozenset[str]:
        """Ids that were left because another producer has fenced them."""

    def commit(self, transaction: Transaction, ready: Callable[[], object] = no_wait) -> None:
        """All or nothing (exactly once).

        ``ready`` is called before anything can be seen of it; where it raises, nothing is ever seen. Raises
        what that does, and ``OwnershipLost`` where the membership or the producer was fenced.
        """

    def fence(self, transactional_id: str, sweep: Transaction | None = None) -> None:
        """Make sure that the producer of that id can commit nothing any more.

        ``sweep`` is begun and aborted under that id then, so that each of its partitions gets a marker: a
        broker that was killed can hold on to what it has aborted, and would commit it with the id's next
        transaction. With our own id only what failed since the last time is looked after.
        """

    def close(self) -> None:
        """End the producer."""


class Emitted(NamedTuple):
    """How far a partition's records have gone out.

    ``next_offset`` of the input after the last one, and the ``version`` it was labelled under (0: none was).
    """

    next_offset: int
    version: int


class Outputs(Protocol):
    """What has gone out to the output topics, read committed."""

    def last(self, partition: int) -> Emitted | None:
        """That of a partition's last label; ``None`` where there is none."""


class Models(Protocol):
    """``<m>.models``.

    Versions, adoptions and lineage, read committed, from the beginning to the end and on.
    """

    def read(self) -> list[tuple[str, bytes]]:
        """New (key, value) records since the last call, in order.

        At first all of them. Reads to the end as of the call.
        """

    def close(self) -> None:
        """Stop reading."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store holds of a partition.

    Its numbers (with the position) and all its rows as (number, blob).
    """

    numbers: Numbers
    rows: list[tuple[int, bytes]]


class Pending(NamedTuple):
    """A staged batch that is not applied yet, or not wholly: ``begun`` where some of it is."""

    batch_id: str
    start: Position
    end: Position
    begun: bool = False


class Claim(NamedTuple):
    """What taking a partition over found.

    The former owner's transactional id, ``""`` where it left cleanly or there was none.
    """

    former: str


class Store(Protocol):
    """The cached state of one model: customers, partitions, versions, reports. Redis, or memory.

    Every write names the caller's ``token`` for the partition and raises ``OwnershipLost`` where another one
    has been written since; every write is idempotent, since clients repeat it on their own.
    """

    def claim(self, partition: int, token: str) -> Claim:
        """Write a fresh random token.

        From here on the former owner can change nothing. Keeps the former's transactional id.
        """

    def own(self, partition: int, token: str, transactional_id: str) -> None:
        """Record our producer beside the token, once the former's is fenced."""

    def release(self, partition: int, token: str) -> None:
        """Leave cleanly: clear the transactional id."""

    def load(self, partition: int) -> Stored | None:
        """All of a partition; ``None`` where nothing is stored."""

    def positions(self, partitions: Sequence[int]) -> dict[int, Position]:
        """Where the store stands in those of the partitions that it holds anything of."""

    def pending(self, partition: int) -> Pending | None:
        """The batch that is staged, if there is one."""

    def stage(self, batches: Sequence[tuple[Checkpoint, str, str]]) -> None:
        """Write (checkpoint, batch id, token) of several partitions to pending, each where it starts."""

    def prepared(self, batches: Sequence[tuple[Checkpoint, str, str]]) -> Callable[[], None]:
        """Do what ``stage`` does before it needs the server; the call that is returned does the rest."""

    def apply(self, batches: Sequence[tuple[int, str, str]]) -> None:
        """Make (partition, batch id, token) current.

        Rows, public keys, sizes, position. Nothing left to do is no error.
        """

    def drop(self, partition: int, batch_id: str, token: str) -> None:
        """Forget a staged batch that was never committed."""

    def discard(self, partition: int, token: str, sizes: Mapping[int, int] | None) -> None:
        """Forget a partition's rows and numbers (to rebuild them), its public sizes taken out.

        ``None`` where they are not known: the public sizes are then counted anew from what the other
        partitions hold.
        """

    def put_report(self, report: Report, token: str, sample: Sample | None = None) -> None:
        """Leave a partition's report, and a new sample where there is one."""

    def reports(self) -> dict[int, Report]:
        """All partitions' reports."""

    def samples(self) -> dict[int, Sample]:
        """All partitions' samples."""

    def put_horizon(self, horizon_ms: int | None, token: str) -> None:
        """The minter's: no partition should go more than one event-day past this (``None``: open)."""

    def horizon(self) -> int | None:
        """What was last put; ``None``: open, or never put."""

    def put_version(
        self,
        version: int,
        model: bytes,
        segments: Mapping[int, Mapping[str, str]],
        quality: Mapping[str, str],
    ) -> None:
        """Publish a version and its segments' and quality's hashes, only upwards.

        An older one than the current changes nothing.
        """

    def refresh_sizes(self) -> None:
        """Write size and share into the segments' hashes from the sorted set."""

    def meta(self) -> dict[str, str]:
        """The model's meta hash; empty where there is none."""

    def put_meta(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Write the meta hash if there is none; returns what is there then."""

    def close(self) -> None:
        """End the connection."""


class DeadLetters(Protocol):
    """Makes records of rejected input."""

    def __call__(self, partition: int, rejected: Sequence[Rejected]) -> list[Record]:
        """One record each."""
