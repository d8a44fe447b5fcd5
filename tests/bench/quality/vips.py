"""Rare but distinct: are the 0.1 % VIPs of the synthetic population a segment of their own?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.replay import Replay
from stream_seg.features.spec import Feature, FeatureSet, Transform
from tests.bench.quality.ours import Row
from tests.population import VIP, Population, batch_of, events_of

TRANSFORMS: tuple[Transform, ...] = ("log1p", "sqrt", "cbrt")


def features_of(transform: Transform) -> FeatureSet:
    """Recency, frequency and money of a year, under one transform."""
    return FeatureSet(
        (
            Feature("days_since_order", "days_since", transform=transform),
            Feature("orders", "count", half_life_days=180, transform=transform),
            Feature("spend", "sum", field="revenue", half_life_days=180, transform=transform),
        )
    )


def found(segments: NDArray[np.int32], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """(recall, purity) of the segment that holds most of the ``truth``."""
    ids, counts = np.unique(segments[truth], return_counts=True)
    best = segments == ids[counts.argmax()]
    together = float((best & truth).sum())
    return together / float(truth.sum()), together / float(best.sum())


def vip_row(
    transform: Transform, k: int, customers: int, seed: int, days: float = 180.0
) -> tuple[float, float]:
    """(recall, purity) of the VIPs after the whole history through the one-process driver."""
    events = events_of(Population(customers=customers, days=days, seed=seed))
    plan = ModelPlan(features_of(transform), segments=k, seed=seed)
    replay = Replay(plan, {0: 0}, instance="vips", on_step=lambda _: None, on_version=lambda _: None)
    for start in range(0, len(events), 4096):
        replay.feed(0, batch_of(events, slice(start, start + 4096), 3, start))
    replay.finish()
    rows = replay.states[0].rows
    which = rows.resident_rows()
    numbers = np.array([int(customer[1:]) for customer in rows.customers_of(which)])
    return found(rows.placement.segment[which], events.kind[numbers] == VIP)


def run_vips(customers: int, seed: int, k: int = 8) -> list[Row]:
    """One row for each transform."""
    rows = []
    for transform in TRANSFORMS:
        recall, purity = vip_row(transform, k, customers, seed)
        row: Row = {"data": f"synthetic {customers:,}", "features": transform, "k": k, "seed": seed}
        rows.append({**row, "method": "ours", "recall": round(recall, 4), "purity": round(purity, 4)})
    return rows
