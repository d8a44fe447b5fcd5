"""Line and bar charts as small SVG files that read on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 62, 190, 52, 44
COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#b7791f", "#718096")


@dataclass(frozen=True)
class Series:
    """One line (or with ``bars`` one bar a point): x and y of equal length."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    bars: bool = False


@dataclass(frozen=True)
class Chart:
    """Titles, series and vertical marks (x, text); ``log`` for the y axis."""

    title: str
    x_title: str
    y_title: str
    series: Sequence[Series]
    log: bool = False
    marks: Sequence[tuple[float, str]] = field(default_factory=tuple)

    def svg(self) -> str:
        """The chart as one SVG document."""
        xs = [x for s in self.series for x in s.x]
        ys = [y for s in self.series for y in s.y]
        low_x, high_x = min(xs), max(xs)
        low_y, high_y = (min(ys), max(ys)) if self.log else (min(0.0, *ys), max(ys))

        def x_at(x: float) -> float:
            return LEFT + (x - low_x) / ((high_x - low_x) or 1.0) * (WIDTH - LEFT - RIGHT)

        def y_at(y: float) -> float:
            if self.log:
                part = math.log(y / low_y) / (math.log(high_y / low_y) or 1.0)
            else:
                part = (y - low_y) / ((high_y - low_y) or 1.0)
            return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)

        parts = [_text(LEFT, 18, self.title, weight="bold")]
        for y in _ticks(low_y, high_y, log=self.log):
            parts.append(_line(LEFT, y_at(y), WIDTH - RIGHT, y_at(y), "#a0aec0", 0.5))
            parts.append(_text(LEFT - 6, y_at(y) + 4, f"{y:.3g}", anchor="end"))
        parts += [
            _text(x_at(x), HEIGHT - BOTTOM + 18, f"{x:.4g}", anchor="middle")
            for x in _ticks(low_x, high_x, log=False)
        ]
        parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, self.x_title, anchor="middle"))
        parts.append(_text(LEFT, TOP - 12, self.y_title))
        for number, (x, text) in enumerate(self.marks):
            parts.append(_line(x_at(x), TOP, x_at(x), HEIGHT - BOTTOM, "#718096", 1.0, dashed=True))
            parts.append(_text(x_at(x) + 4, TOP + 14 + 15 * number, text))
        for number, series in enumerate(self.series):
            colour = COLOURS[number % len(COLOURS)]
            spots = [(x_at(x), y_at(y)) for x, y in zip(series.x, series.y, strict=True)]
            if series.bars:
                base = y_at(max(low_y, 0.0) if not self.log else low_y)
                parts += [_line(x, base, x, y, colour, 2.0) for x, y in spots]
            else:
                path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
                parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            parts.append(
                _line(WIDTH - RIGHT + 12, TOP + 20 * number, WIDTH - RIGHT + 30, TOP + 20 * number, colour, 3)
            )
            parts.append(_text(WIDTH - RIGHT + 36, TOP + 20 * number + 4, series.name))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(self.title, quote=True)}"><style>text{{font:12px sans-serif;fill:#4a5568}}'
            "@media(prefers-color-scheme:dark){text{fill:#cbd5e0}}</style>"
            f"{''.join(parts)}</svg>\n"
        )


def _ticks(low: float, high: float, *, log: bool) -> list[float]:
    if log:
        steps = [m * 10.0**e for e in range(-3, 6) for m in (1, 2, 5)]
        return [s for s in steps if low * 0.999 <= s <= high * 1.001]
    step = 10.0 ** math.floor(math.log10((high - low) or 1.0))
    step = next((step * m for m in (0.2, 0.5, 1.0, 2.0) if (high - low) / (step * m) <= 6), step * 5)
    first = math.ceil(low / step)
    return [step * i for i in range(first, math.floor(high / step) + 1)]


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
    )


def _line(
    x1: float, y1: float, x2: float, y2: float, colour: str, width: float, *, dashed: bool = False
) -> str:
    dash = ' stroke-dasharray="4 4"' if dashed else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"{dash}/>'
    )
