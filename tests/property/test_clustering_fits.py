"""Laws of fits, refits and identities."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from stream_seg.clustering.identity import carry_ids
from stream_seg.clustering.lloyd import assign, batch_kmeans, lloyd
from stream_seg.clustering.naming import FeatureMeaning, name_segments
from stream_seg.clustering.structure import refit

# Few different values, so that ties, empty clusters and fewer distinct points than k come up all the time.
POINTS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 25), st.just(2)),
    elements=st.sampled_from([0.0, 1.0, 2.0, 2.5, 50.0]),
)
CLUSTERS = st.integers(1, 6)
AGGREGATES = st.sampled_from(["days_since", "days_since_first", "count", "sum", "mean", "share", "gap_days"])


@settings(max_examples=150, deadline=None)
@given(POINTS, CLUSTERS, st.integers(0, 99))
def test_a_fit_is_finite_and_has_a_cluster_for_every_distinct_point_up_to_k(
    points: NDArray[np.float64], k: int, seed: int
) -> None:
    fit = batch_kmeans(points, np.ones(len(points)), k, restarts=2, seed=seed)

    distinct = len(np.unique(points, axis=0))
    assert len(fit.centres) == min(k, distinct)
    assert len(set(fit.labels.tolist())) == min(k, distinct)
    assert np.isfinite(fit.centres).all()
    assert fit.cost >= 0.0
    if distinct <= k:
        assert fit.cost == 0.0


@settings(max_examples=150, deadline=None)
@given(POINTS, POINTS)
def test_lloyd_never_raises_the_cost(points: NDArray[np.float64], start: NDArray[np.float64]) -> None:
    weights = np.ones(len(points))

    fit = lloyd(points, weights, start)

    assert fit.cost <= assign(points, weights, start).cost * (1 + 1e-12)
    assert np.isfinite(fit.centres).all()


@settings(max_examples=60, deadline=None)
@given(POINTS, POINTS, CLUSTERS, st.integers(0, 99))
def test_a_refit_gives_k_clusters_no_worse_than_the_warm_start(
    points: NDArray[np.float64], start: NDArray[np.float64], k: int, seed: int
) -> None:
    weights = np.ones(len(points))

    fit = refit(points, weights, start, k, seed=seed, restarts=2)

    assert len(fit.centres) == min(k, len(np.unique(points, axis=0)))
    assert np.isfinite(fit.centres).all()
    if len(start) == len(fit.centres):
        assert fit.cost <= 1.001 * lloyd(points, weights, start).cost + 1e-12


@settings(deadline=None)
@given(st.data())
def test_ids_are_distinct_and_old_ones_are_carried_or_retired(data: st.DataObject) -> None:
    old_k, new_k, n = (data.draw(st.integers(1, limit)) for limit in (6, 6, 40))
    old_ids = data.draw(st.lists(st.integers(0, 30), min_size=old_k, max_size=old_k, unique=True))
    old = data.draw(hnp.arrays(np.int32, n, elements=st.integers(-1, old_k - 1)))
    new = data.draw(hnp.arrays(np.int32, n, elements=st.integers(0, new_k - 1)))
    weights = data.draw(hnp.arrays(np.float64, n, elements=st.floats(0.0, 10.0)))

    result = carry_ids(old_ids, old, new, weights, new_k, 31)

    lineage = result.lineage
    assert len(set(result.ids)) == new_k
    assert set(lineage.retired) == set(old_ids) - set(result.ids)
    assert set(lineage.born) == set(result.ids) - set(old_ids)
    assert all(31 <= number < result.next_id for number in lineage.born)
    assert {split.child for split in lineage.split} <= set(lineage.born)
    assert {split.parent for split in lineage.split} <= set(old_ids)
    assert {merge.segment for merge in lineage.merged} <= set(lineage.retired)
    assert {merge.into for merge in lineage.merged} <= set(result.ids)


@settings(deadline=None)
@given(st.data())
def test_names_are_distinct_and_stay_where_nothing_moves(data: st.DataObject) -> None:
    aggregates = data.draw(st.lists(AGGREGATES, min_size=1, max_size=5))
    features = [FeatureMeaning(f"{aggregate} {j}", aggregate) for j, aggregate in enumerate(aggregates)]
    k = data.draw(st.integers(0, 8))
    z = st.floats(-3.0, 3.0)
    centres = data.draw(hnp.arrays(np.float64, (k, len(features)), elements=z))
    sizes = data.draw(st.lists(st.integers(0, 99), min_size=k, max_size=k))

    names = name_segments(features, centres, sizes, {})

    assert len(set(names)) == k
    assert name_segments(features, centres, sizes, dict(enumerate(names))) == names
