"""The topics of a model: what they must be like, what is wrong with those that are there, and what mends it.

All of it is the same for every client: a client brings a :class:`TopicAdmin`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from stream_seg.errors import NotFoundError, ServerRefused, StateError

__all__ = [
    "DEAD_LETTERS",
    "LABELS",
    "MODELS",
    "TRANSITIONS",
    "Prepared",
    "TopicAdmin",
    "TopicFacts",
    "TopicMissing",
    "TopicSpec",
    "Topics",
    "output_topics",
    "problems",
]

LABELS: Final = "labels"
TRANSITIONS: Final = "transitions"
MODELS: Final = "models"
DEAD_LETTERS: Final = "dead-letters"

FOREVER: Final = "-1"
UNLIMITED: Final = "9223372036854775807"
# What comes on top of an input record in a record of ours: headers, feature names, JSON.
OVERHEAD_BYTES: Final = 64 << 10
LEAVE_SECONDS: Final = 3.0
PAUSE_SECONDS: Final = 0.1
DEFAULT_MESSAGE_BYTES: Final = 1_048_588
_TIME_LIMITS: Final = ("message.timestamp.after.max.ms", "message.timestamp.before.max.ms")
_RETENTIONS: Final = ("retention.ms", "retention.bytes")
_DAY_MS: Final = 86_400_000


class TopicMissing(ServerRefused, NotFoundError):
    """A topic that is to be read does not exist; exit status 3."""


class TopicFacts(NamedTuple):
    """What a broker says of a topic: its id, its number of partitions and its settings, defaults included.

    ``rights`` are the operations that we are allowed, in Kafka's names (READ, WRITE, …).
    """

    name: str
    topic_id: str
    partitions: int
    config: Mapping[str, str]
    rights: frozenset[str]


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it is created: ``partitions`` and the settings that differ from the broker's defaults."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


class Prepared(NamedTuple):
    """What :meth:`Topics.prepare` found: the input's partitions and id, the largest dead letter, warnings."""

    partitions: int
    topic_id: str
    dead_letter_bytes: int
    warnings: list[str]


class TopicAdmin(Protocol):
    """What a client must be able to do with topics; nothing is retried beyond its bounded waits."""

    servers: str

    def describe(self, names: Sequence[str]) -> dict[str, TopicFacts]:
        """Facts of those of the topics that exist."""

    def create(self, topics: Sequence[TopicSpec]) -> None:
        """Create topics and wait until they can be used; one that exists already is left as it is."""

    def delete_topics(self, names: Sequence[str]) -> None:
        """Delete topics and wait until they are gone; one that does not exist is no error."""

    def delete_group(self, group: str) -> None:
        """Delete a group's offsets; none there is no error. ``StateError`` while it has members."""

    def members(self, group: str) -> int:
        """How many members a group has now; none where there is no such group."""

    def oldest_ms(self, name: str, partitions: int) -> int | None:
        """The smallest timestamp among the partitions' first records; ``None`` where there are none."""

    def close(self) -> None:
        """End the connection."""


def output_topics(model: str, partitions: int, input_bytes: int) -> list[TopicSpec]:
    """Say what topics a model writes, for an input of ``partitions`` and records up to ``input_bytes``.

    Records of history carry old timestamps, and those of a clock that is ahead future ones: nothing is
    deleted by age and nothing refused by time.
    """
    kept = {"retention.ms": FOREVER, "message.timestamp.after.max.ms": UNLIMITED}
    # Ids stand in key and value of a label; whoever sends an id of a megabyte must not stop the stream.
    label_bytes = str(max(DEFAULT_MESSAGE_BYTES, 2 * input_bytes + OVERHEAD_BYTES))
    letter_bytes = str(max(DEFAULT_MESSAGE_BYTES, input_bytes + OVERHEAD_BYTES))
    events = {**kept, "cleanup.policy": "delete"}
    return [
        TopicSpec(f"{model}.{LABELS}", partitions, {**events, "max.message.bytes": label_bytes}),
        TopicSpec(f"{model}.{TRANSITIONS}", partitions, {**events, "max.message.bytes": label_bytes}),
        TopicSpec(f"{model}.{MODELS}", 1, {**kept, "cleanup.policy": "compact"}),
        TopicSpec(f"{model}.{DEAD_LETTERS}", partitions, {**events, "max.message.bytes": letter_bytes}),
    ]


def problems(spec: TopicSpec, facts: TopicFacts, servers: str) -> list[str]:
    """Name what is wrong with an existing output topic, each sentence with the command that mends it."""
    found = []
    if facts.partitions != spec.partitions:
        found.append(_partitions_problem(spec, facts, servers))
    wanted = _wanted(spec, facts)
    wrong = {name: value for name, value in wanted.items() if facts.config.get(name, value) != value}
    if wrong:
        said = ", ".join(f"{name}={facts.config[name]}" for name in wrong)
        changes = ",".join(f"{name}={value}" for name, value in wrong.items())
        found.append(
            f"topic {spec.name} loses or refuses records with {said}: "
            f"run {_alter(servers, spec.name)} --add-config {changes}"
        )
    return found


def _wanted(spec: TopicSpec, facts: TopicFacts) -> dict[str, str]:
    """Settings an existing topic must have; a compacted one may delete too, but not by age or size."""
    wanted = dict.fromkeys(_TIME_LIMITS, UNLIMITED)
    policy = set(facts.config.get("cleanup.policy", "delete").split(","))
    if spec.config["cleanup.policy"] == "compact":
        if "compact" not in policy:
            return {"cleanup.policy": "compact", **wanted}
        return {**wanted, **dict.fromkeys(_RETENTIONS, FOREVER)} if "delete" in policy else wanted
    return {"cleanup.policy": "delete", **dict.fromkeys(_RETENTIONS, FOREVER), **wanted}


def _partitions_problem(spec: TopicSpec, facts: TopicFacts, servers: str) -> str:
    kafka_topics = f"kafka-topics.sh --bootstrap-server {servers}"
    begin = f"topic {spec.name} has {facts.partitions} partitions where {spec.partitions} are needed: "
    if facts.partitions < spec.partitions:
        return f"{begin}run {kafka_topics} --alter --topic {spec.name} --partitions {spec.partitions}"
    return f"{begin}run {kafka_topics} --delete --topic {spec.name}, or name the model otherwise"


def retention_warning(facts: TopicFacts, oldest_ms: int | None, now_ms: int, servers: str) -> str | None:
    """Warn of an input topic that deletes records younger than those it still has to give."""
    retention = int(facts.config.get("retention.ms", FOREVER))
    deletes = "delete" in facts.config.get("cleanup.policy", "delete").split(",")
    if not deletes or retention < 0 or oldest_ms is None or now_ms - oldest_ms <= retention:
        return None
    return (
        f"topic {facts.name} keeps {retention / _DAY_MS:.3g} days, and has records "
        f"{(now_ms - oldest_ms) / _DAY_MS:.3g} days old that Kafka will delete, read or not: "
        f"run {_alter(servers, facts.name)} --add-config retention.ms=-1"
    )


def _alter(servers: str, topic: str) -> str:
    return f"kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics --entity-name {topic}"


def _check_right(facts: TopicFacts, right: str) -> None:
    if right not in facts.rights:
        raise ServerRefused(
            f"topic {facts.name}: Kafka does not allow us to {right.lower()} it: grant {right} to this user"
        )


class Topics:
    """The model's topics on a broker, through any client."""

    def __init__(self, admin: TopicAdmin) -> None:
        """Work through ``admin``."""
        self._admin = admin

    def describe(self, topic: str) -> TopicFacts:
        """Give a topic's facts; ``TopicMissing`` where there is no such topic."""
        facts = self._admin.describe([topic]).get(topic)
        if facts is None:
            raise TopicMissing(
                f"topic {topic} does not exist: create it, set source.topic, or fill one with stream-seg load"
            )
        return facts

    def partitions(self, topic: str) -> int:
        """Give a topic's number of partitions; ``TopicMissing`` where there is no such topic."""
        return self.describe(topic).partitions

    def prepare(self, model: str, input_topic: str) -> Prepared:
        """Create the model's output topics where they are missing, and check those that are there.

        Raises ``TopicMissing`` without the input topic, and ``StateError`` with every problem of every topic
        and the commands that mend them; nothing is created then.
        """
        source = self.describe(input_topic)
        _check_right(source, "READ")
        input_bytes = int(source.config.get("max.message.bytes", DEFAULT_MESSAGE_BYTES))
        wanted = output_topics(model, source.partitions, input_bytes)
        self._check(wanted)
        existing = self._admin.describe([spec.name for spec in wanted])
        missing = [spec for spec in wanted if spec.name not in existing]
        if missing:
            self._admin.create(missing)
            existing = self._check(wanted)  # somebody else may have created one in the meantime
        letters = existing[f"{model}.{DEAD_LETTERS}"].config
        return Prepared(
            source.partitions,
            source.topic_id,
            int(letters.get("max.message.bytes", DEFAULT_MESSAGE_BYTES)),
            self._warnings(source),
        )

    def _check(self, wanted: Iterable[TopicSpec]) -> dict[str, TopicFacts]:
        specs = list(wanted)
        existing = self._admin.describe([spec.name for spec in specs])
        found = [
            problem
            for spec in specs
            if spec.name in existing
            for problem in problems(spec, existing[spec.name], self._admin.servers)
        ]
        if found:
            raise StateError("\n".join(found))
        for facts in existing.values():
            _check_right(facts, "WRITE")
        return existing

    def _warnings(self, source: TopicFacts) -> list[str]:
        oldest = self._admin.oldest_ms(source.name, source.partitions)
        warning = retention_warning(source, oldest, int(time.time() * 1000), self._admin.servers)
        return [warning] if warning else []

    def remove(self, model: str, group: str) -> None:
        """Delete a model's output topics and its group's offsets; what is not there is no error.

        ``StateError`` while the group has members; nothing is deleted then.
        """
        self.delete_group(group)
        self._admin.delete_topics([spec.name for spec in output_topics(model, 1, 0)])

    def delete_topics(self, names: Sequence[str]) -> None:
        """Delete topics; one that does not exist is no error."""
        self._admin.delete_topics(names)

    def delete_group(self, group: str) -> None:
        """Delete a group's offsets; ``StateError`` while it has members (one may just be leaving)."""
        deadline = time.monotonic() + LEAVE_SECONDS
        while True:
            try:
                self._admin.delete_group(group)
            except StateError:
                if time.monotonic() > deadline:
                    raise
            else:
                return
            time.sleep(PAUSE_SECONDS)

    def members(self, group: str) -> int:
        """How many members a group has now."""
        return self._admin.members(group)

    def close(self) -> None:
        """End the connection."""
        self._admin.close()
