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

from stream_seg.compiled import inlined, kernel
from stream_seg.features.spec import AGGREGATES, DISTINCT_LIMIT, TRANSFORMS, FeatureRecord, Layout

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


@inlined
def _bounded(value: float) -> float:
    return min(max(value, -LARGEST), LARGEST)


@kernel
def clear_row(aggregates: Aggregates, row: int, layout: Layout) -> None:
    """Make ``row`` that of a customer without events. Writes ``aggregates``."""
    aggregates.events[row] = 0
    aggregates.first_ms[row] = 0
    aggregates.last_ms[row] = 0
    clear_slots(aggregates.slots, aggregates.sets, row, layout)


@kernel
def clear_slots(slots: NDArray[np.float64], sets: NDArray[np.uint64], row: int, layout: Layout) -> None:
    """Make ``row`` of ``slots`` and ``sets`` that of a customer without events. Writes both."""
    slots[row, :] = 0.0
    sets[row] = 0
    for j in range(layout.shape[0]):
        kind, s = layout[j].aggregate, layout[j].slot
        if kind in (DAYS_SINCE, DAYS_SINCE_FIRST):
            slots[row, s] = NEVER
        elif kind == MIN:
            slots[row, s] = np.inf
        elif kind == MAX:
            slots[row, s] = -np.inf
        elif kind == MEAN:
            slots[row, s + 2] = NEVER
        elif kind == LAST:
            slots[row, s + 1] = NEVER
        elif kind == GAP_DAYS:
            slots[row, s] = NEVER
            slots[row, s + 1] = NEVER


@inlined
def _halved(elapsed_ms: float, decay: float) -> float:
    """What is left of 1 after ``elapsed_ms``, at ``decay`` half-lives a millisecond."""
    if decay == 0.0 or elapsed_ms == 0.0:
        return 1.0
    return float(np.exp2(-elapsed_ms * decay))


@inlined
def _add_decayed(
    slots: NDArray[np.float64], row: int, s: int, value: float, gap_ms: float, left: float
) -> None:
    """Add ``value`` at ``gap_ms`` after (negative.

    Before) the time that ``slots[row, s]`` stands for; ``left`` is what remains of 1 over that time. Writes
    ``slots``.
    """
    if gap_ms > 0.0:
        slots[row, s] = _bounded(slots[row, s] * left + value)
    else:
        slots[row, s] = _bounded(slots[row, s] + value * left)


@kernel
def _add_to_set(
    slots: NDArray[np.float64], sets: NDArray[np.uint64], row: int, s: int, place: int, token: int
) -> None:
    taken = int(slots[row, s])
    for i in range(taken):
        if sets[row, place, i] == token:
            return
    if taken < DISTINCT_LIMIT:
        sets[row, place, taken] = token
        slots[row, s] = taken + 1.0


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
    first = aggregates.events[row] == 0
    gap = 0 if first else time_ms - aggregates.last_ms[row]
    add_to_slots(
        aggregates.slots,
        aggregates.sets,
        row,
        time_ms,
        gap,
        np.expand_dims(numbers, 0),
        np.expand_dims(tokens, 0),
        np.expand_dims(matches, 0),
        0,
        layout,
    )
    aggregates.first_ms[row] = time_ms if first else min(aggregates.first_ms[row], time_ms)
    aggregates.last_ms[row] = time_ms if first else max(aggregates.last_ms[row], time_ms)
    aggregates.events[row] += 1


@kernel
def add_to_slots(
    slots: NDArray[np.float64],
    sets: NDArray[np.uint64],
    row: int,
    time_ms: int,
    gap_ms: int,
    numbers: NDArray[np.float64],
    tokens: NDArray[np.uint64],
    matches: NDArray[np.bool_],
    i: int,
    layout: Layout,
) -> None:
    """Do what ``add_event`` does to ``slots`` and ``sets``.

    The event is number ``i`` of its batch, ``gap_ms`` after (negative: before) the row's newest one.
    """
    gap, t = float(gap_ms), float(time_ms)
    decay, left = 0.0, 1.0  # of the feature before: most share a half-life
    for j in range(layout.shape[0]):
        f = layout[j]
        kind, s = f.aggregate, f.slot
        value = 1.0 if f.number < 0 else numbers[i, f.number]
        match = matches[i, j] and not math.isnan(value)
        if f.decay != decay:
            decay, left = f.decay, _halved(abs(gap), f.decay)
        if kind == COUNT or kind == SUM:
            _add_decayed(slots, row, s, value if match else 0.0, gap, left)
        elif kind == SHARE:
            _add_decayed(slots, row, s, 1.0 if match else 0.0, gap, left)
            _add_decayed(slots, row, s + 1, 1.0, gap, left)
        elif not match:
            continue
        elif kind == DAYS_SINCE:
            slots[row, s] = max(slots[row, s], t)
        elif kind == DAYS_SINCE_FIRST:
            slots[row, s] = t if slots[row, s] == NEVER else min(slots[row, s], t)
        elif kind == MEAN:  # stands as of its own last match
            own = 0.0 if slots[row, s + 2] == NEVER else t - slots[row, s + 2]
            since = left if own == gap else _halved(abs(own), f.decay)
            _add_decayed(slots, row, s, value, own, since)
            _add_decayed(slots, row, s + 1, 1.0, own, since)
            slots[row, s + 2] = max(slots[row, s + 2], t)
        elif kind == MIN:
            slots[row, s] = min(slots[row, s], value)
        elif kind == MAX:
            slots[row, s] = max(slots[row, s], value)
        elif kind == LAST:
            if t >= slots[row, s + 1]:
                slots[row, s], slots[row, s + 1] = value, t
        elif kind == DISTINCT:
            token = tokens[i, f.token]
            if token != 0:
                _add_to_set(slots, sets, row, s, f.place, token)
        else:
            slots[row, s] = t if slots[row, s] == NEVER else min(slots[row, s], t)
            slots[row, s + 1] = max(slots[row, s + 1], t)
            slots[row, s + 2] += 1.0


@inlined
def is_default(slots: NDArray[np.float64], row: int, f: FeatureRecord) -> bool:
    """Whether a row's feature stands at its ``default``: no event matched, and readers see no value."""
    kind, s = f.aggregate, f.slot
    if kind == MEAN:
        return bool(slots[row, s + 2] == NEVER)
    if kind == LAST:
        return bool(slots[row, s + 1] == NEVER)
    return bool((kind == MIN or kind == MAX) and math.isinf(slots[row, s]))


@kernel
def feature_value(
    slots: NDArray[np.float64], row: int, first_ms: int, last_ms: int, now_ms: int, f: FeatureRecord
) -> float:
    """A row's feature ``f`` in its own unit as of ``now_ms``; ``slots`` float64 [rows, slots]."""
    return _value(slots, row, first_ms, now_ms, _halved(float(now_ms - last_ms), f.decay), f)


@inlined
def _value(
    slots: NDArray[np.float64], row: int, first_ms: int, now_ms: int, left: float, f: FeatureRecord
) -> float:
    """Do what ``feature_value`` does; ``left`` is what remains of 1 since the customer's newest event."""
    kind, s = f.aggregate, f.slot
    if kind == COUNT or kind == SUM:
        return float(slots[row, s] * left)
    if kind == SHARE:
        return float(slots[row, s] / slots[row, s + 1])
    if kind == DAYS_SINCE or kind == DAYS_SINCE_FIRST:
        start = float(first_ms) if slots[row, s] == NEVER else slots[row, s]
        return (now_ms - start) / MS_PER_DAY
    if kind == GAP_DAYS:
        if slots[row, s + 2] >= 2.0:
            return float((slots[row, s + 1] - slots[row, s]) / MS_PER_DAY / (slots[row, s + 2] - 1.0))
        start = float(first_ms) if slots[row, s] == NEVER else slots[row, s]
        return (now_ms - start) / MS_PER_DAY
    if is_default(slots, row, f):
        return f.default
    if kind == MEAN:
        return float(slots[row, s] / slots[row, s + 1])
    return float(slots[row, s])


@inlined
def transformed(value: float, transform: int) -> float:
    """``value`` under a transform's code; all are odd."""
    if transform == LOG1P:
        return math.copysign(math.log(1.0 + abs(value)), value)
    if transform == SQRT:
        return math.copysign(math.sqrt(abs(value)), value)
    if transform == CBRT:
        return float(np.cbrt(value))
    return value


@kernel
def vector(
    slots: NDArray[np.float64],
    row: int,
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
    decay, left = 0.0, 1.0  # of the feature before: most share a half-life
    for j in range(layout.shape[0]):
        f = layout[j]
        if f.decay != decay:
            decay, left = f.decay, _halved(float(now_ms - last_ms), f.decay)
        value = _value(slots, row, first_ms, now_ms, left, f)
        place = np.rint(transformed(value, f.transform) / f.step)
        if abs(place) > LATTICE_LIMIT:
            clipped += 1
            place = math.copysign(float(LATTICE_LIMIT), place)
        out[j] = np.int32(place)
    return clipped
