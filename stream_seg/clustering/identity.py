"""Segments that keep their identity: who carries an id over a structural move, and what became of the rest.

Ids are minted once and never used again. After a refit each new cluster takes the id of the old one with
which it shares most members, by the best matching of all at once; the rest is told as lineage.

Source: M. Spiliopoulou, I. Ntoutsi, Y. Theodoridis, R. Schult, "MONIC: modeling and monitoring cluster
transitions", KDD 2006 (survival, split, absorption, disappearance and emergence by overlap of members,
section 3); matching as in `overlap`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream_seg.clustering.overlap import contingency, match_clusters

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Identities", "Lineage", "Merge", "Split", "carry_ids", "first_ids"]

LEAST_OVERLAP = 0.25
"""Share of the smaller of two clusters that both must have in common for one to carry the other's id."""

_MOST = 0.5  # MONIC's threshold: a cluster came from, or went into, the one that holds so much of it


@dataclass(frozen=True, slots=True)
class Split:
    """The new segment `child` holds mostly members of the old segment `parent`."""

    child: int
    parent: int


@dataclass(frozen=True, slots=True)
class Merge:
    """Most members of the old segment `segment`, which is no more, are in the segment `into` now."""

    segment: int
    into: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a structural move did to the segments; ids, ascending.

    Attributes:
        born: every segment with a fresh id.
        split: those of them that come from an old segment.
        merged: those of `retired` that went into another segment.
        retired: every segment whose id is carried no further.

    """

    born: tuple[int, ...] = ()
    split: tuple[Split, ...] = ()
    merged: tuple[Merge, ...] = ()
    retired: tuple[int, ...] = ()

    @property
    def parents(self) -> dict[int, int]:
        """The parent of every segment that was split off."""
        return {split.child: split.parent for split in self.split}


@dataclass(frozen=True, slots=True)
class Identities:
    """The ids of a new clustering.

    Attributes:
        ids: the segment id of each new cluster, in the clusters' order.
        next_id: the first id that has never been used.
        lineage: what happened to the segments.

    """

    ids: tuple[int, ...]
    next_id: int
    lineage: Lineage


def first_ids(k: int, next_id: int = 0) -> Identities:
    """Return fresh ids for the `k` clusters of a first version."""
    ids = tuple(range(next_id, next_id + k))
    return Identities(ids, next_id + k, Lineage(born=ids))


def carry_ids(
    old_ids: Sequence[int],
    old_labels: NDArray[np.int32],
    new_labels: NDArray[np.int32],
    weights: NDArray[np.float64],
    new_k: int,
    next_id: int,
    *,
    least_overlap: float = LEAST_OVERLAP,
) -> Identities:
    """Carry segment ids from an old clustering of weighted rows to a new one of the same rows.

    Args:
        old_ids: the segment id of each old cluster.
        old_labels: int32[n], each row's old cluster (an index into `old_ids`), negative for none.
        new_labels: int32[n], each row's new cluster.
        weights: float64[n], how many members of the population a row stands for.
        new_k: number of new clusters.
        next_id: the first id never used so far.
        least_overlap: see `LEAST_OVERLAP`.

    """
    old_k = len(old_ids)
    shared = contingency(old_labels, new_labels, weights, old_k, new_k)
    old_mass, new_mass = shared.sum(axis=1), shared.sum(axis=0)
    ids = [-1] * new_k
    for a, b in match_clusters(shared):
        if shared[a, b] >= least_overlap * min(old_mass[a], new_mass[b]):
            ids[b] = old_ids[a]
    born = []
    for b in range(new_k):
        if ids[b] < 0:
            ids[b] = next_id
            born.append(b)
            next_id += 1
    carried = set(ids)
    retired = [a for a in range(old_k) if old_ids[a] not in carried]
    parents = {b: parent for b in born if (parent := _most_of(shared[:, b])) is not None}
    heirs = {a: heir for a in retired if (heir := _most_of(shared[a])) is not None}
    lineage = Lineage(
        born=tuple(ids[b] for b in born),
        split=tuple(Split(ids[b], old_ids[a]) for b, a in parents.items()),
        merged=tuple(Merge(s, into) for s, into in sorted((old_ids[a], ids[b]) for a, b in heirs.items())),
        retired=tuple(sorted(old_ids[a] for a in retired)),
    )
    return Identities(tuple(ids), next_id, lineage)


def _most_of(shares: NDArray[np.float64]) -> int | None:
    """Return the index that holds at least half of the whole, if there is one."""
    whole = float(shares.sum())
    largest = int(shares.argmax())
    return largest if whole > 0.0 and shares[largest] >= _MOST * whole else None
