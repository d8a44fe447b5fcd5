"""Records for the dead-letter topic, made of input that cannot be an event."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from stream_seg.engine.ports import Record
from stream_seg.events.batch import Rejected

__all__ = ["KafkaDeadLetters", "dead_letter"]

# What a record batch of one record adds to key, value and headers, generously.
FRAME_BYTES: Final = 512


class KafkaDeadLetters:
    """``DeadLetters``: one record for each rejected one, on the partition number it came from.

    Key and value are the original bytes; the headers say ``topic``, ``partition``, ``offset``, ``stage``,
    ``error`` and ``message``. Bytes that the topic refuses are replaced by their length and SHA-256, see
    :func:`dead_letter`.
    """

    def __init__(self, topic: str, source_topic: str, largest: int) -> None:
        """Name the dead-letter topic, the input's, and the largest record (bytes) that the former takes."""
        self._topic, self._source_topic, self._largest = topic, source_topic, largest

    def __call__(self, partition: int, rejected: Sequence[Rejected]) -> list[Record]:
        """One record each."""
        return [
            dead_letter(self._topic, self._source_topic, partition, one, self._largest) for one in rejected
        ]


def dead_letter(topic: str, source_topic: str, partition: int, rejected: Rejected, largest: int) -> Record:
    """Make the dead letter of one record of ``source_topic``.

    Where the record would be larger than ``largest`` bytes, first its value and then its key gives way to a
    text, ``{"length": …, "sha256": "…"}``; the header ``replaced`` says which (``value``, ``key,value``). A
    record without key and value gets an empty value, since clients send no record of nothing; ``replaced`` is
    ``null``.
    """
    headers: tuple[tuple[str, bytes], ...] = (
        ("topic", source_topic.encode()),
        ("partition", b"%d" % partition),
        ("offset", b"%d" % rejected.offset),
        ("stage", rejected.stage.encode()),
        ("error", rejected.error.encode()),
        ("message", rejected.message.encode(errors="replace")),
    )
    room = largest - FRAME_BYTES - sum(len(name) + len(value) for name, value in headers)
    key, value, replaced = rejected.key, rejected.value, []
    if len(key or b"") + len(value or b"") > room and value is not None:
        value = _digest(value)
        replaced.append("value")
    if len(key or b"") + len(value or b"") > room and key is not None:
        key = _digest(key)
        replaced.insert(0, "key")
    if key is None and value is None:
        value, replaced = b"", ["null"]
    if replaced:
        headers = (*headers, ("replaced", ",".join(replaced).encode()))
    timestamp_ms = max(0, rejected.timestamp_ms)
    return Record(topic, partition, key, value, timestamp_ms, headers)


def _digest(content: bytes) -> bytes:
    return b'{"length": %d, "sha256": "%s"}' % (len(content), hashlib.sha256(content).hexdigest().encode())
