"""What every partition should have said and stored: derived again from its events and recorded adoptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stream_seg.engine.checkpoint import full_checkpoint
from stream_seg.engine.derive import Derivation, recorded_adoptions
from stream_seg.engine.records import Origin, encode_labels, encode_transitions
from stream_seg.engine.registry import Registry
from stream_seg.engine.state import State
from stream_seg.engine.storedrows import StoredRow
from stream_seg.events.records import Decoded
from stream_seg.features.spec import FeatureSet


@dataclass
class Derived:
    """One partition: its labels and transitions as bytes in order, offsets of accepted events, its state."""

    state: State
    labels: list[bytes] = field(default_factory=list)
    transitions: list[bytes] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    def rows(self, registry: Registry) -> Sequence[StoredRow]:
        """All rows as they should be stored, with their public fields."""
        return full_checkpoint(self.state, registry.versions, ()).rows


def derive(
    features: FeatureSet, topic: str, registry: Registry, inputs: Mapping[int, Decoded]
) -> dict[int, Derived]:
    """Every partition by itself, from its first adoption on, in as few steps as its adoptions allow."""
    return {p: _partition(features, Origin(topic, p, "live"), registry, inputs[p]) for p in sorted(inputs)}


def _partition(features: FeatureSet, origin: Origin, registry: Registry, decoded: Decoded) -> Derived:
    adoptions = recorded_adoptions(registry, origin.partition)
    if not adoptions:
        return Derived(State(origin.partition, features), offsets=decoded.events.offset.tolist())
    derivation = Derivation(origin.partition, features, adoptions)
    done = Derived(derivation.state, offsets=decoded.events.offset.tolist())
    for one in derivation.feed(decoded.events):
        done.labels += encode_labels(one.outcome, origin).values
        done.transitions += encode_transitions(one.outcome, origin, features).values
    return done
