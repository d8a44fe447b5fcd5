"""``stream-seg explore``: the features of a file's customers, and how many segments they suggest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from consumers.explore_page import page
from consumers.tables import bar, console, number, print_json, safe, share, table
from stream_seg.adapters.files import FileSource
from stream_seg.clustering.choosing import Choice, Recommendation, examine, recommend
from stream_seg.clustering.lattice import ClusterSums
from stream_seg.clustering.mint import scaling_of
from stream_seg.engine.customers import customers_at
from stream_seg.engine.state import State
from stream_seg.engine.step import step
from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from rich.console import Console

    from stream_seg.settings import Settings

__all__ = ["FeatureSummary", "run_explore"]

KS: Final = tuple(range(2, 13))
MOST_CUSTOMERS: Final = 4000
"""A larger population is sampled: the measures hardly change, and the silhouette needs all pairs."""


@dataclass(frozen=True, slots=True)
class FeatureSummary:
    """One feature over all customers, in its own unit; ``spread`` is the transformed feature's skewness."""

    name: str
    transform: str
    least: float
    median: float
    most: float
    skewness: float


def run_explore(settings: Settings, source: Path, *, as_json: bool, html: Path | None) -> int:
    """Read the file, show its features and what speaks for each number of segments; the exit status.

    Raises ``UsageError`` for a file without customers or with too few.
    """
    state = _population(settings, source)
    features = _features(state)
    points = _scaled(state, settings.model.seed)
    choices = examine(points, KS, seed=settings.model.seed)
    if not choices:
        raise UsageError(
            f"The {state.rows.residents:,} customers of {source.name} are all alike: nothing to segment."
        )
    found = recommend(choices)
    if html is not None:
        html.write_text(page(source.name, state.rows.residents, features, choices, found), encoding="utf-8")
    if as_json:
        print_json(
            {
                "customers": state.rows.residents,
                "features": [asdict(f) for f in features],
                "segments": [asdict(c) for c in choices],
                "recommendation": asdict(found),
            }
        )
    else:
        _print(console(), state.rows.residents, features, choices, found)
    return 0


def _population(settings: Settings, source: Path) -> State:
    """All customers of the file as of its last event."""
    state = State(0, settings.features)
    for decoded in FileSource(source, settings.event, settings.features):
        if len(decoded.events):
            step(state, decoded.events)
    if state.rows.residents < 2:
        raise UsageError(
            f"{source.name} has {state.rows.residents} customers: two at least can be segmented."
        )
    return state


def _features(state: State) -> list[FeatureSummary]:
    values = customers_at([state], state.numbers.clock_ms).values
    points = state.evaluated()[0] * state.features.layout.step
    centred = points - points.mean(axis=0)
    sd = centred.std(axis=0)
    skewness = (centred**3).mean(axis=0) / np.where(sd > 0.0, sd, 1.0) ** 3
    return [
        FeatureSummary(
            feature.name,
            feature.transform,
            float(np.nanmin(values[:, j])),
            float(np.nanmedian(values[:, j])),
            float(np.nanmax(values[:, j])),
            float(skewness[j]),
        )
        for j, feature in enumerate(state.features.features)
    ]


def _scaled(state: State, seed: int) -> NDArray[np.float64]:
    """The customers in z-scores times weight, or a sample of them."""
    points, _ = state.evaluated()
    features = state.features
    everyone = np.zeros(len(points), dtype=np.int32)
    scaling = scaling_of(ClusterSums.recount(points, everyone, 1), features.layout.step, features.weights)
    if len(points) > MOST_CUSTOMERS:
        points = points[np.random.default_rng(seed).choice(len(points), MOST_CUSTOMERS, replace=False)]
    return scaling.scaled(points * features.layout.step)


def _print(
    out: Console,
    customers: int,
    features: list[FeatureSummary],
    choices: list[Choice],
    found: Recommendation,
) -> None:
    out.print(f"{customers:,} customers as of the last event.")
    out.print()
    columns = [("feature", False), ("least", True), ("median", True), ("most", True), ("transform", False)]
    columns += [("skewness", True)]
    rows = [
        [safe(f.name), number(f.least), number(f.median), number(f.most), f.transform, number(f.skewness)]
        for f in features
    ]
    out.print(table(columns, rows))
    out.print()
    columns = [
        ("segments", True),
        ("cost left", True),
        ("", False),
        ("silhouette", True),
        ("stability", True),
    ]
    columns += [("gap", True)]
    rows = []
    for c in choices:
        mark = " ←" if c.k == found.k else ""
        row = [str(c.k), share(c.cost), bar(c.cost), f"{c.silhouette:.3f}", f"{c.stability:.2f}"]
        rows.append([*row, f"{c.gap:.2f} ± {c.gap_error:.2f}{mark}"])
    out.print(table(columns, rows))
    out.print()
    out.print(f"{found.reason[0].upper()}{found.reason[1:]}.", soft_wrap=True)
    others = [f"the elbow is at {found.elbow}"] if found.elbow else []
    others.append(
        f"the gap statistic says {found.gap}" if found.gap else "the gap statistic wants more still"
    )
    out.print(f"For comparison: {', '.join(others)}. Set segments = {found.k} in [model].", soft_wrap=True)
