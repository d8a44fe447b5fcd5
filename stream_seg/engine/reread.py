"""Reading a gap again without emitting: a partition's state brought up to what Kafka has committed.

Recorded adoptions are followed at their offsets, so rows, clock, passes and sizes are those of a run that
lost nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from msgspec.structs import replace

from stream_seg.engine.checkpoint import full_checkpoint
from stream_seg.engine.mark import Mark
from stream_seg.engine.outcome import Adoption
from stream_seg.engine.ports import Polled, Source, Store
from stream_seg.engine.queue import EventQueue
from stream_seg.engine.registry import Registry
from stream_seg.engine.state import Position, State
from stream_seg.engine.step import step
from stream_seg.events.batch import EventBatch
from stream_seg.events.records import Decoded, RawRecords

POLL_S = 0.2


@dataclass(slots=True)
class Reread:
    """One partition's re-read by its owner, who has ``token``.

    ``poll`` keeps the membership alive; the topic has ``partitions``, and none of the others is fetched.
    """

    source: Source
    partitions: int
    store: Store
    decode: Callable[[RawRecords], Decoded]
    registry: Registry
    poll: Callable[[float], Polled]
    hook: Callable[[str], None]
    token: str
    _gone: set[str] = field(default_factory=set)

    def bring(self, state: State, target: Position, mark: Mark, stored: State | None) -> State:
        """Bring ``state`` up to ``target`` and store it whole; ``mark`` is what was committed there.

        The topic must hold everything from ``state``'s position on, or from the first adoption (see
        ``Recovery``). ``stored`` is what the store holds now, ``None`` where nothing of it can be read. It is
        staged under the committed batch's id: should we end half-way, the next owner applies the rest.
        """
        partition = state.partition
        sizes = None if stored is None else stored.numbers.sizes
        if stored is not None and stored is not state:
            self._gone.update(stored.rows.customers_of(stored.rows.resident_rows()))
        adoptions = [
            self.registry.adoption(record)
            for record in self.registry.adoptions_of(partition)
            if state.numbers.version < record.version <= mark.adopted
        ]
        if state.numbers.version or adoptions:
            self._follow(state, adoptions, target.next_offset)
        state.numbers = replace(state.numbers, position=target)
        whole = full_checkpoint(state, self.registry.versions, self._gone)
        batch_id = mark.batch_id or secrets.token_hex(8)
        self.store.discard(partition, self.token, sizes)
        self.hook("after_discard")
        self.store.stage([(whole, batch_id, self.token)])
        self.hook("after_restage")
        self.store.apply([(partition, batch_id, self.token)])
        return state

    def _follow(self, state: State, adoptions: list[Adoption], end: int) -> None:
        start = state.numbers.position.next_offset if state.numbers.version else adoptions[0].next_offset
        self.source.seek(state.partition, start)
        reading = EventQueue(start)
        for adoption in adoptions:
            self._step_to(state, reading, adoption.next_offset)
            self._step(state, adoption)
        self._step_to(state, reading, end)

    def _step_to(self, state: State, reading: EventQueue, until: int) -> None:
        for batch in self._read_to(state.partition, reading, until):
            self._step(state, batch)

    def _step(self, state: State, change: EventBatch | Adoption) -> None:
        removed = step(state, change).removed
        self._gone.update(state.rows.strangers(customer for _, customer in removed))

    def _read_to(self, partition: int, reading: EventQueue, until: int) -> Iterator[EventBatch]:
        """Events before ``until`` as they come; ends when no more can (markers, aborted records never do)."""
        others = frozenset(range(self.partitions)) - {partition}
        yield from reading.take_before(until)
        while reading.next_offset < until:
            self.source.pause(others)
            polled = self.poll(POLL_S)
            records = polled.records.get(partition)
            if records is not None:
                reading.put(self.decode(records))
                yield from reading.take_before(until)
                continue
            read_up = self.source.read_up(partition)
            if read_up is not None and read_up >= until:
                break
