"""Rare but distinct: 0.1 % of customers who buy far more than all others (design §3.8).

The first version of a population of 20,000, 20 VIPs among them, as the minter seeds it.
"""

from __future__ import annotations

import numpy as np
import pytest

from stream_seg.clustering.lloyd import assign
from stream_seg.engine.minter import Minter
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.state import State
from stream_seg.engine.step import step
from stream_seg.features.spec import Transform
from tests.bench.quality.vips import features_of, found
from tests.population import VIP, Population, batch_of, events_of


def vips_found(transform: Transform, seed: int) -> tuple[float, float]:
    """(recall, purity)."""
    features = features_of(transform)
    events = events_of(Population(customers=20_000, days=120.0, seed=seed))
    state = State(0, features)
    step(state, batch_of(events, slice(None), len(features), 0))
    points, which = state.evaluated()
    version = Minter(ModelPlan(features, segments=8, seed=seed), "test").first(points, 0).version
    arrays = version.arrays
    scaled = (points * arrays.step - arrays.offset) * arrays.factor
    labels = assign(scaled, np.ones(len(scaled)), arrays.centres).labels
    numbers = np.array([int(customer[1:]) for customer in state.rows.customers_of(which)])
    return found(labels, events.kind[numbers] == VIP)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_cube_root_finds_the_few_who_buy_most(seed: int) -> None:
    recall, purity = vips_found("cbrt", seed)

    assert recall >= 0.85
    assert purity >= 0.95


def test_a_logarithm_hides_them() -> None:
    _, purity = vips_found("log1p", 1)

    assert purity < 0.1
