"""The customer index is a dict, a list and a heap of free numbers, whatever comes and goes."""

from __future__ import annotations

import heapq

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_seg.engine.customer_index import CustomerIndex
from stream_seg.engine.texts import Texts
from tests.colliding import KEY, colliding

COLLIDING = colliding()
IDS = st.one_of(
    st.sampled_from([f"c{i}" for i in range(60)]),
    st.sampled_from(COLLIDING),
    st.sampled_from(["ü" * i for i in range(1, 12)]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.integers(0, 300).map(lambda n: "long " * n),
)


class Model:
    """The same in Python's own objects."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.customers: list[str | None] = []
        self.free: list[int] = []

    def numbers_of(self, customers: list[str]) -> tuple[list[int], list[int]]:
        new = []
        for customer in customers:
            if customer in self.rows:
                continue
            row = heapq.heappop(self.free) if self.free else len(self.customers)
            if row == len(self.customers):
                self.customers.append(None)
            self.customers[row] = customer
            self.rows[customer] = row
            new.append(row)
        return [self.rows[customer] for customer in customers], new

    def remove(self, row: int) -> None:
        del self.rows[str(self.customers[row])]
        self.customers[row] = None
        heapq.heappush(self.free, row)

    def withdraw(self, rows: list[int], used: int) -> None:
        for row in rows:
            self.remove(row)
        del self.customers[used:]
        self.free = sorted(row for row in self.free if row < used)


def alike(index: CustomerIndex, model: Model) -> None:
    assert (index.used, index.residents) == (len(model.customers), len(model.rows))
    held = [customer is not None for customer in model.customers]
    assert index.held(np.arange(index.used + 2)).tolist() == [*held, False, False]
    which = np.flatnonzero(held)
    assert index.texts_of(which).strings() == [c for c in model.customers if c is not None]
    assert index.rows_of([*model.rows]).tolist() == [*model.rows.values()]
    absent = [customer for customer in COLLIDING if customer not in model.rows]
    assert (index.rows_of(absent) == -1).all()


def restored(model: Model) -> CustomerIndex:
    index = CustomerIndex(KEY)
    pairs = [(row, c.encode()) for row, c in enumerate(model.customers) if c is not None]
    rows = np.array([row for row, _ in pairs], np.int64)
    index.put(rows, Texts.of([text for _, text in pairs]), len(model.customers))
    return index


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_it_is_a_dict_a_list_and_a_heap(data: st.DataObject) -> None:
    index, model = CustomerIndex(KEY), Model()
    for kind in data.draw(st.lists(st.sampled_from(["come", "go", "take back", "restore"]), max_size=12)):
        if kind == "restore":
            index = restored(model)
        elif kind == "go":
            shares = data.draw(st.floats(0, 1))
            pick = np.random.default_rng(data.draw(st.integers(0, 99)))
            gone = [row for row in sorted(model.rows.values()) if pick.random() < shares]
            pick.shuffle(gone)
            index.remove(np.array(gone, np.int64))
            for row in gone:
                model.remove(row)
        else:
            used = index.used
            coming = data.draw(st.lists(IDS, max_size=80))
            found, new = index.numbers_of(coming)
            assert (found.tolist(), new.tolist()) == model.numbers_of(coming)
            if kind == "take back":
                back = new[data.draw(st.integers(0, len(new))) :]
                left = index.used - int((back >= used).sum())
                index.withdraw(back, left)
                model.withdraw(back.tolist(), left)
        alike(index, model)
