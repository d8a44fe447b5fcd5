"""The configuration: one TOML file, the environment and flags, read into one frozen ``Settings``.

``load_settings`` is the way in. Nothing of the engine imports this package: drivers hand it plain frozen
values.
"""

from __future__ import annotations

from stream_seg.settings.clustering import ClusteringSettings
from stream_seg.settings.durations import parse_duration_ms
from stream_seg.settings.loading import Need, load_settings
from stream_seg.settings.sections import (
    DeliverySettings,
    ModelSettings,
    SnapshotSettings,
    SourceSettings,
    WarmUpSettings,
)
from stream_seg.settings.servers import KafkaSettings, RedisSettings
from stream_seg.settings.settings import Settings

__all__ = [
    "ClusteringSettings",
    "DeliverySettings",
    "KafkaSettings",
    "ModelSettings",
    "Need",
    "RedisSettings",
    "Settings",
    "SnapshotSettings",
    "SourceSettings",
    "WarmUpSettings",
    "load_settings",
    "parse_duration_ms",
]
