"""Laws of the exact sums: no history, order or partition leaves a trace."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from stream_seg.clustering.lattice import LATTICE_LIMIT, ClusterSums

K, D = 4, 3
LATTICE = st.integers(-LATTICE_LIMIT, LATTICE_LIMIT)
ROW = st.tuples(*[LATTICE] * D)
# What happens to a customer: it comes to a place in a cluster (from wherever it was), or leaves.
HISTORY = st.lists(
    st.tuples(st.integers(0, 9), st.none() | st.tuples(st.integers(0, K - 1), ROW)), max_size=60
)
STEP = np.array([1.0, 2.0**-16, 2.0**-4])


def rows_of(values: list[tuple[int, ...]]) -> NDArray[np.int32]:
    return np.array(values, dtype=np.int32).reshape(-1, D)


@settings(deadline=None)
@given(HISTORY)
def test_any_history_of_adding_moving_and_removing_equals_a_recount(history: Any) -> None:
    sums = ClusterSums.zeros(K, D)
    held: dict[int, tuple[int, tuple[int, ...]]] = {}
    for customer, place in history:
        if customer in held:
            cluster, row = held.pop(customer)
            sums.remove(cluster, np.array(row, dtype=np.int32))
        if place is not None:
            held[customer] = place
            sums.add(place[0], np.array(place[1], dtype=np.int32))

    labels = np.array([cluster for cluster, _ in held.values()], dtype=np.int32)
    recount = ClusterSums.recount(rows_of([row for _, row in held.values()]), labels, K)
    assert sums.equals(recount)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, K - 1), ROW, st.integers(0, 4)), min_size=1, max_size=60),
    st.permutations(range(5)),
)
def test_partitions_add_up_to_the_same_bits_in_any_order(points: Any, order: list[int]) -> None:
    rows = rows_of([row for _, row, _ in points])
    labels = np.array([cluster for cluster, _, _ in points], dtype=np.int32)
    partition = np.array([p for _, _, p in points])

    parts = [ClusterSums.recount(rows[partition == p], labels[partition == p], K) for p in order]

    assert ClusterSums.merge(parts).equals(ClusterSums.recount(rows, labels, K))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, K - 1), ROW), min_size=1, max_size=40))
def test_moments_are_those_of_exact_arithmetic(points: Any) -> None:
    rows, labels = rows_of([row for _, row in points]), np.array([c for c, _ in points], dtype=np.int32)
    sums, n = ClusterSums.recount(rows, labels, K), len(points)

    for j in range(D):
        column = [row[j] for _, row in points]
        spread = n * sum(x * x for x in column) - sum(column) ** 2
        assert sums.mean(STEP)[j] == sum(column) / n * STEP[j]
        assert sums.variance(STEP)[j] == spread / n**2 * STEP[j] ** 2


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.int32, (30, D), elements=st.integers(-(10**6), 10**6)),
    hnp.arrays(np.int32, 30, elements=st.integers(0, K - 1)),
    hnp.arrays(np.float64, (K, D), elements=st.floats(-5, 5)),
)
def test_the_cost_from_sums_is_the_cost_from_points(
    rows: NDArray[np.int32], labels: NDArray[np.int32], centres: NDArray[np.float64]
) -> None:
    sums = ClusterSums.recount(rows, labels, K)
    offset, factor = np.array([1.0, -2.0, 0.5]), np.array([1e-6, 0.1, 1e-4])

    cost = sums.within_cost(STEP, offset, factor, centres)

    by_points = ((((rows * STEP - offset) * factor) - centres[labels]) ** 2).sum()
    np.testing.assert_allclose(cost, by_points, rtol=1e-9, atol=1e-12)
    assert sums.within_cost(STEP, offset, factor) <= cost * (1 + 1e-9)
