"""One event on one row, looked at before it is taken: the row as it would be, and its vector then."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_seg.compiled import kernel
from stream_seg.engine.kernels import DRIVERS
from stream_seg.engine.rows import Rows
from stream_seg.engine.version import VersionArrays
from stream_seg.events.batch import EventBatch
from stream_seg.features.kernels import (
    Aggregates,
    add_event,
    clear_row,
    feature_value,
    transformed,
    vector,
)
from stream_seg.features.spec import FeatureSet, Layout

__all__ = ["NextRow", "pushes", "row_values", "scaled_move"]


@kernel
def _look(  # noqa: PLR0913, PLR0917 - a kernel takes its arrays one by one
    next_row: Aggregates,
    time_ms: int,
    now_ms: int,
    numbers: NDArray[np.float64],
    tokens: NDArray[np.uint64],
    matches: NDArray[np.bool_],
    layout: Layout,
    point: NDArray[np.int32],
) -> int:
    """Take an event into the one row of ``next_row``; how many features were clipped. Writes both arrays."""
    if next_row.events[0] == 0:
        clear_row(next_row, 0, layout)
    add_event(next_row, 0, time_ms, numbers, tokens, matches, layout)
    return vector(next_row.slots, 0, next_row.first_ms[0], next_row.last_ms[0], now_ms, layout, point)


class NextRow:
    """A customer's row after its next event; the population is left as it is until ``put``."""

    def __init__(self, features: FeatureSet) -> None:
        """Have room for one row."""
        self._layout = features.layout
        rows = Rows(features)
        rows.reserve(1)
        self._row = rows.aggregates
        self.point = np.zeros(len(features), dtype=np.int32)
        self.row: int | None = None
        self.clipped = 0

    def look(self, rows: Rows, batch: EventBatch, i: int, now_ms: int) -> None:
        """Work out the row of event ``i``'s customer, and its ``point`` int32 [d] as of ``now_ms``.

        ``row`` is its number, ``None`` for a new customer's.
        """
        self.row = row = rows.row_of(batch.customers[i])
        for mine, column in zip(self._row, rows.aggregates, strict=True):
            mine[0] = 0 if row is None else column[row]
        self.clipped = _look(
            self._row,
            int(batch.time_ms[i]),
            now_ms,
            batch.numbers[i],
            batch.tokens[i],
            batch.matches[i],
            self._layout,
            self.point,
        )

    def put(self, rows: Rows, row: int) -> None:
        """Make ``row`` what was worked out."""
        for mine, column in zip(self._row, rows.aggregates, strict=True):
            column[row] = mine[0]
        rows.placement.point[row] = self.point

    def values(self, now_ms: int) -> NDArray[np.float64]:
        """Its features as of ``now_ms`` in their own units, float64 [d]."""
        return row_values(self._row, 0, now_ms, self._layout)


def row_values(aggregates: Aggregates, row: int, now_ms: int, layout: Layout) -> NDArray[np.float64]:
    """A row's features as of ``now_ms`` in their own units, float64 [d]."""
    first_ms, last_ms = aggregates.first_ms[row], aggregates.last_ms[row]
    return np.array([feature_value(aggregates.slots, row, first_ms, last_ms, now_ms, f) for f in layout])


def scaled_move(
    before: NDArray[np.float64], after: NDArray[np.float64], layout: Layout, version: VersionArrays
) -> NDArray[np.float64]:
    """The way from ``before`` to ``after`` (own units) in scaled space, float64 [d]."""
    moved = [
        transformed(b, kind) - transformed(a, kind)
        for a, b, kind in zip(before.tolist(), after.tolist(), layout.transform.tolist(), strict=True)
    ]
    return np.array(moved) * version.factor


def pushes(moved: NDArray[np.float64], centres: NDArray[np.float64], old: int, new: int) -> list[int]:
    """Name the features whose move brought centre ``new`` nearer than ``old``: at most three, in order.

    ``moved`` is float64 [d] in scaled space; the measure is that of our own transitions.
    """
    push = 2.0 * moved * (centres[new] - centres[old])
    ranked = np.argsort(-push, kind="stable")[:DRIVERS].tolist()
    return [j for place, j in enumerate(ranked) if place == 0 or push[j] > 0.0]
