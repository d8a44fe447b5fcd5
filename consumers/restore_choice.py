"""Which snapshots a model is restored from: one that was named, or of each partition the copy furthest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stream_seg.adapters.snapshots import Found, Holding, SnapshotFolder, opened
from stream_seg.engine.registry import Registry
from stream_seg.engine.rowcolumns import state_of
from stream_seg.errors import NotFoundError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream_seg.engine.state import State
    from stream_seg.features.spec import FeatureSet

__all__ = ["Choice", "chosen"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Of every partition of a model a snapshot that holds it, all of one life of the model."""

    parts: Mapping[int, tuple[Found, Holding]]
    meta: Mapping[str, str]
    registry: Registry

    def states(self, features: FeatureSet) -> dict[int, State]:
        """Every partition's state; ``DamagedState`` where a file is not what was written."""
        return {
            p: state_of(
                p,
                features,
                holding.numbers,
                self.registry.versions[holding.numbers.version],
                found.rows(holding, features),
            )
            for p, (found, holding) in sorted(self.parts.items())
        }

    @property
    def names(self) -> list[str]:
        """The snapshots' names."""
        return sorted({found.name for found, _ in self.parts.values()})


def chosen(folder: SnapshotFolder, name: str | None, notice: Callable[[str], None]) -> Choice:
    """Choose; ``notice`` is told of a damaged snapshot that is passed over.

    ``name`` is a snapshot in the folder or the path of one. Raises ``NotFoundError`` where there is none, and
    ``StateError`` where it is damaged, of another model, or does not hold every partition.
    """
    if name is not None:
        path = folder.path / name
        found = opened(path if path.is_dir() else Path(name))
        found.verify()
        snapshots = [found]
    else:
        snapshots = _intact(folder, notice)
    newest = snapshots[0].manifest
    if newest.model != folder.model:
        raise StateError(
            f"the snapshot is of model {newest.model}, not {folder.model}: name that with --model, and use "
            "its configuration"
        )
    parts: dict[int, tuple[Found, Holding]] = {}
    for found in snapshots:
        for holding in found.manifest.holds if found.manifest.instance == newest.instance else ():
            best = parts.get(holding.partition)
            if best is None or best[1].numbers.position < holding.numbers.position:
                parts[holding.partition] = (found, holding)
    missing = sorted(set(range(newest.partitions)) - parts.keys())
    if missing:
        raise StateError(
            f"of {newest.partitions} partitions there is no copy of {', '.join(map(str, missing))}: leave "
            "SNAPSHOT out to take the newest of each, or bring those that the other workers wrote"
        )
    return Choice(parts, newest.meta, _registry(parts))


def _intact(folder: SnapshotFolder, notice: Callable[[str], None]) -> list[Found]:
    """All snapshots that are whole, the newest first."""
    found = []
    for name in folder.names():
        try:
            one = folder.open(name)
            one.verify()
        except StateError as error:
            notice(f"snapshot {name} is passed over: {error}")
        else:
            found.append(one)
    if not found:
        raise NotFoundError(f"there is no whole snapshot in {folder.path}: name another folder with --dir")
    return found


def _registry(parts: Mapping[int, tuple[Found, Holding]]) -> Registry:
    """All versions that are known, and of each partition the adoptions up to where it stands."""
    whole = Registry()
    for partition, (found, holding) in parts.items():
        known = found.registry()
        whole.versions |= known.versions
        whole.lineage |= known.lineage
        adopted = {(p, v): a for (p, v), a in known.adoptions.items() if p == partition}
        whole.adoptions |= adopted
        version = holding.numbers.version
        if version not in known.versions or (partition, version) not in adopted:
            raise StateError(
                f"snapshot {found.name} lacks version {version}, which partition {partition} stands under: "
                "restore another one"
            )
    return whole
