"""The servers that the bench runs on, and what it puts there and takes away again."""

from __future__ import annotations

import secrets
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal

from redis import Redis

from consumers.bench.clients import writer
from consumers.bench.workload import FEATURES, MAPPING
from stream_seg.adapters.kafka import connect
from stream_seg.adapters.kafka_python.feed import prepared_input
from stream_seg.adapters.redis import RedisStore
from stream_seg.settings.sections import DeliverySettings, ModelSettings, SourceSettings
from stream_seg.settings.servers import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consumers.bench.workload import Workload
    from stream_seg.adapters.kafka_topics import TopicAdmin
    from stream_seg.settings import Settings

__all__ = ["Client", "Mode", "Stand"]

Client = Literal["kafka-python", "confluent"]
Mode = Literal["exactly_once", "at_least_once"]
SEGMENTS: Final = 6


@dataclass(frozen=True, slots=True)
class Stand:
    """One run's names on the servers that ``settings`` reach, all beginning with ``prefix``."""

    settings: Settings
    prefix: str

    @classmethod
    def new(cls, settings: Settings) -> Stand:
        """Names that nobody else has."""
        return cls(settings, f"bench-{secrets.token_hex(3)}")

    @property
    def clients(self) -> list[Client]:
        """The clients to compare: both where that can be, else the configured one."""
        kafka = self.settings.kafka
        if kafka.options:  # those are in one client's names
            return [kafka.client]
        both = find_spec("confluent_kafka") is not None
        return ["kafka-python", "confluent"] if both else ["kafka-python"]

    def kafka(self, client: Client) -> KafkaSettings:
        """Kafka through one client."""
        return self.settings.kafka.model_copy(update={"client": client})

    @property
    def redis_url(self) -> str:
        """Where Redis is."""
        return self.settings.redis.url

    def name(self, *parts: str) -> str:
        """A name of this run's own."""
        return "-".join([self.prefix, *parts, secrets.token_hex(2)])

    def model(self, client: Client, mode: Mode, topic: str) -> Settings:
        """A new model over ``topic``, as the README configures one."""
        return replace(
            self.settings,
            model=ModelSettings(name=self.name("model"), segments=SEGMENTS),
            source=SourceSettings(topic=topic),
            event_mapping=MAPPING,
            feature_set=FEATURES,
            kafka=self.kafka(client),
            delivery=DeliverySettings(mode=mode),
        )

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        with closing(connect(self.kafka(self.clients[-1]))) as client:
            return client.topics.partitions(topic)

    @contextmanager
    def topic(self, partitions: int) -> Iterator[str]:
        """A new topic that keeps its records, gone at the end."""
        name = self.name("topic")
        client = self.clients[-1]
        with closing(_admin(self.kafka(client))) as admin:
            prepared_input(admin, name, partitions, append=False)
            try:
                yield name
            finally:
                admin.delete_topics([name])

    def feed(self, workload: Workload, topic: str) -> None:
        """Put all events of a workload into a topic."""
        with closing(writer(self.kafka(self.clients[-1]), None)) as sink:
            for part in workload.records():
                for row in zip(part.keys, part.values, part.partitions, part.timestamps_ms, strict=True):
                    sink.send(topic, *row)
                sink.flush()

    def clear(self, settings: Settings) -> None:
        """Take a model off the servers."""
        name = settings.model.name
        with (
            closing(connect(settings.kafka)) as client,
            closing(RedisStore.connect(self.redis_url, name)) as store,
        ):
            client.topics.remove(name, settings.group)
            store.reset()

    def redis_cpu_s(self) -> float:
        """Processor time that Redis has used so far."""
        with closing(Redis.from_url(self.redis_url)) as redis:
            used = redis.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def _admin(settings: KafkaSettings) -> TopicAdmin:
    if settings.client == "confluent":
        from stream_seg.adapters.confluent.admin import ConfluentAdmin  # noqa: PLC0415 - an extra

        return ConfluentAdmin(settings)
    from stream_seg.adapters.kafka_python.admin import KafkaPythonAdmin  # noqa: PLC0415

    return KafkaPythonAdmin(settings)
