"""Files as a source of events (CSV, JSON Lines, Parquet) and as the place of an export."""

from __future__ import annotations

from stream_seg.adapters.files.export import ExportWriter
from stream_seg.adapters.files.source import FileSource

__all__ = ["ExportWriter", "FileSource"]
