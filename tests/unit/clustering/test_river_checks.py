"""River's own laws for estimators, all that the installed river knows and that fit a clusterer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from river import base
from river.checks import common, yield_checks

from stream_seg.clustering.population_kmeans import PopulationKMeans

Dataset = list[tuple[dict[str, float], None]]

ON_DATA = [
    # River yields these for supervised models only; they hold for any estimator.
    common.check_learn_one,
    common.check_pickling,
    common.check_shuffle_features_no_impact,
    common.check_emerging_features,
    common.check_disappearing_features,
    common.check_radically_disappearing_features,
    common.check_predict_one_before_any_learn,
    common.check_no_state_aliasing_with_input,
    common.check_clone_is_independent,
    common.check_seeding_is_idempotent,
    common.check_bounded_memory_growth,
]


def models() -> Iterator[PopulationKMeans]:
    for params in PopulationKMeans._unit_test_params():
        yield PopulationKMeans(**params)


def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(150, 5)) + rng.integers(0, 3, (150, 1)) * 4.0
    return [({f"feature {j}": float(v) for j, v in enumerate(row)}, None) for row in values]


GENERAL = [(model, check) for model in models() for check in yield_checks(model)]


@pytest.mark.parametrize(("model", "check"), GENERAL, ids=[f"{c.__name__}-{m}" for m, c in GENERAL])
def test_river_checks(model: PopulationKMeans, check: Callable[[Any], None]) -> None:
    check(model.clone())


@pytest.mark.parametrize("check", ON_DATA, ids=[check.__name__ for check in ON_DATA])
@pytest.mark.parametrize("model", list(models()), ids=str)
def test_river_checks_on_data(model: PopulationKMeans, check: Callable[[Any, Any], None]) -> None:
    check(model.clone(), dataset())


def test_it_is_a_clusterer_and_takes_no_labels() -> None:
    model = PopulationKMeans()

    assert isinstance(model, base.Clusterer)
    assert not model._supervised


def test_predicting_changes_neither_the_model_nor_the_input() -> None:
    model = PopulationKMeans(n_clusters=3, warm_up=20)
    for x, _ in dataset():
        model.learn_one(x)
    before = model.centers
    state = model._versions.model

    x = {"feature 0": 4.0, "another": 1.0}
    model.predict_one(x)
    model.predict_many({"feature 1": [1e300, -np.inf], "another": [0.0, 0.0]})

    assert x == {"feature 0": 4.0, "another": 1.0}
    assert model._versions.model is state
    assert model.clipped == 0
    assert model.centers == before
