"""Points that move and points that fade."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_seg.clustering.lattice import ClusterSums
from stream_seg.clustering.mint import Scaling
from stream_seg.clustering.model import Model
from stream_seg.clustering.population import SAMPLE_ROWS, FadingPoints, MovingPoints

MODEL = Model(
    np.ones(1), Scaling(np.zeros(1), np.ones(1), np.ones(1)), np.array([[0.0], [100.0]]), (4, 9), 0.1
)


def column(*values: int) -> NDArray[np.int32]:
    return np.array(values, dtype=np.int32).reshape(-1, 1)


def test_a_point_that_moves_leaves_nothing_behind() -> None:
    points = MovingPoints(1)
    points.put(column(1, 2, 99), ["a", "b", "c"], MODEL)
    points.put(column(98, 3, 97), ["a", "b", "a"], MODEL)

    expected = ClusterSums.recount(column(97, 3, 99), np.array([1, 0, 1], dtype=np.int32), 2)
    assert points.sums(2).equals(expected)
    assert points.size == 3
    assert [points.label_of(key) for key in "abcd"] == [1, 0, 1, None]


def test_adopting_a_model_re_evaluates_everyone() -> None:
    points = MovingPoints(1)
    points.put(column(1, 40, 99), ["a", "b", "c"], MODEL)
    other = Model(MODEL.step, MODEL.scaling, np.array([[0.0], [45.0], [100.0]]), (4, 10, 9), 0.1)

    points.adopt(other, np.array([0, 2], dtype=np.int32))

    assert [points.label_of(key) for key in "abc"] == [0, 1, 2]
    assert points.sums(3).equals(ClusterSums.recount(column(1, 40, 99), np.arange(3, dtype=np.int32), 3))


def test_a_point_whose_cluster_is_retired_gets_no_credit_for_staying() -> None:
    points = MovingPoints(1)
    points.put(column(52), ["a"], MODEL)  # in the cluster at 100
    near = Model(MODEL.step, MODEL.scaling, np.array([[0.0], [101.0]]), (4, 11), 0.1)

    points.adopt(near, np.array([0, -1], dtype=np.int32))
    assert points.label_of("a") == 1

    nearer = Model(MODEL.step, MODEL.scaling, np.array([[0.0], [105.0]]), (4, 12), 0.1)
    points.adopt(nearer, np.array([0, -1], dtype=np.int32))
    assert points.label_of("a") == 0  # with credit for its place it would have stayed: 53 is not 10 % off 52


def test_a_new_column_is_zero_for_everyone_so_far() -> None:
    points = MovingPoints(1)
    points.put(column(1, 99), ["a", "b"], MODEL)

    points.widen(2)

    wide = np.array([[1, 0], [99, 0]], dtype=np.int32)
    assert points.sums(2).equals(ClusterSums.recount(wide, np.array([0, 1], dtype=np.int32), 2))


def test_an_anonymous_point_has_lost_half_its_weight_after_a_half_life() -> None:
    points = FadingPoints(1, 10.0, seed=0)
    points.put(column(*[99] * 10, *[0] * 10), None, MODEL)

    sizes = points.sizes(2)

    assert sizes[1] == pytest.approx(sizes[0] / 2)
    assert points.size == pytest.approx(sizes.sum())
    sums = points.sums(2)
    assert sums.count[1] / sums.count[0] == pytest.approx(0.5)
    assert int(sums.total[1, 0]) == 99 * int(sums.count[1])


def test_without_a_half_life_all_weigh_the_same() -> None:
    points = FadingPoints(1, None, seed=0)
    points.put(column(*range(10)), None, MODEL)

    _, weights, _ = points.sample(2, 0)

    assert weights.tolist() == [1.0] * 10
    assert points.size == 10


@pytest.mark.parametrize("half_life", [None, 20_000.0])
def test_a_bounded_sample_stands_for_all(half_life: float | None) -> None:
    points = FadingPoints(1, half_life, seed=0)
    values = np.random.default_rng(0).integers(-50, 150, (60_000, 1)).astype(np.int32)
    points.put(values, None, MODEL)

    rows, weights, _ = points.sample(2, 0)

    assert rows.shape[0] == SAMPLE_ROWS
    age = np.arange(60_000)[::-1]
    exact = np.ones(60_000) if half_life is None else 0.5 ** (age / half_life)
    assert weights.sum() == pytest.approx(exact.sum(), rel=0.03)
    mean = float((weights * rows[:, 0]).sum() / weights.sum())
    assert mean == pytest.approx(float((exact * values[:, 0]).sum() / exact.sum()), abs=2.0)


def test_what_has_faded_is_let_go() -> None:
    points = FadingPoints(1, 5.0, seed=0)
    points.put(column(*[99] * 1000), None, MODEL)

    rows, weights, _ = points.sample(2, 0)

    assert rows.shape[0] < 70
    assert weights.sum() == pytest.approx(points.size, rel=1e-3)


@pytest.mark.parametrize("half_life", [None, 300.0])
def test_batch_cuts_change_nothing(half_life: float | None) -> None:
    values = np.random.default_rng(0).integers(-50, 150, (3 * SAMPLE_ROWS, 1)).astype(np.int32)
    one, many = FadingPoints(1, half_life, seed=0), FadingPoints(1, half_life, seed=0)

    one.put(values, None, MODEL)
    for start in range(0, len(values), 777):
        many.put(values[start : start + 777], None, MODEL)

    for a, b in zip(one.sample(2, 0), many.sample(2, 0), strict=True):
        np.testing.assert_array_equal(a, b)


def test_keys_and_kinds_belong_together() -> None:
    with pytest.raises(ValueError, match="need keys"):
        MovingPoints(1).put(column(1), None, MODEL)
    with pytest.raises(ValueError, match="no keys"):
        FadingPoints(1, None, 0).put(column(1), ["a"], MODEL)
