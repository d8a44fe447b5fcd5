# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg reset``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consumers.commands.options import GROUP, KAFKA, MODEL_NAME, REDIS, with_settings

if TYPE_CHECKING:
    from stream_seg.settings import Settings


@click.command(name="reset")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_settings(MODEL_NAME, GROUP, *KAFKA, *REDIS, needs=(), replays=True)
def command(settings: Settings, *, yes: bool) -> int:
    """Delete a model's keys in Redis, its group's offsets and its output topics."""
    from consumers.reset import run_reset

    return run_reset(settings, yes=yes)
