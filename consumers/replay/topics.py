"""A replay's records on topics of its own.

A replay of a file has no offsets to commit and cannot go on where it was stopped: one that did not finish is
deleted and begun again. So each record is there exactly once when it has finished, in either delivery mode.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream_seg.adapters.dead_letters import KafkaDeadLetters
from stream_seg.adapters.kafka import connect
from stream_seg.adapters.kafka_python.admin import KafkaPythonAdmin
from stream_seg.adapters.kafka_topics import (
    DEAD_LETTERS,
    DEFAULT_MESSAGE_BYTES,
    LABELS,
    MODELS,
    TRANSITIONS,
    Topics,
    output_topics,
)
from stream_seg.engine.ports import Record, Records, Transaction
from stream_seg.engine.records import Encoded, Origin, encode_labels, encode_transitions
from stream_seg.engine.registry import adoption_record, version_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stream_seg.engine.minter import Minted
    from stream_seg.engine.ports import DeadLetters, Log
    from stream_seg.engine.replay import Step
    from stream_seg.events.batch import Rejected
    from stream_seg.settings.servers import KafkaSettings

__all__ = ["ReplayTopics", "Sent", "replay_topics"]

PARTITION = 0


@contextmanager
def replay_topics(settings: KafkaSettings, model: str) -> Iterator[ReplayTopics]:
    """The topics of a replay, on the settings' Kafka; nothing is connected before it is needed."""
    with closing(KafkaPythonAdmin(settings)) as admin:
        yield ReplayTopics(settings, model, admin)


@dataclass(frozen=True, slots=True)
class ReplayTopics:
    """What can be done with the topics of the model ``model``."""

    settings: KafkaSettings
    model: str
    admin: KafkaPythonAdmin

    def exist(self) -> bool:
        """Say whether any of them is there."""
        return bool(self.admin.describe([spec.name for spec in output_topics(self.model, 1, 0)]))

    def delete(self, *, offsets: bool) -> None:
        """Delete them, and the ``offsets`` of the replay's group, which a replay of a file has none of."""
        topics = Topics(self.admin)
        if offsets:
            topics.remove(self.model, self.model)
        else:
            topics.delete_topics([spec.name for spec in output_topics(self.model, 1, 0)])

    @contextmanager
    def begun(self, source: str, run: str) -> Iterator[Sent]:
        """Create them, of one partition each, and give the output that fills them."""
        specs = output_topics(self.model, 1, DEFAULT_MESSAGE_BYTES)
        self.admin.create(specs)
        letters = f"{self.model}.{DEAD_LETTERS}"
        largest = next(int(s.config["max.message.bytes"]) for s in specs if s.name == letters)
        with (
            closing(connect(self.settings)) as client,
            closing(client.log("", "at_least_once", topic=source)) as log,
        ):
            origin = Origin(source, PARTITION, run)
            yield Sent(self.model, origin, log, KafkaDeadLetters(letters, source, largest))


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes to the topics of ``model``; every call returns when its records are acknowledged."""

    model: str
    origin: Origin
    log: Log
    dead_letters: DeadLetters

    def step(self, step: Step) -> None:
        """Labels and transitions, or an adoption."""
        labels = encode_labels(step.outcome, self.origin)
        moves = encode_transitions(step.outcome, self.origin, step.state.features)
        columns = [self._columns(LABELS, labels), self._columns(TRANSITIONS, moves)]
        columns = [c for c in columns if c.values]
        records = []
        if step.adopted is not None:
            version = step.adopted.version
            records = [
                self._model_record(*adoption_record(step.state.partition, step.adopted), version.as_of_ms)
            ]
        if columns or records:
            self.log.commit(Transaction(columns, records))

    def version(self, minted: Minted) -> None:
        """A version and its lineage."""
        records = [
            self._model_record(key, value, minted.version.as_of_ms) for key, value in version_records(minted)
        ]
        self.log.commit(Transaction((), records))

    def rejected(self, rows: Sequence[Rejected]) -> None:
        """Dead letters: the rows as JSON."""
        self.log.commit(Transaction((), self.dead_letters(PARTITION, rows)))

    def _columns(self, kind: str, encoded: Encoded) -> Records:
        times = encoded.timestamp_ms.tolist()
        return Records(f"{self.model}.{kind}", PARTITION, encoded.keys, encoded.values, times)

    def _model_record(self, key: str, value: bytes, timestamp_ms: int) -> Record:
        return Record(f"{self.model}.{MODELS}", PARTITION, key.encode(), value, max(timestamp_ms, 0))
