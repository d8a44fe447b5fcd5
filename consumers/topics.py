"""A model's topics read back: every record of a kind, what its models topic says, and who its runs are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from stream_seg.adapters.kafka_topics import MODELS, TopicMissing
from stream_seg.engine.history import Fetched, read_through
from stream_seg.engine.registry import Registry
from stream_seg.errors import NotFoundError

if TYPE_CHECKING:
    from stream_seg.adapters.kafka import KafkaClient

__all__ = ["REPLAY", "read_registry", "records_of", "run_of"]

REPLAY = ".replay-"
"""What stands between a model's name and a replay's."""


def run_of(model: str) -> str:
    """What the records of a model call their run: ``live`` or ``replay:<name>``."""
    _, is_replay, name = model.partition(REPLAY)
    return f"replay:{name}" if is_replay else "live"


def records_of(client: KafkaClient, topic: str, partitions: Sequence[int] | None = None) -> Iterator[Fetched]:
    """All committed records of a topic (or of some partitions of it) as of now, partition by partition.

    ``NotFoundError`` where there is no such topic.
    """
    try:
        history = client.history(topic)
    except TopicMissing as error:
        raise NotFoundError(
            f"topic {topic} is not there: name a model that has one, or a run that writes topics"
        ) from error
    with closing(history):
        wanted = list(range(history.partitions)) if partitions is None else list(partitions)
        begins, ends = history.begins(wanted), history.ends(wanted)
        yield from read_through(history, {p: (begins[p], ends[p]) for p in wanted})


def read_registry(client: KafkaClient, model: str) -> Registry:
    """All that a model's models topic says; ``NotFoundError`` where there is none."""
    topic = f"{model}.{MODELS}"
    registry = Registry()
    for fetched in records_of(client, topic):
        keys, values = fetched.records.keys, fetched.records.values
        registry.take(
            (k.decode(), v) for k, v in zip(keys, values, strict=True) if k is not None and v is not None
        )
    if registry.newest is None:
        raise NotFoundError(
            f"topic {topic} holds no version: the model is warming up, so nothing is labelled"
        )
    return registry
