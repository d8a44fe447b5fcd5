"""Exact sums on the lattice."""

from __future__ import annotations

import numpy as np
import pytest

from stream_seg.clustering.lattice import LATTICE_LIMIT, ClusterSums, quantise

STEP = np.array([0.5, 0.25])
ROWS = np.array([[2, 4], [4, 4], [-6, 8]], dtype=np.int32)
LABELS = np.array([0, 0, 1], dtype=np.int32)


def test_moments_and_centres_are_those_computed_by_hand() -> None:
    sums = ClusterSums.recount(ROWS, LABELS, 3)

    assert sums.residents == 3
    assert sums.count.tolist() == [2, 1, 0]
    # In transformed space the points are (1, 1), (2, 1), (-3, 2).
    np.testing.assert_array_equal(sums.mean(STEP), [0.0, 4 / 3])
    np.testing.assert_allclose(sums.variance(STEP), [14 / 3, 2 / 9], rtol=1e-15)
    fallback = np.full((3, 2), 9.0)
    np.testing.assert_array_equal(sums.centres(STEP, fallback), [[1.5, 1.0], [-3.0, 2.0], [9.0, 9.0]])
    np.testing.assert_array_equal(fallback, np.full((3, 2), 9.0))


def test_the_cost_is_that_computed_by_hand() -> None:
    sums = ClusterSums.recount(ROWS, LABELS, 3)
    offset, factor = np.array([1.0, 0.0]), np.array([2.0, 1.0])

    # Scaled points: (0, 1), (2, 1) | (-8, 2). Around their own means: 1 + 1 | 0.
    assert sums.within_cost(STEP, offset, factor) == 2.0
    centres = np.array([[0.0, 0.0], [-8.0, 0.0], [5.0, 5.0]])
    np.testing.assert_array_equal(sums.costs(STEP, offset, factor, centres), [1.0 + 5.0, 4.0, 0.0])
    assert sums.within_cost(STEP, offset, factor, centres) == 10.0


def test_a_feature_that_all_share_has_no_variance_at_all() -> None:
    rows = np.full((1000, 2), LATTICE_LIMIT - 7, dtype=np.int32)
    sums = ClusterSums.recount(rows, np.zeros(1000, dtype=np.int32), 1)

    np.testing.assert_array_equal(sums.variance(np.array([1.0, 2.0**-16])), [0.0, 0.0])


def test_values_at_the_ends_of_the_lattice_are_summed_exactly() -> None:
    rows = np.array([[LATTICE_LIMIT], [-LATTICE_LIMIT], [LATTICE_LIMIT]], dtype=np.int32)
    many = np.tile(rows, (1000, 1))
    sums = ClusterSums.recount(many, np.zeros(3000, dtype=np.int32), 1)

    assert int(sums.total[0, 0]) == 1000 * LATTICE_LIMIT
    squares = (int(sums.square_high[0, 0]) << 32) + int(sums.square_low[0, 0])
    assert squares == 3000 * LATTICE_LIMIT**2


def test_an_empty_population_has_zeros_for_moments() -> None:
    sums = ClusterSums.zeros(2, 2)

    np.testing.assert_array_equal(sums.mean(STEP), [0.0, 0.0])
    np.testing.assert_array_equal(sums.variance(STEP), [0.0, 0.0])
    assert sums.within_cost(STEP, np.zeros(2), np.ones(2), np.ones((2, 2))) == 0.0


def test_adding_sums_leaves_the_parts_alone() -> None:
    one = ClusterSums.recount(ROWS[:1], LABELS[:1], 2)
    other = ClusterSums.recount(ROWS[1:], LABELS[1:], 2)
    before = one.copy()

    both = ClusterSums.merge([one, other])

    assert both.equals(ClusterSums.recount(ROWS, LABELS, 2))
    assert one.equals(before)
    both.clear()
    assert both.equals(ClusterSums.zeros(2, 2))


def test_a_multiplicity_counts_a_row_as_often() -> None:
    sums = ClusterSums.recount(ROWS, LABELS, 2, np.array([3, 0, 2]))
    expected = ClusterSums.recount(np.repeat(ROWS, [3, 0, 2], axis=0), np.repeat(LABELS, [3, 0, 2]), 2)

    assert sums.equals(expected)


def test_sums_are_taken_of_read_only_rows_too() -> None:
    frozen = np.frombuffer(ROWS.tobytes(), dtype=np.int32).reshape(-1, 2)

    assert ClusterSums.recount(frozen, LABELS, 2).equals(ClusterSums.recount(ROWS, LABELS, 2))


def test_what_the_lattice_cannot_hold_is_clipped_and_counted() -> None:
    values = np.array([[1e12, 0.5], [-np.inf, 0.75], [1e308, -2.0]])

    rows, clipped = quantise(values, np.array([2.0**-16, 0.5]))

    assert clipped == 3
    assert rows.tolist() == [[LATTICE_LIMIT, 1], [-LATTICE_LIMIT, 2], [LATTICE_LIMIT, -4]]


def test_a_nan_has_no_place_on_the_lattice() -> None:
    with pytest.raises(ValueError, match="NaN"):
        quantise(np.array([np.nan]), np.array([1.0]))
