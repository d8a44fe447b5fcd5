"""Tables and numbers for people: what the reading commands print without ``--json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["bar", "console", "duration", "number", "print_json", "safe", "share", "table"]

WIDTH_WITHOUT_TERMINAL: Final = 200
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for a file."""
    out = Console(highlight=False, markup=False, emoji=False)
    return out if out.is_terminal else Console(highlight=False, markup=False, width=WIDTH_WITHOUT_TERMINAL)


def table(columns: Iterable[tuple[str, bool]], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Make a plain table; a column is its heading and whether it holds numbers."""
    out = Table(box=None, pad_edge=False, header_style="bold")
    for heading, is_number in columns:
        out.add_column(Text(heading), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        out.add_row(*[Text(cell) if isinstance(cell, str) else cell for cell in row])
    return out


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever is JSON-ready
    """Print JSON to standard output, with characters as they are where its encoding has them all."""
    plain = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    sys.stdout.write(json.dumps(value, ensure_ascii=not plain, indent=2) + "\n")


def safe(text: str) -> str:
    """Give text without anything that would steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def number(value: float | None) -> str:
    """Write a number with four significant digits and thousands, ``–`` for none."""
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def share(value: float | None) -> str:
    """Write a share as a percentage, ``–`` for none."""
    return "–" if value is None else f"{value:.1%}"


def bar(part: float, width: int = 20) -> str:
    """Draw a share as a bar, in eighths of a character."""
    eighths = round(max(0.0, min(1.0, part)) * width * 8)
    return "█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else "")


def duration(seconds: float) -> str:
    """Write a length of time in its largest whole unit."""
    for unit, length in _UNITS:
        if seconds >= length:
            count = int(seconds // length)
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return "0 seconds"
