# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg restore``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consumers.commands.options import GROUP, KAFKA, MODEL_NAME, REDIS, SNAPSHOT_DIR, TOPIC, with_settings

if TYPE_CHECKING:
    from stream_seg.settings import Settings


@click.command(name="restore")
@click.argument("snapshot", required=False)
@click.option("--yes", is_flag=True, help="Do not ask before what is stored is replaced.")
@click.option("--copied-topic", is_flag=True, help="The input topic is a copy, with the same offsets.")
@with_settings(MODEL_NAME, TOPIC, GROUP, SNAPSHOT_DIR, *KAFKA, *REDIS, needs=("topic", "event", "features"))
def command(settings: Settings, snapshot: str | None, *, yes: bool, copied_topic: bool) -> int:
    """Bring a model back from SNAPSHOT (a name in the folder), or from the newest of each partition."""
    from consumers.restore import run_restore

    return run_restore(settings, snapshot, yes=yes, copied_topic=copied_topic)
