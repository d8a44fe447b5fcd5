"""Choosing the number of segments."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_seg.clustering.choosing import Choice, examine, recommend


def blobs(k: int, *, spread: float = 0.25, n: int = 240) -> NDArray[np.float64]:
    rng = np.random.default_rng(5)
    angle = 2 * np.pi * np.arange(k) / k
    centres = 3.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return centres[rng.integers(k, size=n)] + rng.normal(0.0, spread, (n, 2))


@pytest.mark.parametrize("k", [2, 3, 5])
def test_clear_clusters_are_counted(k: int) -> None:
    found = recommend(examine(blobs(k), range(2, 8), seed=1))

    assert found.k == k
    assert found.gap == k
    assert "agree" in found.reason


def test_what_has_no_clusters_is_said_to_be_arbitrary() -> None:
    points = np.random.default_rng(1).normal(size=(200, 3))
    found = recommend(examine(points, range(3, 6), seed=1))

    assert "arbitrary" in found.reason


def test_no_more_clusters_than_distinct_points() -> None:
    points = np.repeat(np.array([[0.0], [1.0], [5.0]]), 20, axis=0)

    assert [c.k for c in examine(points, range(2, 9), seed=1)] == [2, 3]
    assert examine(np.zeros((10, 2)), range(2, 9), seed=1) == []


def test_the_same_seed_gives_the_same_numbers_and_costs_fall() -> None:
    points = blobs(4, spread=1.0)
    told: list[Choice] = []
    choices = examine(points, range(2, 7), seed=3, done=told.append)

    assert choices == examine(points, range(2, 7), seed=3) == told
    costs = [c.cost for c in choices]
    assert costs == sorted(costs, reverse=True)
    assert 0.0 < costs[-1] < costs[0] < 1.0


def test_of_equally_good_numbers_the_larger_is_taken_and_the_others_are_named() -> None:
    def choice(k: int, silhouette: float, stability: float) -> Choice:
        return Choice(k, 1.0 / k, silhouette, stability, 0.1 * k, 0.01)

    found = recommend([choice(3, 0.5, 0.9), choice(4, 0.495, 0.9), choice(5, 0.6, 0.4)])

    assert found.k == 4
    assert "3 would do as well" in found.reason
    assert found.gap is None


def test_there_must_be_something_to_choose_from() -> None:
    with pytest.raises(ValueError, match="nothing to choose"):
        recommend([])
