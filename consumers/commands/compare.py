# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg compare``."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumers.commands.options import KAFKA, READING, with_settings

if TYPE_CHECKING:
    from stream_seg.settings import Settings


def _compare(settings: Settings | None, a: str, b: str, *, as_json: bool, html: Path | None) -> int:
    from consumers.compare import run_compare

    return run_compare(settings, a, b, as_json=as_json, html=html)


_with_settings = with_settings(*READING, *KAFKA, needs=())(_compare)


@click.command(name="compare")
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Also a page of pictures, in one file."
)
@functools.wraps(_with_settings, assigned=())
def command(**given: Any) -> int:  # noqa: ANN401 - click's parameters
    """Compare two runs: A and B are each live, the name of a replay, or the folder of an export.

    Two folders need no configuration.
    """
    own = {name: given[name] for name in ("a", "b", "as_json", "html")}
    if all(own[side] != "live" and Path(own[side]).is_dir() for side in ("a", "b")):
        return _compare(None, **own)
    return _with_settings(**given)
