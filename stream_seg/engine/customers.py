"""All customers as of one moment, as an export shows them at the end of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_seg.compiled import kernel
from stream_seg.engine.kernels import rows_values
from stream_seg.engine.state import State
from stream_seg.features.kernels import is_default
from stream_seg.features.spec import Layout

__all__ = ["CustomersAt", "customers_at"]


@dataclass(frozen=True, slots=True)
class CustomersAt:
    """Customers in order of their ids, m of them.

    ``segment`` int32 [m] ids; ``values`` float64 [m, d] features in their own units, NaN where one stands at
    its default of 0 without a match.
    """

    customers: list[str]
    segment: NDArray[np.int32]
    values: NDArray[np.float64]


def customers_at(states: Iterable[State], now_ms: int) -> CustomersAt:
    """All residents of some partitions, as of ``now_ms``; of a customer in two, the first's."""
    customers: list[str] = []
    segments, values = [], []
    for state in states:
        rows, layout = state.rows, state.features.layout
        which = rows.resident_rows()
        own = np.empty((len(which), len(state.features)))
        rows_values(which, now_ms, rows.aggregates, layout, own)
        _blank_defaults(which, rows.aggregates.slots, layout, own)
        customers += rows.customers_of(which)
        segments.append(rows.placement.segment[which])
        values.append(own)
    first = {customer: place for place, customer in reversed(list(enumerate(customers)))}
    order = [first[customer] for customer in sorted(first)]
    return CustomersAt(
        [customers[place] for place in order], np.concatenate(segments)[order], np.concatenate(values)[order]
    )


@kernel
def _blank_defaults(
    which: NDArray[np.int64], slots: NDArray[np.float64], layout: Layout, values: NDArray[np.float64]
) -> None:
    """Write NaN into ``values`` where a feature has no match and a default of 0: readers see none there."""
    for m in range(which.shape[0]):
        for j in range(layout.shape[0]):
            if layout[j].default == 0.0 and is_default(slots, which[m], layout[j]):
                values[m, j] = math.nan
