"""Topics and groups through kafka-python's admin client."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable, Sequence
from operator import methodcaller
from typing import Any, Final

from kafka import KafkaAdminClient, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from stream_seg.adapters.kafka_python.connection import open_admin
from stream_seg.adapters.kafka_python.refusals import translated
from stream_seg.adapters.kafka_topics import TopicFacts, TopicSpec
from stream_seg.errors import ServerUnavailable, StateError
from stream_seg.settings.servers import KafkaSettings

__all__ = ["KafkaPythonAdmin", "answers"]

ASK_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 0.05
_DONE: Final = "OK"
_MISSING: Final = (
    kafka_errors.UnknownTopicOrPartitionError.errno,
    kafka_errors.UnknownTopicIdError.errno,
    kafka_errors.InvalidTopicError.errno,
)


def answers(settings: KafkaSettings, timeout_s: float) -> bool:
    """Say whether a broker takes requests of a new client within ``timeout_s`` seconds."""
    try:
        open_admin(settings, timeout_s).close()
    except ServerUnavailable:
        return False
    return True


class KafkaPythonAdmin:
    """``TopicAdmin`` on kafka-python; connects when it is first asked."""

    def __init__(self, settings: KafkaSettings, *, start_timeout_s: float = ASK_SECONDS) -> None:
        """Describe the connection."""
        self.servers = settings.bootstrap_servers
        self._settings, self._start_timeout_s = settings, start_timeout_s
        self._client: KafkaAdminClient | None = None

    def describe(self, names: Sequence[str]) -> dict[str, TopicFacts]:
        """Facts of those of the topics that exist."""
        described = self._ask(methodcaller("describe_topics", list(names)), "describing topics")
        found = {topic["name"]: topic for topic in described if topic["error_code"] not in _MISSING}
        for topic in found.values():
            if topic["error_code"]:
                raise translated(kafka_errors.for_code(topic["error_code"])(), f"topic {topic['name']}")
        if not found:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name, None) for name in found]
        configs = self._ask(
            lambda admin: admin.describe_configs(resources, config_filter="all"),
            "describing topics' settings",
        )["topic"]
        return {
            name: TopicFacts(
                name,
                _as_kafka_writes(topic["topic_id"]),
                len(topic["partitions"]),
                {key: str(entry["value"]) for key, entry in configs.get(name, {}).items()},
                frozenset(topic["authorized_operations"]),
            )
            for name, topic in found.items()
        }

    def create(self, topics: Sequence[TopicSpec]) -> None:
        """Create topics and wait until they can be used; one that exists already is left as it is."""
        for spec in topics:
            wanted = {spec.name: {"num_partitions": spec.partitions, "configs": dict(spec.config)}}
            question = methodcaller("create_topics", wanted)
            self._ask(question, f"creating topic {spec.name}", kafka_errors.TopicAlreadyExistsError)
        names = [spec.name for spec in topics]
        self._ask(methodcaller("wait_for_topics", names, int(ASK_SECONDS * 1000)), "creating topics")

    def delete_topics(self, names: Sequence[str]) -> None:
        """Delete topics and wait until they are gone; one that does not exist is no error."""
        for name in self.describe(names):
            question = methodcaller("delete_topics", [name])
            self._ask(question, f"deleting topic {name}", kafka_errors.UnknownTopicOrPartitionError)
        deadline = time.monotonic() + ASK_SECONDS
        while self.describe(names):
            if time.monotonic() > deadline:
                raise ServerUnavailable("Kafka has not deleted the topics yet: look again in a while")
            time.sleep(PAUSE_SECONDS)

    def delete_group(self, group: str) -> None:
        """Delete a group's offsets; none there is no error. ``StateError`` while it has members."""
        answer = self._ask(methodcaller("delete_groups", [group]), f"deleting group {group}")
        found = str(answer.get(group, _DONE))  # the name of an error's class
        if found == kafka_errors.NonEmptyGroupError.__name__:
            raise StateError(
                f"group {group} still has members: stop its workers, or wait for their session to time out"
            )
        if found not in {_DONE, kafka_errors.GroupIdNotFoundError.__name__}:
            raise translated(getattr(kafka_errors, found, kafka_errors.UnknownError)(), f"group {group}")

    def members(self, group: str) -> int:
        """How many members a group has now."""
        answer = self._ask(methodcaller("describe_groups", [group]), f"looking at group {group}")
        return len(answer[group]["members"])

    def oldest_ms(self, name: str, partitions: int) -> int | None:
        """The smallest timestamp among the partitions' first records; ``None`` where there are none."""
        specs = {TopicPartition(name, partition): 0 for partition in range(partitions)}
        found = self._ask(methodcaller("list_partition_offsets", specs), f"looking into topic {name}")
        times = [int(entry.timestamp) for entry in found.values() if entry.timestamp >= 0]
        return min(times, default=None)

    def _ask(
        self,
        question: Callable[[KafkaAdminClient], Any],
        what: str,
        done_already: type[Exception] | None = None,
    ) -> Any:  # noqa: ANN401 - kafka-python has no types
        """Ask the admin client, again while it cannot answer, for some seconds.

        ``done_already`` is the error that says that nothing needs doing; ``None`` is returned then.
        """
        deadline = time.monotonic() + ASK_SECONDS
        while True:
            if self._client is None:
                self._client = open_admin(self._settings, self._start_timeout_s)
            try:
                return question(self._client)
            except kafka_errors.KafkaError as error:
                if done_already is not None and isinstance(error, done_already):
                    return None
                failure = translated(error, what)
                if not isinstance(failure, ServerUnavailable) or time.monotonic() > deadline:
                    raise failure from error
            time.sleep(PAUSE_SECONDS)

    def close(self) -> None:
        """End the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _as_kafka_writes(topic_id: str) -> str:
    """Give an id in the form of Kafka's own tools: its 16 bytes in base64, without padding."""
    return base64.b64encode(uuid.UUID(topic_id).bytes).decode().rstrip("=")
