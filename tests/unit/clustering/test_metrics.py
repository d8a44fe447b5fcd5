"""Quality measures against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as theirs

from stream_seg.clustering.lattice import ClusterSums, quantise
from stream_seg.clustering.lloyd import Fit, batch_kmeans
from stream_seg.clustering.metrics import (
    adjusted_mutual_information,
    adjusted_rand_index,
    cost_per_customer,
    davies_bouldin,
    sampled_silhouette,
    simplified_silhouette,
)
from stream_seg.clustering.mint import scaling_of

STEP = np.full(3, 2.0**-16)


@pytest.fixture(scope="module")
def points() -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(600, 3)) + 3.0 * rng.integers(0, 3, (600, 1))


@pytest.fixture(scope="module")
def fit(points: NDArray[np.float64]) -> Fit:
    return batch_kmeans(points, np.ones(len(points)), 4, seed=0)


def test_silhouette_and_davies_bouldin_are_those_of_scikit_learn(
    points: NDArray[np.float64], fit: Fit
) -> None:
    assert sampled_silhouette(points, fit.labels) == pytest.approx(
        theirs.silhouette_score(points, fit.labels)
    )
    assert davies_bouldin(points, np.ones(600), fit.labels, fit.centres) == pytest.approx(
        theirs.davies_bouldin_score(points, fit.labels)
    )


def test_a_weighted_silhouette_by_hand() -> None:
    points = np.array([[0.0], [1.0], [5.0], [7.0]])
    labels = np.array([0, 0, 1, 1], dtype=np.int32)
    weights = np.array([1.0, 2.0, 1.0, 1.0])

    expected = (1 - 1 / 6) + 2 * (1 - 1 / 5) + (1 - 2 / (13 / 3)) + (1 - 2 / (19 / 3))
    assert sampled_silhouette(points, labels, weights) == pytest.approx(expected / 5)


def test_a_sample_is_close_to_the_whole_and_repeats(points: NDArray[np.float64], fit: Fit) -> None:
    part = sampled_silhouette(points, fit.labels, sample=300, seed=1)

    assert part == sampled_silhouette(points, fit.labels, sample=300, seed=1)
    assert part == pytest.approx(sampled_silhouette(points, fit.labels), abs=0.05)


def test_simplified_silhouette_by_hand() -> None:
    centres = np.array([[0.0], [4.0]])

    assert simplified_silhouette(np.array([[1.0], [2.0]]), np.array([1.0, 3.0]), centres) == pytest.approx(
        (1.0 * (1 - 1 / 3) + 3.0 * 0.0) / 4
    )


def test_one_cluster_has_nothing_to_compare_with() -> None:
    points, ones = np.ones((5, 2)), np.ones(5)
    labels, centre = np.zeros(5, dtype=np.int32), np.ones((1, 2))

    assert sampled_silhouette(points, labels) == 0.0
    assert simplified_silhouette(points, ones, centre) == 0.0
    assert davies_bouldin(points, ones, labels, centre) == 0.0


def test_identical_points_and_centres_give_numbers() -> None:
    points, ones = np.ones((4, 2)), np.ones(4)
    labels, centres = np.array([0, 0, 1, 1], dtype=np.int32), np.ones((2, 2))

    assert sampled_silhouette(points, labels) == 0.0
    assert simplified_silhouette(points, ones, centres) == 0.0
    assert davies_bouldin(points, ones, labels, centres) == 0.0


def test_cost_per_customer_is_the_mean_squared_distance(points: NDArray[np.float64], fit: Fit) -> None:
    rows, _ = quantise(points, STEP)
    sums = ClusterSums.recount(rows, fit.labels, 4)
    scaling = scaling_of(sums, STEP, np.ones(3))

    cost = cost_per_customer(sums, STEP, scaling, fit.centres)

    scaled = scaling.scaled(rows * STEP) - scaling.scaled(fit.centres)[fit.labels]
    assert cost == pytest.approx(float((scaled**2).sum(axis=1).mean()))
    assert cost_per_customer(ClusterSums.zeros(4, 3), STEP, scaling, fit.centres) == 0.0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_agreement_is_that_of_scikit_learn(fit: Fit, share: float) -> None:
    rng = np.random.default_rng(1)
    other = np.where(rng.random(600) < share, rng.integers(0, 6, 600), fit.labels)

    assert adjusted_rand_index(fit.labels, other) == pytest.approx(
        theirs.adjusted_rand_score(fit.labels, other)
    )
    assert adjusted_mutual_information(fit.labels, other) == pytest.approx(
        theirs.adjusted_mutual_info_score(fit.labels, other), abs=1e-12
    )


@pytest.mark.parametrize(
    ("a", "b"),
    [([], []), ([3], [5]), ([1, 1, 1], [2, 2, 2]), ([0, 1, 2], [5, 6, 7]), ([0, 0, 1, 1], [0, 0, 0, 0])],
)
def test_agreement_of_small_labellings(a: list[int], b: list[int]) -> None:
    one, two = np.array(a, dtype=np.int64), np.array(b, dtype=np.int64)

    if a:
        assert adjusted_rand_index(one, two) == pytest.approx(theirs.adjusted_rand_score(one, two))
        assert adjusted_mutual_information(one, two) == pytest.approx(
            theirs.adjusted_mutual_info_score(one, two), abs=1e-12
        )
    else:
        assert adjusted_rand_index(one, two) == adjusted_mutual_information(one, two) == 1.0


def test_labellings_of_different_length_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="compared"):
        adjusted_rand_index(np.array([0, 1]), np.array([0]))
