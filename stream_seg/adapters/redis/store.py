"""The state of one model in Redis, changed only through scripts that check who asks (design §5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self, TypeVar

import msgspec

from stream_seg.adapters.redis import batches as in_pieces
from stream_seg.adapters.redis.checks import check_server
from stream_seg.adapters.redis.reading import read_partition, read_whole
from stream_seg.adapters.redis.scripts import Argument
from stream_seg.adapters.redis.server import Server, check_reply, connected
from stream_seg.adapters.redis.staging import packed
from stream_seg.engine.checkpoint import Checkpoint
from stream_seg.engine.ports import Claim, Pending, Stored
from stream_seg.engine.reports import Report, Sample
from stream_seg.engine.state import Position
from stream_seg.errors import DamagedState, StateError
from stream_seg.keys import Keys

__all__ = ["RedisStore"]

T = TypeVar("T")

SCAN_KEYS: Final = 1000
"""Keys looked at in one step of a reset."""


def _go_on(_: str) -> None:
    """Do nothing."""


class RedisStore:
    """``stream_seg.engine.ports.Store`` on a Redis; ``docs/reference/redis.md`` shows its keys.

    ``between`` is called with ``"stage"`` or ``"apply"`` between two calls for the same batches: tests stop
    there.
    """

    def __init__(self, server: Server, model: str, *, between: Callable[[str], None] = _go_on) -> None:
        """Use a server as it is; ``connect`` checks it first."""
        self._server = server
        self._between = between
        self.keys = Keys(model)

    @classmethod
    def connect(
        cls,
        url: str,
        model: str,
        *,
        wait_s: float = 0.0,
        on_wait: Callable[[str], None] = _go_on,
        between: Callable[[str], None] = _go_on,
    ) -> Self:
        """Connect to the Redis at ``url`` and check that it can be trusted with state.

        A server that does not answer is tried again for ``wait_s`` seconds; ``on_wait`` gets the reason,
        once. Raises ``ServerUnavailable`` after that, ``ServerRefused`` for a server that will not do,
        ``UsageError`` for a bad URL.
        """
        keys = Keys(model)
        server = connected(url, wait_s, on_wait, lambda server: check_server(server, keys))
        return cls(server, model, between=between)

    def close(self) -> None:
        """End the connection."""
        self._server.client.close()

    # Who has a partition

    def claim(self, partition: int, token: str) -> Claim:
        """Write a fresh random token: from here on the former owner can change nothing."""
        return Claim(self._server.call("claim", [self.keys.owner(partition)], [token]).decode())

    def own(self, partition: int, token: str, transactional_id: str) -> None:
        """Record our producer beside the token, once the former's is fenced."""
        self._server.guarded(partition, "own", [self.keys.owner(partition)], [token, transactional_id])

    def release(self, partition: int, token: str) -> None:
        """Leave cleanly: clear the transactional id."""
        self.own(partition, token, "")

    # What is stored of it

    def load(self, partition: int) -> Stored | None:
        """All of a partition, rows in ascending order; ``DamagedState`` where it is not as written."""
        return read_partition(self._server, self.keys, partition)

    def whole(self, partition: int) -> Stored | None:
        """All of a partition at one point, while its owner may go on; see ``reading.read_whole``."""
        return read_whole(self._server, self.keys, partition)

    def positions(self, partitions: Sequence[int]) -> dict[int, Position]:
        """Where those partitions stand that anything is stored of."""
        pipeline = self._server.client.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hmget(self.keys.position(partition), ["next_offset", "batch"])
        with self._server.our_errors:
            found = pipeline.execute()
        return {
            p: Position(int(offset), int(batch))
            for p, (offset, batch) in zip(partitions, found, strict=True)
            if offset is not None
        }

    def pending(self, partition: int) -> Pending | None:
        """The batch that is wholly staged, if there is one; ``DamagedState`` where it is not as written."""
        fields = ["batch_id", "start_offset", "start_batch", "end_offset", "end_batch", "done"]
        with self._server.our_errors:
            batch_id, *positions = self._server.client.hmget(self.keys.pending(partition), fields)
        if batch_id is None:
            return None
        if not all(text is not None and text.isdigit() for text in positions):
            raise DamagedState(f"the batch staged for partition {partition} is damaged")
        start_offset, start_batch, end_offset, end_batch, done = map(int, positions)
        start, end = Position(start_offset, start_batch), Position(end_offset, end_batch)
        return Pending(batch_id.decode(), start, end, begun=done > 0)

    # A batch

    def stage(self, batches: Sequence[tuple[Checkpoint, str, str]]) -> None:
        """Write batches to pending, each only at the position it starts from.

        Where nothing is stored, a batch starts from number 0 at any offset. A batch staged before is
        replaced unless some of it is applied. A batch id names one content: staging it again changes nothing.
        Raises ``OwnershipLost`` also where the position is another, or another batch is half applied.
        """
        self.prepared(batches)()

    def prepared(self, batches: Sequence[tuple[Checkpoint, str, str]]) -> Callable[[], None]:
        """Pack batches; the call that is returned stages them."""
        calls = in_pieces.stage_calls(self.keys, batches)
        return lambda: in_pieces.stage(self._server, calls, self._between)

    def apply(self, batches: Sequence[tuple[int, str, str]]) -> None:
        """Make staged batches current; one that is applied already changes nothing.

        Raises ``OwnershipLost`` also where a batch is neither staged nor the last one applied: the server has
        lost it.
        """
        in_pieces.apply(self._server, self.keys, batches, self._between)

    def drop(self, partition: int, batch_id: str, token: str) -> None:
        """Forget a staged batch that was never committed; ``StateError`` where some of it is applied."""
        owner, _, pending, staged = self.keys.batch(partition)
        reply = self._server.call("drop", [owner, pending, staged], [token, batch_id])
        if reply == b"applying":
            raise StateError(
                f"partition {partition} holds half of a batch that was never committed: "
                "rebuild the model's state from its topic or a snapshot"
            )
        check_reply(partition, reply)

    def discard(self, partition: int, token: str, sizes: Mapping[int, int] | None) -> None:
        """Forget rows, numbers and any staged batch; ``sizes`` are taken out of the public ones, once.

        Without ``sizes`` the public ones are counted anew from the numbers of the other partitions.
        """
        keys = self.keys
        names = [*keys.batch(partition), keys.split(partition), keys.segments]
        flat = packed([part for item in (sizes or {}).items() for part in map(str, item)])
        self._server.guarded(
            partition, "discard", names, [token, keys.rows(partition), keys.segment_hashes, flat]
        )
        if sizes is None:
            before, _, after = keys.position("*").partition("*")
            self._server.call("recount", [keys.meta, keys.segments], [before, after, keys.segment_hashes])

    # What partitions tell the minter, and the minter them

    def put_report(self, report: Report, token: str, sample: Sample | None = None) -> None:
        """Leave a partition's report, and a new sample where there is one."""
        keys, partition = self.keys, report.partition
        names = [keys.owner(partition), keys.report(partition)]
        values: list[Argument] = [token, msgspec.json.encode(report)]
        if sample is not None:
            names.append(keys.sample(partition))
            values.append(msgspec.msgpack.encode(sample))
        self._server.guarded(partition, "put", names, values)

    def reports(self) -> dict[int, Report]:
        """The reports of all partitions that meta counts (``partitions``)."""
        return self._decoded(self.keys.report("*"), lambda data: msgspec.json.decode(data, type=Report))

    def samples(self) -> dict[int, Sample]:
        """The samples of all partitions that meta counts."""
        return self._decoded(self.keys.sample("*"), lambda data: msgspec.msgpack.decode(data, type=Sample))

    def split_customers(self) -> dict[int, int]:
        """Partition → customers of its own whose public hash another partition has; where there are any."""
        return {p: int(n) for p, n in enumerate(self._read(self.keys.split("*"), "SCARD")) if n}

    def _decoded(self, key: str, decode: Callable[[bytes], T]) -> dict[int, T]:
        try:
            return {p: decode(data) for p, data in enumerate(self._read(key, "GET")) if data is not None}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateError(
                f"a stored report cannot be read ({error}): upgrade stream-seg, or reset"
            ) from error

    def _read(self, key: str, command: str) -> list[Any]:
        before, _, after = key.partition("*")
        found: list[Any] = self._server.call("read", [self.keys.meta], [before, after, command])
        return found

    def put_horizon(self, horizon_ms: int | None, token: str) -> None:
        """Publish the minter's horizon; the minter has partition 0."""
        value = "" if horizon_ms is None else str(horizon_ms)
        self._server.guarded(0, "put", [self.keys.owner(0), self.keys.horizon], [token, value])

    def horizon(self) -> int | None:
        """What was last put; ``None``: open, or never put."""
        with self._server.our_errors:
            found = self._server.client.get(self.keys.horizon)
        return int(found) if found else None

    def put_place(self, number: int, place: bytes, token: str) -> None:
        """Keep a replay's checkpoint as the one of that number."""
        self._server.guarded(0, "put", [self.keys.owner(0), self.keys.place(number)], [token, place])

    def place(self, number: int) -> bytes | None:
        """The replay's checkpoint of that number."""
        with self._server.our_errors:
            found: bytes | None = self._server.client.get(self.keys.place(number))
        return found

    # The model

    def put_version(
        self,
        version: int,
        model: bytes,
        segments: Mapping[int, Mapping[str, str]],
        quality: Mapping[str, str],
    ) -> None:
        """Publish a version, its segments' and quality's hashes; one older than the current changes nothing.

        Sizes and shares among the segments' fields give way to the counted ones.
        """
        keys = self.keys
        described = packed(
            [part for number, fields in segments.items() for part in (str(number), _flat(fields))]
        )
        names = [keys.current, keys.version(version), keys.quality, keys.segments]
        arguments: list[Argument] = [version, model, keys.segment_hashes, described, packed(_flat(quality))]
        self._server.call("publish", names, arguments)

    def refresh_sizes(self) -> None:
        """Write size and share into the segments' hashes; an empty retired one leaves the sorted set."""
        self._server.call("refresh", [self.keys.segments], [self.keys.segment_hashes])

    def current(self) -> int | None:
        """The current version's number; ``None`` where none was published."""
        with self._server.our_errors:
            found = self._server.client.get(self.keys.current)
        return None if found is None else int(found)

    def meta(self) -> dict[str, str]:
        """The model's meta hash; empty where there is none."""
        return self.put_meta({})

    def put_meta(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Write the meta hash if there is none; returns what is there then."""
        found = [part.decode() for part in self._server.call("meta", [self.keys.meta], _flat(fields))]
        return dict(zip(found[::2], found[1::2], strict=True))

    def reset(self) -> int:
        """Delete every key of this model and return how many; private ones first, so no worker writes on."""
        deleted = 0
        for pattern in self.keys.patterns():
            cursor = 0
            while True:
                with self._server.our_errors:
                    cursor, found = self._server.client.scan(cursor, match=pattern, count=SCAN_KEYS)
                    deleted += self._server.client.unlink(*found) if found else 0
                if not cursor:
                    break
        return deleted


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [part for pair in fields.items() for part in pair]
