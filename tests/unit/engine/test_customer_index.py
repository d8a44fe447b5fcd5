"""The customer index: its hash, its limits, and what it does with the bytes of those who are gone."""

from __future__ import annotations

import numpy as np
import pytest

from stream_seg.engine.customer_index import CustomerIndex
from stream_seg.engine.siphash import siphash
from stream_seg.engine.texts import Texts
from tests.colliding import KEY, colliding


def hashed(text: bytes, key: tuple[int, int]) -> int:
    ids = Texts.of([b"something before", text])
    return int(siphash(ids.data, ids.start, ids.end, np.array(key, np.uint64))[1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", 0xD1FBA762150C532C),
        (b"a", 0x407448D2B89B1813),
        (b"c123456", 0x326859DB503DFEA5),
        (b"12345678", 0x3489982430560A87),
        ("Zoë 9 bytes and more".encode(), 0xD90759818607EF4E),
        (bytes(range(200)), 0x7176378EFD9E8A23),
    ],
)
def test_the_hash_is_siphash_1_3(text: bytes, expected: int) -> None:
    """But for the first, what CPython 3.11 gives under PYTHONHASHSEED=0."""
    assert hashed(text, (0, 0)) == expected


def test_the_hash_is_keyed() -> None:
    assert hashed(b"", (0x0706050403020100, 0x0F0E0D0C0B0A0908)) == 0xABAC0158050FC4DC  # Rust's own vector
    assert len({hashed(b"ann", (a, b)) for a in range(3) for b in range(3)}) == 9


def test_numbers_follow_from_order_under_any_key() -> None:
    ids = [f"customer {i * i % 997}" for i in range(3000)]
    rows = [CustomerIndex(key).numbers_of(ids)[0].tolist() for key in ((0, 0), (1, 2), (2**64 - 1, -7))]
    places: dict[str, int] = {}
    assert rows == [[places.setdefault(customer, len(places)) for customer in ids]] * 3


def test_ids_of_one_hash_are_told_apart() -> None:
    ids = colliding()
    assert len(ids) >= 2
    index = CustomerIndex(KEY)
    assert index.rows_of(ids).tolist() == [-1] * len(ids)
    assert index.numbers_of(ids[::2])[0].tolist() == list(range(len(ids) // 2))
    assert (index.rows_of(ids[1::2]) == -1).all()
    index.numbers_of(ids[1::2])
    index.remove(index.rows_of(ids[::2]))
    assert (index.rows_of(ids[::2]) == -1).all()
    assert index.texts_of(index.rows_of(ids[1::2])).strings() == ids[1::2]


def test_the_lowest_free_number_comes_first() -> None:
    index = CustomerIndex()
    index.numbers_of(list("abcdef"))
    index.remove(np.array([4, 1]))
    assert index.held(np.arange(8)).tolist() == [True, False, True, True, False, True, False, False]
    row, new = index.numbers_of(["g", "a", "h", "g", "i"])
    assert (row.tolist(), new.tolist()) == ([1, 0, 4, 1, 6], [1, 4, 6])
    assert (index.used, index.residents) == (7, 7)


def test_an_id_is_as_long_as_a_span_can_say() -> None:
    index = CustomerIndex()
    longest = "x" * 65_535
    assert index.numbers_of(["", longest])[0].tolist() == [0, 1]
    assert index.texts_of(np.array([1, 0])).strings() == [longest, ""]
    assert index.rows_of([longest + "x"]).tolist() == [-1]
    with pytest.raises(ValueError, match="65535 bytes"):
        index.numbers_of([longest + "x"])


def test_a_free_row_is_not_freed_again() -> None:
    index = CustomerIndex()
    index.numbers_of(["a", "b"])
    with pytest.raises(ValueError, match="twice"):
        index.remove(np.array([1, 1]))
    with pytest.raises(ValueError, match="free already"):
        index.remove(np.array([1]))


def test_each_stored_row_has_a_customer() -> None:
    with pytest.raises(ValueError, match="as many"):
        CustomerIndex().put(np.array([0, 1]), Texts.of([b"a"]), 2)


@pytest.mark.parametrize(
    ("rows", "customers"), [([0, 2], [b"a", b"a"]), ([1, 1], [b"a", b"b"]), ([2, 0], [b"", b""])]
)
def test_what_was_stored_twice_is_refused(rows: list[int], customers: list[bytes]) -> None:
    with pytest.raises(ValueError, match="twice"):
        CustomerIndex().put(np.array(rows), Texts.of(customers), 3)


def test_bytes_of_those_who_are_gone_are_given_up() -> None:
    index = CustomerIndex()
    ids = [f"{i:0100d}" for i in range(2000)]
    index.numbers_of(ids)
    index.remove(np.arange(0, 2000, 2))
    assert len(index._arena) >= 200_000
    index.remove(np.array([1]))
    assert len(index._arena) == 99_900
    assert index.rows_of(ids[3::2]).tolist() == list(range(3, 2000, 2))
    for i in range(50):  # as many come as go
        index.numbers_of([f"{i}-{j:0100d}" for j in range(1001)])
        index.remove(np.r_[0:2000:2, 1])
    assert len(index._arena) < 400_000
    assert index.texts_of(np.arange(3, 2000, 2)).strings() == ids[3::2]
