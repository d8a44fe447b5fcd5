"""The tables of ``docs/reference/configuration.md``, made from the sections' own descriptions.

``python -m stream_seg.settings.reference docs/reference/configuration.md`` writes them anew between the
page's ``<!-- table: NAME -->`` and ``<!-- end -->`` marks; a test holds the page to it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from stream_seg.settings.base import Section, allowed
from stream_seg.settings.loading import SECTIONS
from stream_seg.settings.sections import FeatureSection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

__all__ = ["page", "section_table"]

_TABLES: Mapping[str, type[Section]] = {**SECTIONS, "features": FeatureSection}
_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def section_table(section: type[Section]) -> str:
    """Write one section's keys as a Markdown table: key, what is allowed (or the unit), default, meaning."""
    units = any(_unit(field) for field in section.model_fields.values())
    lines = [f"| key | {'unit' if units else 'allowed'} | default | meaning |", "|---|---|---|---|"]
    for key, field in section.model_fields.items():
        form = _unit(field) or allowed(field)
        cells = (f"`{key}`", form, _default(field), field.description or "")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """Give a page's text with every marked table written anew."""
    return _MARKED.sub(lambda m: m[1] + section_table(_TABLES[m[2]]) + m[3], text)


def _unit(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, dict):
        return "empty"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    try:
        tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return '`"auto"`'  # names, the one default that is not written as it is kept
    return f"`{text}`"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")
