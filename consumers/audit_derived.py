"""What is seen of one customer while its partition is derived again: its labels, its features, its moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from stream_seg.engine.history import read_through
from stream_seg.engine.kernels import rows_values
from stream_seg.engine.records import encode_labels, encode_transitions

if TYPE_CHECKING:
    from stream_seg.engine.derive import Derivation
    from stream_seg.engine.history import History
    from stream_seg.engine.records import Origin
    from stream_seg.engine.replay import Step
    from stream_seg.engine.state import State
    from stream_seg.events.batch import EventBatch
    from stream_seg.events.decoder import JsonDecoder

__all__ = ["Seen", "Witness", "witnessed"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A customer just after an event of its own.

    ``value`` is the label; ``features`` name → value in its own unit, as of then; ``distances`` to every
    centroid of the version, nearest first (empty where the customer was forgotten at once).
    """

    offset: int
    value: bytes
    features: dict[str, float]
    distances: list[dict[str, Any]]

    def record(self) -> dict[str, Any]:
        """Give it as JSON-ready data."""
        return {"label": msgspec.json.decode(self.value), "features": self.features}


@dataclass(slots=True)
class Witness:
    """Watches one customer; ``now`` is its newest event, ``before`` the one before that.

    ``moves`` are its transitions between the two that no event of its own made.
    """

    customer: str
    origin: Origin
    now: Seen | None = None
    before: Seen | None = None
    moves: list[dict[str, Any]] = field(default_factory=list)
    _since: list[dict[str, Any]] = field(default_factory=list)

    def see(self, step: Step) -> None:
        """Look at a step; one with an event of the customer ends with it."""
        events = step.outcome.events
        moves = [msgspec.json.decode(v) for v in self._moves_of(step)]
        own = events is not None and len(events) > 0 and events.customers[-1] == self.customer
        if events is not None and own:
            # what was made before the event; what the event's own pass made belongs to the next one
            at = int(events.offset[-1])
            earlier = [m for m in moves if m["source"]["offset"] <= at and m["cause"] != "behaviour"]
            self.moves = [*self._since, *earlier]
            self._since = [m for m in moves if m["source"]["offset"] > at]
            label = encode_labels(step.outcome, self.origin).values[-1]
            features, distances = _standing(step.state, self.customer)
            self.before, self.now = self.now, Seen(at, label, features, distances)
        else:
            self._since += moves

    def _moves_of(self, step: Step) -> list[bytes]:
        if self.customer not in step.outcome.transitions.customers:
            return []
        encoded = encode_transitions(step.outcome, self.origin, step.state.features)
        key = self.customer.encode()
        return [value for own, value in zip(encoded.keys, encoded.values, strict=True) if own == key]


def witnessed(
    history: History,
    span: Mapping[int, tuple[int, int]],
    decoder: JsonDecoder,
    derivation: Derivation,
    witness: Witness,
) -> Iterator[int]:
    """Derive what a span of one partition holds, and give the offset reached after each batch of records."""
    for fetched in read_through(history, span):
        for batch in _cut(decoder.decode(fetched.records).events, witness.customer):
            for step in derivation.feed(batch):
                witness.see(step)
        yield fetched.read_up


def _cut(events: EventBatch, customer: str) -> Iterator[EventBatch]:
    """The same events, cut just behind every one of the customer."""
    own = [place for place, one in enumerate(events.customers) if one == customer]
    done = 0
    for place in own:
        front, events = events.cut(place + 1 - done)
        done = place + 1
        yield front
    yield events


def _standing(state: State, customer: str) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """A customer's features as of the partition's now, and its distances to every centroid."""
    row, version = state.rows.row_of(customer), state.version
    if row is None or version is None:
        return {}, []
    which = np.array([row], dtype=np.int64)
    values = np.empty((1, len(state.features)))
    rows_values(which, state.numbers.clock_ms, state.rows.aggregates, state.features.layout, values)
    arrays = version.arrays
    scaled = (state.rows.placement.point[row] * arrays.step - arrays.offset) * arrays.factor
    distance = np.sqrt(((scaled - arrays.centres) ** 2).sum(axis=1))
    nearest = np.argsort(distance, kind="stable").tolist()
    return (
        dict(zip(state.features.names, values[0].tolist(), strict=True)),
        [
            {
                "segment": version.segments[k].id,
                "name": version.segments[k].name,
                "distance": float(distance[k]),
            }
            for k in nearest
        ],
    )
