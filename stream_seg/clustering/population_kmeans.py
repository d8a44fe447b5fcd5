"""Population k-means as a river clusterer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from river import base

from stream_seg.clustering.distance import DISTANCES
from stream_seg.clustering.feature_space import FeatureSpace
from stream_seg.clustering.frames import Columns, columns_of, row_count
from stream_seg.clustering.lattice import quantise
from stream_seg.clustering.population import FadingPoints, MovingPoints, Population
from stream_seg.clustering.versions import Versions
from stream_seg.clustering.warm_up import WarmUp

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["PopulationKMeans"]


class PopulationKMeans(base.Clusterer):
    """K-means of a population of points that move, or fade, kept as good as a batch refit.

    Learned with a `key`, each key is one point: learning it again takes its old place out of its cluster's
    sums and puts the new one in, exactly, on an integer lattice. Learned without, every observation is an
    anonymous point whose weight halves every `half_life_events` events.

    Labels are given under one immutable version of the centroids and their scaling. A new version is made
    from the sums of the whole population when the centroids have moved by half a percent of the cost, or a
    feature's standard deviation has changed by five percent; now and then a sample is refitted with split and
    merge moves and fresh starts, and the result taken if it lowers the cost by 1.5 %.

    Features are standardised by the population's own mean and standard deviation: there is no need to scale
    them. An absent feature counts as 0.

    Cluster numbers are ids that last: a new version keeps them, and after a structural move a cluster keeps
    the number of the one with which it shares most members; a number is never used twice.

    Parameters
    ----------
    n_clusters
        Clusters wanted. Fewer distinct points give fewer clusters.
    hysteresis
        Share of the distance by which another centre must be nearer for a known point to move there.
    seed
        The same seed and input give the same clusters.
    warm_up
        Keys (or anonymous points) to wait for, or ten times as many events, before the first clusters are
        made. Until then every prediction is 0.
    half_life_events
        Events after which the weight of an anonymous point has halved; `None` for never.
    distance
        `euclidean` (centres are means), `manhattan` (medians), `chebyshev` (midranges: they make the
        largest distance from a centre small, not the sum of the distances), or `cosine`: what counts is the
        proportion of the features, which should have one unit, and not their size. Its observations are
        brought to length 1 and not standardised.

    Examples
    --------
    Three customers of each of two kinds; one of them changes sides.

    >>> from stream_seg.clustering.population_kmeans import PopulationKMeans
    >>> model = PopulationKMeans(n_clusters=2, warm_up=6)
    >>> orders = {"ann": 1, "bob": 2, "cid": 1, "dan": 40, "eve": 41, "flo": 42}
    >>> for customer, n in orders.items():
    ...     model.learn_one({"orders": n, "spend": 10 * n}, key=customer)
    >>> model.predict_one({"orders": 2, "spend": 30}) == model.cluster_of("ann")
    True
    >>> model.cluster_of("bob") == model.cluster_of("dan")
    False
    >>> model.learn_one({"orders": 39, "spend": 380}, key="bob")
    >>> model.cluster_of("bob") == model.cluster_of("dan")
    True
    >>> sorted(model.sizes.values())
    [2, 4]

    References
    ----------
    [^1]: Lloyd, S., 1982. Least squares quantization in PCM. IEEE Transactions on Information Theory, 28(2).
    [^2]: Arthur, D., Vassilvitskii, S., 2007. k-means++: the advantages of careful seeding. SODA.
    [^3]: Cormode, G. et al., 2009. Forward decay: a practical time decay model for streaming systems. ICDE.
    [^4]: Spiliopoulou, M. et al., 2006. MONIC: modeling and monitoring cluster transitions. KDD.

    """

    def __init__(
        self,
        n_clusters: int = 5,
        *,
        hysteresis: float = 0.1,
        seed: int = 7,
        warm_up: int = 500,
        half_life_events: float | None = None,
        distance: str = "euclidean",
    ) -> None:
        """See the class; raises `ValueError` for a parameter out of range."""
        if n_clusters < 1 or warm_up < 1:
            raise ValueError("n_clusters and warm_up must be at least 1")
        if not 0.0 <= hysteresis < 1.0:
            raise ValueError(f"hysteresis is {hysteresis}: it must be at least 0 and below 1")
        if half_life_events is not None and not half_life_events > 0.0:
            raise ValueError(f"half_life_events is {half_life_events}: it must be above 0, or None")
        if distance not in DISTANCES:
            raise ValueError(f"distance is {distance!r}: it must be one of {', '.join(DISTANCES)}")
        self.n_clusters = n_clusters
        self.hysteresis = hysteresis
        self.seed = seed
        self.warm_up = warm_up
        self.half_life_events = half_life_events
        self.distance = distance
        self._space = FeatureSpace()
        self._held = WarmUp(warm_up)
        self._keyed: bool | None = None
        self._population: Population | None = None
        self._vectors = DISTANCES[distance].vectors
        self._versions = Versions(n_clusters, hysteresis, seed, DISTANCES[distance])

    def learn_one(self, x: dict[Any, Any], key: Hashable | None = None) -> None:
        """Learn one observation: of the point `key`, which moves to `x`, or of an anonymous point.

        Raises:
            ValueError: for a value that is not a number, and for mixing keyed and anonymous points.

        """
        columns = {name: np.array([value], dtype=np.float64) for name, value in x.items()}
        self._learn(columns, 1, None if key is None else [key])

    def learn_many(self, X: Any, keys: Sequence[Hashable] | None = None) -> None:  # noqa: ANN401 - any table
        """Learn the rows of `X` in order; the result is the same as by `learn_one`.

        Args:
            X: a data frame (pandas, polars), a mapping of names to columns, or a 2-dimensional array, whose
                features are then called 0, 1, ...
            keys: one for each row, or none at all.

        Raises:
            ValueError: for a value that is not a number, columns or keys of different lengths, and for mixing
                keyed and anonymous points.

        """
        columns = columns_of(X)
        n = row_count(columns)
        if keys is not None and len(keys) != n:
            raise ValueError(f"{n} rows and {len(keys)} keys")
        self._learn(columns, n, None if keys is None else list(keys))

    def predict_one(self, x: dict[Any, Any]) -> int:
        """Return the cluster of an observation: that of the nearest centre, 0 before warm-up has ended.

        Nothing changes. Features never learned are left out. Raises `ValueError` for a value that is not a
        number.
        """
        columns = {name: np.array([value], dtype=np.float64) for name, value in x.items()}
        return int(self._predict(columns, 1)[0])

    def predict_many(self, X: Any) -> NDArray[np.int64]:  # noqa: ANN401 - any table
        """Return the cluster of each row, int64[n]; `X` as for `learn_many`."""
        columns = columns_of(X)
        return self._predict(columns, row_count(columns))

    def cluster_of(self, key: Hashable) -> int | None:
        """Return the cluster that a key is in, after hysteresis; None for one never seen or still waiting."""
        model, population = self._versions.model, self._population
        if model is None or not isinstance(population, MovingPoints):
            return None
        place = population.label_of(key)
        return None if place is None else model.ids[place]

    @property
    def sizes(self) -> dict[int, float]:
        """How many keys each cluster holds, or what its anonymous points weigh together."""
        model, population = self._versions.model, self._population
        if model is None or population is None:
            return {}
        return dict(zip(model.ids, population.sizes(len(model.ids)).tolist(), strict=True))

    @property
    def centers(self) -> dict[int, dict[Hashable, float]]:
        """The centre of each cluster by feature, in the features' own units."""
        model = self._versions.model
        if model is None:
            return {}
        return {
            number: dict(zip(self._space.names, centre.tolist(), strict=True))
            for number, centre in zip(model.ids, model.centres_unscaled, strict=True)
        }

    @property
    def clipped(self) -> int:
        """How many values learned lay beyond the lattice (4,096 times the largest of the warm-up)."""
        return self._space.clipped

    def _learn(self, columns: Columns, n: int, keys: list[Hashable] | None) -> None:
        if n == 0:
            return
        if self._keyed is not None and self._keyed != (keys is not None):
            raise ValueError("one model learns with keys or without, not both")
        values = self._vectors(self._space.vectors(columns, n))
        self._keyed = keys is not None
        taken = 0
        if self._population is None:
            taken = self._held.hold(values, keys)
            if self._held.complete:
                self._start()
        if self._population is not None:
            self._put(self._space.rows(values[taken:]), None if keys is None else keys[taken:])

    def _start(self) -> None:
        """Make the first version from what has been held."""
        values, keys = self._held.values(len(self._space)), self._held.keys
        self._space.fix_lattice(values)
        rows, d = self._space.rows(values), len(self._space)
        model = self._versions.first(rows, self._space.fixed_step)
        self._population = MovingPoints(d) if keys else FadingPoints(d, self.half_life_events, self.seed)
        self._population.put(rows, keys, model)
        self._held = WarmUp(self.warm_up)

    def _put(self, rows: NDArray[np.int32], keys: list[Hashable] | None) -> None:
        """Learn rows, with a check whenever one is due: the same in one batch or in many."""
        population, versions = self._population, self._versions
        if population is None or versions.model is None:
            raise ValueError("there is no population before the end of warm-up")
        if rows.shape[1] > versions.model.centres.shape[1]:
            versions.widen(self._space.fixed_step)
            population.widen(rows.shape[1])
        start = 0
        while start < rows.shape[0]:
            stop = start + versions.events_to_check
            population.put(rows[start:stop], None if keys is None else keys[start:stop], versions.model)
            versions.count(min(stop, rows.shape[0]) - start)
            if stop <= rows.shape[0]:
                versions.check(population)
            start = stop

    def _predict(self, columns: Columns, n: int) -> NDArray[np.int64]:
        values = self._vectors(self._space.known_vectors(columns, n))
        model = self._versions.model
        if model is None:
            return np.zeros(n, dtype=np.int64)
        rows, _ = quantise(values[:, : len(model.step)], model.step)
        places = np.full(n, -1, dtype=np.int32)
        model.assign(rows, places)
        return np.array(model.ids, dtype=np.int64)[places]

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {"n_clusters": 3, "warm_up": 20}
