"""What ``explore`` found as one page: pictures in SVG, no script, nothing fetched from anywhere."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from consumers.tables import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.explore import FeatureSummary
    from stream_seg.clustering.choosing import Choice, Recommendation

__all__ = ["page"]

WIDTH, HEIGHT, EDGE = 420, 200, 36
_STYLE: Final = """
:root { --ink: #1a202c; --page: #fff; --line: #cbd5e0; --mark: #c05621; --curve: #2b6cb0;
  color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #edf2f7; --page: #171923; --line: #4a5568;
  --mark: #f6ad55; --curve: #63b3ed; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 900px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 1rem; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: right;
  border-bottom: 1px solid var(--line); } td:first-child, th:first-child { text-align: left; }
"""


def page(
    source: str,
    customers: int,
    features: Sequence[FeatureSummary],
    choices: Sequence[Choice],
    found: Recommendation,
) -> str:
    """Give the whole page as HTML."""
    ks = [c.k for c in choices]
    pictures = "".join(
        _picture(title, ks, values, found.k)
        for title, values in (
            ("Cost left within segments (the elbow)", [c.cost for c in choices]),
            ("Silhouette (more is better)", [c.silhouette for c in choices]),
            ("Stability: agreement of random halves", [c.stability for c in choices]),
            ("Gap statistic (structure beyond chance)", [c.gap for c in choices]),
        )
    )
    title = f"How many segments: {escape(source)}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{customers:,} customers. Recommended: <b>{found.k} segments</b>. {escape(found.reason)}.</p>"
        f'<div class="pictures">{pictures}</div><h2>Features</h2>{_table(features)}</body></html>\n'
    )


def _picture(title: str, ks: Sequence[int], values: Sequence[float], taken: int) -> str:
    """One curve over the numbers of segments, the recommended one marked."""
    low, high = min(0.0, *values), max(*values, 1e-9)

    def at(k: int, value: float) -> tuple[float, float]:
        x = EDGE + (k - ks[0]) / max(ks[-1] - ks[0], 1) * (WIDTH - 2 * EDGE)
        return x, HEIGHT - EDGE - (value - low) / (high - low) * (HEIGHT - 2 * EDGE)

    spots = [at(k, v) for k, v in zip(ks, values, strict=True)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{6 if k == taken else 3}" '
        f'style="fill:var(--{"mark" if k == taken else "curve"})"><title>{k}: {v:.3f}</title></circle>'
        f'<text x="{x:.1f}" y="{HEIGHT - 14}" text-anchor="middle">{k}</text>'
        for k, v, (x, y) in zip(ks, values, spots, strict=True)
    )
    ticks = "".join(
        f'<text x="{EDGE - 6}" y="{at(ks[0], v)[1] + 4:.1f}" text-anchor="end">{v:.2g}</text>'
        for v in (low, high)
    )
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">'
        f'<text x="{EDGE}" y="16">{escape(title)}</text>'
        f'<polyline points="{path}" style="fill:none;stroke:var(--curve);stroke-width:2"/>'
        f"{marks}{ticks}</svg></figure>"
    )


def _table(features: Sequence[FeatureSummary]) -> str:
    rows = "".join(
        f"<tr><td>{escape(f.name)}</td><td>{number(f.least)}</td><td>{number(f.median)}</td>"
        f"<td>{number(f.most)}</td><td>{f.transform}</td><td>{number(f.skewness)}</td></tr>"
        for f in features
    )
    head = "".join(
        f"<th>{name}</th>"
        for name in ("feature", "least", "median", "most", "transform", "skewness, transformed")
    )
    return f"<table><tr>{head}</tr>{rows}</table>"
