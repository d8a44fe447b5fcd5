"""Where a partition that lost stored state begins again: what is left of it, a snapshot, or nothing.

Each of them is good only if the topic still holds all records from there on.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream_seg.engine.ports import Source
from stream_seg.engine.registry import Registry
from stream_seg.engine.rowcolumns import state_of
from stream_seg.engine.snapshots import Snapshots
from stream_seg.engine.state import Position, State
from stream_seg.errors import StateError
from stream_seg.features.spec import FeatureSet

__all__ = ["Base", "Recovery"]


@dataclass(frozen=True, slots=True)
class Base:
    """A state to go on from, and what to call where it came from."""

    state: State
    name: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """Finds the base that leaves least to be read again."""

    source: Source
    registry: Registry
    features: FeatureSet
    snapshots: Snapshots

    def base(self, partition: int, stored: State | None, target: Position, adopted: int) -> Base:
        """Where to begin to reach ``target``, where the partition had adopted version ``adopted`` (0: none).

        ``stored`` is what is left in the store. Raises ``StateError`` where nothing reaches back far enough.
        """
        begins = self.source.begins(partition)
        if stored is not None and stored.version is not None:
            if stored.numbers.position.next_offset >= begins:
                return Base(stored, "what is left of it")
            return self._saved(partition, target, begins, adopted) or self._refuse(partition, stored, begins)
        saved = self._saved(partition, target, begins, adopted)
        if saved is not None:
            return saved
        fresh = State(partition, self.features) if stored is None else stored
        if adopted and self.registry.adoptions_of(partition)[0].first_offset < begins:
            self._refuse(partition, fresh, begins)
        return Base(fresh, "the topic")

    def _saved(self, partition: int, target: Position, begins: int, adopted: int) -> Base | None:
        """The newest snapshot that the topic still reaches; only of versions that were really adopted."""
        instance = self.registry.instance
        if instance is None:
            return None
        saved = self.snapshots.newest(partition, instance, target, begins)
        if saved is None or not 0 < saved.numbers.version <= adopted:
            return None
        version = self.registry.versions.get(saved.numbers.version)
        if version is None:
            return None
        state = state_of(partition, self.features, saved.numbers, version, saved.rows)
        return Base(state, f"snapshot {saved.name}")

    def _refuse(self, partition: int, state: State, begins: int) -> Base:
        if state.version is not None:
            start = state.numbers.position.next_offset
        else:
            start = self.registry.adoptions_of(partition)[0].first_offset
        where = self.snapshots.where
        none = f"no snapshot in {where} does either" if where else "no snapshots are kept"
        raise StateError(
            f"partition {partition} must be read again from offset {start} on, the topic begins at {begins}, "
            f"and {none}: bring one that does, or delete the model with stream-seg reset and begin anew"
        )
