"""The state of one model in plain dictionaries, under the same rules as in Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from stream_seg.adapters.memory.public import PublicView
from stream_seg.engine.checkpoint import Checkpoint
from stream_seg.engine.ports import Claim, Pending, Stored
from stream_seg.engine.records import STEADY
from stream_seg.engine.reports import Report, Sample
from stream_seg.engine.state import Numbers, Position
from stream_seg.engine.storedrows import StoredRow
from stream_seg.errors import OwnershipLost, StateError

__all__ = ["MemoryStore"]

PIECE_CUSTOMERS: Final = 256


@dataclass(slots=True)
class _Staged:
    """A staged batch and how many of its pieces, of so many customers each, are applied."""

    checkpoint: Checkpoint
    batch_id: str
    customers: int
    done: int = 0

    @property
    def pieces(self) -> int:
        """The number of pieces; removals come with the last."""
        return -(-len(self.checkpoint.rows) // self.customers) or 1


@dataclass(slots=True)
class _Partition:
    """What is stored of one partition."""

    token: str | None = None
    transactional_id: str = ""
    numbers: Numbers | None = None
    batch_id: str | None = None
    rows: dict[int, bytes] = field(default_factory=dict)
    pending: _Staged | None = None
    split: set[int] = field(default_factory=set)
    report: Report | None = None
    sample: Sample | None = None


def _go_on(_: str) -> None:
    """Do nothing."""


class MemoryStore:
    """``stream_seg.engine.ports.Store`` in this process, for one thread; ``public`` is what readers see.

    ``between`` is called with ``"apply"`` between two pieces of a batch: tests stop there. A piece is of
    ``piece_customers``.
    """

    def __init__(
        self, *, between: Callable[[str], None] = _go_on, piece_customers: int = PIECE_CUSTOMERS
    ) -> None:
        """Start empty."""
        self.public = PublicView()
        self._piece_customers = piece_customers
        self._between = between
        self._partitions: dict[int, _Partition] = {}
        self._horizon_ms: int | None = None

    def close(self) -> None:
        """Nothing to end; what is stored stays readable."""

    # Who has a partition

    def claim(self, partition: int, token: str) -> Claim:
        """Write a fresh random token: from here on the former owner can change nothing."""
        ours = self._partitions.setdefault(partition, _Partition())
        ours.token = token
        return Claim(ours.transactional_id)

    def own(self, partition: int, token: str, transactional_id: str) -> None:
        """Record our producer beside the token, once the former's is fenced."""
        self._owned(partition, token).transactional_id = transactional_id

    def release(self, partition: int, token: str) -> None:
        """Leave cleanly: clear the transactional id."""
        self.own(partition, token, "")

    def _owned(self, partition: int, token: str) -> _Partition:
        ours = self._partitions.get(partition)
        if ours is None or ours.token != token:
            raise OwnershipLost(f"partition {partition} has another owner now: take it over again")
        return ours

    # What is stored of it

    def load(self, partition: int) -> Stored | None:
        """All of a partition, rows in ascending order."""
        ours = self._partitions.get(partition)
        if ours is None or ours.numbers is None:
            return None
        return Stored(ours.numbers, sorted(ours.rows.items()))

    def positions(self, partitions: Sequence[int]) -> dict[int, Position]:
        """Where those partitions stand that anything is stored of."""
        stored = {p: self._partitions[p].numbers for p in partitions if p in self._partitions}
        return {p: numbers.position for p, numbers in stored.items() if numbers is not None}

    def pending(self, partition: int) -> Pending | None:
        """The batch that is staged, if there is one."""
        ours = self._partitions.get(partition)
        if ours is None or ours.pending is None:
            return None
        checkpoint, begun = ours.pending.checkpoint, ours.pending.done > 0
        return Pending(ours.pending.batch_id, checkpoint.start, checkpoint.end, begun=begun)

    # A batch

    def stage(self, batches: Sequence[tuple[Checkpoint, str, str]]) -> None:
        """Write batches to pending, each only at the position it starts from.

        As ``RedisStore.stage``: where nothing is stored a batch starts from number 0 at any offset, a repeat
        changes nothing, another batch is replaced unless some of it is applied.
        """
        for checkpoint, batch_id, token in batches:
            partition = checkpoint.partition
            ours = self._owned(partition, token)
            if ours.pending is not None and ours.pending.batch_id == batch_id:
                continue
            if not _starts_here(ours.numbers, checkpoint.start):
                raise OwnershipLost(
                    f"partition {partition} is stored at another position than the batch starts from: "
                    "take it over again"
                )
            if ours.pending is not None and ours.pending.done:
                raise OwnershipLost(
                    f"partition {partition} holds another batch, half applied: take it over again"
                )
            ours.pending = _Staged(checkpoint, batch_id, self._piece_customers)

    def prepared(self, batches: Sequence[tuple[Checkpoint, str, str]]) -> Callable[[], None]:
        """Nothing is to be done before ``stage``."""
        return lambda: self.stage(batches)

    def apply(self, batches: Sequence[tuple[int, str, str]]) -> None:
        """Make staged batches current; one that is applied already changes nothing.

        Raises ``OwnershipLost`` also where a batch is neither staged nor the last one applied.
        """
        for partition, batch_id, token in batches:
            while not self._apply_piece(partition, batch_id, token):
                self._between("apply")

    def _apply_piece(self, partition: int, batch_id: str, token: str) -> bool:
        """Apply the next piece, and with the last of them the position; returns whether all is done."""
        ours = self._owned(partition, token)
        staged = ours.pending
        if staged is None or staged.batch_id != batch_id:
            if ours.batch_id == batch_id:
                return True
            raise OwnershipLost(
                f"the batch that partition {partition} should apply is not stored any more: "
                "take it over again"
            )
        first = staged.done * staged.customers
        for row in staged.checkpoint.rows[first : first + staged.customers]:
            ours.rows[row.row] = row.blob
            self._write_customer(ours, row, str(partition))
        staged.done += 1
        if staged.done < staged.pieces:
            return False
        self._finish(ours, staged)
        return True

    def _finish(self, ours: _Partition, staged: _Staged) -> None:
        """Free rows, delete customers, count sizes, and move the position."""
        checkpoint = staged.checkpoint
        for number in checkpoint.freed:
            ours.rows.pop(number, None)
            ours.split.discard(number)
        for customer in checkpoint.gone:
            if self.public.customers.get(customer, {}).get("partition") == str(checkpoint.partition):
                del self.public.customers[customer]
        ours.numbers, ours.batch_id, ours.pending = checkpoint.numbers, staged.batch_id, None
        self.public.add_sizes(checkpoint.sizes, 1)

    def _write_customer(self, ours: _Partition, row: StoredRow, holder: str) -> None:
        """Write a customer's public hash, unless another partition has it."""
        shown = self.public.customers.get(row.customer)
        if shown is not None and shown.get("partition") != holder:
            ours.split.add(row.row)
            return
        fields = dict(zip(row.fields[::2], row.fields[1::2], strict=True))
        if row.kept and shown is not None:
            fields |= {name: shown[name] for name in STEADY}
        self.public.customers[row.customer] = fields
        ours.split.discard(row.row)

    def drop(self, partition: int, batch_id: str, token: str) -> None:
        """Forget a staged batch that was never committed; ``StateError`` where some of it is applied."""
        ours = self._owned(partition, token)
        if ours.pending is None or ours.pending.batch_id != batch_id:
            return
        if ours.pending.done:
            raise StateError(
                f"partition {partition} holds half of a batch that was never committed: "
                "rebuild the model's state from its topic or a snapshot"
            )
        ours.pending = None

    def discard(self, partition: int, token: str, sizes: Mapping[int, int] | None) -> None:
        """Forget rows, numbers and any staged batch; ``sizes`` are taken out of the public ones, once.

        Without ``sizes`` the public ones are counted anew from the numbers of the other partitions.
        """
        ours = self._owned(partition, token)
        if ours.numbers is not None:
            self.public.add_sizes(sizes or {}, -1)
        ours.numbers, ours.batch_id, ours.pending = None, None, None
        ours.rows.clear()
        ours.split.clear()
        if sizes is None:
            self.public.recount(o.numbers.sizes for _, o in self._counted() if o.numbers is not None)

    # What partitions tell the minter, and the minter them

    def put_report(self, report: Report, token: str, sample: Sample | None = None) -> None:
        """Leave a partition's report, and a new sample where there is one."""
        ours = self._owned(report.partition, token)
        ours.report = report
        if sample is not None:
            ours.sample = sample

    def reports(self) -> dict[int, Report]:
        """The reports of all partitions that meta counts (``partitions``)."""
        return {p: ours.report for p, ours in self._counted() if ours.report is not None}

    def samples(self) -> dict[int, Sample]:
        """The samples of all partitions that meta counts."""
        return {p: ours.sample for p, ours in self._counted() if ours.sample is not None}

    def split_customers(self) -> dict[int, int]:
        """Partition → customers of its own whose public hash another partition has; where there are any."""
        return {p: len(ours.split) for p, ours in self._counted() if ours.split}

    def _counted(self) -> Iterator[tuple[int, _Partition]]:
        partitions = int(self.public.meta.get("partitions", 0))
        return ((p, ours) for p, ours in sorted(self._partitions.items()) if p < partitions)

    def put_horizon(self, horizon_ms: int | None, token: str) -> None:
        """Publish the minter's horizon; the minter has partition 0."""
        self._owned(0, token)
        self._horizon_ms = horizon_ms

    def horizon(self) -> int | None:
        """What was last put; ``None``: open, or never put."""
        return self._horizon_ms

    # The model

    def put_version(
        self,
        version: int,
        model: bytes,
        segments: Mapping[int, Mapping[str, str]],
        quality: Mapping[str, str],
    ) -> None:
        """Publish a version and what belongs to it; one older than the current changes nothing."""
        self.public.publish(version, model, segments, quality)

    def refresh_sizes(self) -> None:
        """Write size and share into the segments' hashes."""
        self.public.refresh_sizes()

    def meta(self) -> dict[str, str]:
        """The model's meta hash; empty where there is none."""
        return dict(self.public.meta)

    def put_meta(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Write the meta hash if there is none; returns what is there then."""
        if not self.public.meta:
            self.public.meta = dict(fields)
        return self.meta()

    def reset(self) -> None:
        """Forget everything."""
        self.public = PublicView()
        self._partitions = {}
        self._horizon_ms = None


def _starts_here(numbers: Numbers | None, start: Position) -> bool:
    """Whether a batch from ``start`` may follow what is stored; where nothing is, batch 0 at any offset."""
    return start.batch == 0 if numbers is None else start == numbers.position
