"""The two kinds of population in memory: points that move, and points that fade.

Both hold lattice rows with each row's cluster, and give what versions are made from: exact sums and a
weighted sample. Neither knows when a version is due.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from stream_seg.clustering.distance import choose_cluster_by, scale_row
from stream_seg.clustering.lattice import ClusterSums, add_point, remove_point
from stream_seg.clustering.sample import hash_unit, stratified_sample, whole_weights
from stream_seg.compiled import kernel

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from stream_seg.clustering.model import Model

__all__ = ["FadingPoints", "MovingPoints", "Population", "Sample"]

SAMPLE_ROWS = 8000
"""Rows that a structural refit sees, and the most that a population of fading points holds."""

_FADED = 12.0  # half-lives after which a point is dropped: those older weigh 0.02 % of all
_Integer = TypeVar("_Integer", np.int32, np.int64)
_WHOLE = 2**30  # what the integer weights of fading points add up to


Sample = tuple["NDArray[np.int32]", "NDArray[np.float64]", "NDArray[np.int32]"]
"""Rows int32[m, d], how many members each stands for float64[m], and their clusters int32[m]."""


class Population(Protocol):
    """What both kinds have in common."""

    @property
    def size(self) -> float:
        """The number of points, or their weight."""

    def put(self, rows: NDArray[np.int32], keys: Sequence[Hashable] | None, model: Model) -> None:
        """Take rows (int32[n, d]) in, in order, and label them under `model`."""

    def sizes(self, k: int) -> NDArray[np.float64] | NDArray[np.int64]:
        """Return how many points each of the k clusters has, or their weight."""

    def sums(self, k: int) -> ClusterSums:
        """Return the sums of the population under its k clusters."""

    def adopt(self, model: Model, places: NDArray[np.int32]) -> None:
        """Re-evaluate everybody under a new model.

        `places` (int32[old k]) tells where each old cluster stands in the new model, -1 for a retired one.
        """

    def sample(self, k: int, seed: int) -> Sample:
        """Return a weighted sample of the population."""

    def everyone(self) -> Sample:
        """Return all that is held, with weights; not to be changed."""

    def widen(self, d: int) -> None:
        """Give every row new columns of 0, up to d."""


class MovingPoints:
    """One point for each key: learning a key again moves its point."""

    def __init__(self, d: int) -> None:
        """Start without points, in d dimensions."""
        self._index: dict[Hashable, int] = {}
        self._rows = np.zeros((0, d), dtype=np.int32)
        self._labels = np.zeros(0, dtype=np.int32)
        self._sums: ClusterSums | None = None

    @property
    def size(self) -> float:
        """The number of points."""
        return len(self._index)

    def label_of(self, key: Hashable) -> int | None:
        """Return the cluster of a key's point, None for a key never seen."""
        row = self._index.get(key)
        return None if row is None else int(self._labels[row])

    def put(self, rows: NDArray[np.int32], keys: Sequence[Hashable] | None, model: Model) -> None:
        """Take every key's old point out of the sums and its new one in."""
        if keys is None:
            raise ValueError("points that move need keys")
        k, d = model.centres.shape
        if self._sums is None:
            self._sums = ClusterSums.zeros(k, d)
        where = np.array([self._index.setdefault(key, len(self._index)) for key in keys], dtype=np.int64)
        self._reserve(len(self._index))
        scaling = model.scaling
        _move(
            where,
            rows,
            self._rows,
            self._labels,
            *self._sums.arrays,
            model.step,
            scaling.offset,
            scaling.factor,
            model.centres,
            model.hysteresis,
            model.distance.code,
        )

    def sizes(self, k: int) -> NDArray[np.float64] | NDArray[np.int64]:
        """Return how many points each cluster has, int64[k]."""
        return self.sums(k).count

    def sums(self, k: int) -> ClusterSums:
        """Return the exact sums."""
        return ClusterSums.zeros(k, self._rows.shape[1]) if self._sums is None else self._sums

    def adopt(self, model: Model, places: NDArray[np.int32]) -> None:
        """Re-evaluate every point and recount the sums."""
        n = len(self._index)
        labels = self._labels[:n]
        labels[:] = places[labels]
        model.assign(self._rows[:n], labels)
        self._sums = ClusterSums.recount(self._rows[:n], labels, model.centres.shape[0])

    def sample(self, k: int, seed: int) -> Sample:
        """Return all points, or a sample stratified by cluster."""
        labels = self._labels[: len(self._index)]
        chosen, weights = stratified_sample(labels, k, SAMPLE_ROWS, seed)
        return self._rows[chosen], weights, labels[chosen]

    def everyone(self) -> Sample:
        """Return all points, each of weight 1."""
        n = len(self._index)
        return self._rows[:n], np.ones(n), self._labels[:n]

    def widen(self, d: int) -> None:
        """Give every row, and the sums, new columns of 0."""
        self._rows = _widened(self._rows, d)
        if self._sums is not None:
            sums = self._sums
            wide = (_widened(a, d) for a in (sums.total, sums.square_high, sums.square_low))
            self._sums = ClusterSums(sums.count, *wide)

    def _reserve(self, n: int) -> None:
        held = self._labels.shape[0]
        if n > held:
            more = max(n, 2 * held, 64) - held
            self._rows = np.vstack([self._rows, np.zeros((more, self._rows.shape[1]), dtype=np.int32)])
            self._labels = np.append(self._labels, np.full(more, -1, dtype=np.int32))


class FadingPoints:
    """Anonymous points whose weight halves every `half_life` events; without a half-life they keep it.

    At most `SAMPLE_ROWS` points are held, by priority sampling: weights are exact until there are more, and
    unbiased from there on.

    Sources: forward decay, G. Cormode, V. Shkapenyuk, D. Srivastava, B. Xu, "Forward decay: a practical time
    decay model for streaming systems", ICDE 2009; N. Duffield, C. Lund, M. Thorup, "Priority sampling for
    estimation of arbitrary subset sums", J. ACM 54(6), 2007.
    """

    def __init__(self, d: int, half_life: float | None, seed: int) -> None:
        """Start without points, in d dimensions; `half_life` in events, `seed` for the sampling."""
        self._half_life, self._seed = half_life, seed
        self._rows = np.zeros((2 * SAMPLE_ROWS, d), dtype=np.int32)
        self._labels = np.full(2 * SAMPLE_ROWS, -1, dtype=np.int32)
        self._log_weight = np.zeros(2 * SAMPLE_ROWS)  # log2 of the weight at arrival, relative to event 0
        self._log_priority = np.zeros(2 * SAMPLE_ROWS)
        self._held = 0
        self._arrived = 0
        self._log_threshold = -math.inf  # the largest priority that was ever let go

    @property
    def size(self) -> float:
        """The weight of the population: the number of points as far as they have not faded."""
        if self._half_life is None:
            return float(self._arrived)
        fade: float = 0.5 ** (1.0 / self._half_life)
        return -math.expm1(self._arrived * math.log(fade)) / (1.0 - fade)

    def put(self, rows: NDArray[np.int32], keys: Sequence[Hashable] | None, model: Model) -> None:
        """Take anonymous points in."""
        if keys is not None:
            raise ValueError("points that fade have no keys")
        for start in range(0, rows.shape[0], SAMPLE_ROWS):
            self._append(rows[start : start + SAMPLE_ROWS], model)

    def sizes(self, k: int) -> NDArray[np.float64] | NDArray[np.int64]:
        """Return each cluster's weight, float64[k]."""
        _, weights, labels = self._current()
        return np.bincount(labels, weights=weights, minlength=k)

    def sums(self, k: int) -> ClusterSums:
        """Return the sums with integer weights that add up to 2**30."""
        rows, weights, labels = self._current()
        if not rows.shape[0]:
            return ClusterSums.zeros(k, self._rows.shape[1])
        return ClusterSums.recount(rows, labels, k, whole_weights(weights, _WHOLE))

    def adopt(self, model: Model, places: NDArray[np.int32]) -> None:
        """Re-evaluate every point that is held."""
        labels = self._labels[: self._held]
        labels[:] = places[labels]
        model.assign(self._rows[: self._held], labels)

    def sample(self, k: int, seed: int) -> Sample:  # noqa: ARG002 - it is a sample already
        """Return the points that are held."""
        return self._current()

    def everyone(self) -> Sample:
        """Return the points that are held."""
        return self._current()

    def widen(self, d: int) -> None:
        """Give every row new columns of 0."""
        self._rows = _widened(self._rows, d)

    def _append(self, rows: NDArray[np.int32], model: Model) -> None:
        n = rows.shape[0]
        if self._held + n > self._labels.shape[0]:
            self._let_go()
        new = slice(self._held, self._held + n)
        number = np.arange(self._arrived, self._arrived + n, dtype=np.uint64)
        age = number.astype(np.float64) / self._half_life if self._half_life else np.zeros(n)
        self._rows[new], self._labels[new] = rows, -1
        model.assign(self._rows[new], self._labels[new])
        self._log_weight[new] = age
        self._log_priority[new] = age - np.log2(hash_unit(number, self._seed))
        self._held += n
        self._arrived += n

    def _let_go(self) -> None:
        """Keep the points of highest priority, in order of arrival, and none that has all but faded."""
        alive = np.flatnonzero(self._log_weight[: self._held] > self._now() - _FADED)
        if alive.shape[0] > SAMPLE_ROWS:
            order = alive[np.argsort(-self._log_priority[alive], kind="stable")]
            self._log_threshold = max(self._log_threshold, float(self._log_priority[order[SAMPLE_ROWS]]))
            alive = np.sort(order[:SAMPLE_ROWS])
        self._held = alive.shape[0]
        for array in (self._rows, self._labels, self._log_weight, self._log_priority):
            array[: self._held] = array[alive]

    def _now(self) -> float:
        """Return log2 of the weight of a point that arrives now."""
        return (self._arrived - 1) / self._half_life if self._half_life else 0.0

    def _current(self) -> Sample:
        self._let_go()
        n = self._held
        weights = np.exp2(np.maximum(self._log_weight[:n], self._log_threshold) - self._now())
        return self._rows[:n], weights, self._labels[:n]


@kernel
def _move(  # noqa: PLR0913, PLR0917 - a kernel fills the arrays that it is given
    where: NDArray[np.int64],
    new: NDArray[np.int32],
    rows: NDArray[np.int32],
    labels: NDArray[np.int32],
    count: NDArray[np.int64],
    total: NDArray[np.int64],
    high: NDArray[np.int64],
    low: NDArray[np.int64],
    step: NDArray[np.float64],
    offset: NDArray[np.float64],
    factor: NDArray[np.float64],
    centres: NDArray[np.float64],
    hysteresis: float,
    code: int,
) -> None:
    """Retract, replace, label and add the points at `where`, one after the other."""
    z = np.empty(rows.shape[1])
    for i in range(where.shape[0]):
        row = where[i]
        if labels[row] >= 0:
            remove_point(count, total, high, low, labels[row], rows[row])
        rows[row] = new[i]
        scale_row(rows[row], step, offset, factor, z)
        labels[row] = choose_cluster_by(z, centres, labels[row], hysteresis, code)
        add_point(count, total, high, low, labels[row], rows[row])


def _widened(rows: NDArray[_Integer], d: int) -> NDArray[_Integer]:
    return np.pad(rows, ((0, 0), (0, d - rows.shape[1])))
