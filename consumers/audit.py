"""``stream-seg audit``: a label derived again from the topic and the recorded adoptions, and compared."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from consumers.audit_derived import Witness, witnessed
from consumers.audit_shown import print_audit
from consumers.replay.progress import ReplayProgress
from consumers.tables import console, print_json
from consumers.topics import read_registry, records_of, run_of
from stream_seg.adapters.kafka import connect
from stream_seg.adapters.kafka_topics import LABELS
from stream_seg.engine.derive import Derivation, recorded_adoptions
from stream_seg.engine.moments import milliseconds, moment
from stream_seg.engine.records import Origin
from stream_seg.errors import NotFoundError, StateError, UsageError
from stream_seg.events.decoder import JsonDecoder

if TYPE_CHECKING:
    from stream_seg.adapters.kafka import KafkaClient
    from stream_seg.settings import Settings

__all__ = ["Asked", "run_audit"]


class Place(NamedTuple):
    """Where a label's event stands."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Asked:
    """The label that is asked for: the ``place`` of its event, or a ``customer`` and a time ``at_ms``.

    Of a customer, the newest label whose event was at that time or before.
    """

    label: str | None = None
    customer: str | None = None
    at_ms: int | None = None


def run_audit(settings: Settings, asked: Asked, *, as_json: bool) -> int:
    """Derive a label again and compare; 0 where it is the same, 1 where not.

    Raises ``NotFoundError`` for a label that does not exist, ``UsageError`` for a name that cannot be one,
    ``StateError`` where the topic no longer reaches back to the beginning of the partition's labels.
    """
    with closing(connect(settings.kafka)) as client:
        place, recorded = _recorded(client, settings, asked)
        witness = _derived(client, settings, place, recorded)
    record = _as_record(settings, place, recorded, witness)
    if as_json:
        print_json(record)
    else:
        print_audit(console(), record)
    return 0 if record["identical"] else 1


def _recorded(client: KafkaClient, settings: Settings, asked: Asked) -> tuple[Place, bytes]:
    """The label as it stands in the labels topic; should one event have several, the last."""
    topic = f"{settings.model.name}.{LABELS}"
    if asked.label is None:
        return _of_customer(client, topic, asked)
    place = _parsed(settings, asked.label)
    partitions = client.topics.partitions(settings.topic)
    if place.partition >= partitions:
        raise NotFoundError(f"topic {settings.topic} has partitions 0 to {partitions - 1}: name one of them")
    needle = f'"partition":{place.partition},"offset":{place.offset}}},"run":'.encode()
    found: bytes | None = None
    for fetched in records_of(client, topic, [place.partition]):
        found = next((v for v in reversed(fetched.records.values) if v and needle in v), found)
    if found is None:
        raise NotFoundError(
            f"{topic} holds no label of {asked.label}: look at the offset (dead letters, and events that "
            "are not labelled yet, have none)"
        )
    return place, found


def _parsed(settings: Settings, label: str) -> Place:
    topic, _, rest = label.rpartition("/")
    topic, _, partition = topic.rpartition("/")
    if not (topic and partition.isdecimal() and rest.isdecimal()):
        raise UsageError('A label is named by its event, "topic/partition/offset", such as "orders/0/1234".')
    if topic != settings.topic:
        raise UsageError(
            f"Model {settings.model.name} reads topic {settings.topic}, not {topic}: name a label of it, or "
            "another model with --model and --topic."
        )
    return Place(int(partition), int(rest))


def _of_customer(client: KafkaClient, topic: str, asked: Asked) -> tuple[Place, bytes]:
    """The newest label of a customer whose event was not after the time asked for."""
    key = str(asked.customer).encode()
    newest: tuple[int, Place, bytes] | None = None
    for fetched in records_of(client, topic):
        for own, value in zip(fetched.records.keys, fetched.records.values, strict=True):
            if own != key or value is None:
                continue
            label = msgspec.json.decode(value)
            source = label["source"]
            time_ms = milliseconds(label["event_time"])
            if asked.at_ms is not None and time_ms > asked.at_ms:
                continue
            if newest is None or source["partition"] == newest[1].partition or time_ms > newest[0]:
                newest = time_ms, Place(source["partition"], source["offset"]), value
    if newest is None:
        when = "" if asked.at_ms is None else f" at or before {moment(asked.at_ms)}"
        raise NotFoundError(f"{topic} holds no label of that customer{when}: look at its id and the time")
    return newest[1], newest[2]


def _derived(client: KafkaClient, settings: Settings, place: Place, recorded: bytes) -> Witness:
    """The partition's history up to the event, through ``step``."""
    model, features = settings.model.name, settings.features
    registry = read_registry(client, model)
    adoptions = recorded_adoptions(registry, place.partition, until=place.offset)
    derivation = Derivation(place.partition, features, adoptions)
    decoder = JsonDecoder(settings.event, features)
    customer = str(msgspec.json.decode(recorded)["customer_id"])
    witness = Witness(customer, Origin(settings.topic, place.partition, run_of(model)))
    with closing(client.history(settings.topic)) as history:
        begins = history.begins([place.partition])[place.partition]
        if begins > derivation.first_offset:
            raise StateError(
                f"topic {settings.topic} begins at offset {begins} of partition {place.partition} and its "
                f"labels at {derivation.first_offset}: what retention has deleted cannot be derived again; "
                "audit the labels of a replay of what is left"
            )
        total = place.offset + 1 - derivation.first_offset
        with ReplayProgress(f"audit {settings.topic}/{place.partition}/{place.offset}", total) as progress:
            span = {place.partition: (derivation.first_offset, place.offset + 1)}
            for events in witnessed(history, span, decoder, derivation, witness):
                progress.at(events - derivation.first_offset)
    return witness


def _as_record(settings: Settings, place: Place, recorded: bytes, witness: Witness) -> dict[str, Any]:
    """Everything that is shown, JSON-ready."""
    now, before = witness.now, witness.before
    derived = None if now is None or now.offset != place.offset else now.value
    fields = msgspec.json.decode(recorded)
    again = {} if derived is None else msgspec.json.decode(derived)
    return {
        "label": f"{settings.topic}/{place.partition}/{place.offset}",
        "model": settings.model.name,
        "identical": derived == recorded,
        "recorded": fields,
        "derived": again or None,
        "differences": sorted(
            name for name in fields.keys() | again.keys() if fields.get(name) != again.get(name)
        ),
        "features": None if now is None else now.features,
        "distances": None if now is None else now.distances,
        "previous": None if before is None else before.record(),
        "moved_between": witness.moves,
    }
