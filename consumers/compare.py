"""``stream-seg compare``: two runs side by side, for people, as JSON, or as one page of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.compare_measures import compared
from consumers.compare_page import page
from consumers.compare_runs import load_run
from consumers.compare_shown import print_comparison
from consumers.tables import console, print_json
from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from stream_seg.settings import Settings

__all__ = ["run_compare"]


def run_compare(settings: Settings | None, a: str, b: str, *, as_json: bool, html: Path | None) -> int:
    """Compare two runs; exit status 0. Without ``settings`` both must be folders.

    Raises ``UsageError`` and ``NotFoundError`` for runs that are not there or cannot be compared, and
    ``UsageError`` where the page cannot be written.
    """
    found = compared(load_run(settings, a), load_run(settings, b))
    if html is not None:
        try:
            html.write_text(page(found), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{html} cannot be written ({error.strerror}): name another file.") from error
    if as_json:
        print_json(found)
    else:
        print_comparison(console(), found)
    return 0
