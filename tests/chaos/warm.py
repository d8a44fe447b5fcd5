"""Imported once by the process that workers are forked from: the program, and its compiled kernels."""

from __future__ import annotations

import numpy as np

import tests.chaos.worker
from stream_seg.engine.minter import Minter
from stream_seg.engine.outcome import Adoption
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.records import Origin, encode_labels
from stream_seg.engine.state import State
from stream_seg.engine.step import step
from stream_seg.events.batch import EventBatch
from stream_seg.features.spec import Feature, FeatureSet

__all__ = ["tests"]


def _once() -> None:
    """Take a few events through warm-up and a version, so that every kernel has been loaded."""
    features = FeatureSet((Feature("days", "days_since"), Feature("orders", "count")))
    n = 8
    events = EventBatch(
        customers=[f"c{i}" for i in range(n)],
        time_ms=np.arange(n, dtype=np.int64) * 86_400_000,
        offset=np.arange(n, dtype=np.int64),
        ids=[None] * n,
        types=[None] * n,
        numbers=np.zeros((n, 0)),
        tokens=np.zeros((n, 0), dtype=np.uint64),
        matches=np.ones((n, len(features)), dtype=np.bool_),
        next_offset=n,
    )
    scratch, state = State(0, features), State(0, features)
    step(scratch, events)
    minted = Minter(ModelPlan(features, segments=2), "warm").first(
        scratch.points()[0], int(events.time_ms[-1])
    )
    step(state, Adoption(minted.version, 0, -1))
    encode_labels(step(state, events), Origin("orders", 0, "live"))


_once()
