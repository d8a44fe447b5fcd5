# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg load``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumers.commands.options import KAFKA, TOPIC, with_settings

if TYPE_CHECKING:
    from stream_seg.settings import Settings


@click.command(name="load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--partitions", type=click.IntRange(min=1), help="Partitions of the topic, if it is created.")
@click.option("--append", is_flag=True, help="Also into a topic that has records.")
@with_settings(TOPIC, *KAFKA, needs=("topic", "event"))
def command(settings: Settings, file: Path, partitions: int | None, *, append: bool) -> int:
    """Put the rows of FILE (CSV, JSON Lines or Parquet) into a topic, keyed by customer.

    Rows that cannot be used are counted, named and skipped; the exit status is 1 then.
    """
    from consumers.load import run_load

    return run_load(settings, file, settings.topic, partitions, append=append)
