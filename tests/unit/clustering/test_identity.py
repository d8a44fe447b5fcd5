"""Ids over structural moves, and lineage."""

from __future__ import annotations

import numpy as np
import pytest

from stream_seg.clustering.identity import Identities, Merge, Split, carry_ids, first_ids
from stream_seg.clustering.overlap import contingency, match_clusters, shared_weight


def carried(old_ids: list[int], moves: dict[tuple[int, int], float], new_k: int, next_id: int) -> Identities:
    """Carry ids where so much weight goes from an old to a new cluster."""
    old, new = np.array(list(moves), dtype=np.int32).T
    return carry_ids(old_ids, old, new, np.array(list(moves.values())), new_k, next_id)


def test_first_ids_are_all_born() -> None:
    assert first_ids(3).ids == (0, 1, 2)
    assert first_ids(3).lineage.born == (0, 1, 2)
    assert first_ids(3).next_id == 3


def test_a_permutation_carries_every_id() -> None:
    result = carried([4, 7, 9], {(0, 2): 10, (1, 0): 20, (2, 1): 30, (0, 0): 1}, 3, 10)

    assert result.ids == (7, 9, 4)
    assert result.next_id == 10
    assert result.lineage.born == result.lineage.retired == ()


def test_a_split_and_a_merge_are_told_apart() -> None:
    # 0 is split over the new 0 and 1; 1 and 2 become the new 2.
    result = carried([0, 1, 2], {(0, 0): 60, (0, 1): 40, (1, 2): 50, (2, 2): 30}, 3, 3)

    assert result.ids == (0, 3, 1)
    assert result.next_id == 4
    lineage = result.lineage
    assert lineage.born == (3,)
    assert lineage.split == (Split(child=3, parent=0),)
    assert lineage.retired == (2,)
    assert lineage.merged == (Merge(segment=2, into=1),)
    assert lineage.parents == {3: 0}


def test_a_sliver_does_not_carry_an_id() -> None:
    # The old 2 went into the new 2 but for a sliver, which is all that ties it to the new 1.
    result = carried([0, 1, 2], {(0, 0): 60, (0, 1): 40, (1, 2): 50, (2, 2): 30, (2, 1): 2}, 3, 3)

    assert result.ids == (0, 3, 1)


def test_a_segment_that_is_scattered_is_retired_and_not_merged() -> None:
    result = carried(
        [0, 1, 2, 3], {(0, 0): 50, (1, 1): 50, (2, 2): 50, (3, 0): 5, (3, 1): 5, (3, 2): 5}, 3, 4
    )

    assert result.lineage.retired == (3,)
    assert result.lineage.merged == ()


def test_ids_are_never_used_twice() -> None:
    first = carried([0, 1], {(0, 0): 10, (1, 0): 9}, 1, 2)
    assert first.ids == (0,)
    again = carried(list(first.ids), {(0, 0): 10, (0, 1): 9}, 2, first.next_id)

    assert again.ids == (0, 2)


def test_rows_without_an_old_cluster_count_for_nothing() -> None:
    old = np.array([-1, -1, 0], dtype=np.int32)
    new = np.array([0, 0, 1], dtype=np.int32)

    assert carry_ids([5], old, new, np.array([9.0, 9.0, 1.0]), 2, 6).ids == (6, 5)


def test_the_matching_is_the_best_of_all_not_the_greedy_one() -> None:
    shared = np.array([[10.0, 9.0], [9.0, 0.0]])

    assert match_clusters(shared) == [(0, 1), (1, 0)]
    assert shared_weight(shared) == pytest.approx(18 / 28)


def test_contingency_adds_up_weights() -> None:
    table = contingency(
        np.array([0, 0, 1], dtype=np.int32),
        np.array([1, 1, 0], dtype=np.int32),
        np.array([1.0, 2.0, 4.0]),
        2,
        3,
    )

    np.testing.assert_array_equal(table, [[0, 3, 0], [4, 0, 0]])
