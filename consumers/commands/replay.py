# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg replay``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumers.commands.options import (
    BATCHING,
    GROUP,
    KAFKA,
    MAX_AHEAD,
    MODEL,
    REDIS,
    TOPIC,
    WARM_UP,
    with_settings,
)
from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from consumers.replay.options import EventTime, ReplayOptions
    from stream_seg.settings import Settings

_NAME = re.compile(r"[A-Za-z0-9-]{1,100}")


def _name(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise click.BadParameter('must be 1 to 100 letters, digits and "-"')
    return value


def _event_time(_ctx: click.Context, _param: click.Parameter, value: str | None) -> EventTime | None:
    from consumers.replay.options import EventTime

    if value is None:
        return None
    try:
        return EventTime.parsed(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(name="replay")
@click.option(
    "--name", required=True, callback=_name, help="The replay's model is called <model>.replay-NAME."
)
@click.option(
    "--source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of events, instead of the topic.",
)
@click.option(
    "--from", "from_", callback=_event_time, help="First event time: a date, a time, or e.g. 90d back."
)
@click.option("--to", callback=_event_time, help="Up to but not including this event time.")
@click.option("--export", type=click.Path(file_okay=False, path_type=Path), help="Folder for the results.")
@click.option("--as-recorded", is_flag=True, help="Adopt the versions that live adopted.")
@click.option("--fresh", is_flag=True, help="Delete a former replay of that name first.")
@click.option("--follow", is_flag=True, help="Go on as a live worker at the end.")
@click.option("--no-emit", "emit", flag_value=False, default=True, type=bool, help="Write no topics.")
@click.option("--allow-gap", is_flag=True, help="Accept a topic that no longer reaches back.")
@with_settings(*MODEL, *WARM_UP, TOPIC, GROUP, MAX_AHEAD, *KAFKA, *REDIS, *BATCHING)
def command(settings: Settings, /, **given: Any) -> int:  # noqa: ANN401 - click's parameters, as ReplayOptions names them
    """Take history through the model again, as a model of its own: the topic's, or a file's.

    Interrupted, the same command goes on where a replay of the topic stood.
    """
    from consumers.replay.options import ReplayOptions

    options = ReplayOptions(**given)
    _refuse_for_a_file(options)
    from consumers.replay.run import run_replay

    return run_replay(settings, options)


def _refuse_for_a_file(options: ReplayOptions) -> None:
    for given, flag in (
        (options.as_recorded, "--as-recorded"),
        (options.follow, "--follow"),
        (options.allow_gap, "--allow-gap"),
    ):
        if given and options.source is not None:
            raise UsageError(f"{flag} is for replay from the topic: leave it out, or --source.")
