"""Seeding, Lloyd's steps and batch k-means."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from stream_seg.clustering.lloyd import assign, batch_kmeans, lloyd
from stream_seg.clustering.seeding import greedy_kmeans_plus_plus


def blobs(n: int, d: int, k: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + 3.0 * rng.normal(size=(k, d))[rng.integers(0, k, n)]


def test_one_step_moves_centres_to_weighted_means() -> None:
    points = np.array([[0.0], [1.0], [10.0], [14.0]])
    weights = np.array([3.0, 1.0, 1.0, 1.0])

    fit = lloyd(points, weights, np.array([[0.0], [11.0]]))

    np.testing.assert_array_equal(fit.centres, [[0.25], [12.0]])
    assert fit.labels.tolist() == [0, 0, 1, 1]
    assert fit.cost == pytest.approx(3 * 0.0625 + 0.5625 + 4 + 4)


def test_the_fit_is_a_fixed_point_of_plain_lloyd() -> None:
    points, weights = blobs(3000, 4, 9, 1), np.random.default_rng(2).uniform(0.5, 2.0, 3000)

    fit = lloyd(points, weights, points[:7])

    distances = ((points[:, None, :] - fit.centres[None, :, :]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(fit.labels, distances.argmin(axis=1))
    means = [np.average(points[fit.labels == c], axis=0, weights=weights[fit.labels == c]) for c in range(7)]
    np.testing.assert_allclose(fit.centres, means, atol=1e-12)
    assert fit.cost == pytest.approx(float((weights * distances.min(axis=1)).sum()))


@pytest.mark.parametrize("d", [1, 2, 3, 4, 8])
def test_a_step_has_the_bits_of_plain_additions_in_the_order_of_the_points(d: int) -> None:
    points, weights = blobs(1300, d, 4, d), np.random.default_rng(d).uniform(0.0, 2.0, 1300)

    fit = lloyd(points, weights, points[:5], max_iterations=1)

    sums, mass = np.zeros((5, d)), np.zeros(5)
    for point, weight in zip(points, weights, strict=True):
        distances = [sum((x - at) * (x - at) for x, at in zip(point, c, strict=True)) for c in points[:5]]
        nearest = int(np.argmin(distances))
        sums[nearest] += weight * point
        mass[nearest] += weight
    np.testing.assert_array_equal(fit.centres, sums / mass[:, None])


@pytest.mark.parametrize("k", [2, 5, 12])
def test_lloyd_ends_where_scikit_learn_ends(k: int) -> None:
    points = blobs(1500, 5, 8, k)
    start = points[:k].copy()

    ours = lloyd(points, np.ones(len(points)), start)

    theirs = KMeans(k, init=start, n_init=1, tol=0.0, max_iter=300, algorithm="lloyd").fit(points)
    assert ours.cost == pytest.approx(theirs.inertia_, rel=1e-9)
    np.testing.assert_array_equal(ours.labels, theirs.labels_)


def test_batch_kmeans_is_as_good_as_scikit_learn() -> None:
    points = blobs(2000, 6, 15, 3)

    ours = batch_kmeans(points, np.ones(2000), 10, restarts=10, seed=0)

    theirs = KMeans(10, n_init=10, random_state=0).fit(points)
    assert ours.cost <= 1.01 * theirs.inertia_


def test_the_same_seed_gives_the_same_bits() -> None:
    points = blobs(800, 3, 5, 4)

    one = batch_kmeans(points, np.ones(800), 5, restarts=3, seed=9)
    two = batch_kmeans(points.copy(), np.ones(800), 5, restarts=3, seed=9)

    np.testing.assert_array_equal(one.centres, two.centres)
    np.testing.assert_array_equal(one.labels, two.labels)
    assert one.cost == two.cost


def test_a_weight_counts_a_point_as_often() -> None:
    points = blobs(300, 3, 4, 5)
    times = np.random.default_rng(0).integers(1, 4, 300)

    weighted = lloyd(points, times.astype(np.float64), points[:4])
    repeated = lloyd(np.repeat(points, times, axis=0), np.ones(int(times.sum())), points[:4])

    assert weighted.cost == pytest.approx(repeated.cost)
    np.testing.assert_allclose(weighted.centres, repeated.centres, atol=1e-12)


def test_a_centre_without_points_starts_again_at_the_farthest() -> None:
    points = np.array([[0.0], [1.0], [2.0], [50.0]])

    fit = lloyd(points, np.ones(4), np.array([[1.0], [1000.0]]))

    np.testing.assert_array_equal(np.sort(fit.centres.ravel()), [1.0, 50.0])


def test_fewer_distinct_points_than_k_give_as_many_clusters() -> None:
    points = np.repeat(np.array([[0.0, 1.0], [2.0, 3.0]]), 50, axis=0)

    fit = batch_kmeans(points, np.ones(100), 5, restarts=4, seed=1)

    assert fit.centres.shape == (2, 2)
    assert fit.cost == 0.0
    assert len(set(fit.labels.tolist())) == 2


def test_identical_points_give_one_cluster() -> None:
    fit = batch_kmeans(np.full((20, 3), 7.0), np.ones(20), 4, restarts=2, seed=1)

    np.testing.assert_array_equal(fit.centres, [[7.0, 7.0, 7.0]])
    assert fit.cost == 0.0


def test_surplus_centres_on_identical_points_stay_without_points_and_without_nan() -> None:
    fit = lloyd(np.full((20, 2), 7.0), np.ones(20), np.array([[0.0, 0.0], [1.0, 1.0]]))

    assert fit.cost == 0.0
    assert np.isfinite(fit.centres).all()


def test_points_without_weight_are_never_centres() -> None:
    points = np.array([[0.0], [100.0], [1.0], [200.0]])
    weights = np.array([1.0, 0.0, 1.0, 0.0])

    for seed in range(20):
        centres = greedy_kmeans_plus_plus(points, weights, 4, np.random.default_rng(seed))
        assert sorted(centres.ravel().tolist()) == [0.0, 1.0]


def test_greedy_seeding_starts_better_than_plain() -> None:
    points, weights = blobs(1000, 4, 12, 6), np.ones(1000)

    def median_start(trials: int | None) -> float:
        starts = (
            greedy_kmeans_plus_plus(points, weights, 12, np.random.default_rng(s), trials=trials)
            for s in range(15)
        )
        return float(np.median([assign(points, weights, start).cost for start in starts]))

    assert median_start(None) < median_start(1)


def test_nothing_to_cluster_is_an_error() -> None:
    with pytest.raises(ValueError, match="no point"):
        batch_kmeans(np.zeros((0, 2)), np.zeros(0), 2, seed=0)
    with pytest.raises(ValueError, match="no point"):
        batch_kmeans(np.zeros((3, 2)), np.zeros(3), 2, seed=0)
    with pytest.raises(ValueError, match="k is 0"):
        batch_kmeans(np.zeros((3, 2)), np.ones(3), 0, seed=0)
    with pytest.raises(ValueError, match="restarts is 0"):
        batch_kmeans(np.zeros((3, 2)), np.ones(3), 2, restarts=0, seed=0)


def test_the_input_is_left_alone() -> None:
    points, weights, centres = blobs(200, 2, 3, 7), np.ones(200), blobs(3, 2, 3, 8)
    before = (points.copy(), weights.copy(), centres.copy())

    lloyd(points, weights, centres)
    batch_kmeans(points, weights, 3, restarts=2, seed=0)

    for array, copy in zip((points, weights, centres), before, strict=True):
        np.testing.assert_array_equal(array, copy)
