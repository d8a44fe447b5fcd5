# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg snapshot``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consumers.commands.options import (
    KAFKA,
    MODEL_NAME,
    REDIS,
    SNAPSHOT_DIR,
    SNAPSHOT_KEEP,
    with_settings,
)

if TYPE_CHECKING:
    from stream_seg.settings import Settings


@click.command(name="snapshot")
@with_settings(MODEL_NAME, SNAPSHOT_DIR, SNAPSHOT_KEEP, *KAFKA, *REDIS)
def command(settings: Settings) -> int:
    """Write all of a model, as it stands, to a folder, workers running or not."""
    from consumers.snapshot import run_snapshot

    return run_snapshot(settings)
