"""A model's state in Redis, or Valkey."""

from __future__ import annotations

from stream_seg.adapters.redis.store import RedisStore

__all__ = ["RedisStore"]
