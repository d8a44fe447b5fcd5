"""What the tests of a store work with.

Made-up populations and their checkpoints, and the stores under test.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from stream_seg.adapters.memory import MemoryStore
from stream_seg.adapters.redis import RedisStore
from stream_seg.engine.checkpoint import Checkpoint
from stream_seg.engine.ports import Store
from stream_seg.engine.reports import Report, Sample
from stream_seg.engine.state import Numbers, Position
from stream_seg.engine.storedrows import StoredRow
from stream_seg.errors import StreamSegError

TOKEN = "token-of-the-owner"
START = Position(100, 0)
EVERY_BYTE = bytes(range(256))


class Crash(Exception):
    """A worker's end between two calls."""


class Stops:
    """Handed to a store as ``between``: raises ``Crash`` when it has been passed ``after`` times."""

    def __init__(self) -> None:
        self.after: int | None = None

    def __call__(self, _: str) -> None:
        if self.after is None:
            return
        self.after -= 1
        if self.after <= 0:
            self.after = None
            raise Crash


@dataclass(frozen=True)
class Contents:
    """Everything of a model that a call might change."""

    customers: dict[str, dict[str, str]]
    segments: dict[int, dict[str, str]]
    sizes: dict[int, int]
    current: int | None
    versions: dict[int, bytes]
    quality: dict[str, str]
    stored: dict[int, tuple[Numbers, list[tuple[int, bytes]]] | None]
    pending: dict[int, tuple[Any, ...] | None]
    split: dict[int, int]
    reports: dict[int, Report]
    samples: dict[int, Sample]
    horizon: int | None
    meta: dict[str, str]


class World:
    """A store under test, and a look at what is in it that does not pass through it."""

    partitions = 3

    def __init__(self, store: Store, stops: Stops) -> None:
        self.store: Any = store
        self.stops = stops
        self.store.put_meta({"partitions": str(self.partitions), "instance": "i-1"})
        for partition in range(self.partitions):
            self.store.claim(partition, TOKEN)

    def public(self) -> Mapping[str, Any]:
        """Customers, segments, sizes, current, versions, quality: as readers find them."""
        raise NotImplementedError

    def contents(self) -> Contents:
        store = self.store
        stored = {p: store.load(p) for p in range(self.partitions)}
        pending = {p: store.pending(p) for p in range(self.partitions)}
        return Contents(
            **self.public(),
            stored={p: None if s is None else (s.numbers, s.rows) for p, s in stored.items()},
            pending={p: None if s is None else tuple(s) for p, s in pending.items()},
            split=store.split_customers(),
            reports=store.reports(),
            samples=store.samples(),
            horizon=store.horizon(),
            meta=store.meta(),
        )

    def commit(self, checkpoint: Checkpoint, batch_id: str, token: str = TOKEN) -> None:
        """Stage and apply."""
        self.store.stage([(checkpoint, batch_id, token)])
        self.store.apply([(checkpoint.partition, batch_id, token)])


class MemoryWorld(World):
    def __init__(self) -> None:
        stops = Stops()
        super().__init__(MemoryStore(between=stops), stops)

    def public(self) -> Mapping[str, Any]:
        shown = self.store.public
        names = ("customers", "segments", "sizes", "current", "versions", "quality")
        return {name: getattr(shown, name) for name in names}


class RedisWorld(World):
    def __init__(self, url: str, model: str) -> None:
        stops = Stops()
        self.model = model
        self.raw: Any = Redis.from_url(url, decode_responses=True, protocol=2)
        self.bytes: Any = Redis.from_url(url, protocol=2)
        super().__init__(RedisStore.connect(url, model, between=stops), stops)

    def close(self) -> None:
        self.store.close()
        self.raw.close()
        self.bytes.close()

    def _hashes(self, prefix: str) -> dict[str, dict[str, str]]:
        return {key.removeprefix(prefix): self.raw.hgetall(key) for key in self.raw.keys(prefix + "*")}

    def public(self) -> Mapping[str, Any]:
        public = f"seg:{self.model}:"
        current = self.raw.get(public + "model:current")
        numbers = [key.rpartition(":")[2] for key in self.raw.keys(public + "model:*")]
        return {
            "customers": self._hashes(public + "c:"),
            "segments": {int(segment): hash_ for segment, hash_ in self._hashes(public + "s:").items()},
            "sizes": {
                int(segment): int(size)
                for segment, size in self.raw.zrange(public + "segments", 0, -1, withscores=True)
            },
            "current": None if current is None else int(current),
            "versions": {
                int(number): self.bytes.get(f"{public}model:{number}")
                for number in numbers
                if number.isdigit()
            },
            "quality": self.raw.hgetall(public + "quality"),
        }


@dataclass(frozen=True)
class Population:
    """A partition's customers with row and segment, as the engine would keep them.

    ``step`` gives the next.
    """

    partition: int
    position: Position = START
    members: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    free: tuple[int, ...] = ()
    used: int = 0

    def step(self, changes: Mapping[str, int | None], events: int = 1) -> tuple[Population, Checkpoint]:
        """Put customers into segments (``None``: forget them) in one batch of so many records."""
        members, free, used = dict(self.members), list(self.free), self.used
        freed = [members.pop(customer)[0] for customer, segment in changes.items() if segment is None]
        for row in freed:
            heapq.heappush(free, row)
        rows = []
        for customer, segment in changes.items():
            if segment is None:
                continue
            if customer in members:
                row = members[customer][0]
            elif free:
                row = heapq.heappop(free)
            else:
                row, used = used, used + 1
            members[customer] = (row, segment)
            rows.append(row)
        position = Position(self.position.next_offset + events, self.position.batch + 1)
        after = Population(self.partition, position, members, tuple(free), used)
        of_row = {row: customer for customer, (row, _) in members.items()}
        change = {s: after.sizes.get(s, 0) - self.sizes.get(s, 0) for s in {*after.sizes, *self.sizes}}
        return after, Checkpoint(
            partition=self.partition,
            start=self.position,
            numbers=after.numbers,
            rows=[after.stored_row(of_row[row], new=of_row[row] not in self.members) for row in sorted(rows)],
            freed=sorted(row for row in freed if row in free),
            gone=sorted(customer for customer in changes if customer not in members),
            sizes={segment: delta for segment, delta in change.items() if delta},
        )

    @property
    def sizes(self) -> dict[int, int]:
        segments = [segment for _, segment in self.members.values()]
        return {segment: segments.count(segment) for segment in set(segments)}

    @property
    def numbers(self) -> Numbers:
        return Numbers(position=self.position, used=self.used, version=1, sizes=self.sizes)

    @property
    def rows(self) -> list[tuple[int, bytes]]:
        return sorted((row, self.stored_row(customer).blob) for customer, (row, _) in self.members.items())

    def stored_row(self, customer: str, *, new: bool = True) -> StoredRow:
        row, segment = self.members[customer]
        fields = [part for pair in self.shown(customer).items() for part in pair]
        fresh = new or not segment  # in segment 0 two fields are absent
        return StoredRow(row, EVERY_BYTE + bytes([segment]) + customer.encode(), customer, fields, fresh)

    def shown(self, customer: str) -> dict[str, str]:
        """The public hash; segment 0 has neither confidence nor runner-up."""
        segment = self.members[customer][1]
        fields = {
            "segment": str(segment),
            "name": f"segment-{segment}",
            "distance": "0.1",
            "since": "2011-01-01T00:00:00.000Z",
            "event_time": "2011-02-01T10:00:00.123Z",
            "as_of": "2011-02-02T00:00:00.000Z",
            "events": "3",
            "model_version": "1",
            "partition": str(self.partition),
            "f.spend": "12.5",
        }
        return fields | ({"confidence": "0.25", "runner_up": "0"} if segment else {})

    @property
    def public(self) -> dict[str, dict[str, str]]:
        return {customer: self.shown(customer) for customer in self.members}


def outcome(action: Callable[[], object]) -> str:
    """The name of the error that ``action`` raises, or of none."""
    try:
        action()
    except (StreamSegError, Crash) as error:
        return type(error).__name__
    return "done"
