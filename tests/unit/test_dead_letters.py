"""Dead letters carry the original bytes, or their length and digest where the topic refuses them."""

from __future__ import annotations

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatchBuilder

from stream_seg.adapters.dead_letters import KafkaDeadLetters, dead_letter
from stream_seg.engine.ports import Record
from stream_seg.events.batch import Rejected

REJECTED = Rejected(42, b"key", b"\xff\x00", 1_000, "json", "DecodeError", "is not UTF-8 — at all")


def batch_bytes(record: Record) -> int:
    """The size of a record batch of this one record, as brokers measure it."""
    return int(
        DefaultRecordBatchBuilder.estimate_size_in_bytes(record.key, record.value, list(record.headers))
    )


def test_a_dead_letter_says_where_it_is_from_and_why() -> None:
    (letter,) = KafkaDeadLetters("m.dead-letters", "orders", 1_048_588)(3, [REJECTED])
    assert letter == Record(
        "m.dead-letters",
        3,
        b"key",
        b"\xff\x00",
        1_000,
        (
            ("topic", b"orders"),
            ("partition", b"3"),
            ("offset", b"42"),
            ("stage", b"json"),
            ("error", b"DecodeError"),
            ("message", "is not UTF-8 — at all".encode()),
        ),
    )


def test_what_is_too_large_gives_way_to_its_digest_the_value_first() -> None:
    value, key = b"v" * 5_000, b"k" * 5_000
    both = dead_letter("dead", "orders", 0, Rejected(1, key, value, 0, "json", "E", "m"), 2_000)
    for replaced, original in ((both.key, key), (both.value, value)):
        assert replaced is not None
        assert json.loads(replaced) == {"length": 5_000, "sha256": hashlib.sha256(original).hexdigest()}
    assert dict(both.headers)["replaced"] == b"key,value"
    only = dead_letter("dead", "orders", 0, Rejected(1, b"k", value, 0, "json", "E", "m"), 2_000)
    assert only.key == b"k"
    assert dict(only.headers)["replaced"] == b"value"


def test_a_record_of_nothing_and_one_without_time_can_be_sent() -> None:
    letter = dead_letter("dead", "orders", 0, Rejected(1, None, None, -1, "event", "E", "is empty"), 2_000)
    assert (letter.key, letter.value, letter.timestamp_ms) == (None, b"", 0)
    assert dict(letter.headers)["replaced"] == b"null"


@given(
    key=st.none() | st.binary(max_size=4_000),
    value=st.none() | st.binary(max_size=4_000),
    message=st.text(max_size=100),
    largest=st.integers(2_000, 8_000),
)
def test_every_dead_letter_fits(key: bytes | None, value: bytes | None, message: str, largest: int) -> None:
    letter = dead_letter(
        "dead", "orders", 0, Rejected(1, key, value, 5, "json", "DecodeError", message), largest
    )
    assert batch_bytes(letter) <= largest
    if batch_bytes(Record("dead", 0, key, value, 5, letter.headers)) <= largest - 512 and (key, value) != (
        None,
        None,
    ):
        assert (letter.key, letter.value) == (key, value)
