"""How far two clusterings of the same points agree, cluster by cluster.

Source of the matching: H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research
Logistics Quarterly 2, 1955; computed by scipy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["contingency", "match_clusters", "shared_weight"]


def contingency(
    old_labels: NDArray[np.int32],
    new_labels: NDArray[np.int32],
    weights: NDArray[np.float64],
    old_k: int,
    new_k: int,
) -> NDArray[np.float64]:
    """Return the weight that each pair of an old and a new cluster shares, float64[old_k, new_k].

    Labels are int32[n], weights float64[n]; a point whose old or new label is negative counts nowhere.
    """
    known = (old_labels >= 0) & (new_labels >= 0)
    cells = old_labels[known].astype(np.int64) * new_k + new_labels[known]
    table = np.bincount(cells, weights=weights[known], minlength=old_k * new_k)
    return table.astype(np.float64, copy=False).reshape(old_k, new_k)


def match_clusters(shared: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pair old and new clusters (each at most once) so that the pairs share the most weight.

    `shared` is float64[old_k, new_k]. Pairs that share nothing are left out; sorted by old cluster.
    """
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - half a second that few moves need

    old, new = linear_sum_assignment(shared, maximize=True)
    return [(a, b) for a, b in zip(old.tolist(), new.tolist(), strict=True) if shared[a, b] > 0.0]


def shared_weight(shared: NDArray[np.float64]) -> float:
    """Return the share, 0 to 1, of the weight whose cluster stays the same under the best matching."""
    whole = float(shared.sum())
    return sum(float(shared[a, b]) for a, b in match_clusters(shared)) / whole if whole > 0.0 else 1.0
