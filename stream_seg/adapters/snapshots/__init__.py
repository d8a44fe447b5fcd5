"""Snapshots in a folder: Parquet and JSON, checked by SHA-256, the last few of each partition kept."""

from __future__ import annotations

from stream_seg.adapters.snapshots.content import Holding, Manifest, Snapshot
from stream_seg.adapters.snapshots.folder import Found, SnapshotFolder, opened
from stream_seg.adapters.snapshots.live import FolderSnapshots

__all__ = ["FolderSnapshots", "Found", "Holding", "Manifest", "Snapshot", "SnapshotFolder", "opened"]
