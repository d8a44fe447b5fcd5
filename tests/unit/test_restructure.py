"""A structural refit is measured against the current centroids after Lloyd's steps."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_seg.clustering.lloyd import lloyd
from stream_seg.engine.plan import Minting
from stream_seg.engine.restructure import Refitted, refitted

CORNERS = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0], [8.0, 8.0]])
MINTING = Minting()


def points() -> NDArray[np.float64]:
    rng = np.random.default_rng(2)
    return CORNERS[rng.integers(4, size=400)] + rng.normal(0.0, 1.0, (400, 2))


def look(centres: NDArray[np.float64], wanted: int = 4, minting: Minting = MINTING) -> Refitted | None:
    return refitted(points(), np.ones(400), centres, wanted, minting, seed=1, small=True)


def test_settled_centroids_that_are_best_already_need_no_version() -> None:
    assert look(lloyd(points(), np.ones(400), CORNERS).centres) is None


def test_centroids_that_only_have_to_settle_are_no_structural_move() -> None:
    found = look(CORNERS + 1.0)

    assert found is not None
    assert not found.structural
    assert found.gain > MINTING.mint_settling
    assert np.abs(found.fit.centres - CORNERS).max() < 0.5  # every centroid keeps its place


def test_two_centroids_in_one_cluster_and_one_for_two_are_a_structural_move() -> None:
    found = look(np.array([[0.0, -1.0], [0.0, 1.0], [8.0, 0.0], [4.0, 8.0]]))

    assert found is not None
    assert found.structural
    assert found.gain > MINTING.structure_gain


@pytest.mark.parametrize("wanted", [3, 5])
def test_another_number_of_segments_is_always_a_structural_move(wanted: int) -> None:
    found = look(CORNERS, wanted)

    assert found is not None
    assert found.structural
    assert len(found.fit.centres) == wanted


def test_a_structural_move_that_gains_too_little_is_not_made() -> None:
    split_wrong = np.array([[0.0, -1.0], [0.0, 1.0], [8.0, 0.0], [4.0, 8.0]])

    found = look(split_wrong, minting=Minting(structure_gain=0.9))
    assert found is None or not found.structural


def test_points_all_alike_need_nothing() -> None:
    same = np.zeros((10, 2))

    assert refitted(same, np.ones(10), np.zeros((1, 2)), 3, MINTING, seed=1, small=True) is None
