"""The one place in which a distance and its centre are defined.

A row lies on the lattice (int32[d]). Distances are taken in **scaled space**: the value of feature j there
is `(x[j] * step[j] - offset[j]) * factor[j]`, with `step` of the lattice, `offset` and `scale` of a model
version and `factor = weight / scale`. Centres (float64[k, d]) are given in scaled space too. Rescaling
therefore costs nothing and loses nothing: rows and sums know no scale.

Kernels compare by a number that orders like the distance and is cheaper: the square of the Euclidean
distance. Every kernel adds up the same terms in the same order, so they agree to the last bit. Those ending
in `_scaled` take a row that `scale_row` has scaled, which a caller with many rows does once per row into one
buffer.

The Euclidean distance, with means as centres, is what the engine runs on. Beside it there are the Manhattan
distance with medians (P. S. Bradley, O. L. Mangasarian, W. N. Street, "Clustering via concave minimization",
NIPS 9, 1997) and the Chebyshev distance with midranges, which minimise the largest radius of a cluster and
not the sum of the distances. The cosine distance is the Euclidean one between vectors brought to length 1,
which are not standardised: |u - v|² is twice 1 - cos(u, v) (I. S. Dhillon, D. S. Modha, "Concept
decompositions for large sparse text data using clustering", Machine Learning 42, 2001).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stream_seg.compiled import inlined, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EUCLIDEAN, _MANHATTAN, _CHEBYSHEV = 0, 1, 2
_LARGEST = 1e150  # whose square is an ordinary number

__all__ = [
    "CHEBYSHEV",
    "COSINE",
    "DISTANCES",
    "EUCLIDEAN",
    "MANHATTAN",
    "Distance",
    "apart",
    "assign_rows",
    "assign_rows_by",
    "choose_cluster",
    "choose_cluster_by",
    "nearest_scaled",
    "nearest_two",
    "nearest_two_scaled",
    "scale_row",
    "scaled_rows",
    "squared_distance",
]


@kernel
def scale_row(
    x: NDArray[np.int32],
    step: NDArray[np.float64],
    offset: NDArray[np.float64],
    factor: NDArray[np.float64],
    z: NDArray[np.float64],
) -> None:
    """Fill `z` (float64[d]) with the lattice row `x` (int32[d]) in scaled space."""
    for j in range(x.shape[0]):
        z[j] = (x[j] * step[j] - offset[j]) * factor[j]


@kernel
def squared_distance(z: NDArray[np.float64], centre: NDArray[np.float64]) -> float:
    """Return the squared Euclidean distance of two float64[d] in scaled space."""
    d2 = 0.0
    for j in range(z.shape[0]):
        delta = z[j] - centre[j]
        d2 += delta * delta
    return d2


@inlined
def _squared_distance_to(z: NDArray[np.float64], centres: NDArray[np.float64], c: int) -> float:
    """Do what `squared_distance` does, for row `c` of `centres`.

    Taking the row out first would make numba count a reference to it, for more than the distance costs.
    """
    d2 = 0.0
    for j in range(z.shape[0]):
        delta = z[j] - centres[c, j]
        d2 += delta * delta
    return d2


@kernel
def nearest_scaled(z: NDArray[np.float64], centres: NDArray[np.float64]) -> tuple[int, float]:
    """Return index and squared distance of the nearest of `centres` (float64[k, d]).

    Of equally near centres it is the lowest index.
    """
    best, d2_best = 0, math.inf
    for c in range(centres.shape[0]):
        d2 = _squared_distance_to(z, centres, c)
        if d2 < d2_best:
            best, d2_best = c, d2
    return best, d2_best


@kernel
def nearest_two_scaled(z: NDArray[np.float64], centres: NDArray[np.float64]) -> tuple[int, int, float, float]:
    """Do what `nearest_two` does, for a row (float64[d]) in scaled space."""
    best, second = 0, -1
    d2_best, d2_second = math.inf, math.inf
    for c in range(centres.shape[0]):
        d2 = _squared_distance_to(z, centres, c)
        if d2 < d2_best:
            if c > 0:
                second, d2_second = best, d2_best
            best, d2_best = c, d2
        elif d2 < d2_second:
            second, d2_second = c, d2
    return best, second, d2_best, d2_second


@kernel
def nearest_two(
    x: NDArray[np.int32],
    step: NDArray[np.float64],
    offset: NDArray[np.float64],
    factor: NDArray[np.float64],
    centres: NDArray[np.float64],
) -> tuple[int, int, float, float]:
    """Find the nearest and the second nearest of `centres` (float64[k, d], scaled space) to `x` (int32[d]).

    Returns:
        `(best, second, d2_best, d2_second)`: indices and squared Euclidean distances. Of equally near centres
        the lower index is the nearer. With one centre `second` is -1 and `d2_second` infinite.

    """
    z = np.empty(x.shape[0])
    scale_row(x, step, offset, factor, z)
    return nearest_two_scaled(z, centres)


@kernel
def choose_cluster(
    z: NDArray[np.float64], centres: NDArray[np.float64], current: int, hysteresis: float
) -> int:
    """Return the cluster of a scaled row (float64[d]) that is in `current`: the nearest, after hysteresis.

    It leaves `current` only if the nearest centre is nearer by the share `hysteresis` of the distance.
    A row that is in no cluster (`current` below 0) gets no such credit.
    """
    best, d2_best = nearest_scaled(z, centres)
    if current >= 0 and best != current:
        keep = 1.0 - hysteresis
        if not d2_best < keep * keep * _squared_distance_to(z, centres, current):
            best = current
    return best


@kernel
def label_scaled(
    z: NDArray[np.float64], centres: NDArray[np.float64], current: int, hysteresis: float
) -> tuple[int, int, float, float]:
    """Choose a scaled row's cluster as `choose_cluster` does, and find the nearest other one.

    Returns:
        `(chosen, other, d2_chosen, d2_other)`: with one centre `other` is -1 and `d2_other` infinite.

    """
    best, second, d2_best, d2_second = nearest_two_scaled(z, centres)
    if current >= 0 and best != current:
        keep = 1.0 - hysteresis
        d2_current = _squared_distance_to(z, centres, current)
        if not d2_best < keep * keep * d2_current:
            best, second, d2_best, d2_second = current, best, d2_current, d2_best
    return best, second, d2_best, d2_second


@kernel
def apart(z: NDArray[np.float64], centre: NDArray[np.float64], code: int) -> float:
    """Return the distance (for the Euclidean its square) of two float64[d], by a `Distance`'s code."""
    if code == _EUCLIDEAN:
        return squared_distance(z, centre)
    result = 0.0
    for j in range(z.shape[0]):
        delta = abs(z[j] - centre[j])
        result = result + delta if code == _MANHATTAN else max(result, delta)
    return result


@kernel
def choose_cluster_by(
    z: NDArray[np.float64], centres: NDArray[np.float64], current: int, hysteresis: float, code: int
) -> int:
    """Do what `choose_cluster` does, under the distance with that code."""
    if code == _EUCLIDEAN:
        return choose_cluster(z, centres, current, hysteresis)
    best, nearest = 0, math.inf
    for c in range(centres.shape[0]):
        distance = apart(z, centres[c], code)
        if distance < nearest:
            best, nearest = c, distance
    if current < 0 or best == current:
        return best
    return best if nearest < (1.0 - hysteresis) * apart(z, centres[current], code) else current


@kernel
def assign_rows(
    rows: NDArray[np.int32],
    step: NDArray[np.float64],
    offset: NDArray[np.float64],
    factor: NDArray[np.float64],
    centres: NDArray[np.float64],
    hysteresis: float,
    labels: NDArray[np.int32],
) -> int:
    """Re-evaluate every row (int32[n, d]); return how many changed their cluster.

    `labels` (int32[n]) holds the current clusters, below 0 for none, and is filled with the new ones.
    """
    return assign_rows_by(rows, step, offset, factor, centres, hysteresis, _EUCLIDEAN, labels)


@kernel
def assign_rows_by(  # noqa: PLR0913, PLR0917 - a kernel fills the arrays that it is given
    rows: NDArray[np.int32],
    step: NDArray[np.float64],
    offset: NDArray[np.float64],
    factor: NDArray[np.float64],
    centres: NDArray[np.float64],
    hysteresis: float,
    code: int,
    labels: NDArray[np.int32],
) -> int:
    """Do what `assign_rows` does, under the distance with that code."""
    changed = 0
    z = np.empty(rows.shape[1])
    for i in range(rows.shape[0]):
        scale_row(rows[i], step, offset, factor, z)
        chosen = choose_cluster_by(z, centres, labels[i], hysteresis, code)
        if chosen != labels[i]:
            labels[i] = chosen
            changed += 1
    return changed


@kernel
def fill_medians(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    labels: NDArray[np.int32],
    order: NDArray[np.int64],
    centres: NDArray[np.float64],
) -> None:
    """Fill `centres` (float64[k, d]) with weighted medians; a centre without weight stays.

    `order` (int64[d, n]) sorts the points by each feature. Where a whole interval minimises the sum of
    absolute differences, its middle is taken.
    """
    k, d = centres.shape
    half = np.zeros(k)
    for i in range(labels.shape[0]):
        half[labels[i]] += weights[i] / 2.0
    for j in range(d):
        below = np.zeros(k)  # weight up to here; infinite once the median is found
        for place in range(order.shape[1]):
            i = order[j, place]
            c = labels[i]
            if weights[i] <= 0.0 or below[c] == math.inf:
                continue
            if below[c] == half[c]:  # exactly half lies below: the middle between that value and this
                centres[c, j] = (centres[c, j] + points[i, j]) / 2.0
                below[c] = math.inf
                continue
            below[c] += weights[i]
            if below[c] >= half[c]:
                centres[c, j] = points[i, j]
            if below[c] > half[c]:
                below[c] = math.inf


@kernel
def fill_midranges(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    labels: NDArray[np.int32],
    centres: NDArray[np.float64],
) -> None:
    """Fill `centres` (float64[k, d]) with midranges; a centre without weight stays."""
    k, d = centres.shape
    low, high = np.full((k, d), math.inf), np.full((k, d), -math.inf)
    for i in range(points.shape[0]):
        if weights[i] > 0.0:
            for j in range(d):
                low[labels[i], j] = min(low[labels[i], j], points[i, j])
                high[labels[i], j] = max(high[labels[i], j], points[i, j])
    for c in range(k):
        if low[c, 0] < math.inf:
            for j in range(d):
                centres[c, j] = low[c, j] + (high[c, j] - low[c, j]) / 2.0


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance in scaled space, the centre that goes with it, and what that centre minimises.

    Attributes:
        name: as configured.
        code: what kernels know it by.
        unit: whether vectors are brought to length 1 first, and not standardised.

    """

    name: str
    code: int
    unit: bool = False

    @property
    def has_means(self) -> bool:
        """Whether the centres are means, which come from sums."""
        return self.code == _EUCLIDEAN

    def vectors(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return observations, float64[n, d], as the distance takes them; one of zeros stays as it is."""
        if not self.unit:
            return values
        finite = np.clip(values, -_LARGEST, _LARGEST)
        length = np.sqrt((finite * finite).sum(axis=1, keepdims=True))
        unit: NDArray[np.float64] = np.divide(finite, length, out=np.zeros_like(finite), where=length > 0.0)
        return unit

    def fill_centres(
        self,
        points: NDArray[np.float64],
        weights: NDArray[np.float64],
        labels: NDArray[np.int32],
        order: NDArray[np.int64],
        centres: NDArray[np.float64],
    ) -> None:
        """Fill `centres` (float64[k, d]) from the members; a cluster without any keeps its own.

        Means, the Euclidean centres, come from sums: see `lattice` and `lloyd`.
        """
        if self.code == _MANHATTAN:
            fill_medians(points, weights, labels, order, centres)
        elif self.code == _CHEBYSHEV:
            fill_midranges(points, weights, labels, centres)
        else:
            raise ValueError(f"{self.name} centres are means, and come from sums")

    def cost(self, distances: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
        """Return what the centres minimise, of the points' distances (as `apart` gives them).

        The sum of squares (Euclidean) or of distances (Manhattan), or the largest radius (Chebyshev).
        """
        if self.code == _CHEBYSHEV:
            return float(distances[weights > 0.0].max(initial=0.0))
        return float((weights * distances).sum())


EUCLIDEAN = Distance("euclidean", _EUCLIDEAN)
MANHATTAN = Distance("manhattan", _MANHATTAN)
CHEBYSHEV = Distance("chebyshev", _CHEBYSHEV)
COSINE = Distance("cosine", _EUCLIDEAN, unit=True)
DISTANCES = {distance.name: distance for distance in (EUCLIDEAN, MANHATTAN, CHEBYSHEV, COSINE)}
"""Every distance by its name."""


def scaled_rows(
    rows: NDArray[np.int32],
    step: NDArray[np.float64],
    offset: NDArray[np.float64],
    factor: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return lattice rows (int32[n, d]) in scaled space, float64[n, d], to the same bits as `scale_row`."""
    scaled: NDArray[np.float64] = (rows * step - offset) * factor
    return scaled
