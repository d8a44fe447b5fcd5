"""Columns of texts: what is joined and packed of them is what a library writes of the same values."""

from __future__ import annotations

from typing import Any

import msgpack
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_seg.adapters.redis.packing import packed_rows
from stream_seg.engine.texts import Texts, join

strings = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
values = st.none() | strings | st.integers(-(2**53), 2**53) | st.floats(allow_infinity=False)
columns = st.integers(0, 12).flatmap(
    lambda n: st.lists(st.lists(values, min_size=n, max_size=n), min_size=1, max_size=5)
)
sizes = st.sampled_from([0, 1, 31, 32, 255, 256, 65_535, 65_536])


@given(columns)
@settings(deadline=None)  # a kernel may be compiled
def test_a_joined_record_is_what_a_json_library_writes(given: list[list[Any]]) -> None:
    parts: list[bytes | Texts] = [b"["]
    for place, column in enumerate(given):
        parts += [b"," if place else b"", Texts.json(column)]
    found = join([*parts, b"]"]).present()
    assert found == [msgspec.json.encode(row) for row in zip(*given, strict=True)]


@given(columns)
def test_a_text_is_absent_where_there_is_none(given: list[list[Any]]) -> None:
    for column in given:
        absent = [value is None or value != value for value in column]  # noqa: PLR0124 - NaN
        texts = Texts.json(column)
        assert [text is None for text in texts] == absent
        assert [text is None for text in texts[1:]] == absent[1:]


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), sizes, st.none() | strings), max_size=8))
@settings(deadline=None)
def test_rows_are_packed_as_messagepack_has_them(given: list[tuple[int, int, str | None]]) -> None:
    numbers = np.array([row for row, _, _ in given], np.int64)
    blobs = [b"\xff" * size for _, size, _ in given]
    absent = np.array([text is None for _, _, text in given], np.bool_)
    texts = Texts.of([(text or "").encode() for _, _, text in given]).without(absent)
    rows = packed_rows(numbers, (Texts.of(blobs), texts)).present()
    unpacked = [list(_unpacked(row)) for row in rows]
    encoded = [False if text is None else text.encode() for _, _, text in given]
    assert unpacked == [list(row) for row in zip(numbers.tolist(), blobs, encoded, strict=True)]


@given(st.lists(strings, max_size=12), st.integers(0, 12))
@settings(deadline=None)
def test_strings_are_texts_in_utf_8(given: list[str], first: int) -> None:
    texts = Texts.utf8(given)
    assert texts.present() == [text.encode() for text in given]
    packed = texts[first:].packed()
    assert len(packed.data) == sum(len(text.encode()) for text in given[first:])
    assert (texts.strings(), packed.strings()) == (given, given[first:])


def _unpacked(data: bytes) -> Any:
    unpacker = msgpack.Unpacker(raw=True)
    unpacker.feed(data)
    return unpacker


@given(st.lists(strings.map(str.encode), min_size=1), st.data())
def test_chosen_texts_are_those_of_the_table(table: list[bytes], data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(-1, len(table) - 1)))
    found = list(Texts.chosen(np.array(places, np.int32), table))
    assert found == [None if place < 0 else table[place] for place in places]


@given(st.lists(st.lists(st.none() | strings, max_size=5), min_size=1, max_size=4))
def test_texts_of_several_columns_follow_each_other(given: list[list[str | None]]) -> None:
    found = list(Texts.concatenated([Texts.json(column) for column in given]))
    assert found == [text for column in given for text in Texts.json(column)]


def test_fixed_and_same_texts() -> None:
    assert Texts.fixed(np.array([b"ab", b"cd"])).present() == [b"ab", b"cd"]
    assert Texts.same(b"x", 3).present() == [b"x"] * 3


def test_columns_of_different_lengths_are_no_records() -> None:
    with pytest.raises(ValueError, match="same shape"):
        join([Texts.of([b"a"]), Texts.of([b"a", b"b"])])
