# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consumers.commands.options import READING, with_settings

if TYPE_CHECKING:
    from stream_seg.settings import Settings


@click.command(name="status")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@with_settings(*READING, needs=(), replays=True)
def command(settings: Settings, *, as_json: bool) -> int:
    """Show lag, rates, dead letters, the model's version and its age, and the workers."""
    from consumers.read import status

    return status(settings, as_json=as_json)
