"""Peers on the same data and checkpoints: cost of the population under their centroids ÷ batch.

They get the customers' vectors in z-scores of the population at 500 customers (their own papers leave
scaling to the user), at every event; where it says so, the whole population once each event-day. The full
refit gets fresh z-scores each day.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from river import cluster
from sklearn.cluster import KMeans, MiniBatchKMeans

from stream_seg.clustering.lattice import ClusterSums
from stream_seg.clustering.lloyd import assign, batch_kmeans
from stream_seg.clustering.mint import Scaling, scaling_of
from stream_seg.engine.kernels import rows_points
from stream_seg.engine.replay import between
from stream_seg.engine.state import DAY_MS, State
from stream_seg.engine.step import step
from tests.bench.quality.data import DataSet
from tests.bench.quality.ours import Row, checkpoints, summary
from tests.simulation.measure import Cost, population

WARM_UP = 500
Points = NDArray[np.float64]


class Peer(Protocol):
    """Takes scaled vectors; ``daily`` ones get the whole population once an event-day, others every event."""

    daily: bool

    def learn(self, points: Points) -> None: ...

    def centres(self) -> Points: ...


class RiverPeer:
    """One of river's clusterers that has ``centers``."""

    daily = False

    def __init__(self, model: Any) -> None:
        self._model = model

    def learn(self, points: Points) -> None:
        for row in points.tolist():
            self._model.learn_one(dict(enumerate(row)))

    def centres(self) -> Points:
        model = self._model
        if hasattr(model, "predict_one") and not getattr(model, "centers", None):
            model.predict_one(dict.fromkeys(range(64), 0.0))  # CluStream makes its macro clusters when asked
        found = [list(c.values())[: self.d] for c in model.centers.values() if c]
        return np.array(found, dtype=np.float64)

    d = 0


class MiniBatch:
    """scikit-learn's MiniBatchKMeans by ``partial_fit``."""

    def __init__(self, k: int, seed: int, *, daily: bool) -> None:
        self.daily = daily
        self._model = MiniBatchKMeans(k, random_state=seed, n_init=3)
        self._waiting: list[Points] = []
        self._least = 500

    def learn(self, points: Points) -> None:
        self._waiting.append(points)
        if sum(map(len, self._waiting)) >= self._least:
            self._model.partial_fit(np.concatenate(self._waiting))
            self._waiting, self._least = [], 100

    def centres(self) -> Points:
        found: Points = self._model.cluster_centers_
        return found


class DailyRefit:
    """Batch k-means with 10 restarts, anew each event-day: the notebook that runs every night."""

    daily = True

    def __init__(self, k: int, seed: int) -> None:
        self._k, self._seed, self._points = k, seed, np.zeros((0, 0))

    def learn(self, points: Points) -> None:
        self._points = points

    def centres(self) -> Points:
        found: Points = KMeans(self._k, n_init=10, random_state=self._seed).fit(self._points).cluster_centers_
        return found


def peers(k: int, seed: int) -> dict[str, Callable[[], Peer]]:
    return {
        "river KMeans": lambda: RiverPeer(cluster.KMeans(n_clusters=k, seed=seed)),
        "river STREAMKMeans": lambda: RiverPeer(
            cluster.STREAMKMeans(  # type: ignore[no-untyped-call]
                chunk_size=100, n_clusters=k, halflife=0.5, seed=seed
            )
        ),
        "river CluStream": lambda: RiverPeer(
            cluster.CluStream(n_macro_clusters=k, max_micro_clusters=100, seed=seed)
        ),
        "MiniBatchKMeans, events": lambda: MiniBatch(k, seed, daily=False),
        "MiniBatchKMeans, population": lambda: MiniBatch(k, seed, daily=True),
        "full refit every day": lambda: DailyRefit(k, seed),
    }


def run_peer(data: DataSet, k: int, seed: int, name: str, events: int) -> Row:
    """One peer over the first so many events."""
    peer = peers(k, seed)[name]()
    if isinstance(peer, RiverPeer):
        peer.d = len(data.features)
    used = between(data.events, 0, min(events, len(data.events)))
    marks = set(checkpoints(used))
    state, scaling, costs = State(0, data.features), None, list[Cost]()
    layout_step = data.features.layout.step
    began, day = time.perf_counter(), -1
    for i in range(len(used)):
        step(state, between(used, i, i + 1))
        clock = state.numbers.clock_ms
        if scaling is None:
            if state.rows.residents < WARM_UP:
                continue
            scaling = _scaling(data, state)
            _learn_population(peer, state, scaling, layout_step)
        if peer.daily:
            if clock // DAY_MS != day:
                day = clock // DAY_MS
                if isinstance(peer, DailyRefit):
                    scaling = _scaling(data, state)
                _learn_population(peer, state, scaling, layout_step)
        else:
            row = int(state.rows.rows_of([used.customers[i]])[0])
            peer.learn(scaling.scaled(_vector(state, row) * layout_step))
        if i + 1 in marks:
            costs.append(_cost(data, state, scaling, peer.centres(), k))
    return {**summary(costs), "seconds": round(time.perf_counter() - began, 1)}


def _vector(state: State, row: int) -> NDArray[np.int32]:
    points = np.empty((1, len(state.features)), dtype=np.int32)
    rows_points(np.array([row]), state.numbers.clock_ms, state.rows.aggregates, state.features.layout, points)
    return points


def _scaling(data: DataSet, state: State) -> Scaling:
    points, _ = population([(state, state.numbers.clock_ms)])
    sums = ClusterSums.recount(points, np.zeros(len(points), dtype=np.int32), 1)
    return scaling_of(sums, data.features.layout.step, data.features.weights)


def _learn_population(peer: Peer, state: State, scaling: Scaling, layout_step: Points) -> None:
    points, _ = population([(state, state.numbers.clock_ms)])
    peer.learn(scaling.scaled(points * layout_step))


def _cost(data: DataSet, state: State, scaling: Scaling, centres: Points, k: int) -> Cost:
    points, _ = population([(state, state.numbers.clock_ms)])
    fresh = _scaling(data, state)
    scaled = fresh.scaled(points * data.features.layout.step)
    theirs = fresh.scaled(centres / scaling.factor + scaling.offset)
    ones = np.ones(len(points))
    best = batch_kmeans(scaled, ones, k, restarts=10, seed=1).cost
    ratio = assign(scaled, ones, theirs).cost / best
    return Cost(ratio, ratio, len(points))
