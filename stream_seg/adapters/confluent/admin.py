"""Topics and groups through confluent-kafka's admin client."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # exported all the same
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
)

from stream_seg.adapters.confluent.connection import open_admin
from stream_seg.adapters.confluent.refusals import cause, translated
from stream_seg.adapters.kafka_topics import TopicFacts, TopicSpec
from stream_seg.errors import ServerUnavailable, StateError
from stream_seg.settings.servers import KafkaSettings

__all__ = ["ConfluentAdmin", "answers"]

ASK_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 0.05
_MISSING: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_EXCEPTION})


def answers(settings: KafkaSettings, timeout_s: float) -> bool:
    """Say whether a broker takes requests of a new client within ``timeout_s`` seconds."""
    try:
        open_admin(settings, timeout_s)
    except ServerUnavailable:
        return False
    return True


class ConfluentAdmin:
    """``TopicAdmin`` on confluent-kafka; connects when it is first asked.

    The client is kept referenced as long as its answers are awaited: they fail with ``_DESTROY`` else.
    """

    def __init__(self, settings: KafkaSettings, *, start_timeout_s: float = ASK_SECONDS) -> None:
        """Describe the connection."""
        self.servers = settings.bootstrap_servers
        self._settings, self._start_timeout_s = settings, start_timeout_s
        self._client: AdminClient | None = None

    def describe(self, names: Sequence[str]) -> dict[str, TopicFacts]:
        """Facts of those of the topics that exist."""
        topics = TopicCollection(list(names))
        described = self._ask(
            lambda admin: admin.describe_topics(topics, include_authorized_operations=True),
            "describing topics",
            _MISSING,
        )
        if not described:
            return {}
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in described]
        configs = self._ask(
            lambda admin: admin.describe_configs(resources), "describing topics' settings", _MISSING
        )
        settings = {resource.name: entries for resource, entries in configs.items()}
        return {
            name: TopicFacts(
                name,
                str(topic.topic_id),
                len(topic.partitions),
                {key: str(entry.value) for key, entry in settings.get(name, {}).items()},
                frozenset(operation.name for operation in topic.authorized_operations),
            )
            for name, topic in described.items()
        }

    def create(self, topics: Sequence[TopicSpec]) -> None:
        """Create topics and wait until they can be used; one that exists already is left as it is."""
        if not topics:
            return
        wanted = [NewTopic(spec.name, spec.partitions, config=dict(spec.config)) for spec in topics]
        there = frozenset({KafkaError.TOPIC_ALREADY_EXISTS})
        self._ask(lambda admin: admin.create_topics(wanted), "creating topics", there)
        self._wait(lambda: len(self._led([spec.name for spec in topics])) == len(topics), "created")

    def _led(self, names: Sequence[str]) -> list[str]:
        """Those of the topics whose partitions all have a leader."""
        topics = TopicCollection(list(names))
        described = self._ask(lambda admin: admin.describe_topics(topics), "describing topics", _MISSING)
        return [
            name
            for name, topic in described.items()
            if topic.partitions and all(one.leader is not None for one in topic.partitions)
        ]

    def delete_topics(self, names: Sequence[str]) -> None:
        """Delete topics and wait until they are gone; one that does not exist is no error."""
        there = list(self.describe(names))
        if there:
            self._ask(lambda admin: admin.delete_topics(there), "deleting topics", _MISSING)
            self._wait(lambda: not self.describe(there), "deleted")

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + ASK_SECONDS
        while not done():
            if time.monotonic() > deadline:
                raise ServerUnavailable(f"Kafka has not {what} the topics yet: look again in a while")
            time.sleep(PAUSE_SECONDS)

    def delete_group(self, group: str) -> None:
        """Delete a group's offsets; none there is no error. ``StateError`` while it has members."""
        gone = frozenset({KafkaError.GROUP_ID_NOT_FOUND, KafkaError.NON_EMPTY_GROUP})
        refused: list[KafkaError] = []
        self._ask(
            lambda admin: admin.delete_consumer_groups([group]), f"deleting group {group}", gone, refused
        )
        if any(error.code() == KafkaError.NON_EMPTY_GROUP for error in refused):
            raise StateError(
                f"group {group} still has members: stop its workers, or wait for their session to time out"
            )

    def members(self, group: str) -> int:
        """How many members a group has now."""
        missing = frozenset({KafkaError.GROUP_ID_NOT_FOUND})
        found = self._ask(
            lambda admin: admin.describe_consumer_groups([group]), f"looking at group {group}", missing
        )
        return len(found[group].members) if group in found else 0

    def oldest_ms(self, name: str, partitions: int) -> int | None:
        """The smallest timestamp among the partitions' first records; ``None`` where there are none."""
        wanted = {TopicPartition(name, p): OffsetSpec.for_timestamp(0) for p in range(partitions)}
        found = self._ask(lambda admin: admin.list_offsets(wanted), f"looking into topic {name}")
        times = [int(entry.timestamp) for entry in found.values() if entry.offset >= 0 <= entry.timestamp]
        return min(times, default=None)

    def _ask(
        self,
        question: Callable[[AdminClient], Mapping[Any, Any]],
        what: str,
        tolerated: frozenset[int] = frozenset(),
        refused: list[KafkaError] | None = None,
    ) -> dict[Any, Any]:
        """Ask for futures and wait for them, again while there is no answer, for some seconds.

        Answers that fail with a ``tolerated`` code are left out, and put into ``refused``.
        """
        deadline = time.monotonic() + ASK_SECONDS
        while True:
            if self._client is None:
                self._client = open_admin(self._settings, self._start_timeout_s)
            try:
                return _answers(question(self._client), tolerated, refused)
            except KafkaException as error:
                failure = translated(error, what)
                if not isinstance(failure, ServerUnavailable) or time.monotonic() > deadline:
                    raise failure from error
            time.sleep(PAUSE_SECONDS)

    def close(self) -> None:
        """End the connection."""
        self._client = None


def _answers(
    futures: Mapping[Any, Any], tolerated: frozenset[int], refused: list[KafkaError] | None
) -> dict[Any, Any]:
    found = {}
    for key, future in futures.items():
        try:
            found[key] = future.result(ASK_SECONDS)
        except KafkaException as error:
            if cause(error).code() not in tolerated:
                raise
            if refused is not None:
                refused.append(cause(error))
    return found
