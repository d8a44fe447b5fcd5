"""How well found segments recover the behaviour that the shop hides."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NO_SEGMENT = -1  # ids start at 0: customers that were not found form a group of their own


@dataclass(frozen=True)
class Recovery:
    """Found segments beside hidden behaviours.

    Attributes:
        ari: adjusted Rand index (Hubert and Arabie 1985): 1 for the same grouping, about 0 for chance.
        composition: per segment id, ascending, how many of its customers behave in which way, most frequent
            first. Customers without a segment stand under `NO_SEGMENT`.

    """

    ari: float
    composition: dict[int, dict[str, int]]


def recovery(segments: Mapping[str, int], behaviour: Mapping[str, str]) -> Recovery:
    """Compare customers' segments with the truth about all customers.

    The shop's customers without a segment count as one more group, so that losing some never flatters.

    Raises:
        ValueError: a segment is given for somebody whom the shop does not know, or the shop has no customers.

    """
    # Here and not above: the view and the summary need only the values of this module, not the clustering.
    from stream_seg.clustering.metrics import adjusted_rand_index  # noqa: PLC0415

    strangers = segments.keys() - behaviour.keys()
    if strangers:
        raise ValueError(f"{len(strangers)} customers have a segment and are unknown to the shop")
    if not behaviour:
        raise ValueError("there are no customers to compare")
    found = [segments.get(customer, NO_SEGMENT) for customer in behaviour]
    true = list(behaviour.values())
    ari = float(adjusted_rand_index(np.asarray(found, dtype=np.int64), _codes(true)))
    return Recovery(ari, _composition(found, true))


def _codes(names: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Replace each name by the number of its first appearance."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.fromiter((numbers[name] for name in names), dtype=np.int64, count=len(names))


def _composition(found: Sequence[int], true: Sequence[str]) -> dict[int, dict[str, int]]:
    counts: dict[int, Counter[str]] = {}
    for segment, name in zip(found, true, strict=True):
        counts.setdefault(segment, Counter())[name] += 1
    return {segment: dict(counts[segment].most_common()) for segment in sorted(counts)}
