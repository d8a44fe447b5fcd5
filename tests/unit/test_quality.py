"""What a version says of its quality, and the counts of changes that it is made from."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from stream_seg.clustering.mint import Scaling
from stream_seg.engine.minter import Minted
from stream_seg.engine.outcome import CAUSES
from stream_seg.engine.plan import ModelPlan, WarmUp
from stream_seg.engine.publish import quality_fields
from stream_seg.engine.quality import FLAPPING_WINDOW_MS, Observer, clustering_quality, drift_of
from stream_seg.engine.replay import Replay, Step
from stream_seg.engine.state import DAY_MS, Changes
from stream_seg.features.spec import Feature, FeatureSet
from tests.population import Population, batches

FEATURES = FeatureSet(
    (
        Feature("days_since_order", "days_since", transform="log1p"),
        Feature("orders", "count", half_life_days=30, transform="log1p"),
        Feature("spend", "sum", field="revenue", half_life_days=30, transform="log1p"),
    )
)
PLAN = ModelPlan(FEATURES, segments=4, warm_up=WarmUp(customers=60))


@pytest.fixture(scope="module")
def run() -> tuple[Replay, list[Step], list[Minted]]:
    steps: list[Step] = []
    versions: list[Minted] = []
    replay = Replay(PLAN, {0: 0}, instance="test", on_step=steps.append, on_version=versions.append)
    for batch in batches(Population(customers=250, days=60, seed=3)):
        replay.feed(0, batch)
    replay.finish()
    return replay, steps, versions


def test_the_counts_are_those_of_the_transitions(run: tuple[Replay, list[Step], list[Minted]]) -> None:
    replay, steps, _ = run
    made = dict.fromkeys(range(len(CAUSES)), 0)
    moves: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for step in steps:
        t = step.outcome.transitions
        for customer, origin, target, cause, dwell in zip(
            t.customers,
            t.origin.tolist(),
            t.target.tolist(),
            t.cause.tolist(),
            t.dwell_ms.tolist(),
            strict=True,
        ):
            made[cause] += 1
            moves[customer].append((origin, target, dwell))
    reverted = sum(
        there[0] == back[1] and back[2] <= 7 * DAY_MS
        for own in moves.values()
        for there, back in pairwise(own)
    )

    counted = replay.states[0].numbers.changes
    assert counted == Changes((made[0], made[1], made[2]), reverted)
    assert min(counted.made) > 0
    assert reverted > 0


def test_every_version_says_how_good_it_is(run: tuple[Replay, list[Step], list[Minted]]) -> None:
    _, _, versions = run
    assert len(versions) > 5
    for minted in versions:
        quality = minted.version.quality
        cost, silhouette = quality["cost_per_customer"], quality["silhouette"]
        assert cost is not None
        assert 0.0 < cost < len(FEATURES)
        assert silhouette is not None
        assert 0.0 < silhouette < 1.0
    later = versions[-1].version.quality
    assert {"flapping", "churn.behaviour", "churn.silence", "churn.model", "drift.spend"} <= later.keys()
    share = later["flapping"]
    assert share is not None
    assert 0.0 <= share <= 1.0
    assert msgspec.json.decode(versions[-1].version.to_json())["quality"] == later


def test_the_churn_of_all_versions_adds_up_to_all_changes(
    run: tuple[Replay, list[Step], list[Minted]],
) -> None:
    replay, _, versions = run
    counted = replay.states[0].numbers.changes.made
    for i, cause in enumerate(CAUSES):
        total = sum((m.version.quality[f"churn.{cause}"] or 0.0) * m.version.customers for m in versions[1:])
        assert 0.8 * counted[i] <= total <= counted[i] * 1.01  # what came after the last version is missing


def test_what_is_unknown_is_left_out_of_redis(run: tuple[Replay, list[Step], list[Minted]]) -> None:
    version = msgspec.structs.replace(run[2][-1].version, quality={"flapping": None, "silhouette": 0.25})
    fields = quality_fields(version)

    assert fields["silhouette"] == "0.25"
    assert "flapping" not in fields
    assert fields["as_of"] == version.as_of


def test_flapping_looks_back_over_a_window_only() -> None:
    observer = Observer()
    observer.start(Changes(), 0)
    first = observer.minted(Changes((10, 0, 0), 5), DAY_MS, 100)
    later = observer.minted(Changes((30, 0, 0), 5), DAY_MS + FLAPPING_WINDOW_MS + 1, 100)

    assert first["flapping"] == 0.5
    assert first["churn.behaviour"] == 0.1
    assert later["flapping"] == 0.0
    assert later["churn.behaviour"] == 0.2


def test_without_changes_or_rows_nothing_is_said() -> None:
    observer = Observer()
    observer.start(Changes(), 0)

    assert observer.minted(Changes(), DAY_MS, 0)["flapping"] is None
    assert clustering_quality(np.zeros((0, 2)), np.zeros(0), np.zeros((3, 2)), 1) == {}


def test_drift_is_in_standard_deviations_of_the_version_before() -> None:
    weight = np.ones(2)
    old = Scaling(np.array([1.0, 5.0]), np.array([2.0, 1.0]), weight)
    new = Scaling(np.array([2.0, 5.0]), np.array([9.0, 1.0]), weight)

    assert drift_of(["a", "b"], old, new) == {"drift.a": 0.5, "drift.b": 0.0}
