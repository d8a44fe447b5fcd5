"""River clusterers in the place of ours: labels, versions, sums and stored state by the same rules."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.replay.store import Kept
from stream_seg.adapters.memory import MemoryStore
from stream_seg.clustering.lattice import ClusterSums
from stream_seg.engine.checkpoint import encode_rows, restore
from stream_seg.engine.minter import Minted
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.records import Origin, encode_labels, encode_transitions
from stream_seg.engine.replay import Step
from stream_seg.engine.river import RiverReplay, RiverVersions, river_clusterer
from stream_seg.engine.state import State
from stream_seg.engine.step import step
from stream_seg.engine.version import ModelVersion
from stream_seg.errors import ConfigurationError
from stream_seg.events.batch import EventBatch
from tests.histories import FEATURES, Event, batch_of, events

PLAN = ModelPlan(features=FEATURES)
START_MS = 1_700_000_000_000


def shop(n: int = 400, seed: int = 3) -> list[Event]:
    rng = np.random.default_rng(seed)
    return [
        Event(
            f"c{rng.integers(0, 40)}",
            START_MS + i * 3_600_000,
            float(rng.lognormal(3, 1)),
            bool(rng.random() < 0.5),
            int(rng.integers(0, 4)),
        )
        for i in range(n)
    ]


class Ran:
    """A history through a river clusterer: everything it said, as records and as values."""

    def __init__(
        self,
        history: list[Event],
        cuts: AbstractSet[int] = frozenset(),
        algorithm: str = "DBSTREAM",
        **parameters: Any,
    ) -> None:
        self.topics: dict[str, list[bytes]] = {"labels": [], "transitions": [], "models": []}
        self.steps: list[Step] = []
        self.labels: list[tuple[str, int, int, int, int, float, float]] = []
        self.versions: list[ModelVersion] = []
        self.store = MemoryStore()
        self.store.put_meta({"partitions": "1"})
        self.kept = Kept(self.store, "test", now_s=lambda: 0.0)
        labeller = river_clusterer(f"river:cluster.{algorithm}", parameters, 7)
        self.replay = RiverReplay(
            labeller, RiverVersions(PLAN, "i"), {0: 0}, on_step=self.step, on_version=self.version
        )
        edges = sorted({0, *(cut for cut in cuts if cut < len(history)), len(history)})
        for begin, end in pairwise(edges):
            self.replay.feed(0, batch_of(history[begin:end], begin, end * 2))
        self.replay.finish()
        self.kept.complete(self.replay)

    @property
    def state(self) -> State:
        return self.replay.states[0]

    def step(self, done: Step) -> None:
        origin = Origin("orders", 0, "replay:r")
        self.topics["labels"] += encode_labels(done.outcome, origin).values
        self.topics["transitions"] += encode_transitions(done.outcome, origin, FEATURES).values
        self.kept.apply(done, self.kept.stage(done))
        taken, labels, version = done.outcome.events, done.outcome.labels, done.outcome.version
        if taken is not None and labels is not None and version is not None:
            self.labels += zip(
                taken.customers,
                labels.segment.tolist(),
                labels.previous.tolist(),
                labels.runner_up.tolist(),
                [version.version] * len(taken),
                labels.distance.tolist(),
                labels.confidence.tolist(),
                strict=True,
            )

    def version(self, minted: Minted) -> None:
        self.versions.append(minted.version)
        self.topics["models"].append(minted.version.to_json())
        self.kept.version(minted)


def test_every_event_gets_a_label_and_the_chain_is_unbroken() -> None:
    ran = Ran(shop())
    assert len(ran.labels) == 400
    where: dict[str, int] = {}
    for customer, segment, previous, *_ in ran.labels:
        assert previous == where.get(customer, -1)
        where[customer] = segment
    assert len(set(where.values())) > 1


def test_labels_are_river_s_own_predictions() -> None:
    history = shop()
    ran = Ran(history, algorithm="KMeans", n_clusters=3)
    clusterer = river_clusterer("river:cluster.KMeans", {"n_clusters": 3}, 7)
    state, ids, expected = State(0, FEATURES), dict[object, int](), []
    for i, event in enumerate(history):
        step(state, batch_of([event], i, 2 * i + 2))
        row = state.rows.row_of(event.customer)
        x = state.rows.placement.point[row] * FEATURES.layout.step * FEATURES.weights
        label = clusterer.label(dict(zip(FEATURES.names, x.tolist(), strict=True)))
        expected.append(ids.setdefault(label, len(ids)))
    assert [label[1] for label in ran.labels] == expected


def test_rows_are_those_of_our_own_engine() -> None:
    history = shop()
    ours = State(0, FEATURES)
    step(ours, batch_of(history, 0, 2 * len(history)))
    theirs = Ran(history).state
    used, everyone = ours.rows.used, ours.rows.resident_rows()
    assert theirs.rows.resident_rows().tolist() == everyone.tolist()
    assert theirs.rows.customers_of(everyone) == ours.rows.customers_of(everyone)
    for mine, other in zip(theirs.rows.aggregates, ours.rows.aggregates, strict=True):
        assert np.array_equal(mine[:used], other[:used])
    assert np.array_equal(theirs.rows.placement.point[:used], ours.rows.placement.point[:used])


def test_sums_are_exact_and_centroids_their_means() -> None:
    ran = Ran(shop())
    points, places, which = ran.state.points()
    version = ran.replay.current
    assert version is not None
    k = len(version.segments)
    assert ran.state.sums.equals(ClusterSums.recount(points, places, k))
    for segment in version.segments:
        members = points[places == segment.id]
        assert segment.size == len(members)
        if len(members):
            mean = members.mean(axis=0) * FEATURES.layout.step * FEATURES.weights
            assert np.allclose(segment.centroid, mean, rtol=1e-12, atol=0)
    assert len(which) == version.customers


def test_versions_grow_by_one_and_hold_every_label_under_them() -> None:
    ran = Ran(shop())
    assert [v.version for v in ran.versions] == list(range(1, len(ran.versions) + 1))
    held = {v.version: {s.id for s in v.segments} for v in ran.versions}
    for _, segment, _, runner_up, version, _, _ in ran.labels:
        assert segment in held[version]
        assert runner_up == -1 or runner_up in held[version] - {segment}
    assert {s.name for s in ran.versions[-1].segments} == {f"segment-{i}" for i in held[len(ran.versions)]}


def test_distance_and_confidence_are_those_of_the_version() -> None:
    history = shop()
    ran = Ran(history)
    by_number = {v.version: v for v in ran.versions}
    state = State(0, FEATURES)
    for i, (event, label) in enumerate(zip(history, ran.labels, strict=True)):
        step(state, batch_of([event], i, 2 * i + 2))
        x = (
            state.rows.placement.point[state.rows.row_of(event.customer)]
            * FEATURES.layout.step
            * FEATURES.weights
        )
        _, segment, _, runner_up, number, distance, confidence = label
        far = {s.id: math.dist(x, s.centroid) for s in by_number[number].segments}
        assert distance == pytest.approx(far[segment], abs=1e-12)
        others = {s: d for s, d in far.items() if s != segment}
        if not others:
            assert math.isnan(confidence)
            continue
        assert far[runner_up] == pytest.approx(min(others.values()))
        nearest = min(others.values())
        assert confidence == pytest.approx(min(max(1 - far[segment] / nearest, 0), 1) if nearest else 0.0)


def test_the_stored_state_is_the_whole_state() -> None:
    ran = Ran(shop())
    stored = ran.store.load(0)
    assert stored is not None
    again = restore(0, FEATURES, stored.numbers, ran.replay.current, stored.rows)
    everyone = np.arange(ran.state.rows.used)
    assert encode_rows(again, everyone).present() == encode_rows(ran.state, everyone).present()
    assert again.sums.equals(ran.state.sums)
    counted = Counter(int(fields["segment"]) for fields in ran.store.public.customers.values())
    assert {s: n for s, n in ran.store.public.sizes.items() if n} == counted


@settings(deadline=None, max_examples=20)
@given(events(least=2, most=60), st.sets(st.integers(0, 60), max_size=12))
def test_batches_change_nothing(history: list[Event], cuts: set[int]) -> None:
    assert Ran(history, cuts).topics == Ran(history).topics


def test_an_empty_batch_moves_the_position_only() -> None:
    ran = Ran(shop(20))
    before = ran.state.numbers
    empty = EventBatch.empty(len(FEATURES.numbers), len(FEATURES.tokens), len(FEATURES), 99)
    ran.replay.feed(0, empty)
    assert ran.state.numbers.position.next_offset == 99
    assert ran.state.numbers.events == before.events


@pytest.mark.parametrize(
    ("algorithm", "parameters", "sentence"),
    [
        ("river:cluster.DBSTREM", {}, 'the nearest is "river:cluster.DBSTREAM"'),
        ("river:KMeans", {}, 'the nearest is "river:cluster.KMeans"'),
        ("river:stats.Mean", {}, "river has no clusterer"),
        ("river:cluster.DBSTREAM", {"fading": 0.1}, 'the nearest is "fading_factor"'),
        ("river:cluster.KMeans", {"n_clusters": "four"}, "parameters.n_clusters: must be a whole number"),
        ("river:cluster.KMeans", {"n_clusters": True}, "parameters.n_clusters: must be a whole number"),
        ("river:cluster.DBSTREAM", {"fading_factor": "x"}, "parameters.fading_factor: must be a number"),
        ("river:cluster.TextClust", {"auto_r": 1}, "parameters.auto_r: must be true or false"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(
    algorithm: str, parameters: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        river_clusterer(algorithm, parameters, 7)
    assert sentence in str(raised.value)


def test_all_wrong_parameters_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as raised:
        river_clusterer("river:cluster.DBSTREAM", {"fading": 1, "minimum": 2}, 7)
    assert len(raised.value.problems) == 2


@pytest.mark.parametrize("algorithm", ["TextClust", "ODAC"])
def test_a_clusterer_that_cannot_label_a_customer_says_so(algorithm: str) -> None:
    with pytest.raises(ConfigurationError, match=f"cluster.{algorithm} fails on an event"):
        Ran(shop(5), algorithm=algorithm)


def test_the_seed_is_given_to_what_takes_one() -> None:
    def centres(given: int, **own: object) -> object:
        labeller = river_clusterer("river:cluster.KMeans", own, given)
        labeller.label({"a": 1.0})
        return {place: dict(centre) for place, centre in labeller.clusterer.centers.items()}  # type: ignore[attr-defined]

    assert centres(1) == centres(1) != centres(2)
    assert centres(1, seed=2) == centres(2)
