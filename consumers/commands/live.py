# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg live``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consumers.commands.options import (
    BATCHING,
    KAFKA,
    MODEL,
    REDIS,
    SNAPSHOT,
    SOURCE,
    TIMEOUTS,
    WARM_UP,
    with_settings,
)
from stream_seg.errors import ConfigurationError

if TYPE_CHECKING:
    from stream_seg.settings import Settings


@click.command(name="live")
@click.option("--until-end", is_flag=True, help="End when what the topic holds now is read and committed.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Seconds to wait for servers that are absent at start.",
)
@click.option(
    "--health", "health_port", type=click.IntRange(0, 65535), help="Answer /live and /ready on this port."
)
@with_settings(
    *MODEL,
    *WARM_UP,
    *SOURCE,
    *KAFKA,
    *TIMEOUTS,
    *REDIS,
    *BATCHING,
    *SNAPSHOT,
    needs=("topic", "event", "features"),
)
def command(settings: Settings, *, until_end: bool, wait_s: float, health_port: int | None) -> int:
    """Run the worker: events of the topic in, every customer's segment out, to Redis and to topics."""
    _refuse_unserved(settings)
    from consumers.live import run_live

    return run_live(settings, until_end=until_end, wait_s=wait_s, health_port=health_port)


def _refuse_unserved(settings: Settings) -> None:
    problems = []
    if settings.model.algorithm != "population":
        problems.append('model.algorithm must be "population" in live: the others are for replay.')
    if settings.model.distance != "euclidean":
        problems.append('model.distance must be "euclidean" in live: the others are for replay.')
    if problems:
        raise ConfigurationError(problems)
