"""The scalar kernels.

One event into one row's aggregates, and one row's aggregates into a value and a vector.

They are the only code that computes an aggregate or a vector, in every driver, because numpy and numba
differ in the last bit of some powers: equal bits hold for the same build and processor family.

Decayed sums stand as of the customer's newest event (``last_ms``): a newer event decays them first, a late
one is decayed itself before it is added, so it counts as if it had come in time (forward decay read
backwards: Cormode, Shkapenyuk, Srivastava & Xu 2009, §3). A weighted mean stands as of its own last match,
so that it can never underflow to 0/0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_seg.compiled import kernel
from stream_seg.features.spec import AGGREGATES, DISTINCT_LIMIT, TRANSFORMS, Layout

MS_PER_DAY = 86_400_000.0
NEVER = -1.0
"""Stands for "no match yet" in a slot that holds a time."""
LARGEST = 1.7976931348623157e308
LATTICE_LIMIT = 2**31 - 1

DAYS_SINCE = AGGREGATES.index("days_since")
DAYS_SINCE_FIRST = AGGREGATES.index("days_since_first")
COUNT = AGGREGATES.index("count")
SUM = AGGREGATES.index("sum")
MEAN = AGGREGATES.index("mean")
MIN = AGGREGATES.index("min")
MAX = AGGREGATES.index("max")
LAST = AGGREGATES.index("last")
SHARE = AGGREGATES.index("share")
DISTINCT = AGGREGATES.index("distinct")
GAP_DAYS = AGGREGATES.index("gap_days")
LOG1P = TRANSFORMS.index("log1p")
SQRT = TRANSFORMS.index("sqrt")
CBRT = TRANSFORMS.index("cbrt")


class Aggregates(NamedTuple):
    """The aggregates of all rows, columnar; the first axis is the row.

    ``slots`` float64 [rows, slots] (``Layout.slot`` says what stands where), ``sets`` uint64 [rows, sets,
    64] the distinct values' hashes, ``first_ms`` and ``last_ms`` int64 [rows] smallest and largest event
    time, ``events`` int64 [rows].
    """

    slots: NDArray[np.float64]
    sets: NDArray[np.uint64]
    first_ms: NDArray[np.int64]
    last_ms: NDArray[np.int64]
    events: NDArray[np.int64]


@kernel
def _bounded(value: float) -> float:
    return min(max(value, -LARGEST), LARGEST)


@kernel
def clear_row(aggregates: Aggregates, row: int, layout: Layout) -> None:
    """Make ``row`` that of a customer without events. Writes ``aggregates``."""
    aggregates.slots[row, :] = 0.0
    aggregates.sets[row] = 0
    aggregates.events[row] = 0
    aggregates.first_ms[row] = 0
    aggregates.last_ms[row] = 0
    for j in range(layout.aggregate.shape[0]):
        kind, s = layout.aggregate[j], layout.slot[j]
        if kind in (DAYS_SINCE, DAYS_SINCE_FIRST):
            aggregates.slots[row, s] = NEVER
        elif kind == MIN:
            aggregates.slots[row, s] = np.inf
        elif kind == MAX:
            aggregates.slots[row, s] = -np.inf
        elif kind == MEAN:
            aggregates.slots[row, s + 2] = NEVER
        elif kind == LAST:
            aggregates.slots[row, s + 1] = NEVER
        elif kind == GAP_DAYS:
            aggregates.slots[row, s] = NEVER
            aggregates.slots[row, s + 1] = NEVER


@kernel
def _add_decayed(slots: NDArray[np.float64], s: int, value: float, gap_ms: float, decay: float) -> None:
    """Add ``value`` at ``gap_ms`` after (negative.

    Before) the time that ``slots[s]`` stands for. Writes ``slots``.
    """
    if decay == 0.0 or gap_ms == 0.0:
        slots[s] = _bounded(slots[s] + value)
    elif gap_ms > 0.0:
        slots[s] = _bounded(slots[s] * np.exp2(-gap_ms * decay) + value)
    else:
        slots[s] = _bounded(slots[s] + value * np.exp2(gap_ms * decay))


@kernel
def _add_to_mean(slots: NDArray[np.float64], s: int, value: float, t: float, decay: float) -> None:
    gap = 0.0 if slots[s + 2] == NEVER else t - slots[s + 2]
    _add_decayed(slots, s, value, gap, decay)
    _add_decayed(slots, s + 1, 1.0, gap, decay)
    slots[s + 2] = max(slots[s + 2], t)


@kernel
def _add_to_set(slots: NDArray[np.float64], s: int, places: NDArray[np.uint64], token: int) -> None:
    taken = int(slots[s])
    for i in range(taken):
        if places[i] == token:
            return
    if taken < DISTINCT_LIMIT:
        places[taken] = token
        slots[s] = taken + 1.0


@kernel
def add_event(
    aggregates: Aggregates,
    row: int,
    time_ms: int,
    numbers: NDArray[np.float64],
    tokens: NDArray[np.uint64],
    matches: NDArray[np.bool_],
    layout: Layout,
) -> None:
    """Take one event into ``row``'s aggregates. Writes ``aggregates``.

    ``numbers`` float64 and ``tokens`` uint64 are the event's columns, ``matches`` bool [d] its ``where``
    results. An event without the feature's field does not match that feature.
    """
    slots = aggregates.slots[row]
    first = aggregates.events[row] == 0
    gap = 0.0 if first else float(time_ms - aggregates.last_ms[row])
    t = float(time_ms)
    for j in range(layout.aggregate.shape[0]):
        kind, s, decay = layout.aggregate[j], layout.slot[j], layout.decay[j]
        value = 1.0 if layout.number[j] < 0 else numbers[layout.number[j]]
        match = matches[j] and not math.isnan(value)
        if kind == COUNT or kind == SUM:
            _add_decayed(slots, s, value if match else 0.0, gap, decay)
        elif kind == SHARE:
            _add_decayed(slots, s, 1.0 if match else 0.0, gap, decay)
            _add_decayed(slots, s + 1, 1.0, gap, decay)
        elif not match:
            continue
        elif kind == DAYS_SINCE:
            slots[s] = max(slots[s], t)
        elif kind == DAYS_SINCE_FIRST:
            slots[s] = t if slots[s] == NEVER else min(slots[s], t)
        elif kind == MEAN:
            _add_to_mean(slots, s, value, t, decay)
        elif kind == MIN:
            slots[s] = min(slots[s], value)
        elif kind == MAX:
            slots[s] = max(slots[s], value)
        elif kind == LAST:
            if t >= slots[s + 1]:
                slots[s], slots[s + 1] = value, t
        elif kind == DISTINCT:
            token = tokens[layout.token[j]]
            if token != 0:
                _add_to_set(slots, s, aggregates.sets[row, layout.place[j]], token)
        else:
            slots[s] = t if slots[s] == NEVER else min(slots[s], t)
            slots[s + 1] = max(slots[s + 1], t)
            slots[s + 2] += 1.0
    aggregates.first_ms[row] = time_ms if first else min(aggregates.first_ms[row], time_ms)
    aggregates.last_ms[row] = time_ms if first else max(aggregates.last_ms[row], time_ms)
    aggregates.events[row] += 1


@kernel
def is_default(slots: NDArray[np.float64], j: int, layout: Layout) -> bool:
    """Whether feature ``j`` stands at its ``default`` because no event matched; readers then see no value."""
    kind, s = layout.aggregate[j], layout.slot[j]
    if kind == MEAN:
        return bool(slots[s + 2] == NEVER)
    if kind == LAST:
        return bool(slots[s + 1] == NEVER)
    return bool((kind == MIN or kind == MAX) and math.isinf(slots[s]))


@kernel
def feature_value(
    slots: NDArray[np.float64], first_ms: int, last_ms: int, now_ms: int, j: int, layout: Layout
) -> float:
    """Feature ``j`` in its own unit as of ``now_ms``, of a row with these ``slots`` [slots] and times."""
    kind, s, decay = layout.aggregate[j], layout.slot[j], layout.decay[j]
    if kind == COUNT or kind == SUM:
        if decay == 0.0 or now_ms == last_ms:
            return float(slots[s])
        return float(slots[s] * np.exp2(-float(now_ms - last_ms) * decay))
    if kind == SHARE:
        return float(slots[s] / slots[s + 1])
    if kind == DAYS_SINCE or kind == DAYS_SINCE_FIRST:
        start = float(first_ms) if slots[s] == NEVER else slots[s]
        return float((now_ms - start) / MS_PER_DAY)
    if kind == GAP_DAYS:
        if slots[s + 2] >= 2.0:
            return float((slots[s + 1] - slots[s]) / MS_PER_DAY / (slots[s + 2] - 1.0))
        start = float(first_ms) if slots[s] == NEVER else slots[s]
        return float((now_ms - start) / MS_PER_DAY)
    if is_default(slots, j, layout):
        return float(layout.default[j])
    if kind == MEAN:
        return float(slots[s] / slots[s + 1])
    return float(slots[s])


@kernel
def transformed(value: float, transform: int) -> float:
    """``value`` under a transform's code; all are odd."""
    if transform == LOG1P:
        return math.copysign(math.log1p(abs(value)), value)
    if transform == SQRT:
        return math.copysign(math.sqrt(abs(value)), value)
    if transform == CBRT:
        return float(np.cbrt(value))
    return value


@kernel
def vector(
    slots: NDArray[np.float64],
    first_ms: int,
    last_ms: int,
    now_ms: int,
    layout: Layout,
    out: NDArray[np.int32],
) -> int:
    """A row's point on the lattice as of ``now_ms``: round(transform(value) ÷ step), clipped to ±(2³¹ − 1).

    Writes ``out`` int32 [d]; returns how many features were clipped.
    """
    clipped = 0
    for j in range(layout.aggregate.shape[0]):
        value = feature_value(slots, first_ms, last_ms, now_ms, j, layout)
        place = np.rint(transformed(value, layout.transform[j]) / layout.step[j])
        if abs(place) > LATTICE_LIMIT:
            clipped += 1
            place = math.copysign(float(LATTICE_LIMIT), place)
        out[j] = np.int32(place)
    return clipped
