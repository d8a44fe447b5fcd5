"""How good a version is, and what has become of the population since the one before: measured at each mint.

Nothing here decides anything: labels never depend on it. The numbers are part of the version's JSON.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_seg.clustering.drift import PageHinkley
from stream_seg.clustering.lloyd import assign
from stream_seg.clustering.metrics import davies_bouldin, sampled_silhouette, simplified_silhouette
from stream_seg.clustering.mint import Scaling
from stream_seg.engine.outcome import CAUSES
from stream_seg.engine.state import DAY_MS, Changes

__all__ = ["Observer", "Seen", "clustering_quality", "drift_of"]

SILHOUETTE_ROWS = 500
"""Rows of the sampled silhouette: its standard error is some 0.015, its price 2 ms a version."""
FLAPPING_WINDOW_MS = 28 * DAY_MS
"""Flapping is the share of the changes of so much event time."""

Quality = dict[str, float | None]


def clustering_quality(
    points: NDArray[np.float64], weights: NDArray[np.float64], centres: NDArray[np.float64], seed: int
) -> Quality:
    """Silhouettes and Davies-Bouldin of a sample float64 [n, d] with weights [n] under centres [k, d].

    All in scaled space; every row counts for its nearest centre. Empty where there is no row.
    """
    if not len(points):
        return {}
    labels = assign(points, weights, centres).labels
    return {
        "simplified_silhouette": simplified_silhouette(points, weights, centres),
        "silhouette": sampled_silhouette(points, labels, weights, sample=SILHOUETTE_ROWS, seed=seed),
        "davies_bouldin": davies_bouldin(points, weights, labels, centres),
    }


def drift_of(names: Sequence[str], old: Scaling, new: Scaling) -> Quality:
    """By how many standard deviations each feature's mean has moved since the version before."""
    moved = (new.offset - old.offset) / old.scale
    return {f"drift.{name}": value for name, value in zip(names, moved.tolist(), strict=True)}


class Seen(msgspec.Struct, frozen=True):
    """What an ``Observer`` has seen: marks (event time, changes so far), the test for drift, alarms."""

    marks: list[tuple[int, Changes]]
    cost: tuple[int, float, float, float]
    alarms: int


@dataclass(slots=True)
class Observer:
    """Follows changes of segment and the cost from check to check.

    What it has seen is stored with a replay's checkpoint only: a minter that takes over starts with what the
    partitions have counted so far, and a new test for drift.
    """

    _marks: deque[tuple[int, Changes]] = field(default_factory=deque)
    _cost: PageHinkley = field(default_factory=PageHinkley)
    _alarms: int = 0

    def start(self, changes: Changes, as_of_ms: int) -> None:
        """Count from here."""
        self._marks = deque([(as_of_ms, changes)])

    @property
    def seen(self) -> Seen:
        """What has been seen so far, for ``resume``."""
        return Seen(list(self._marks), self._cost.numbers, self._alarms)

    def resume(self, seen: Seen) -> None:
        """Go on from what another one had seen."""
        self._marks, self._alarms = deque(seen.marks), seen.alarms
        self._cost.resumed(seen.cost)

    def checked(self, cost_per_customer: float) -> None:
        """Take the cost as it is at a check, in the current version's scaled space."""
        if cost_per_customer > 0.0:
            self._alarms += self._cost.update(math.log(cost_per_customer))

    def minted(self, changes: Changes, as_of_ms: int, customers: int) -> Quality:
        """What has happened since the version before, as it is now that the next one is made."""
        if not self._marks:
            self.start(Changes(), as_of_ms)
        last = self._marks[-1][1]
        self._marks.append((as_of_ms, changes))
        while len(self._marks) > 2 and self._marks[1][0] < as_of_ms - FLAPPING_WINDOW_MS:
            self._marks.popleft()
        since = [now - then for now, then in zip(changes.made, last.made, strict=True)]
        found: Quality = {
            f"churn.{cause}": count / customers if customers else None
            for cause, count in zip(CAUSES, since, strict=True)
        }
        first = self._marks[0][1]
        made = sum(changes.made) - sum(first.made)
        found["flapping"] = (changes.reverted - first.reverted) / made if made > 0 else None
        found["cost_drift_alarms"] = float(self._alarms)
        self._alarms = 0
        return found
