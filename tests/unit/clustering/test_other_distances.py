"""Manhattan with medians, Chebyshev with midranges."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_seg.clustering.alternation import alternate, assign_by, cost_of, fit_by, refit_by
from stream_seg.clustering.distance import (
    CHEBYSHEV,
    COSINE,
    DISTANCES,
    EUCLIDEAN,
    MANHATTAN,
    Distance,
    apart,
    choose_cluster_by,
)
from stream_seg.clustering.lloyd import batch_kmeans
from stream_seg.clustering.population_kmeans import PopulationKMeans
from stream_seg.clustering.structure import refit

OTHERS = [MANHATTAN, CHEBYSHEV]
NAMES = ["manhattan", "chebyshev"]
KINDS = np.array([[0.0, 0.0], [12.0, 0.0], [0.0, 12.0]])


def blobs(n: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    points: NDArray[np.float64] = rng.normal(size=(n, 2)) + KINDS[rng.integers(0, 3, n)]
    return points


def centre_of(distance: Distance, points: NDArray[np.float64], weights: NDArray[np.float64]) -> list[float]:
    order = np.ascontiguousarray(np.argsort(points, axis=0, kind="stable").T)
    centres = np.full((1, points.shape[1]), np.nan)
    distance.fill_centres(points, weights, np.zeros(len(points), dtype=np.int32), order, centres)
    return [float(value) for value in centres[0]]


def test_distances_by_hand() -> None:
    a, b = np.array([1.0, -2.0]), np.array([4.0, 2.0])

    assert [apart(a, b, d.code) for d in (EUCLIDEAN, MANHATTAN, CHEBYSHEV)] == [25.0, 7.0, 4.0]
    assert list(DISTANCES) == ["euclidean", "manhattan", "chebyshev", "cosine"]
    u, v = COSINE.vectors(np.array([[3.0, 4.0], [-8.0, 6.0]]))
    assert [u.tolist(), v.tolist()] == [[0.6, 0.8], [-0.8, 0.6]]
    assert apart(u, v, COSINE.code) == pytest.approx(2.0)  # twice 1 - cos


@pytest.mark.parametrize("n", [1, 2, 7, 10])
def test_manhattan_centres_are_medians(n: int) -> None:
    points = np.random.default_rng(n).integers(0, 6, (n, 3)).astype(np.float64)

    assert centre_of(MANHATTAN, points, np.ones(n)) == np.median(points, axis=0).tolist()


def test_a_weight_counts_a_point_as_often_in_a_median() -> None:
    points, times = np.array([[0.0], [1.0], [5.0], [9.0]]), np.array([3, 1, 0, 2])

    expected = np.median(np.repeat(points, times, axis=0), axis=0).tolist()
    assert centre_of(MANHATTAN, points, times.astype(np.float64)) == expected == [0.5]


def test_chebyshev_centres_are_midranges_of_points_that_have_weight() -> None:
    points = np.array([[0.0, 3.0], [4.0, 1.0], [1.0, 1.0], [99.0, 99.0]])

    assert centre_of(CHEBYSHEV, points, np.array([1.0, 5.0, 1.0, 0.0])) == [2.0, 2.0]


@pytest.mark.parametrize("distance", OTHERS, ids=NAMES)
def test_no_other_centre_does_better(distance: Distance) -> None:
    rng = np.random.default_rng(0)
    points, weights = rng.exponential(size=(60, 2)), rng.uniform(0.1, 2.0, 60)
    best = np.array([centre_of(distance, points, weights)])
    least = assign_by(distance, points, weights, best).cost

    for shift in rng.normal(size=(200, 1, 2)) * 0.1:
        assert assign_by(distance, points, weights, best + shift).cost >= least


@pytest.mark.parametrize("distance", OTHERS, ids=NAMES)
def test_a_fit_finds_the_blobs_and_repeats(distance: Distance) -> None:
    points, weights = blobs(300, 1), np.ones(300)

    fit = fit_by(distance, points, weights, 3, restarts=4, seed=0)
    again = fit_by(distance, points, weights, 3, restarts=4, seed=0)

    np.testing.assert_array_equal(fit.centres, again.centres)
    apart_from = np.abs(KINDS[:, None] - fit.centres[None]).max(axis=2)
    assert sorted(apart_from.argmin(axis=1).tolist()) == [0, 1, 2]
    assert apart_from.min(axis=1).max() < 1.5


@pytest.mark.parametrize("distance", OTHERS, ids=NAMES)
def test_alternation_never_raises_the_cost_and_refills_empty_clusters(distance: Distance) -> None:
    points, weights = blobs(200, 2), np.ones(200)
    start = np.array([[0.0, 0.0], [500.0, 500.0], [600.0, 600.0]])

    fit = alternate(distance, points, weights, start)

    assert fit.cost <= assign_by(distance, points, weights, start).cost
    assert len(set(fit.labels.tolist())) == 3


@pytest.mark.parametrize("distance", OTHERS, ids=NAMES)
@pytest.mark.parametrize("k", [1, 2, 4])
def test_a_refit_reaches_another_k(distance: Distance, k: int) -> None:
    points, weights = blobs(200, 3), np.ones(200)

    fit = refit_by(distance, points, weights, points[:3], k, seed=0)

    assert fit.centres.shape == (k, 2)
    assert fit.cost <= assign_by(distance, points, weights, points[:k]).cost


def test_euclidean_fits_are_those_of_k_means() -> None:
    points, weights = blobs(200, 4), np.ones(200)

    fit = fit_by(EUCLIDEAN, points, weights, 3, restarts=2, seed=5)
    np.testing.assert_array_equal(fit.centres, batch_kmeans(points, weights, 3, restarts=2, seed=5).centres)
    again = refit_by(EUCLIDEAN, points, weights, points[:3], 3, seed=5)
    np.testing.assert_array_equal(again.centres, refit(points, weights, points[:3], 3, seed=5).centres)
    assert cost_of(EUCLIDEAN, points, weights, fit.labels, fit.centres) == pytest.approx(fit.cost)
    with pytest.raises(ValueError, match="means"):
        centre_of(EUCLIDEAN, points, weights)


def test_hysteresis_is_a_share_of_the_distance_itself() -> None:
    z, centres = np.array([0.52]), np.array([[0.0], [1.0]])  # distances 0.52 and 0.48

    for distance in (EUCLIDEAN, *OTHERS):
        assert choose_cluster_by(z, centres, 0, 0.1, distance.code) == 0
        assert choose_cluster_by(z, centres, 0, 0.05, distance.code) == 1
        assert choose_cluster_by(z, centres, -1, 0.1, distance.code) == 1


@pytest.mark.parametrize("distance", OTHERS, ids=NAMES)
@pytest.mark.parametrize("keyed", [True, False])
def test_a_population_is_clustered_by_them(distance: Distance, *, keyed: bool) -> None:
    points = blobs(900, 5)
    model = PopulationKMeans(n_clusters=3, warm_up=100, distance=distance.name)
    model = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own

    model.learn_many(points, keys=range(900) if keyed else None)
    model = copy.deepcopy(model)
    model.learn_many(points[::-1], keys=range(899, -1, -1) if keyed else None)

    assert len(set(model.predict_many(KINDS).tolist())) == 3
    scaled, weights = points / points.std(axis=0), np.ones(900)
    centres = np.array([[c[0], c[1]] for c in model.centers.values()]) / points.std(axis=0)
    best = fit_by(distance, scaled, weights, 3, restarts=10, seed=0).cost
    assert assign_by(distance, scaled, weights, centres).cost <= 1.05 * best


@pytest.mark.parametrize("keyed", [True, False])
def test_cosine_tells_directions_whatever_the_sizes(*, keyed: bool) -> None:
    rng = np.random.default_rng(6)
    kinds = np.array([[8.0, 1.0, 1.0], [1.0, 8.0, 1.0], [1.0, 1.0, 8.0]])
    own = rng.integers(0, 3, 600)
    points = (kinds[own] + rng.normal(size=(600, 3)) * 0.4) * rng.lognormal(0.0, 3.0, (600, 1))
    model = PopulationKMeans(n_clusters=3, warm_up=100, distance="cosine")

    model.learn_many(points, keys=range(600) if keyed else None)

    found = model.predict_many(points)
    assert len(set(zip(own.tolist(), found.tolist(), strict=True))) == 3
    np.testing.assert_array_equal(model.predict_many(points * 1e-9), found)
    assert all(
        np.hypot.reduce(list(c.values())) == pytest.approx(1.0, abs=0.02) for c in model.centers.values()
    )


def test_cosine_is_defined_for_nothing_and_for_infinity() -> None:
    values = np.array([[0.0, 0.0], [np.inf, 1.0], [-np.inf, np.inf], [1e-300, 0.0], [1e300, 1e300]])

    unit = COSINE.vectors(values)

    assert np.isfinite(unit).all()
    np.testing.assert_allclose(unit[[0, 1, 4]], [[0.0, 0.0], [1.0, 0.0], [0.5**0.5, 0.5**0.5]], atol=1e-12)
    model = PopulationKMeans(n_clusters=2, warm_up=3, distance="cosine")
    model.learn_many(values, keys=range(5))
    assert np.isfinite([list(centre.values()) for centre in model.centers.values()]).all()


def test_an_unknown_distance_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of"):
        PopulationKMeans(distance="hamming")


@pytest.mark.parametrize("distance", OTHERS, ids=NAMES)
def test_identical_points_and_fewer_than_k_are_defined(distance: Distance) -> None:
    model = PopulationKMeans(n_clusters=4, warm_up=20, distance=distance.name)
    model.learn_many(np.full((60, 2), 3.0), keys=range(60))
    assert len(model.centers) == 1

    model.learn_many(np.full((10, 2), 8.0), keys=range(60, 70))
    assert len(model.centers) == 2
    assert np.isfinite([list(centre.values()) for centre in model.centers.values()]).all()
