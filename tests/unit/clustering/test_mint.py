"""What the sums propose, and when that is a new version."""

from __future__ import annotations

import numpy as np
import pytest

from stream_seg.clustering.lattice import ClusterSums
from stream_seg.clustering.mint import Proposal, Scaling, propose, scaling_of, should_mint

STEP = np.array([1.0, 1.0])
ROWS = np.array([[0, 5], [2, 5], [10, 5], [12, 5]], dtype=np.int32)
LABELS = np.array([0, 0, 1, 1], dtype=np.int32)
UNIT = Scaling(np.zeros(2), np.ones(2), np.ones(2))


def proposed(centres: list[list[float]], scaling: Scaling = UNIT) -> Proposal:
    return propose(ClusterSums.recount(ROWS, LABELS, len(centres)), STEP, scaling, np.array(centres))


def test_scaling_is_mean_and_standard_deviation_and_1_without_variance() -> None:
    scaling = scaling_of(ClusterSums.recount(ROWS, LABELS, 2), STEP, np.array([1.0, 2.0]))

    np.testing.assert_array_equal(scaling.offset, [6.0, 5.0])
    np.testing.assert_allclose(scaling.scale, [np.sqrt(26.0), 1.0])
    np.testing.assert_allclose(scaling.scaled(np.array([6.0 + np.sqrt(26.0), 6.0])), [1.0, 2.0])


def test_movement_is_the_shift_over_the_cost_in_scaled_space() -> None:
    proposal = proposed([[0.0, 5.0], [11.0, 5.0]])

    np.testing.assert_array_equal(proposal.centres, [[1.0, 5.0], [11.0, 5.0]])
    assert proposal.movement == pytest.approx(2 * 1.0 / (0 + 4 + 1 + 1))
    assert proposal.residents == 4


def test_an_empty_cluster_keeps_its_centre() -> None:
    proposal = proposed([[1.0, 5.0], [11.0, 5.0], [70.0, 7.0]])

    np.testing.assert_array_equal(proposal.centres[2], [70.0, 7.0])
    assert proposal.movement == 0.0


def test_scale_drift_is_the_largest_relative_change_that_is_heard() -> None:
    old = Scaling(np.zeros(2), np.array([np.sqrt(26.0) / 1.1, 4.0]), np.array([1.0, 0.0]))

    assert proposed([[1.0, 5.0], [11.0, 5.0]], old).scale_drift == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("movement", "drift", "due"),
    [(0.0, 0.0, False), (0.00499, 0.0499, False), (0.005, 0.0, True), (0.0, 0.05, True)],
)
def test_a_version_is_due_from_either_threshold_on(movement: float, drift: float, *, due: bool) -> None:
    assert should_mint(Proposal(UNIT, np.zeros((1, 2)), movement, drift, 9, 1.0)) is due


def test_nobody_proposes_nothing() -> None:
    centres = np.array([[1.0, 2.0]])
    proposal = propose(ClusterSums.zeros(1, 2), STEP, UNIT, centres)

    np.testing.assert_array_equal(proposal.centres, centres)
    assert not should_mint(proposal)


def test_identical_customers_on_their_centre_are_no_reason_for_a_version() -> None:
    rows = np.full((50, 2), 3, dtype=np.int32)
    sums = ClusterSums.recount(rows, np.zeros(50, dtype=np.int32), 1)
    scaling = scaling_of(sums, STEP, np.ones(2))

    proposal = propose(sums, STEP, scaling, np.array([[3.0, 3.0]]))

    assert (proposal.movement, proposal.scale_drift) == (0.0, 0.0)
