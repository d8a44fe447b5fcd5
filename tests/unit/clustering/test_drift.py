"""The test for drift says what river's says."""

from __future__ import annotations

import numpy as np
import pytest
from river.drift import PageHinkley as RiverPageHinkley

from stream_seg.clustering.drift import PageHinkley


@pytest.mark.parametrize("seed", range(5))
def test_alarms_are_those_of_river(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(0, 0.05, 200), rng.normal(0.3, 0.05, 200), rng.normal(0, 0.05, 200)])
    ours = PageHinkley(delta=0.005, threshold=0.5, least=30)
    river = RiverPageHinkley(min_instances=30, delta=0.005, threshold=0.5, alpha=0.9999, mode="up")
    alarms, expected = [], []
    for i, value in enumerate(values.tolist()):
        if ours.update(value):
            alarms.append(i)
        river.update(value)  # type: ignore[no-untyped-call]
        if river.drift_detected:
            expected.append(i)

    assert alarms == expected
    assert any(200 <= i < 230 for i in alarms)
