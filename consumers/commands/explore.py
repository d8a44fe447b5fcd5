# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg explore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumers.commands.options import with_settings

if TYPE_CHECKING:
    from stream_seg.settings import Settings


@click.command(name="explore")
@click.option(
    "--source",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of events.",
)
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Also a page of pictures, in one file."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@with_settings()
def command(settings: Settings, source: Path, *, html: Path | None, as_json: bool) -> int:
    """Show a file's features, and how many segments its customers suggest."""
    from consumers.explore import run_explore

    return run_explore(settings, source, as_json=as_json, html=html)
