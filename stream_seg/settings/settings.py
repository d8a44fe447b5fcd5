"""``Settings``: the whole configuration as one frozen value."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from stream_seg.errors import ConfigurationError
from stream_seg.settings.clustering import ClusteringSettings
from stream_seg.settings.sections import (
    DeliverySettings,
    ModelSettings,
    SnapshotSettings,
    SourceSettings,
    WarmUpSettings,
)
from stream_seg.settings.servers import KafkaSettings, RedisSettings

if TYPE_CHECKING:
    from stream_seg.events.mapping import EventMapping
    from stream_seg.features.spec import FeatureSet

__all__ = ["MISSING_EVENT", "MISSING_FEATURES", "MISSING_TOPIC", "Settings"]

MISSING_TOPIC = "source.topic is missing: it must be the one input topic (or give --topic)."
MISSING_EVENT = "event is missing: [event] must say where the customer and the time stand in a record."
MISSING_FEATURES = "features is missing: at least one [features.<name>] must say what segments are made of."


@dataclass(frozen=True)
class Settings:
    """A checked configuration.

    ``event_mapping``, ``feature_set`` are ``None`` only where a command that needs neither was given none;
    ``event``, ``features`` and ``topic`` are the same and raise ``ConfigurationError`` then.
    ``servers_configured`` says whether a person set anything about Kafka or Redis, in the file, the
    environment or by a flag.
    """

    model: ModelSettings
    warm_up: WarmUpSettings = field(default_factory=WarmUpSettings)
    source: SourceSettings = field(default_factory=SourceSettings)
    event_mapping: EventMapping | None = None
    feature_set: FeatureSet | None = None
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    redis: RedisSettings = field(default_factory=RedisSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    snapshot: SnapshotSettings = field(default_factory=SnapshotSettings)
    clustering: ClusteringSettings = field(default_factory=ClusteringSettings)
    servers_configured: bool = False

    @property
    def event(self) -> EventMapping:
        """Where things stand in a record; ``ConfigurationError`` where that is not configured."""
        if self.event_mapping is None:
            raise ConfigurationError([MISSING_EVENT])
        return self.event_mapping

    @property
    def features(self) -> FeatureSet:
        """What is measured of a customer; ``ConfigurationError`` where that is not configured."""
        if self.feature_set is None:
            raise ConfigurationError([MISSING_FEATURES])
        return self.feature_set

    @property
    def topic(self) -> str:
        """The input topic; ``ConfigurationError`` where none is configured."""
        if self.source.topic is None:
            raise ConfigurationError([MISSING_TOPIC])
        return self.source.topic

    @property
    def group(self) -> str:
        """The consumer group: ``source.group``, or the model's name."""
        return self.source.group or self.model.name

    @cached_property
    def model_hash(self) -> str:
        """16 hexadecimal digits that name what makes another model: features, event, key, max_ahead, format.

        The number of the topic's partitions does so too, and is compared beside it.
        """
        definition = {
            "features": [{**f.definition(), "weight": f.weight} for f in self.features.features],
            "event": self.event.definition(),
            "format": self.source.format,
        }
        text = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
