"""Population k-means, alone."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from stream_seg.clustering.lattice import ClusterSums
from stream_seg.clustering.lloyd import assign, batch_kmeans
from stream_seg.clustering.metrics import adjusted_rand_index
from stream_seg.clustering.population import MovingPoints
from stream_seg.clustering.population_kmeans import PopulationKMeans


def blobs(n: int, k: int, seed: int, d: int = 3) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, k, n)
    return rng.normal(size=(n, d)) + 6.0 * rng.normal(size=(k, d))[kind], kind


def cost_ratio(model: PopulationKMeans, points: NDArray[np.float64]) -> float:
    """Cost of the points under the model's centres, in fresh z-scores, against batch k-means."""
    mean, sd = points.mean(axis=0), points.std(axis=0)
    centres = np.array([[c[j] for j in range(points.shape[1])] for c in model.centers.values()])
    z, weights = (points - mean) / sd, np.ones(len(points))
    best = batch_kmeans(z, weights, model.n_clusters, seed=1).cost
    return assign(z, weights, (centres - mean) / sd).cost / best


def test_clusters_are_those_that_made_the_points() -> None:
    points, kind = blobs(2000, 4, seed=0)
    model = PopulationKMeans(n_clusters=4)

    model.learn_many(points, keys=range(2000))

    assert adjusted_rand_index(model.predict_many(points), kind) > 0.95
    assert cost_ratio(model, points) < 1.01


def test_a_population_that_moves_and_grows_stays_near_the_batch_optimum() -> None:
    points, _ = blobs(3000, 7, seed=1)
    rng = np.random.default_rng(2)
    model = PopulationKMeans(n_clusters=5, warm_up=300)
    now: dict[int, NDArray[np.float64]] = {}
    ratios = []

    for turn in range(10):
        keys = rng.integers(0, 400 + 250 * turn, 1500).tolist()
        moved = points[keys] + 0.2 * turn + 0.1 * rng.normal(size=(1500, 3))
        model.learn_many(moved, keys=keys)
        now.update(zip(keys, moved, strict=True))
        ratios.append(cost_ratio(model, np.array(list(now.values()))))

    assert np.median(ratios) < 1.015
    assert max(ratios) < 1.05


def test_one_at_a_time_is_the_same_as_many() -> None:
    points, _ = blobs(1500, 4, seed=3)
    keys = np.random.default_rng(0).integers(0, 900, 1500).tolist()
    one, many, thirds = (PopulationKMeans(n_clusters=4, warm_up=200) for _ in range(3))

    for x, key in zip(points, keys, strict=True):
        one.learn_one(dict(enumerate(x)), key=key)
    many.learn_many(points, keys=keys)
    for start in range(0, 1500, 377):
        thirds.learn_many(points[start : start + 377], keys=keys[start : start + 377])

    assert one.centers == many.centers == thirds.centers
    assert one.sizes == many.sizes == thirds.sizes
    assert [one.predict_one(dict(enumerate(x))) for x in points] == many.predict_many(points).tolist()


def test_sums_equal_a_recount_from_scratch() -> None:
    points, _ = blobs(2000, 5, seed=4)
    keys = np.random.default_rng(0).integers(0, 600, 2000).tolist()
    model = PopulationKMeans(n_clusters=5, warm_up=100)
    model.learn_many(points, keys=keys)

    population = model._population
    assert isinstance(population, MovingPoints)
    rows, labels = population._rows[:600], population._labels[: int(population.size)]
    rows = rows[: len(labels)]
    assert population.sums(5).equals(ClusterSums.recount(rows, labels, 5))
    np.testing.assert_array_equal(rows, model._space.rows(_newest(points, keys)))


def _newest(points: NDArray[np.float64], keys: list[int]) -> NDArray[np.float64]:
    newest = dict(zip(keys, points, strict=True))
    return np.array(list(newest.values()))


def test_cluster_numbers_last_while_clusters_move() -> None:
    rng = np.random.default_rng(5)
    kinds = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]])
    keys = list(range(300))
    model = PopulationKMeans(n_clusters=3, warm_up=300)
    model.learn_many(kinds[np.arange(300) % 3] + rng.normal(size=(300, 2)), keys=keys)
    before = [model.cluster_of(key) for key in keys]

    for turn in range(1, 20):
        model.learn_many(
            kinds[np.arange(300) % 3] + rng.normal(size=(300, 2)) + np.array([1.0, 2.0]) * turn, keys=keys
        )

    assert [model.cluster_of(key) for key in keys] == before
    assert sorted(model.sizes) == [0, 1, 2]


def test_frames_mappings_and_arrays_are_the_same() -> None:
    points, _ = blobs(400, 3, seed=7)
    keys = list(range(400))
    frame = pl.DataFrame({"a": points[:, 0], "b": points[:, 1], "c": points[:, 2]})
    by_frame, by_mapping = (PopulationKMeans(n_clusters=3, warm_up=100) for _ in range(2))

    by_frame.learn_many(frame, keys=keys)
    by_mapping.learn_many({name: frame[name].to_list() for name in "cab"}, keys=keys)

    assert by_frame.centers == by_mapping.centers
    np.testing.assert_array_equal(by_frame.predict_many(frame), by_mapping.predict_many(frame))
    np.testing.assert_array_equal(frame.to_numpy(), points)


def test_without_keys_a_drifting_stream_is_followed() -> None:
    rng = np.random.default_rng(8)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    model = PopulationKMeans(n_clusters=3, warm_up=200, half_life_events=300.0)

    for turn in range(20):
        model.learn_many(centres[rng.integers(0, 3, 500)] + turn + rng.normal(size=(500, 2)))

    found = np.array([[c[0], c[1]] for c in model.centers.values()])
    nearest = np.sqrt(((centres[:, None] + 19.0 - found[None]) ** 2).sum(axis=2)).min(axis=1)
    assert nearest.max() < 1.5
    assert sum(model.sizes.values()) == pytest.approx(300 / np.log(2), rel=0.01)


def test_before_warm_up_has_ended_every_prediction_is_0() -> None:
    model = PopulationKMeans(n_clusters=2, warm_up=5)
    assert model.predict_one({"a": 1.0}) == 0
    for key in range(4):
        model.learn_one({"a": float(key)}, key=key)

    assert model.predict_many({"a": [1.0, 99.0]}).tolist() == [0, 0]
    assert model.cluster_of(1) is None
    assert not model.centers
    assert not model.sizes

    model.learn_one({"a": 100.0}, key=9)
    assert len(model.centers) == 2


def test_few_keys_with_many_events_end_the_warm_up_too() -> None:
    model = PopulationKMeans(n_clusters=2, warm_up=10)
    for i in range(99):
        model.learn_one({"a": float(i % 3)}, key=i % 3)
    assert model.centers == {}

    model.learn_one({"a": 0.0}, key=0)

    assert len(model.centers) == 2


BAD = {
    "all identical": np.full((60, 2), 3.0),
    "a constant feature": np.column_stack([np.arange(60.0), np.full(60, 5.0)]),
    "two points": np.array([[0.0, 1.0], [2.0, 3.0]] * 30),
    "one huge": np.vstack([np.arange(118.0).reshape(59, 2), [1e12, 1.0]]),
    "huge after warm-up": np.vstack([np.arange(100.0).reshape(50, 2), np.full((10, 2), 1e300)]),
    "infinite": np.vstack([np.arange(100.0).reshape(50, 2), [[np.inf, 1.0], [-np.inf, 2.0]] * 5]),
    "tiny": np.arange(120.0).reshape(60, 2) * 1e-300,
    "enormous": np.arange(120.0).reshape(60, 2) * 1e300,
}


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("name", BAD)
def test_bad_input_gives_defined_clusters_and_no_warning(name: str, *, keyed: bool) -> None:
    points = BAD[name]
    model = PopulationKMeans(n_clusters=4, warm_up=20, half_life_events=None if keyed else 50.0)

    for _ in range(3):
        model.learn_many(points, keys=range(len(points)) if keyed else None)

    assert 1 <= len(model.centers) <= 4
    assert np.isfinite([list(centre.values()) for centre in model.centers.values()]).all()
    assert set(model.predict_many(points).tolist()) <= set(model.centers)
    assert (model.clipped > 0) == (name in {"one huge", "huge after warm-up", "infinite", "enormous"})


def test_more_distinct_points_bring_the_wanted_clusters_and_the_old_keep_their_numbers() -> None:
    model = PopulationKMeans(n_clusters=3, warm_up=10)
    model.learn_many({"a": [0.0, 10.0] * 5}, keys=range(10))
    low, high = model.predict_one({"a": 0.0}), model.predict_one({"a": 10.0})
    assert {low, high} == {0, 1}

    model.learn_many({"a": [50.0] * 5}, keys=range(10, 15))

    assert [model.predict_one({"a": a}) for a in (0.0, 10.0, 50.0)] in ([low, high, 2], [low, 2, high])
    assert sorted(model.sizes.values()) == [5, 5, 5]


@pytest.mark.parametrize("value", [float("nan"), None, "many"])
def test_what_is_no_number_is_refused_and_changes_nothing(value: Any) -> None:
    model = PopulationKMeans(n_clusters=2, warm_up=3)
    before = pickle.dumps(model)

    with pytest.raises(ValueError, match=r"spend|many"):
        model.learn_one({"orders": 1.0, "spend": value}, key="ann")

    assert pickle.dumps(model) == before


def test_keys_must_fit_the_rows_and_all_points_be_of_one_kind() -> None:
    model = PopulationKMeans(n_clusters=2, warm_up=3)
    with pytest.raises(ValueError, match="2 rows and 1 keys"):
        model.learn_many({"a": [1.0, 2.0]}, keys=["x"])
    with pytest.raises(ValueError, match="different lengths"):
        model.learn_many({"a": [1.0, 2.0], "b": [1.0]})
    with pytest.raises(ValueError, match="dimensions"):
        model.learn_many(np.zeros(3))
    model.learn_one({"a": 1.0}, key="x")
    with pytest.raises(ValueError, match="not both"):
        model.learn_one({"a": 1.0})


@pytest.mark.parametrize(
    "params",
    [{"n_clusters": 0}, {"warm_up": 0}, {"hysteresis": 1.0}, {"hysteresis": -0.1}, {"half_life_events": 0.0}],
)
def test_parameters_out_of_range_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        PopulationKMeans(**params)


def test_nothing_learned_is_nothing() -> None:
    model = PopulationKMeans(n_clusters=2, warm_up=3)
    model.learn_many({"a": []}, keys=[])
    model.learn_many({})

    assert model.predict_many({"a": []}).tolist() == []


def test_a_feature_that_appears_late_is_0_for_those_before() -> None:
    model = PopulationKMeans(n_clusters=2, warm_up=20)
    model.learn_many({"a": np.arange(40.0)}, keys=range(40))

    model.learn_many({"a": np.arange(40.0), "b": np.full(40, 1000.0)}, keys=range(40, 80))

    assert len(model.centers) == 2
    assert {model.cluster_of(key) for key in range(40)}.isdisjoint(
        {model.cluster_of(k) for k in range(40, 80)}
    )


def test_checks_come_after_a_sixteenth_of_the_population_as_it_is_now() -> None:
    model = PopulationKMeans(n_clusters=2, warm_up=160)
    points, _ = blobs(3200, 2, seed=9)
    model.learn_many(points[:160], keys=range(160))
    assert model._versions.events_to_check == 10

    model.learn_many(points, keys=range(3200))
    waits = []
    for key in range(400):  # nobody new
        model.learn_one(dict(enumerate(points[key])), key=key)
        waits.append(model._versions.events_to_check)

    assert max(waits) == 200
