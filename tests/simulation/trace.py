"""What a partition has said, as digests that do not depend on how its events were cut into batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stream_seg.clustering.lattice import ClusterSums
from stream_seg.engine.derive import derive
from stream_seg.engine.outcome import Adoption, Outcome
from stream_seg.engine.replay import between
from stream_seg.events.batch import EventBatch
from stream_seg.features.spec import FeatureSet


class Trace:
    """Digests of labels and of transitions, one for each column."""

    def __init__(self) -> None:
        self._labels = [hashlib.sha256() for _ in range(6)]
        self._transitions = [hashlib.sha256() for _ in range(11)]
        self.labels = 0
        self.transitions = 0

    def note(self, outcome: Outcome) -> None:
        if outcome.labels is not None:
            for digest, column in zip(self._labels, outcome.labels, strict=True):
                digest.update(np.ascontiguousarray(column).tobytes())
            self.labels += len(outcome.labels.segment)
        t = outcome.transitions
        columns = (t.origin, t.target, t.cause, t.dwell_ms, t.event_time_ms, t.offset, *t.drivers)
        names = "".join(f"{customer}\n" for customer in t.customers).encode()
        for digest, data in zip(self._transitions, (names, *columns), strict=False):
            digest.update(data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes())
        self.transitions += len(t)

    @property
    def said(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(labels, transitions) as hexadecimal digests."""
        return (
            tuple(d.hexdigest() for d in self._labels),
            tuple(d.hexdigest() for d in self._transitions),
        )


@dataclass(frozen=True)
class Derived:
    """What came out of a partition derived alone: its trace and its final sums."""

    trace: Trace
    sums: ClusterSums


def derived(
    partition: int, features: FeatureSet, adoptions: Sequence[Adoption], events: EventBatch, size: int
) -> Derived:
    """Derive a partition again from its events in batches of ``size`` and its recorded adoptions."""
    trace = Trace()
    sums = ClusterSums.zeros(0, len(features))
    for step in derive(partition, features, adoptions, _cut(events, size)):
        trace.note(step.outcome)
        sums = step.state.sums
    return Derived(trace, sums)


def _cut(events: EventBatch, size: int) -> Iterator[EventBatch]:
    starts: Iterable[int] = range(0, len(events), size)
    return (between(events, start, min(start + size, len(events))) for start in starts)
