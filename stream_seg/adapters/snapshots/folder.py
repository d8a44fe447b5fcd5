"""The folder that snapshots are kept in: ``<dir>/<model>/<name>/``, a folder each.

A snapshot is written into a hidden folder, its ``SHA256SUMS`` last, and gets its name when all of it is on
the disk: whatever has a name is whole, or has been damaged since, which the sums tell (``sha256sum -c
SHA256SUMS`` does, too). Several workers, on several machines, may use one folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from stream_seg.adapters.snapshots.content import (
    Holding,
    Manifest,
    Snapshot,
    decode_manifest,
    decode_models,
)
from stream_seg.adapters.snapshots.table import read_rows, write_rows
from stream_seg.engine.registry import Registry
from stream_seg.engine.rowcolumns import RowColumns
from stream_seg.errors import DamagedState, StateError, UsageError
from stream_seg.features.spec import FeatureSet

__all__ = ["Found", "SnapshotFolder", "opened"]

MANIFEST: Final = "snapshot.json"
MODELS: Final = "models.json"
SUMS: Final = "SHA256SUMS"
ABANDONED_S: Final = 3600.0
"""A hidden folder that has not changed for so long is nobody's any more."""
_NAME: Final = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{8}")
_SUM: Final = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9.-]+)")


@dataclass(frozen=True, slots=True)
class Found:
    """A snapshot in a folder, its manifest read and checked; other files are checked when they are read."""

    path: Path
    manifest: Manifest
    sums: dict[str, str]

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.path.name

    def rows(self, holding: Holding, features: FeatureSet) -> RowColumns:
        """A partition's rows; ``DamagedState`` where the file is not what was written."""
        _check(self.path / holding.file, self.sums)
        rows = read_rows(self.path / holding.file, features)
        if len(rows) != holding.rows:
            raise DamagedState(f"{holding.file} holds {len(rows)} rows where {holding.rows} were written")
        return rows

    def registry(self) -> Registry:
        """The versions, lineage and adoptions in it; ``DamagedState`` as ``rows``."""
        registry = Registry()
        registry.take(decode_models(_check(self.path / MODELS, self.sums)))
        return registry

    def verify(self) -> None:
        """Check every file; ``DamagedState`` for the first that is not what was written."""
        for name in self.sums:
            _check(self.path / name, self.sums)


@dataclass(frozen=True, slots=True)
class SnapshotFolder:
    """The snapshots of one model below ``root``, which need not exist yet."""

    root: Path
    model: str

    @property
    def path(self) -> Path:
        """Where the model's snapshots are."""
        return self.root / self.model

    def names(self) -> list[str]:
        """All snapshots, the newest first by their names, which begin with when they were taken.

        ``UsageError`` where the folder cannot be looked into.
        """
        try:
            found = [path.name for path in self.path.iterdir() if _NAME.fullmatch(path.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(
                f"snapshots in {self.path} cannot be listed ({error.strerror}): see [snapshot] dir"
            ) from error
        return sorted(found, reverse=True)

    def open(self, name: str) -> Found:
        """Read a snapshot's manifest.

        Raises ``DamagedState`` where it is not what was written, ``StateError`` for one of a newer program.
        """
        return opened(self.path / name)

    def write(self, snapshot: Snapshot, features: FeatureSet, now_s: float) -> str:
        """Write a snapshot; gives its name. ``UsageError`` where the folder does not take it."""
        moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now_s)) + f"{int(now_s * 1000) % 1000:03d}Z"
        name = f"{moment}-{secrets.token_hex(4)}"
        with _writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            partial = self.path / f".{name}.partial"
            partial.mkdir()
            try:
                _fill(partial, snapshot, features)
                partial.rename(self.path / name)
                _sync(self.path)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return name

    def prune(self, keep: int, now_s: float) -> None:
        """Delete snapshots of which every partition is in ``keep`` newer ones, and what was abandoned."""
        with _writing(self.path):
            newer: dict[int, int] = {}
            for name in self.names():
                held = self._held(name)
                if held and all(newer.get(p, 0) >= keep for p in held):
                    self._delete(self.path / name)
                for partition in held:
                    newer[partition] = newer.get(partition, 0) + 1
            for path in self.path.glob(".*"):
                if now_s - _changed_s(path) > ABANDONED_S:
                    shutil.rmtree(path, ignore_errors=True)

    def _held(self, name: str) -> list[int]:
        """The partitions in a snapshot; of one that cannot be read none: it is left for a person to see."""
        try:
            return [holding.partition for holding in self.open(name).manifest.holds]
        except StateError:
            return []

    def _delete(self, path: Path) -> None:
        """Take the name away first: nobody begins to read what is half deleted."""
        hidden = path.with_name(f".{path.name}.deleted")
        try:
            path.rename(hidden)
        except FileNotFoundError:
            return  # another worker was quicker
        shutil.rmtree(hidden, ignore_errors=True)


def opened(path: Path) -> Found:
    """Read the manifest of the snapshot in a folder; see ``SnapshotFolder.open``."""
    try:
        lines = (path / SUMS).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedState(f"{path} is no snapshot, or was damaged: its {SUMS} cannot be read") from error
    found = [_SUM.fullmatch(line) for line in lines]
    sums = {match[2]: match[1] for match in found if match}
    manifest = decode_manifest(_check(path / MANIFEST, sums))
    missing = {MANIFEST, MODELS, *(holding.file for holding in manifest.holds)} - sums.keys()
    if missing or None in found:
        raise DamagedState(f"{path / SUMS} is damaged")
    return Found(path, manifest, sums)


def _fill(folder: Path, snapshot: Snapshot, features: FeatureSet) -> None:
    manifest = snapshot.manifest()
    for holding in manifest.holds:
        write_rows(folder / holding.file, snapshot.parts[holding.partition][1], features)
    (folder / MODELS).write_bytes(snapshot.models())
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    names = [MANIFEST, MODELS, *(holding.file for holding in manifest.holds)]
    sums = "".join(f"{_digest(folder / name)}  {name}\n" for name in names)
    (folder / SUMS).write_text(sums, encoding="ascii")
    for name in (*names, SUMS):
        _sync(folder / name)
    _sync(folder)


def _check(path: Path, sums: dict[str, str]) -> bytes:
    """A file's content, once it has been found to be what was written; of a Parquet file nothing."""
    try:
        digest = _digest(path)
        content = b"" if path.suffix == ".parquet" else path.read_bytes()
    except OSError as error:
        raise DamagedState(f"{path} cannot be read ({error.strerror})") from error
    if digest != sums.get(path.name):
        raise DamagedState(f"{path} is not what was written: its SHA-256 differs from {SUMS}")
    return content


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _changed_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"snapshots cannot be written to {path} ({error.strerror or error}): see [snapshot] dir"
        ) from error
