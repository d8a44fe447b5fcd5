"""The hot loops of ``step``: events into rows and labels, and the pass over all residents.

Kernels take and fill arrays; what they write is named last in each docstring. A row without events is no
resident.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_seg.clustering.distance import (
    choose_cluster,
    label_scaled,
    nearest_two_scaled,
    scale_row,
    squared_distance,
)
from stream_seg.clustering.lattice import add_point, move_point
from stream_seg.compiled import kernel
from stream_seg.engine.version import VersionArrays
from stream_seg.features.kernels import (
    Aggregates,
    add_to_slots,
    clear_slots,
    feature_value,
    is_default,
    transformed,
    vector,
)
from stream_seg.features.spec import Layout

DRIVERS = 3
"""How many features a transition names at the most."""


class Placement(NamedTuple):
    """Where each row stands; the first axis is the row.

    ``cluster`` int32 place in the version (−1: none), ``segment`` int32 its id (−1: none yet), ``since_ms``
    int64 when it came into the segment, ``written_ms`` int64 the clock at which it was last written (its own
    event, or a change of segment), ``version`` int32 the version then, ``point`` int32 [rows, d] its vector
    on the lattice, as the sums hold it.
    """

    cluster: NDArray[np.int32]
    segment: NDArray[np.int32]
    since_ms: NDArray[np.int64]
    written_ms: NDArray[np.int64]
    version: NDArray[np.int32]
    point: NDArray[np.int32]


class Sums(NamedTuple):
    """``ClusterSums`` as the kernels take them: int64 [k], then int64 [k, d] three times."""

    counts: NDArray[np.int64]
    total: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]


class Events(NamedTuple):
    """A batch as the kernels take it: ``row`` int64 [n], then the columns of ``EventBatch``."""

    row: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    numbers: NDArray[np.float64]
    tokens: NDArray[np.uint64]
    matches: NDArray[np.bool_]


class LabelColumns(NamedTuple):
    """What an event says of its customer, [n] each.

    Ids int32 (−1: none), ``changed`` bool, distances in scaled space.

    ``confidence`` is NaN where there is one segment.
    """

    segment: NDArray[np.int32]
    previous: NDArray[np.int32]
    runner_up: NDArray[np.int32]
    distance: NDArray[np.float64]
    confidence: NDArray[np.float64]
    dwell_ms: NDArray[np.int64]


class Drivers(NamedTuple):
    """Why a segment changed, a row a change.

    ``feature`` int32 [m, 3] (−1: none), its values ``before`` and ``after`` float64.
    """

    feature: NDArray[np.int32]
    before: NDArray[np.float64]
    after: NDArray[np.float64]


class Clock(NamedTuple):
    """When the loop must stop for a pass: event time in ms, and a number of residents."""

    now_ms: int
    next_pass_ms: int
    residents: int
    growth_limit: int


@kernel
def _confidence(own: float, other: float) -> float:
    """1 − d/d′ of squared distances, clipped to [0, 1]; NaN without another segment."""
    if math.isinf(other):
        return math.nan
    if other == 0.0:
        return 0.0
    return min(max(1.0 - math.sqrt(own) / math.sqrt(other), 0.0), 1.0)


@kernel
def judge(z: NDArray[np.float64], centres: NDArray[np.float64], cluster: int) -> tuple[float, float, int]:
    """Distance to ``cluster``, confidence, and the place of the nearest other cluster (−1.

    None) of a scaled row.
    """
    best, second, d2_best, d2_second = nearest_two_scaled(z, centres)
    if best == cluster:
        return math.sqrt(d2_best), _confidence(d2_best, d2_second), second
    own = squared_distance(z, centres[cluster])
    return math.sqrt(own), _confidence(own, d2_best), best


@kernel
def _rank_drivers(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    old: int,
    new: int,
    moved: bool,  # noqa: FBT001 - a kernel's argument
    layout: Layout,
    version: VersionArrays,
    out: Drivers,
    m: int,
) -> None:
    """Name the features that pushed a customer from place ``old`` (−1: the population's mean) to ``new``.

    A feature's push is by how much its move brought the new centre nearer than the old one, in squared
    scaled distance; where the customer did not move (an adoption) by how much nearer it is. ``before`` and
    ``after`` are float64 [d] in the features' own units. Writes row ``m`` of ``out``.
    """
    d = before.shape[0]
    push = np.empty(d)
    for j in range(d):
        c_new = version.centres[new, j]
        c_old = version.centres[old, j] if old >= 0 else 0.0
        a = (transformed(after[j], layout[j].transform) - version.offset[j]) * version.factor[j]
        b = (transformed(before[j], layout[j].transform) - version.offset[j]) * version.factor[j]
        push[j] = 2.0 * (a - b) * (c_new - c_old)
        if not moved:
            push[j] = (a - c_old) ** 2 - (a - c_new) ** 2
    for place in range(min(DRIVERS, d)):
        j = int(np.argmax(push))
        if place > 0 and not push[j] > 0.0:
            break
        out.feature[m, place] = j
        out.before[m, place] = before[j]
        out.after[m, place] = after[j]
        push[j] = -np.inf


@kernel
def run_events(
    start: int,
    stop: int,
    events: Events,
    aggregates: Aggregates,
    rows: Placement,
    layout: Layout,
    version: VersionArrays,
    number: int,
    hysteresis: float,
    sums: Sums,
    clock: Clock,
    last_pass_ms: int,
    labels: LabelColumns,
    drivers: Drivers,
) -> tuple[int, int, int, int]:
    """Take events ``start`` to ``stop`` in order: clock, retract and add, label (design §3.2).

    Stops after the event that makes a pass due. Without a version (``version.centres`` empty) events only
    fill aggregates and points. Returns (first event not taken, clock, residents, clipped features). Writes
    ``aggregates``, ``rows``, ``sums``, ``labels`` and row i of ``drivers`` where event i changed its
    customer's segment.
    """
    # A field of a tuple is a reference to count each time it is read, and counting costs more than the maths.
    event_row, event_time, event_numbers, event_tokens, event_matches = events
    slots, sets, first, last, seen = aggregates
    places, segments, since, written, versions, points = rows
    step, offset, factor, centres, ids = version
    counts, totals, highs, lows = sums
    segment, previous, runner_up, distance, confidence, dwell = labels
    now, residents, clipped = clock.now_ms, clock.residents, 0
    d = layout.shape[0]
    z, before, after, point = np.empty(d), np.empty(d), np.empty(d), np.empty(d, dtype=np.int32)
    old = np.empty((1, slots.shape[1]))
    labelled = centres.shape[0] > 0
    for i in range(start, stop):
        row, t = event_row[i], event_time[i]
        now = max(now, t)
        new = seen[row] == 0
        if new:
            clear_slots(slots, sets, row, layout)
            residents += 1
        for s in range(slots.shape[1]):
            old[0, s] = slots[row, s]
        old_first, old_last = first[row], last[row]
        first_ms = t if new else min(old_first, t)
        last_ms = t if new else max(old_last, t)
        add_to_slots(
            slots,
            sets,
            row,
            t,
            0 if new else t - old_last,
            event_numbers,
            event_tokens,
            event_matches,
            i,
            layout,
        )
        first[row], last[row] = first_ms, last_ms
        seen[row] += 1
        clipped += vector(slots, row, first_ms, last_ms, now, layout, point)
        seen_ms = max(written[row], last_pass_ms)
        written[row], versions[row] = now, number
        if not labelled:
            points[row] = point
            continue
        cluster = places[row]
        scale_row(point, step, offset, factor, z)
        chosen, other, own_d2, other_d2 = label_scaled(z, centres, cluster, hysteresis)
        move_point(counts, totals, highs, lows, cluster, chosen, points, row, point)
        previous[i] = segments[row]
        segment[i] = ids[chosen]
        distance[i] = math.sqrt(own_d2)
        confidence[i] = _confidence(own_d2, other_d2)
        runner_up[i] = ids[other] if other >= 0 else -1
        if cluster >= 0 and chosen != cluster:
            for j in range(d):
                before[j] = feature_value(old, 0, old_first, old_last, seen_ms, layout[j])
                after[j] = feature_value(slots, row, first_ms, last_ms, now, layout[j])
            _rank_drivers(before, after, cluster, chosen, True, layout, version, drivers, i)
        if chosen != cluster:
            dwell[i] = max(t - since[row], 0) if cluster >= 0 else 0
            since[row] = t
            segments[row] = ids[chosen]
            places[row] = chosen
        if (clock.next_pass_ms >= 0 and now >= clock.next_pass_ms) or residents >= clock.growth_limit:
            return i + 1, now, residents, clipped
    return stop, now, residents, clipped


@kernel
def run_pass(
    now: int,
    used: int,
    aggregates: Aggregates,
    rows: Placement,
    layout: Layout,
    version: VersionArrays,
    number: int,
    hysteresis: float,
    forget_ms: float,
    sums: Sums,
    changed: NDArray[np.int64],
    origin: NDArray[np.int32],
    entered_ms: NDArray[np.int64],
    forgotten: NDArray[np.int64],
) -> tuple[int, int, int, float]:
    """Re-evaluate all residents among the first ``used`` rows at ``now`` and recount the sums (design §3.3).

    Returns (changed rows, forgotten rows, residents left, Σ of squared scaled ageing over them). Writes
    ``rows``, ``sums`` (zeroed first), ``changed`` the rows that changed their segment with ``origin`` the
    place they left (−1: retired) and ``entered_ms`` their former ``since_ms``, ``forgotten`` the rows silent
    for longer than ``forget_ms``.
    """
    slots, _, first, last, seen = aggregates
    places, segments, since, written, versions, points = rows
    step, offset, factor, centres, ids = version
    counts, totals, highs, lows = sums
    counts[:] = 0
    totals[:] = 0
    highs[:] = 0
    lows[:] = 0
    d = layout.shape[0]
    point = np.empty(d, dtype=np.int32)
    z = np.empty(d)
    moved, lost, left, ageing = 0, 0, 0, 0.0
    for row in range(used):
        if seen[row] == 0:
            continue
        last_ms = last[row]
        if now - last_ms > forget_ms:
            forgotten[lost] = row
            lost += 1
            continue
        vector(slots, row, first[row], last_ms, now, layout, point)
        for j in range(d):
            delta = (point[j] - points[row, j]) * step[j] * factor[j]
            ageing += delta * delta
            points[row, j] = point[j]
        left += 1
        scale_row(point, step, offset, factor, z)
        cluster = places[row]
        chosen = choose_cluster(z, centres, cluster, hysteresis)
        add_point(counts, totals, highs, lows, chosen, point)
        if ids[chosen] != segments[row]:
            changed[moved], origin[moved], entered_ms[moved] = row, cluster, since[row]
            moved += 1
            segments[row] = ids[chosen]
            since[row] = now
            written[row] = now
            versions[row] = number
        places[row] = chosen
    return moved, lost, left, ageing


@kernel
def count_reverted(
    rows: NDArray[np.int64],
    origin: NDArray[np.int32],
    target: NDArray[np.int32],
    dwell_ms: NDArray[np.int64],
    longest_ms: int,
    former: NDArray[np.int32],
) -> int:
    """Count the changes of segment, in order, that take a row back within ``longest_ms``.

    ``former`` int32 [used], which segment each row came from last, follows them.
    """
    reverted = 0
    for i in range(rows.shape[0]):
        row = rows[i]
        if former[row] == target[i] and dwell_ms[i] <= longest_ms:
            reverted += 1
        former[row] = origin[i]
    return reverted


@kernel
def explain_pass(
    now: int,
    moved: bool,  # noqa: FBT001 - a kernel's argument
    changed: NDArray[np.int64],
    origin: NDArray[np.int32],
    entered_ms: NDArray[np.int64],
    aggregates: Aggregates,
    rows: Placement,
    layout: Layout,
    version: VersionArrays,
    drivers: Drivers,
) -> None:
    """Name the drivers of the changes of a pass.

    Values at ``now`` against those when the customer was last heard of or came in.

    ``moved`` is false for an adoption, where the centres moved and not the customers. Writes ``drivers``.
    """
    d = layout.shape[0]
    before, after = np.empty(d), np.empty(d)
    for m in range(changed.shape[0]):
        row = changed[m]
        slots, first_ms, last_ms = aggregates.slots, aggregates.first_ms[row], aggregates.last_ms[row]
        then = min(max(last_ms, entered_ms[m]), now)
        for j in range(d):
            before[j] = feature_value(slots, row, first_ms, last_ms, then, layout[j])
            after[j] = feature_value(slots, row, first_ms, last_ms, now, layout[j])
        _rank_drivers(before, after, origin[m], rows.cluster[row], moved, layout, version, drivers, m)


@kernel
def place_rows(
    used: int,
    last_pass_ms: int,
    aggregates: Aggregates,
    rows: Placement,
    layout: Layout,
    places: NDArray[np.int32],
    sums: Sums,
) -> int:
    """Rebuild points, places and sums of stored rows (take-over).

    Returns the residents; writes ``rows`` and ``sums``.

    A row's vector is its aggregates at the later of its own last write and the partition's last pass (design
    §3.3).
    """
    residents = 0
    for row in range(used):
        if aggregates.events[row] == 0:
            continue
        residents += 1
        then = max(rows.written_ms[row], last_pass_ms)
        vector(
            aggregates.slots,
            row,
            aggregates.first_ms[row],
            aggregates.last_ms[row],
            then,
            layout,
            rows.point[row],
        )
        segment = rows.segment[row]
        rows.cluster[row] = places[segment] if 0 <= segment < places.shape[0] else -1
        if rows.cluster[row] >= 0:
            add_point(sums.counts, sums.total, sums.high, sums.low, rows.cluster[row], rows.point[row])
    return residents


@kernel
def describe_rows(
    which: NDArray[np.int64],
    aggregates: Aggregates,
    rows: Placement,
    layout: Layout,
    version: VersionArrays,
    places: NDArray[np.int32],
    values: NDArray[np.float64],
    distance: NDArray[np.float64],
    confidence: NDArray[np.float64],
    runner_up: NDArray[np.int32],
) -> None:
    """What readers see of rows, as of each one's last write (``written_ms``) and its version then.

    ``places`` int32: a segment id's place in that version. Writes ``values`` float64 [m, d] in the features'
    own units (NaN where a feature stands at its default), ``distance``, ``confidence`` (NaN: one segment) and
    ``runner_up`` ids (−1: none), [m] each.
    """
    d = layout.shape[0]
    point = np.empty(d, dtype=np.int32)
    z = np.empty(d)
    for m in range(which.shape[0]):
        row = which[m]
        slots, first_ms, last_ms = aggregates.slots, aggregates.first_ms[row], aggregates.last_ms[row]
        then = rows.written_ms[row]
        for j in range(d):
            values[m, j] = feature_value(slots, row, first_ms, last_ms, then, layout[j])
            if is_default(slots, row, layout[j]) and layout[j].default == 0.0:
                values[m, j] = math.nan
        vector(slots, row, first_ms, last_ms, then, layout, point)
        scale_row(point, version.step, version.offset, version.factor, z)
        distance[m], confidence[m], other = judge(z, version.centres, places[rows.segment[row]])
        runner_up[m] = version.ids[other] if other >= 0 else -1


@kernel
def rows_values(
    which: NDArray[np.int64],
    now: int,
    aggregates: Aggregates,
    layout: Layout,
    values: NDArray[np.float64],
) -> None:
    """Feature values float64 [m, d] of rows as of ``now``, in the features' own units. Writes ``values``."""
    for m in range(which.shape[0]):
        row = which[m]
        for j in range(layout.shape[0]):
            values[m, j] = feature_value(
                aggregates.slots, row, aggregates.first_ms[row], aggregates.last_ms[row], now, layout[j]
            )


@kernel
def rows_points(
    which: NDArray[np.int64],
    now: int,
    aggregates: Aggregates,
    layout: Layout,
    points: NDArray[np.int32],
) -> None:
    """Lattice points int32 [m, d] of rows as of ``now``. Writes ``points``."""
    for m in range(which.shape[0]):
        row = which[m]
        first_ms, last_ms = aggregates.first_ms[row], aggregates.last_ms[row]
        vector(aggregates.slots, row, first_ms, last_ms, now, layout, points[m])
