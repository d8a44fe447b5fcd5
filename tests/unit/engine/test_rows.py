"""Rows as a partition's callers ask for them, and what restoring refuses."""

from __future__ import annotations

import numpy as np
import pytest

from stream_seg.engine.checkpoint import encode_rows, restore
from stream_seg.engine.rowcolumns import columns_of, state_of
from stream_seg.engine.rows import Rows
from stream_seg.engine.texts import Texts
from stream_seg.errors import DamagedState
from tests.histories import FEATURES, START_MS, Event, History, run

STATE = run(
    History([Event(c, START_MS + i, 1.0, True, 1) for i, c in enumerate("abcabd")], [(0, 1)], None, seed=1),
    [],
).state
BLOBS = list(enumerate(encode_rows(STATE, STATE.rows.resident_rows()).present()))


def test_newcomers_are_the_first_of_each_who_has_no_row() -> None:
    rows = Rows(FEATURES)
    rows.numbers_of(["a", "b"])
    assert rows.newcomers(["c", "a", "d", "c", "b", "e", "d"]).tolist() == [0, 2, 5]
    assert rows.strangers(["d", "a", "c", "d"]) == ["c", "d"]
    assert (rows.row_of("b"), rows.row_of("c")) == (1, None)


def test_rows_that_grow_have_been_in_no_segment() -> None:
    rows = Rows(FEATURES)
    for n in (1, 1024, 5000):
        rows.numbers_of([f"{i}" for i in range(n)])
        for column in (rows.placement.cluster, rows.placement.segment, rows.former):
            assert (column[:n] == -1).all()


@pytest.mark.parametrize(
    "blobs",
    [
        [*BLOBS[:-1], (3, BLOBS[0][1])],
        [*BLOBS[:-1], BLOBS[0]],
        [*BLOBS[:-1], (4, BLOBS[3][1])],
        [*BLOBS[:-1], (-1, BLOBS[3][1])],
    ],
    ids=["a customer twice", "a row twice", "a row never given out", "no row number"],
)
def test_stored_rows_that_do_not_fit_are_damaged(blobs: list[tuple[int, bytes]]) -> None:
    assert restore(0, FEATURES, STATE.numbers, STATE.version, BLOBS).rows.residents == 4
    with pytest.raises(DamagedState):
        restore(0, FEATURES, STATE.numbers, STATE.version, blobs)


def test_columns_with_a_customer_twice_are_damaged() -> None:
    columns = columns_of(STATE)
    twice = {name: getattr(columns, name) for name in columns.__dataclass_fields__}
    twice["customers"] = Texts.of([b"a", b"b", b"c", b"a"])
    with pytest.raises(DamagedState, match="twice"):
        state_of(0, FEATURES, STATE.numbers, STATE.version, type(columns)(**twice))


def test_ids_survive_in_any_script() -> None:
    rows, ids = Rows(FEATURES), ["Zoë", "", "客户", "a\nb", "a\x00", "🂡" * 200]
    rows.numbers_of(ids)
    assert rows.customers_of(np.array([5, 0, 1, 2, 3, 4])) == [ids[5], *ids[:5]]
    assert rows.remove(np.array([2, 0])) == ["客户", "Zoë"]
