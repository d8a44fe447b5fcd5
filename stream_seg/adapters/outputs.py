"""How far a partition's labels have gone out, read back from the labels topic through any client."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

import msgspec

from stream_seg.engine.history import read_through
from stream_seg.engine.ports import Emitted
from stream_seg.errors import StateError

if TYPE_CHECKING:
    from stream_seg.adapters.kafka import KafkaClient
    from stream_seg.engine.history import History

__all__ = ["LastLabels"]

FIRST_WINDOW: Final = 64
"""Offsets looked at first, back from the end; markers and aborted records are among them."""


class _Source(msgspec.Struct):
    offset: int


class _Label(msgspec.Struct):
    """What is read of a label."""

    source: _Source
    model_version: int


class LastLabels:
    """``Outputs`` of a model's labels topic; connected for each question, since hardly any is asked."""

    def __init__(self, client: KafkaClient, topic: str) -> None:
        """Name the labels topic."""
        self._client, self._topic = client, topic

    def last(self, partition: int) -> Emitted | None:
        """The label of the largest input offset among the last ones; ``None`` where there is none.

        A label sent again (at least once, after a crash) may stand after that of a later event, never by more
        than a batch.
        """
        with closing(self._client.history(self._topic)) as history:
            begin, end = history.begins([partition])[partition], history.ends([partition])[partition]
            window = FIRST_WINDOW
            while True:
                first = max(begin, end - window)
                found = _largest(history, partition, first, end)
                if found is not None or first == begin:
                    return found
                window *= 8


def _largest(history: History, partition: int, first: int, end: int) -> Emitted | None:
    largest = None
    for fetched in read_through(history, {partition: (first, end)}):
        for value in fetched.records.values:
            if value is None:
                continue
            label = _read(value, history.topic)
            emitted = Emitted(label.source.offset + 1, label.model_version)
            largest = emitted if largest is None else max(largest, emitted)
    return largest


def _read(value: bytes, topic: str) -> _Label:
    try:
        return msgspec.json.decode(value, type=_Label)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(
            f"topic {topic} holds a record that is no label ({error}): see who else writes to it, or reset "
            "the model"
        ) from error
