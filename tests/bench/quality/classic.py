"""The classic tables of k-means: Spambase, and a Gaussian mixture of our own making.

Spambase: the median final cost ÷ 10⁵ of k-means++ and Lloyd over raw columns. B. Bahmani et al., "Scalable
k-means++", PVLDB 5(7), 2012, table 2, gives 233, 68 and 24 for k = 20, 50 and 100 with plain k-means++ (one
draw for each centre); the greedy variant, which we use, starts better.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from stream_seg.clustering.lloyd import batch_kmeans, lloyd
from stream_seg.clustering.population_kmeans import PopulationKMeans
from stream_seg.clustering.seeding import greedy_kmeans_plus_plus
from tests.bench.quality.data import located
from tests.bench.quality.ours import Row

PUBLISHED = {20: 233.0, 50: 68.0, 100: 24.0}
RUNS = 11
_COLUMNS = 57
_UNIT = 1e5
MIXTURE_POINTS, MIXTURE_KINDS, MIXTURE_FEATURES = 20_000, 8, 5

Make = Callable[[], Row]


def classic_rows(seed: int) -> list[tuple[Row, Make]]:
    """Each row's key, and how it is made. ``MissingDataError`` where Spambase is not there."""
    points = np.loadtxt(located("spambase.data"), delimiter=",")[:, :_COLUMNS]
    spambase = [(_key("Spambase", k, 0), partial(_spambase, points, k)) for k in PUBLISHED]
    key = _key("Gaussian mixture", MIXTURE_KINDS, seed)
    return [*spambase, (key, partial(_mixture, seed))]


def _key(data: str, k: int, seed: int) -> Row:
    return {"table": "classic", "data": data, "features": "plain", "k": k, "seed": seed}


def _spambase(points: NDArray[np.float64], k: int) -> Row:
    plain = np.median([_once(points, k, seed, trials=1) for seed in range(RUNS)])
    greedy = np.median([_once(points, k, seed, trials=None) for seed in range(RUNS)])
    theirs = np.median([KMeans(k, n_init=1, random_state=seed).fit(points).inertia_ for seed in range(RUNS)])
    return _row(published=PUBLISHED[k], plain=plain, ours=greedy, sklearn=theirs)


def _once(points: NDArray[np.float64], k: int, seed: int, *, trials: int | None) -> float:
    weights = np.ones(len(points))
    rng = np.random.default_rng(seed)
    return lloyd(points, weights, greedy_kmeans_plus_plus(points, weights, k, rng, trials=trials)).cost


def _mixture(seed: int) -> Row:
    """Overlapping Gaussians of unequal size: batch, and learned one after the other as a population."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(MIXTURE_KINDS, MIXTURE_POINTS, p=rng.dirichlet(np.full(MIXTURE_KINDS, 4.0)))
    centres = rng.normal(size=(MIXTURE_KINDS, MIXTURE_FEATURES)) * 3.0
    points = centres[kinds] + rng.normal(size=(MIXTURE_POINTS, MIXTURE_FEATURES))
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    ours = batch_kmeans(points, np.ones(MIXTURE_POINTS), MIXTURE_KINDS, seed=seed).cost
    theirs = KMeans(MIXTURE_KINDS, n_init=10, random_state=seed).fit(points).inertia_
    model = PopulationKMeans(n_clusters=MIXTURE_KINDS, seed=seed)
    model.learn_many(points, keys=range(MIXTURE_POINTS))
    learned = np.array([[centre[j] for j in range(MIXTURE_FEATURES)] for centre in model.centers.values()])
    squared = ((points[:, None, :] - learned[None, :, :]) ** 2).sum(axis=2).min(axis=1).sum()
    return _row(ours=ours, sklearn=theirs, online=squared)


def _row(**costs: float) -> Row:
    return {
        name: round(float(cost) / (1.0 if name == "published" else _UNIT), 4) for name, cost in costs.items()
    }
