"""Split and merge moves, and refits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_seg.clustering.lloyd import Fit, assign, batch_kmeans, lloyd
from stream_seg.clustering.overlap import contingency, shared_weight
from stream_seg.clustering.structure import improve_by_moves, nearest_of_equals, refit, restarts_for

FAR = np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0], [30.0, 30.0]])


def four_blobs(n: int = 400) -> NDArray[np.float64]:
    rng = np.random.default_rng(3)
    return FAR[np.arange(n) % 4] + rng.normal(size=(n, 2))


def stuck(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centres that Lloyd cannot leave: two in one blob, one for two blobs."""
    start = np.array([[-1.0, 0.0], [1.0, 0.0], [30.0, 15.0], [0.0, 30.0]])
    return lloyd(points, np.ones(len(points)), start).centres


def test_moves_leave_a_local_optimum_that_lloyd_cannot() -> None:
    points = four_blobs()
    weights = np.ones(len(points))
    caught = lloyd(points, weights, stuck(points))

    freed = improve_by_moves(points, weights, caught, seed=0)

    assert caught.cost > 10 * freed.cost
    assert freed.cost == pytest.approx(batch_kmeans(points, weights, 4, restarts=20, seed=1).cost)


def test_a_refit_without_restarts_of_luck_finds_the_optimum_too() -> None:
    points = four_blobs()
    weights = np.ones(len(points))

    fit = refit(points, weights, stuck(points), 4, seed=0, restarts=1)

    assert fit.cost == pytest.approx(batch_kmeans(points, weights, 4, restarts=20, seed=1).cost)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 7])
def test_another_k_is_reached(k: int) -> None:
    points = four_blobs()
    weights = np.ones(len(points))

    fit = refit(points, weights, FAR, k, seed=0, restarts=2)

    assert fit.centres.shape == (k, 2)
    assert fit.cost <= 1.02 * batch_kmeans(points, weights, k, restarts=20, seed=1).cost


def test_fewer_distinct_points_than_k_give_as_many_clusters() -> None:
    points = np.repeat(FAR[:3], 10, axis=0)

    fit = refit(points, np.ones(30), FAR[:2], 6, seed=0)

    assert fit.centres.shape == (3, 2)
    assert fit.cost == 0.0


def test_identical_points_end_in_one_cluster() -> None:
    fit = refit(np.full((30, 2), 4.0), np.ones(30), FAR, 4, seed=0)

    np.testing.assert_array_equal(fit.centres, [[4.0, 4.0]])


def test_among_equals_the_one_nearest_to_the_current_clustering_is_taken() -> None:
    # Eight points on a regular grid have two equally good halves: left and right, or top and bottom.
    grid = np.array([[x, y] for x in (0.0, 1.0, 10.0, 11.0) for y in (0.0, 1.0, 10.0, 11.0)])
    weights = np.ones(len(grid))
    for current in (np.array([[0.5, 5.5], [10.5, 5.5]]), np.array([[5.5, 0.5], [5.5, 10.5]])):
        for seed in range(5):
            fit = refit(grid, weights, current, 2, seed=seed, restarts=8)
            old = assign(grid, weights, current)
            assert fit.cost == pytest.approx(old.cost)
            assert shared_weight(contingency(old.labels, fit.labels, weights, 2, 2)) == 1.0


def test_the_same_seed_gives_the_same_bits() -> None:
    points = four_blobs()
    one = refit(points, np.ones(400), stuck(points), 5, seed=4)
    two = refit(points, np.ones(400), stuck(points), 5, seed=4)

    np.testing.assert_array_equal(one.centres, two.centres)


def test_a_small_population_gets_more_restarts_than_a_sample() -> None:
    assert restarts_for(np.ones(500)) == 32
    assert restarts_for(np.ones(8000)) == 8
    assert restarts_for(np.full(500, 3.0)) == 8


def test_equals_are_those_within_the_tolerance_of_the_best_cost() -> None:
    points, weights = np.array([[0.0], [1.0], [10.0], [11.0]]), np.ones(4)
    current = assign(points, weights, np.array([[0.5], [10.5]]))
    other = np.array([0, 1, 0, 1], dtype=np.int32)  # shares half of its members with the current one
    best = Fit(current.centres, other, 1.0, 1)

    near, far = replace(current, cost=1.0009), replace(current, cost=1.0011)

    assert nearest_of_equals([best, near], current, weights, 0.001) is near
    assert nearest_of_equals([best, far], current, weights, 0.001) is best


def test_fits_made_beside_each_other_are_the_same_to_the_bit() -> None:
    points, weights = four_blobs(), np.ones(400)

    one = refit(points, weights, stuck(points), 5, seed=4, restarts=12)
    with ThreadPoolExecutor(4) as threads:
        two = refit(points, weights, stuck(points), 5, seed=4, restarts=12, each=threads.map)

    np.testing.assert_array_equal(one.centres, two.centres)
    np.testing.assert_array_equal(one.labels, two.labels)
    assert one.cost == two.cost
