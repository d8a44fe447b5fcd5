"""Columns and lattices of features that come and go."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stream_seg.clustering.feature_space import FeatureSpace, lattice_step
from stream_seg.clustering.frames import columns_of, row_count
from stream_seg.clustering.lattice import LATTICE_LIMIT


@pytest.mark.parametrize("largest", [1e-300, 3e-7, 0.5, 1.0, 77.0, 1e12, 1e300])
def test_a_step_is_a_power_of_two_with_room_to_grow(largest: float) -> None:
    step = lattice_step(largest)

    assert math.frexp(step)[0] == 0.5
    if 1e-20 < largest < 1e20:
        assert 4095 * largest < LATTICE_LIMIT * step <= 8192 * largest


@pytest.mark.parametrize("largest", [0.0, math.inf])
def test_without_anything_to_go_by_the_step_is_fine(largest: float) -> None:
    assert lattice_step(largest) == 2.0**-16


def test_columns_are_sorted_and_new_ones_are_appended() -> None:
    space = FeatureSpace()

    first = space.vectors({"b": np.array([1.0]), "a": np.array([2.0])}, 1)
    second = space.vectors({0: np.array([3.0]), "b": np.array([4.0])}, 1)

    assert space.names == ["a", "b", 0]
    assert first.tolist() == [[2.0, 1.0]]
    assert second.tolist() == [[0.0, 4.0, 3.0]]


def test_predicting_knows_no_new_columns() -> None:
    space = FeatureSpace()
    space.vectors({"a": np.array([1.0])}, 1)

    assert space.known_vectors({"z": np.array([9.0])}, 1).tolist() == [[0.0]]
    assert space.names == ["a"]
    with pytest.raises(ValueError, match="NaN"):
        space.known_vectors({"a": np.array([math.nan])}, 1)


def test_the_lattice_is_fixed_by_finite_values_and_a_late_feature_by_its_first() -> None:
    space = FeatureSpace()
    with pytest.raises(ValueError, match="warm-up"):
        space.rows(np.zeros((1, 1)))
    values = space.vectors({"a": np.array([1.0, -8.0, np.inf])}, 3)
    space.fix_lattice(values)
    space.vectors({"b": np.array([500.0, 7.0])}, 2)

    assert space.fixed_step.tolist() == [lattice_step(8.0), lattice_step(500.0)]
    space.rows(np.array([[np.inf, 1.0]]))
    assert space.clipped == 1


def test_tables_of_any_kind_are_columns() -> None:
    table = np.array([[1.0, 2.0], [3.0, 4.0]])

    assert {k: v.tolist() for k, v in columns_of(table).items()} == {0: [1.0, 3.0], 1: [2.0, 4.0]}
    assert row_count(columns_of({"a": [1, 2, 3]})) == 3
    assert row_count(columns_of({})) == 0
