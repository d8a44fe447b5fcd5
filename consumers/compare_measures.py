"""Two runs measured against each other: agreement, cost in one scaling, who differs and why, stability.

Costs are of the customers that both runs hold, in the features that both have: each transformed and divided
by its standard deviation over those customers (z-scores, weights left out), so that neither run's own scaling
decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stream_seg.clustering.metrics import (
    adjusted_mutual_information,
    adjusted_rand_index,
    sampled_silhouette,
)
from stream_seg.clustering.overlap import contingency, match_clusters
from stream_seg.engine.moments import moment
from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from consumers.compare_runs import Labels, Run

__all__ = ["compared"]

DAY_MS: Final = 86_400_000
BINS: Final = 12
DIFFERENT_CUSTOMERS: Final = 12
SAYING_FEATURES: Final = 2
_FORWARD: Final[Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    "none": lambda x: x,
    "log1p": lambda x: np.sign(x) * np.log1p(np.abs(x)),
    "sqrt": lambda x: np.sign(x) * np.sqrt(np.abs(x)),
    "cbrt": np.cbrt,
}


def compared(a: Run, b: Run) -> dict[str, Any]:
    """Everything that ``compare`` says, JSON-ready.

    Raises ``UsageError`` for runs over different ranges, or without a customer in common.
    """
    _check_ranges(a, b)
    both = _Both.of(a, b)
    matched = dict(both.matched)
    return {
        "a": _described(a),
        "b": _described(b),
        "customers": {
            "both": len(both.customers),
            "only_a": len(a.customers) - len(both.customers),
            "only_b": len(b.customers) - len(both.customers),
        },
        "agreement": {
            "ari": adjusted_rand_index(both.segment_a, both.segment_b),
            "ami": adjusted_mutual_information(both.segment_a, both.segment_b),
        },
        "matched": [{"a": both.ids_a[i], "b": both.ids_b[j]} for i, j in both.matched],
        "migration": {"from": both.ids_a, "to": both.ids_b, "customers": both.table.astype(int).tolist()},
        "scaling": both.features,
        "cost": {"a": _costs(both, a, both.segment_a), "b": _costs(both, b, both.segment_b)},
        "differ": _differ(both, a, b, matched),
        "stability": _stability(a, b),
    }


def _described(run: Run) -> dict[str, Any]:
    sizes = dict(zip(*(x.tolist() for x in np.unique(run.segment, return_counts=True)), strict=True))
    total = max(len(run.customers), 1)
    return {
        "run": run.name,
        "version": run.version["version"],
        "customers": len(run.customers),
        "from": None if run.labels is None else moment(int(run.labels.time_ms.min())),
        "to": None if run.labels is None else moment(int(run.labels.time_ms.max())),
        "segments": [
            {
                "segment": number,
                "name": run.names.get(number, f"segment-{number}"),
                "size": sizes.get(number, 0),
                "share": sizes.get(number, 0) / total,
            }
            for number in sorted({*sizes, *(s["id"] for s in run.version["segments"])})
        ],
    }


def _check_ranges(a: Run, b: Run) -> None:
    if a.labels is None or b.labels is None:
        return
    ends = [
        (int(r.labels.time_ms.min()), int(r.labels.time_ms.max())) for r in (a, b) if r.labels is not None
    ]
    if any(abs(one - other) > DAY_MS for one, other in zip(*ends, strict=True)):
        spans = [f"{moment(begin)[:10]} to {moment(end)[:10]}" for begin, end in ends]
        raise UsageError(
            f"{a.name} is about {spans[0]} and {b.name} about {spans[1]}: compare runs over one range, by "
            "replaying one of them again with --from and --to."
        )


@dataclass(frozen=True, slots=True)
class _Both:
    """The customers of both runs, m of them.

    ``ids_a`` and ``ids_b`` segment ids, rows and columns of ``table`` [ka, kb]; ``features`` the names in
    common; ``z`` float64 [m, d] in the common scaling; ``mean`` and ``sd`` float64 [d] of the transformed
    values.
    """

    customers: list[str]
    segment_a: NDArray[np.int32]
    segment_b: NDArray[np.int32]
    ids_a: list[int]
    ids_b: list[int]
    table: NDArray[np.float64]
    matched: list[tuple[int, int]]
    features: list[str]
    z: NDArray[np.float64]
    raw: NDArray[np.float64]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]

    @classmethod
    def of(cls, a: Run, b: Run) -> _Both:
        place_b = {customer: i for i, customer in enumerate(b.customers)}
        rows = [(i, place_b[c]) for i, c in enumerate(a.customers) if c in place_b]
        if not rows:
            raise UsageError(f"{a.name} and {b.name} have no customer in common: they are about other shops.")
        at_a, at_b = (np.array(column) for column in zip(*rows, strict=True))
        segment_a, segment_b = a.segment[at_a], b.segment[at_b]
        ids_a, places_a = np.unique(segment_a, return_inverse=True)
        ids_b, places_b = np.unique(segment_b, return_inverse=True)
        weights = np.ones(len(rows))
        table = contingency(
            places_a.astype(np.int32), places_b.astype(np.int32), weights, len(ids_a), len(ids_b)
        )
        features = _common(a, b)
        raw = np.nan_to_num(a.values[at_a][:, [i for _, i, _ in features]])
        transformed = np.column_stack(
            [_FORWARD[kind](raw[:, j]) for j, (_, _, kind) in enumerate(features)] or [np.zeros(len(rows))]
        )
        mean, sd = transformed.mean(axis=0), transformed.std(axis=0)
        sd = np.where(sd > 0.0, sd, 1.0)
        return cls(
            customers=[a.customers[i] for i, _ in rows],
            segment_a=segment_a,
            segment_b=segment_b,
            ids_a=ids_a.tolist(),
            ids_b=ids_b.tolist(),
            table=table,
            matched=match_clusters(table),
            features=[name for name, _, _ in features],
            z=np.ascontiguousarray((transformed - mean) / sd),
            raw=raw,
            mean=mean,
            sd=sd,
        )


def _common(a: Run, b: Run) -> list[tuple[str, int, str]]:
    """(name, place in ``a``, transform) of the features that both have, transformed alike."""
    other = {(f["name"], f["transform"]) for f in b.features}
    found = [
        (f["name"], i, f["transform"])
        for i, f in enumerate(a.features)
        if (f["name"], f["transform"]) in other
    ]
    if not found:
        raise UsageError(f"{a.name} and {b.name} have no feature in common, so nothing can be compared.")
    return found


def _centres(both: _Both, run: Run) -> dict[int, NDArray[np.float64]]:
    """Segment id → centroid in the common scaling, float64 [d]."""
    by_name = {f["name"]: (i, f) for i, f in enumerate(run.features)}
    result = {}
    for segment in run.version["segments"]:
        transformed = np.empty(len(both.features))
        for j, name in enumerate(both.features):
            i, f = by_name[name]
            factor = f["weight"] / f["scale"]
            transformed[j] = segment["centroid"][i] / factor + f["offset"] if factor else both.mean[j]
        result[segment["id"]] = (transformed - both.mean) / both.sd
    return result


def _costs(both: _Both, run: Run, segment: NDArray[np.int32]) -> dict[str, float]:
    """Mean squared distances: to the nearest centroid, and to the members' mean of each one's segment."""
    centres = np.array(list(_centres(both, run).values()))
    nearest = ((both.z[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2).min(axis=1)
    _, places = np.unique(segment, return_inverse=True)
    counts = np.bincount(places)
    means = np.column_stack([np.bincount(places, weights=column) / counts for column in both.z.T])
    within = ((both.z - means[places]) ** 2).sum(axis=1)
    return {
        "nearest_centroid": float(nearest.mean()),
        "within_segments": float(within.mean()),
        "silhouette": sampled_silhouette(both.z, places.astype(np.int32)),
    }


def _differ(both: _Both, a: Run, b: Run, matched: dict[int, int]) -> dict[str, Any]:
    """Customers whose segments are no match, the furthest apart first, and by which features."""
    centres_a, centres_b = _centres(both, a), _centres(both, b)
    target = np.full(len(both.ids_a), -1)
    for i, j in matched.items():
        target[i] = j
    places_a = np.searchsorted(both.ids_a, both.segment_a)
    places_b = np.searchsorted(both.ids_b, both.segment_b)
    moved = np.flatnonzero(target[places_a] != places_b)
    nowhere = np.zeros(len(both.features))
    apart = np.array(
        [
            np.abs(centres_b.get(int(sb), nowhere) - centres_a.get(int(sa), nowhere))
            for sa, sb in zip(both.segment_a[moved], both.segment_b[moved], strict=True)
        ]
    ).reshape(len(moved), len(both.features))
    total = (apart**2).sum(axis=0)
    order = np.lexsort((moved, -(apart**2).sum(axis=1)))[:DIFFERENT_CUSTOMERS]
    return {
        "customers": len(moved),
        "share": len(moved) / len(both.customers),
        "features": dict(
            zip(both.features, (total / total.sum() if total.sum() else total).tolist(), strict=True)
        ),
        "most": [
            {
                "customer_id": both.customers[moved[k]],
                "a": {
                    "segment": int(both.segment_a[moved[k]]),
                    "name": a.names[int(both.segment_a[moved[k]])],
                },
                "b": {
                    "segment": int(both.segment_b[moved[k]]),
                    "name": b.names[int(both.segment_b[moved[k]])],
                },
                "by": [
                    {"feature": both.features[j], "value": float(both.raw[moved[k], j])}
                    for j in np.argsort(-apart[k], kind="stable")[:SAYING_FEATURES].tolist()
                ],
            }
            for k in order.tolist()
        ],
    }


def _stability(a: Run, b: Run) -> list[dict[str, Any]]:
    """The replayed time in twelve equal parts: how much moved in each run, and how far they agree there."""
    known = [run.labels for run in (a, b) if run.labels is not None]
    if not known:
        return []
    begin = min(int(labels.time_ms.min()) for labels in known)
    end = max(int(labels.time_ms.max()) for labels in known) + 1
    edges = np.linspace(begin, end, BINS + 1).astype(np.int64)
    agreement = _agreement(a.labels, b.labels, edges)
    return [
        {
            "from": moment(int(edges[i])),
            "to": moment(int(edges[i + 1])),
            "a": _within(a.labels, int(edges[i]), int(edges[i + 1])),
            "b": _within(b.labels, int(edges[i]), int(edges[i + 1])),
            "ari": agreement[i],
        }
        for i in range(BINS)
    ]


def _within(labels: Labels | None, begin: int, end: int) -> dict[str, Any] | None:
    if labels is None:
        return None
    inside = (labels.time_ms >= begin) & (labels.time_ms < end)
    events = int(inside.sum())
    return {
        "events": events,
        "moved": float(labels.moved[inside].mean()) if events else None,
        "versions": len(np.unique(labels.version[inside])),
    }


def _agreement(a: Labels | None, b: Labels | None, edges: NDArray[np.int64]) -> list[float | None]:
    """ARI of the two runs' labels of the same events, part by part; ``None`` where they share none."""
    if a is None or b is None:
        return [None] * BINS
    place = {event: i for i, event in enumerate(b.event)}
    rows = [(i, place[event]) for i, event in enumerate(a.event) if event in place]
    if not rows:
        return [None] * BINS
    at_a, at_b = (np.array(column) for column in zip(*rows, strict=True))
    which = np.clip(np.searchsorted(edges, a.time_ms[at_a], side="right") - 1, 0, BINS - 1)
    return [
        adjusted_rand_index(a.segment[at_a[which == i]], b.segment[at_b[which == i]])
        if (which == i).any()
        else None
        for i in range(BINS)
    ]
