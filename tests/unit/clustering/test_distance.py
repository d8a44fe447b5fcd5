"""Nearest centres in scaled space."""

from __future__ import annotations

import math

import numpy as np

from stream_seg.clustering.distance import (
    assign_rows,
    choose_cluster,
    nearest_scaled,
    nearest_two,
    nearest_two_scaled,
    scale_row,
    scaled_rows,
)

STEP, OFFSET, FACTOR = np.array([0.5, 1.0]), np.array([1.0, 0.0]), np.array([2.0, 1.0])


def test_the_two_nearest_are_those_computed_by_hand() -> None:
    x = np.array([4, 3], dtype=np.int32)  # scaled: (2, 3)
    centres = np.array([[2.0, 0.0], [2.0, 4.0], [0.0, 3.0]])

    assert nearest_two(x, STEP, OFFSET, FACTOR, centres) == (1, 2, 1.0, 4.0)


def test_of_equally_near_centres_the_lower_index_is_nearer() -> None:
    z = np.zeros(2)
    centres = np.array([[0.0, 2.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])

    assert nearest_two_scaled(z, centres) == (1, 2, 1.0, 1.0)
    assert nearest_scaled(z, centres) == (1, 1.0)


def test_one_centre_has_no_runner_up() -> None:
    best, second, d2_best, d2_second = nearest_two_scaled(np.zeros(2), np.ones((1, 2)))

    assert (best, second, d2_best, d2_second) == (0, -1, 2.0, math.inf)


def test_a_point_moves_only_if_the_other_centre_is_nearer_by_the_hysteresis() -> None:
    z = np.array([0.52])
    centres = np.array([[0.0], [1.0]])  # distances 0.52 and 0.48

    assert choose_cluster(z, centres, 0, 0.1) == 0
    assert choose_cluster(z, centres, 0, 0.05) == 1
    assert choose_cluster(z, centres, 1, 0.1) == 1
    assert choose_cluster(z, centres, -1, 0.1) == 1


def test_rows_are_relabelled_in_place_and_changes_counted() -> None:
    rows = np.array([[2, 0], [2, 9], [2, 9]], dtype=np.int32)  # scaled: (0, 0), (0, 9), (0, 9)
    labels = np.array([-1, 0, 1], dtype=np.int32)

    changed = assign_rows(rows, STEP, OFFSET, FACTOR, np.array([[0.0, 0.0], [0.0, 8.0]]), 0.1, labels)

    assert changed == 2
    assert labels.tolist() == [0, 1, 1]


def test_scaling_by_row_and_by_table_agree_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(-(2**31) + 1, 2**31, (500, 3)).astype(np.int32)
    step, offset, factor = (
        np.exp2(rng.integers(-16, 0, 3).astype(np.float64)),
        rng.normal(size=3),
        rng.uniform(0.1, 3, 3),
    )
    table = scaled_rows(rows, step, offset, factor)

    z = np.empty(3)
    for row, expected in zip(rows, table, strict=True):
        scale_row(row, step, offset, factor, z)
        np.testing.assert_array_equal(z, expected)
