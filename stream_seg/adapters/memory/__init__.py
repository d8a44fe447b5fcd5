"""A model's state in this process: for runs without servers, and for replay."""

from __future__ import annotations

from stream_seg.adapters.memory.store import MemoryStore

__all__ = ["MemoryStore"]
