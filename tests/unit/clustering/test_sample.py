"""Samples that stand for a population."""

from __future__ import annotations

import numpy as np

from stream_seg.clustering.sample import hash_unit, stratified_sample, whole_weights


def test_a_small_population_is_taken_whole() -> None:
    chosen, weights = stratified_sample(np.array([0, 1, 1], dtype=np.int32), 2, 3, seed=0)

    assert chosen.tolist() == [0, 1, 2]
    assert weights.tolist() == [1.0, 1.0, 1.0]


def test_small_clusters_are_seen_and_weights_add_up_to_the_clusters_sizes() -> None:
    labels = np.random.default_rng(0).choice(4, 50_000, p=[0.7, 0.2, 0.099, 0.001]).astype(np.int32)

    chosen, weights = stratified_sample(labels, 5, 2000, seed=3)

    assert chosen.shape[0] <= 2004
    assert np.unique(chosen).shape == chosen.shape
    sizes = np.bincount(labels, minlength=5)
    np.testing.assert_allclose(np.bincount(labels[chosen], weights=weights, minlength=5), sizes)
    assert np.bincount(labels[chosen])[3] == sizes[3]
    assert np.bincount(labels[chosen]).min() >= min(250, sizes[3])


def test_a_sample_depends_on_its_seed_alone() -> None:
    labels = np.arange(5000, dtype=np.int32) % 3

    one, _ = stratified_sample(labels, 3, 500, seed=1)
    again, _ = stratified_sample(labels, 3, 500, seed=1)
    other, _ = stratified_sample(labels, 3, 500, seed=2)

    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()


def test_hashes_are_spread_evenly_inside_the_unit_interval() -> None:
    unit = hash_unit(np.arange(20_000, dtype=np.uint64), seed=5)

    assert unit.min() > 0.0
    assert unit.max() < 1.0
    share = np.histogram(unit, bins=10, range=(0, 1))[0] / 20_000
    assert np.abs(share - 0.1).max() < 0.01
    other = hash_unit(np.arange(20_000, dtype=np.uint64), seed=6)
    assert abs(np.corrcoef(unit, other)[0, 1]) < 0.03


def test_whole_weights_add_up_and_stay_within_one_of_their_share() -> None:
    weights = np.random.default_rng(1).exponential(size=999)

    whole = whole_weights(weights, 12_345)

    assert int(whole.sum()) == 12_345
    assert np.abs(whole - weights * 12_345 / weights.sum()).max() < 1.0 + 1e-9
    assert whole_weights(np.array([1.0, 1.0, 1.0]), 10).tolist() == [4, 3, 3]
