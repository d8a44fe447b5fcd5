"""A partition's rows as columns: what a snapshot holds of them, copied from a state and put back into one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.checkpoint import settle_whole, taken_places
from stream_seg.engine.state import Numbers, State
from stream_seg.engine.texts import Texts
from stream_seg.engine.version import ModelVersion
from stream_seg.errors import DamagedState
from stream_seg.features.spec import AGGREGATES, DISTINCT_LIMIT, FeatureSet

__all__ = ["RowColumns", "columns_of", "distinct_slots", "state_of"]

_DISTINCT = AGGREGATES.index("distinct")
AGGREGATE_COLUMNS = ("first_ms", "last_ms", "events")
PLACEMENT_COLUMNS = ("since_ms", "written_ms", "segment", "version")


@dataclass(frozen=True, slots=True)
class RowColumns:
    """n residents in ascending order of ``row``, the row number int64 [n].

    ``customers`` ids in UTF-8; ``first_ms``, ``last_ms``, ``events``, ``since_ms`` and ``written_ms`` int64
    [n]; ``segment``, ``version`` and ``former`` int32 [n]; ``slots`` float64 [n, s] as the features' layout
    has them; ``sets`` uint64: of each distinct feature in turn the taken places of all rows, one after the
    other (a row's slot says how many).
    """

    row: NDArray[np.int64]
    customers: Texts
    first_ms: NDArray[np.int64]
    last_ms: NDArray[np.int64]
    events: NDArray[np.int64]
    since_ms: NDArray[np.int64]
    written_ms: NDArray[np.int64]
    segment: NDArray[np.int32]
    version: NDArray[np.int32]
    former: NDArray[np.int32]
    slots: NDArray[np.float64]
    sets: list[NDArray[np.uint64]]

    def __len__(self) -> int:
        """The number of rows, n."""
        return len(self.customers)


def distinct_slots(features: FeatureSet) -> list[int]:
    """The slot of each distinct feature, which says how many places of its set are taken."""
    layout = features.layout
    return [int(layout.slot[j]) for j in np.flatnonzero(layout.aggregate == _DISTINCT)]


def columns_of(state: State) -> RowColumns:
    """Copy all rows of a state, which may go on meanwhile."""
    rows = state.rows
    which = rows.resident_rows()
    slots = rows.aggregates.slots[which]
    return RowColumns(
        row=which,
        customers=rows.texts_of(which),
        **{name: getattr(rows.aggregates, name)[which] for name in AGGREGATE_COLUMNS},
        **{name: getattr(rows.placement, name)[which] for name in PLACEMENT_COLUMNS},
        former=rows.former[which],
        slots=slots,
        sets=[
            rows.aggregates.sets[row, place, within]
            for place, slot in enumerate(distinct_slots(state.features))
            for row, within in [taken_places(which, slots[:, slot])]
        ],
    )


def state_of(
    partition: int, features: FeatureSet, numbers: Numbers, version: ModelVersion | None, columns: RowColumns
) -> State:
    """A partition's state from its rows; ``DamagedState`` where they do not fit each other or the numbers."""
    state = State(partition, features)
    which = columns.row
    if len(which) and (which[0] < 0 or which[-1] >= numbers.used or (np.diff(which) <= 0).any()):
        raise DamagedState(f"the row numbers of partition {partition} are damaged")
    try:
        state.rows.put(which, columns.customers, numbers.used)
    except ValueError as error:
        raise DamagedState(f"the rows of partition {partition} do not fit each other: {error}") from error
    aggregates, placement = state.rows.aggregates, state.rows.placement
    for name in (*AGGREGATE_COLUMNS, "slots"):
        getattr(aggregates, name)[which] = getattr(columns, name)
    for name in PLACEMENT_COLUMNS:
        getattr(placement, name)[which] = getattr(columns, name)
    state.rows.former[which] = columns.former
    for place, slot in enumerate(distinct_slots(features)):
        counts = columns.slots[:, slot]
        fine = ((counts >= 0) & (counts <= DISTINCT_LIMIT)).all()
        if not fine or int(counts.sum()) != len(columns.sets[place]):
            raise DamagedState(f"a distinct set of partition {partition} is damaged")
        row, within = taken_places(which, counts)
        aggregates.sets[row, place, within] = columns.sets[place]
    settle_whole(state, numbers, version)
    return state
