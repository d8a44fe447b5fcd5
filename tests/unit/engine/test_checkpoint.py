from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.checkpoint import checkpoint
from stream_seg.engine.outcome import Adoption
from stream_seg.engine.state import DAY_MS, State
from stream_seg.engine.step import step
from tests.histories import FEATURES, START_MS, Event, History, batch_of


def arrays_in(value: object) -> Iterator[NDArray[np.generic]]:
    if isinstance(value, np.ndarray):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from arrays_in(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from arrays_in(part)


def test_what_is_to_be_stored_does_not_change_with_the_state() -> None:
    """It is packed and staged while the next batch is computed."""
    state = State(0, FEATURES)
    orders = [
        Event(c, START_MS + i * DAY_MS // 8, 10.0 * i, app=True, country=i) for i, c in enumerate("abcdefgh")
    ]
    step(state, batch_of(orders, 0, 2 * len(orders)))
    version = History(orders, [], None, seed=7).version(1)
    before = dict(state.numbers.sizes)
    made = checkpoint(state, step(state, Adoption(version, 2 * len(orders), orders[-1].time_ms)), before)
    rows = state.rows
    live = [*rows.aggregates, *rows.placement, rows.former, *arrays_in(list(vars(rows._index).values()))]
    assert len(made.rows) == len(orders)
    found = list(arrays_in(made.rows))
    assert len(found) > 10
    assert not any(np.shares_memory(mine, theirs) for mine in found for theirs in live)
