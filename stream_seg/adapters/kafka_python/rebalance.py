"""Partitions coming and going: kafka-python's listener, kept out of its event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from kafka import AsyncConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.future import Future

__all__ = ["Rebalances", "keep_joins"]


def keep_joins(consumer: KafkaConsumer) -> None:
    """Have a consumer act on every assignment that it is given.

    kafka-python (3.0.12) throws away an assignment that arrives between two polls and joins again, which sets
    the whole group off anew: with short polls for ever. So it is kept until the consumer has acted on it.
    """
    coordinator = consumer._coordinator  # noqa: SLF001
    join, complete = coordinator._do_join_and_sync_async, coordinator._on_join_complete_async  # noqa: SLF001
    kept: list[tuple[object, bytes]] = []

    async def join_once() -> bytes:
        if kept and kept[0][0] is coordinator._generation:  # noqa: SLF001
            return kept[0][1]
        kept.clear()
        assignment: bytes = await join()
        kept.append((coordinator._generation, assignment))  # noqa: SLF001
        return assignment

    async def completed(*arguments: object) -> None:
        kept.clear()
        await complete(*arguments)

    coordinator._do_join_and_sync_async = join_once  # noqa: SLF001
    coordinator._on_join_complete_async = completed  # noqa: SLF001


class Rebalances:
    """What a consumer gained and lost since it was last asked.

    kafka-python calls listeners in its event loop, where blocking stops heartbeats and most calls of the
    consumer are refused. So ``on_lost`` runs in a thread while the loop goes on, and the polling thread
    waits for both.
    """

    def __init__(self, consumer: KafkaConsumer, topic: str, unsought: set[int]) -> None:
        """Keep newly gained partitions of ``topic`` in ``unsought`` and paused until somebody seeks them."""
        self._consumer, self._topic, self._unsought = consumer, topic, unsought
        self._gained: set[int] = set()
        self._lost: set[int] = set()
        self._on_lost: Callable[[frozenset[int]], None] | None = None
        self._error: BaseException | None = None
        self.listener = _Listener(self)

    @contextmanager
    def watched(self, on_lost: Callable[[frozenset[int]], None] | None) -> Iterator[None]:
        """Have ``on_lost`` called inside the block; what it raises is raised at the block's end."""
        self._on_lost = on_lost
        try:
            yield
        finally:
            self._on_lost = None
            error, self._error = self._error, None
            if error is not None:
                raise error

    @property
    def changed(self) -> bool:
        """Whether anything was gained or lost since ``taken`` was last called."""
        return bool(self._gained or self._lost)

    def taken(self) -> tuple[frozenset[int], frozenset[int]]:
        """Give what was gained and lost since the last call."""
        changes = frozenset(self._gained), frozenset(self._lost)
        self._gained, self._lost = set(), set()
        return changes

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Note gained partitions; a position keeps the consumer from looking for one by itself."""
        for where in partitions:
            self._unsought.add(where.partition)
            self._gained.add(where.partition)
            self._consumer.pause(where)
            self._consumer.seek(where, 0)

    def gone(self, partitions: Collection[TopicPartition]) -> None:
        """Note partitions that are away."""
        for where in partitions:
            self._lost.add(where.partition)
            self._gained.discard(where.partition)
            self._unsought.discard(where.partition)

    def drained(self, partitions: Collection[TopicPartition]) -> Future:
        """Start ``on_lost`` for partitions about to go; the future is done when it has returned."""
        done = Future()
        on_lost = self._on_lost
        if on_lost is None or not partitions:
            return done.success(None)

        def drain() -> None:
            try:
                on_lost(frozenset(where.partition for where in partitions))
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that polls
                self._error = error
            self._consumer._net.call_soon_threadsafe(finish)  # noqa: SLF001 - the loop's own way in

        def finish() -> None:
            done.success(None)

        threading.Thread(target=drain, name="stream-seg-drain", daemon=True).start()
        return done


class _Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc] # kafka-python has no types
    """kafka-python's side of :class:`Rebalances`."""

    def __init__(self, rebalances: Rebalances) -> None:
        self._rebalances = rebalances

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._rebalances.assigned(assigned)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._rebalances.drained(revoked)
        self._rebalances.gone(revoked)

    async def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        self._rebalances.gone(lost)
