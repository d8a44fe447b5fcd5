"""A comparison as one page: pictures in SVG, no script, nothing fetched from anywhere."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from consumers.tables import number, share

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["page"]

A, B, BOTH = "var(--a)", "var(--b)", "var(--both)"
WIDTH: Final = 860
ROW: Final = 26
LABEL: Final = 230
_STYLE: Final = """
:root { --a: #2b6cb0; --b: #c05621; --both: #4a5568; --ink: #1a202c; --soft: #718096; --line: #e2e8f0;
  --page: #fff; --heat: 43, 108, 176; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --a: #63b3ed; --b: #f6ad55; --both: #cbd5e0; --ink: #edf2f7;
  --soft: #a0aec0; --line: #2d3748; --page: #171923; --heat: 99, 179, 237; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 900px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
.a { color: var(--a); font-weight: 600; } .b { color: var(--b); font-weight: 600; }
.soft { color: var(--soft); }
table { border-collapse: collapse; margin-top: .8rem; }
td, th { padding: .2rem .8rem .2rem 0; text-align: left;
  border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg text.soft { fill: var(--soft); } .wide { overflow-x: auto; }
"""


def page(found: dict[str, Any]) -> str:
    """Give the whole page as HTML."""
    a, b = found["a"], found["b"]
    title = f"{a['run']} and {b['run']}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        _heading(found),
        "<h2>Segments side by side</h2>",
        _sizes(found),
        "<h2>Who went where: from a segment of A (rows) to one of B (columns)</h2>",
        _migration(found),
        "<h2>Cost on the same customers</h2>",
        _costs(found),
        "<h2>Who differs most, and by what</h2>",
        _differ(found["differ"]),
        _stability(found["stability"]),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _heading(found: dict[str, Any]) -> str:
    lines = []
    for mark, side in (("a", found["a"]), ("b", found["b"])):
        span = "" if side["from"] is None else f", events {side['from'][:10]} to {side['to'][:10]}"
        lines.append(
            f'<span class="{mark}">{mark.upper()}</span> is <b>{escape(side["run"])}</b>: '
            f"{len(side['segments'])} segments, {side['customers']:,} customers, "
            f"version {side['version']}{span}"
        )
    customers, agreement = found["customers"], found["agreement"]
    lines.append(
        f"{customers['both']:,} customers are in both, {customers['only_a']:,} in A only, "
        f"{customers['only_b']:,} in B only. Agreement: <b>ARI {agreement['ari']:.3f}</b>, "
        f"<b>AMI {agreement['ami']:.3f}</b> (1: the same segments, 0: chance)."
    )
    return f"<p>{'<br>'.join(lines)}</p>"


def _svg(height: float, inside: str, label: str, width: float = WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label, quote=True)}">'
        f"{inside}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    css = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{css}>{escape(text)}</text>'


def _rectangle(x: float, y: float, width: float, height: float, fill: str, title: str = "") -> str:
    said = f"<title>{escape(title)}</title>" if title else ""
    size = f'width="{max(width, 0):.2f}" height="{height:g}"'
    return f'<rect x="{x:g}" y="{y:g}" {size} rx="2" style="fill:{fill}">{said}</rect>'


def _sizes(found: dict[str, Any]) -> str:
    """Bars to the left for A and to the right for B, matched segments in one row."""
    match = {pair["a"]: pair["b"] for pair in found["matched"]}
    side_b = {s["segment"]: s for s in found["b"]["segments"]}
    rows: list[tuple[dict[str, Any] | None, dict[str, Any] | None]] = [
        (one, side_b.pop(match.get(one["segment"]), None))
        for one in sorted(found["a"]["segments"], key=lambda s: -s["size"])
    ]
    rows += [(None, other) for other in sorted(side_b.values(), key=lambda s: -s["size"])]
    most = max((s["share"] for row in rows for s in row if s is not None), default=0.0) or 1.0
    middle, reach = WIDTH / 2, WIDTH / 2 - LABEL
    out = []
    for i, (one, other) in enumerate(rows):
        y = i * ROW
        if one is not None:
            length = one["share"] / most * reach
            out.append(_rectangle(middle - 4 - length, y + 4, length, ROW - 8, A))
            out.append(_text(middle - 10 - length, y + 17, _size_text(one), "end"))
        if other is not None:
            length = other["share"] / most * reach
            out.append(_rectangle(middle + 4, y + 4, length, ROW - 8, B))
            out.append(_text(middle + 10 + length, y + 17, _size_text(other)))
    return _svg(len(rows) * ROW, "".join(out), "sizes of the segments of both runs")


def _size_text(one: dict[str, Any]) -> str:
    return f"{_short(one['name'], 26)} · {one['size']:,}"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _migration(found: dict[str, Any]) -> str:
    migration = found["migration"]
    names_a = {s["segment"]: s["name"] for s in found["a"]["segments"]}
    names_b = {s["segment"]: s["name"] for s in found["b"]["segments"]}
    cell = min(90.0, (WIDTH - LABEL) / max(len(migration["to"]), 1))
    head = 112
    out = []
    for j, segment in enumerate(migration["to"]):
        x = LABEL + j * cell + cell / 2
        name = escape(_short(names_b[segment], 22))
        out.append(f'<text transform="translate({x:g},{head - 8}) rotate(-35)">{name}</text>')
    for i, (segment, counts) in enumerate(zip(migration["from"], migration["customers"], strict=True)):
        y, total = head + i * ROW, sum(counts) or 1
        out.append(_text(LABEL - 8, y + 17, _short(names_a[segment], 32), "end"))
        for j, count in enumerate(counts):
            x, part = LABEL + j * cell, count / total
            title = f"{names_a[segment]} → {names_b[migration['to'][j]]}: {count:,} customers, {part:.0%}"
            out.append(
                _rectangle(x + 1, y + 1, cell - 2, ROW - 2, f"rgba(var(--heat),{part * 0.75:.3f})", title)
            )
            if count:
                out.append(_text(x + cell / 2, y + 17, f"{count:,}", "middle"))
    height = head + len(migration["from"]) * ROW + 4
    return f'<div class="wide">{_svg(height, "".join(out), "migration between segments", WIDTH + 120)}</div>'


def _table(heads: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]]) -> str:
    def cell(tag: str, text: str, *, is_number: bool) -> str:
        return f"<{tag}{' class=n' if is_number else ''}>{text}</{tag}>"

    head = "".join(cell("th", escape(text), is_number=right) for text, right in heads)
    body = "".join(
        "<tr>"
        + "".join(cell("td", text, is_number=right) for text, (_, right) in zip(row, heads, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _costs(found: dict[str, Any]) -> str:
    a, b = found["cost"]["a"], found["cost"]["b"]
    kinds = (
        ("nearest_centroid", "mean squared distance to the nearest centroid (less is better)"),
        ("within_segments", "mean squared distance within segments (less is better)"),
        ("silhouette", "silhouette of a sample (more is better)"),
    )
    rows = [[escape(text), number(a[kind]), number(b[kind])] for kind, text in kinds]
    scaling = escape(", ".join(found["scaling"]))
    return (
        f'<p class="soft">In z-scores of {scaling} over the customers that both runs hold. More segments '
        "lower every distance: compare runs of equal number by these.</p>"
        + _table([("", False), ("A", True), ("B", True)], rows)
    )


def _differ(differ: dict[str, Any]) -> str:
    bars = []
    features = sorted(differ["features"].items(), key=lambda item: -item[1])
    for i, (name, part) in enumerate(features):
        bars.append(_text(LABEL - 8, i * ROW + 17, _short(name, 30), "end"))
        bars.append(_rectangle(LABEL, i * ROW + 4, part * (WIDTH - LABEL - 60), ROW - 8, BOTH))
        bars.append(_text(LABEL + 6 + part * (WIDTH - LABEL - 60), i * ROW + 17, share(part)))
    rows = [
        [
            escape(one["customer_id"]),
            f'<span class="a">{escape(one["a"]["name"])}</span>',
            f'<span class="b">{escape(one["b"]["name"])}</span>',
            escape(", ".join(f"{f['feature']} {number(f['value'])}" for f in one["by"])),
        ]
        for one in differ["most"]
    ]
    heads = [("customer", False), ("in A", False), ("in B", False), ("told apart by", False)]
    return (
        f"<p>{differ['customers']:,} customers ({share(differ['share'])}) are not in matching segments. "
        "What tells their segments apart:</p>"
        + _svg(len(features) * ROW, "".join(bars), "features by which customers differ")
        + (_table(heads, rows) if rows else "")
    )


def _stability(stability: list[dict[str, Any]]) -> str:
    if not stability:
        return ""
    moved = [
        (A, "moved in A", lambda part: (part["a"] or {}).get("moved")),
        (B, "moved in B", lambda part: (part["b"] or {}).get("moved")),
    ]
    agree = [(BOTH, "ARI of A and B", lambda part: part["ari"])]
    return (
        "<h2>Stability over the replayed time</h2>"
        "<p>Share of events of known customers with which the segment changed:</p>"
        + _lines(stability, moved, "events with which the segment changed")
        + "<p>How far the two runs' labels of the same events agree:</p>"
        + _lines(stability, agree, "agreement over time", most=1.0)
    )


def _lines(
    parts: list[dict[str, Any]],
    series: Sequence[tuple[str, str, Callable[[dict[str, Any]], float | None]]],
    label: str,
    most: float | None = None,
) -> str:
    """A line each over the parts of time; a part without a value breaks it."""
    height, left, right, top, bottom = 200, 56, 130, 12, 24
    values = [[get(part) for part in parts] for _, _, get in series]
    highest = most or max((v for row in values for v in row if v is not None), default=0.0) or 1.0
    step = (WIDTH - left - right) / max(len(parts) - 1, 1)

    def at(i: int, value: float) -> tuple[float, float]:
        return left + i * step, top + (1 - max(value, 0.0) / highest) * (height - top - bottom)

    out = []
    for tick in (0.0, 0.5, 1.0):
        y = at(0, tick * highest)[1]
        out.append(
            f'<line x1="{left}" y1="{y:g}" x2="{WIDTH - right}" y2="{y:g}" style="stroke:var(--line)"/>'
        )
        out.append(_text(left - 6, y + 4, f"{tick * highest:.3g}", "end", "soft"))
    out += [
        _text(left + i * step, height - 6, parts[i]["from"][:10], "middle", "soft")
        for i in range(0, len(parts), 2)
    ]
    for row, (colour, name, _) in zip(values, series, strict=True):
        out.append(_line(row, at, colour))
        last = max((i for i, v in enumerate(row) if v is not None), default=None)
        if last is not None:
            x, y = at(last, row[last] or 0.0)
            y += 14 if colour == B else -4
            out.append(f'<text x="{x + 8:g}" y="{y:g}" style="fill:{colour}">{escape(name)}</text>')
    return _svg(height, "".join(out), label)


def _line(row: list[float | None], at: Callable[[int, float], tuple[float, float]], colour: str) -> str:
    out, path, pen_down = [], [], False
    for i, value in enumerate(row):
        if value is None:
            pen_down = False
            continue
        x, y = at(i, value)
        path.append(f"{'L' if pen_down else 'M'}{x:.1f} {y:.1f}")
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" style="fill:{colour}"/>')
        pen_down = True
    return f'<path d="{" ".join(path)}" style="fill:none;stroke:{colour};stroke-width:2"/>{"".join(out)}'
