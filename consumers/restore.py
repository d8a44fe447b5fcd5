"""``stream-seg restore``: a model back from a folder, to a Redis that lost it or to other servers."""

from __future__ import annotations

import secrets
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumers.identity import check_contract
from consumers.restore_choice import Choice, chosen
from stream_seg.adapters.files.extra import polars
from stream_seg.adapters.kafka import KafkaClient, connect
from stream_seg.adapters.kafka_topics import LABELS, MODELS, TopicMissing
from stream_seg.adapters.outputs import LastLabels
from stream_seg.adapters.redis import RedisStore
from stream_seg.adapters.snapshots import SnapshotFolder
from stream_seg.engine.checkpoint import full_checkpoint
from stream_seg.engine.mark import Mark
from stream_seg.engine.ports import Committed, Record, Transaction
from stream_seg.engine.publish import quality_fields, segment_fields
from stream_seg.engine.registry import Registry
from stream_seg.errors import StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stream_seg.engine.history import History
    from stream_seg.engine.state import State
    from stream_seg.engine.version import ModelVersion
    from stream_seg.settings import Settings

__all__ = ["run_restore"]


def run_restore(settings: Settings, name: str | None, *, yes: bool, copied_topic: bool) -> int:
    """Restore a model; exit status 0.

    Where the models topic still has the model only Redis is filled, and the workers read again what came
    since; where it is empty, versions, adoptions and the group's offsets are written too, in one transaction.
    ``yes`` replaces what is stored without asking; ``copied_topic`` takes an input topic with another id.
    Raises ``NotFoundError`` without a snapshot, ``UsageError`` where there is nobody to ask, ``StateError``
    where snapshot and topics do not fit each other or a worker is running, and ``ServerError``. Nothing is
    written before all of that is known.
    """
    polars()
    model = settings.model.name
    choice = chosen(SnapshotFolder(Path(settings.snapshot.dir), model), name, _say)
    _check_same(settings, choice.meta)
    states = choice.states(settings.features)
    with ExitStack() as stack:
        client = stack.enter_context(closing(connect(settings.kafka)))
        topic_id = _check_topic(client, settings, choice.meta, copied=copied_topic)
        if client.topics.members(settings.group):
            raise StateError(
                f"group {settings.group} has members: stop its workers, or wait for their session to time out"
            )
        store = stack.enter_context(closing(RedisStore.connect(settings.redis.url, model)))
        history = stack.enter_context(closing(client.history(settings.topic, settings.group)))
        target = _Target(settings, client, store, history, topic_id)
        existing = target.registry()
        target.check_positions(states)
        if existing.newest is not None:
            target.check_fits(choice, existing)
        if not _agreed(target.occupied(existing), yes=yes):
            return 0
        client.topics.prepare(model, settings.topic)
        if existing.newest is None:
            target.check_labels(states)
            target.write_topics(choice.registry, states)
        target.write_store(choice.meta, existing if existing.newest else choice.registry, states)
    customers = sum(state.rows.residents for state in states.values())
    click.echo(f"model {model} is back from {', '.join(choice.names)}: {customers:,} customers")
    return 0


def _say(sentence: str) -> None:
    click.echo(f"stream-seg: {sentence}", err=True)


def _check_same(settings: Settings, meta: Mapping[str, str]) -> None:
    check_contract(settings.model.name, meta)
    if meta.get("model_hash") != settings.model_hash:
        raise StateError(
            "the snapshot was made with other [features], [event], key, max_ahead or format: use the "
            "configuration that it was made with"
        )


def _check_topic(client: KafkaClient, settings: Settings, meta: Mapping[str, str], *, copied: bool) -> str:
    """The input topic's id, once it has been found to be the snapshot's."""
    topic = client.topics.describe(settings.topic)
    if topic.partitions != int(meta["partitions"]):
        raise StateError(
            f"topic {topic.name} has {topic.partitions} partitions, the snapshot {meta['partitions']}, so "
            "customers would move: replay the topic as a model of its own"
        )
    if topic.topic_id != meta.get("topic_id") and not copied:
        raise StateError(
            f"topic {topic.name} is not the one that the snapshot was taken of: if it holds the same records "
            "at the same offsets give --copied-topic, and else replay it as a model of its own"
        )
    return topic.topic_id


def _agreed(occupied: str, *, yes: bool) -> bool:
    """Whether what is stored may be replaced; asks where there is somebody to ask."""
    if not occupied or yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(f"{occupied}: give --yes to replace that, or stop here")
    return click.confirm(f"{occupied}. Replace that?", err=True)


@dataclass(frozen=True, slots=True)
class _Target:
    """The servers that a model is brought to."""

    settings: Settings
    client: KafkaClient
    store: RedisStore
    history: History
    topic_id: str

    @property
    def model(self) -> str:
        return self.settings.model.name

    @property
    def models_topic(self) -> str:
        return f"{self.model}.{MODELS}"

    def registry(self) -> Registry:
        """What the models topic holds; nothing where there is none."""
        registry = Registry()
        try:
            self.client.topics.describe(self.models_topic)
        except TopicMissing:
            return registry
        with closing(self.client.models(self.models_topic)) as models:
            registry.take(models.read())
        return registry

    def check_positions(self, states: Mapping[int, State]) -> None:
        """``StateError`` where the topic does not hold what comes after the snapshot."""
        begins, ends = self.history.begins(list(states)), self.history.ends(list(states))
        for p, state in states.items():
            offset = state.numbers.position.next_offset
            if not begins[p] <= offset <= ends[p]:
                raise StateError(
                    f"partition {p} of topic {self.history.topic} holds offsets {begins[p]} to {ends[p]}, "
                    f"the snapshot ends at {offset}: restore one that the topic reaches"
                )

    def check_fits(self, choice: Choice, existing: Registry) -> None:
        """``StateError`` where what Kafka holds is not what led to the snapshot and on from there."""
        if existing.instance != choice.meta["instance"]:
            raise StateError(
                f"topic {self.models_topic} holds another life of model {self.model}: delete it with "
                f"stream-seg reset --model {self.model}, or restore a snapshot of that life"
            )
        for p, (found, holding) in choice.parts.items():
            numbers = holding.numbers
            recorded = existing.adoptions.get((p, numbers.version))
            if recorded != choice.registry.adoptions[p, numbers.version]:
                raise StateError(
                    f"topic {self.models_topic} lacks the adoption that partition {p} stands under in "
                    f"{found.name}: delete what is left with stream-seg reset, and restore again"
                )
            committed = self.history.committed(p)
            if committed is not None and committed.next_offset < numbers.position.next_offset:
                raise StateError(
                    f"group {self.settings.group} has committed offset {committed.next_offset} of partition "
                    f"{p}, before the snapshot's {numbers.position.next_offset}: set it forward again, or "
                    "delete what is left with stream-seg reset, and restore again"
                )

    def occupied(self, existing: Registry) -> str:
        """What would be replaced, for people; ``""``: nothing."""
        if self.store.meta():
            return f"Redis holds model {self.model} already"
        partitions = range(self.history.partitions)
        if existing.newest is None and any(self.history.committed(p) is not None for p in partitions):
            return f"group {self.settings.group} has committed offsets already"
        return ""

    def check_labels(self, states: Mapping[int, State]) -> None:
        """``StateError`` where events after the snapshot have been labelled, and would be again."""
        outputs = LastLabels(self.client, f"{self.model}.{LABELS}")
        for p, state in states.items():
            last, offset = outputs.last(p), state.numbers.position.next_offset
            if last is not None and last.next_offset > offset:
                raise StateError(
                    f"topic {self.model}.{LABELS} has labels of partition {p} up to offset "
                    f"{last.next_offset}, the snapshot ends at {offset}: restore a newer one, or delete what "
                    "is left with stream-seg reset, and restore again"
                )

    def write_topics(self, registry: Registry, states: Mapping[int, State]) -> None:
        """Write the models topic's records and the group's offsets, all or nothing."""
        versions = registry.versions
        known = max(versions)
        records = [
            Record(self.models_topic, 0, key.encode(), value, max(_version_of(key, versions).as_of_ms, 0))
            for key, value in registry.records({p: s.numbers.version for p, s in states.items()})
        ]
        offsets = {}
        for p, state in states.items():
            at = state.numbers.position
            mark = Mark(at.batch, "", state.numbers.version, known, self.models_topic)
            offsets[p] = Committed(at.next_offset, mark.text)
        name = f"{self.model}-restore-{secrets.token_hex(4)}"
        with closing(self.client.log(name, "exactly_once", topic=self.settings.topic)) as log:
            log.commit(Transaction((), records, offsets, self.history.outsider))

    def write_store(self, meta: Mapping[str, str], registry: Registry, states: Mapping[int, State]) -> None:
        """Fill Redis; what it held of the model before is deleted."""
        store = self.store
        store.reset()
        store.put_meta({**meta, "topics": self.settings.topic, "topic_id": self.topic_id})
        for number, version in sorted(registry.versions.items()):
            store.put_version(number, version.to_json(), segment_fields(version), quality_fields(version))
        for p, state in sorted(states.items()):
            token, batch_id = secrets.token_hex(16), secrets.token_hex(8)
            store.claim(p, token)
            store.stage([(full_checkpoint(state, registry.versions, ()), batch_id, token)])
            store.apply([(p, batch_id, token)])
            store.release(p, token)
        store.refresh_sizes()


def _version_of(key: str, versions: Mapping[int, ModelVersion]) -> ModelVersion:
    """The version that a record of the models topic is about: its record time is the version's."""
    return versions[int(key.rpartition("/")[2])]
