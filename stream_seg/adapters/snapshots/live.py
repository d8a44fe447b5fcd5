"""Snapshots of what a worker owns, written by a thread of their own, and found again when Redis is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from stream_seg.adapters.snapshots.content import Holding, Snapshot
from stream_seg.adapters.snapshots.folder import Found, SnapshotFolder
from stream_seg.engine.moments import moment
from stream_seg.engine.registry import Registry
from stream_seg.engine.rowcolumns import columns_of
from stream_seg.engine.snapshots import Saved
from stream_seg.engine.state import Position, State
from stream_seg.errors import StateError, UsageError
from stream_seg.features.spec import FeatureSet

__all__ = ["FolderSnapshots"]

CLOSE_S: Final = 10.0


@dataclass(slots=True)
class FolderSnapshots:
    """``engine.snapshots.Snapshots`` in a folder.

    One is taken every ``every_s`` seconds (0: never) and the last ``keep`` of each partition are kept.
    ``meta`` is the model's meta hash; ``notice`` is told what a person may want to know.
    """

    folder: SnapshotFolder
    features: FeatureSet
    meta: Mapping[str, str]
    program: str
    every_s: float
    keep: int
    notice: Callable[[str], None]
    _next_s: float | None = None
    _thread: threading.Thread | None = None
    _failure: BaseException | None = None
    _failing: bool = False
    _told: set[str] = field(default_factory=set)

    @property
    def where(self) -> str:
        """The folder, for people."""
        return str(self.folder.path)

    def due(self, now_s: float) -> bool:
        """Whether one should be taken now; the first one when ``every_s`` seconds have passed."""
        if not self.every_s:
            return False
        if self._next_s is None:
            self._next_s = now_s + self.every_s
        if self._thread is not None and not self._thread.is_alive():
            self._ended()
        return self._thread is None and now_s >= self._next_s

    def save(self, states: Sequence[State], registry: Registry, now_s: float) -> None:
        """Copy the states, and have them written."""
        self._next_s = now_s + self.every_s
        snapshot = Snapshot(
            model=self.folder.model,
            taken=moment(int(now_s * 1000)),
            program=self.program,
            meta=self.meta,
            parts={state.partition: (state.numbers, columns_of(state)) for state in states},
            registry=Registry(dict(registry.versions), dict(registry.adoptions), dict(registry.lineage)),
        )
        self._thread = threading.Thread(
            target=self._write, args=(snapshot, now_s), name="stream-seg-snapshot", daemon=True
        )
        self._thread.start()

    def _write(self, snapshot: Snapshot, now_s: float) -> None:
        try:
            self.folder.write(snapshot, self.features, now_s)
            self.folder.prune(self.keep, now_s)
        except BaseException as error:  # noqa: BLE001 - raised, or told, where the worker looks for it
            self._failure = error

    def _ended(self) -> None:
        """The thread has ended: what it failed with is told once if the stream can do without, or raised."""
        failure, self._failure, self._thread = self._failure, None, None
        if failure is not None and not isinstance(failure, UsageError):
            raise failure
        if failure is not None and not self._failing:
            self.notice(f"{failure}; the stream goes on without")
        self._failing = failure is not None

    def newest(self, partition: int, instance: str, most: Position, least_offset: int) -> Saved | None:
        """The intact copy of a partition that is furthest on; one that is damaged is told and passed over."""
        try:
            wanted = self._holding(partition, instance, most, least_offset)
        except UsageError as error:
            self._tell(str(error))
            return None
        for found, holding in wanted:
            try:
                return Saved(holding.numbers, found.rows(holding, self.features), found.name)
            except (StateError, UsageError) as error:  # also where polars is not installed
                self._tell(f"snapshot {found.name} is passed over: {error}")
        return None

    def _holding(
        self, partition: int, instance: str, most: Position, least_offset: int
    ) -> list[tuple[Found, Holding]]:
        """Snapshots that hold a partition as it is wanted, furthest on first."""
        wanted = []
        for name in self.folder.names():
            try:
                found = self.folder.open(name)
            except StateError as error:
                if (self.folder.path / name).exists():  # or another worker has just deleted it
                    self._tell(f"snapshot {name} is passed over: {error}")
                continue
            if found.manifest.instance != instance:
                continue
            for holding in found.manifest.holds:
                at = holding.numbers.position
                if holding.partition == partition and at <= most and at.next_offset >= least_offset:
                    wanted.append((found, holding))
        return sorted(wanted, key=lambda pair: pair[1].numbers.position, reverse=True)

    def _tell(self, text: str) -> None:
        """Say something once, not again for every partition."""
        if text not in self._told:
            self._told.add(text)
            self.notice(text)

    def close(self) -> None:
        """Wait for what is being written, some seconds at most: it stays hidden unless it is whole."""
        if self._thread is not None:
            self._thread.join(CLOSE_S)
