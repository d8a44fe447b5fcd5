# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg bench``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumers.commands.options import KAFKA, REDIS, with_settings

if TYPE_CHECKING:
    from stream_seg.settings import Settings

SUITES = ("throughput", "core", "lookups", "latency", "replay", "scale", "profile", "takeover")


@click.command(name="bench")
@click.option("--small", is_flag=True, help="Only see that it works; the figures mean nothing.")
@click.option("--local", is_flag=True, help="On a Kafka and a Redis that it starts by itself.")
@click.option(
    "--only", "suites", multiple=True, type=click.Choice(SUITES), help="A part of it; repeat for more."
)
@click.option("--events", type=click.IntRange(min=10_000), help="Events of a run.")
@click.option("--rounds", type=click.IntRange(min=1), help="How often each contender runs.")
@click.option(
    "--customers", multiple=True, type=click.IntRange(min=1000), help="Residents that scale looks at."
)
@click.option(
    "--json",
    "json",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the results here; what other suites have left in it stays.",
)
@click.option(
    "--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write the tables here, too."
)
@with_settings(*KAFKA, *REDIS, needs=(), fixed={"model.name": "bench"})
def command(  # noqa: PLR0913 - click gives each flag as an argument
    settings: Settings,
    *,
    small: bool,
    local: bool,
    suites: tuple[str, ...],
    events: int | None,
    rounds: int | None,
    customers: tuple[int, ...],
    json: Path | None,
    markdown: Path | None,
) -> int:
    """Measure the speed on your servers, beside others that move the same records.

    It makes topics and keys that begin with bench-, and deletes them again. Nothing else should be running.
    """
    from dataclasses import replace

    from consumers.bench.run import FULL, SMALL, BenchOptions, run_bench

    sizes = SMALL if small else FULL
    sizes = replace(
        sizes,
        events=events or sizes.events,
        rounds=rounds or sizes.rounds,
        customers=customers or sizes.customers,
    )
    return run_bench(settings, BenchOptions(sizes, suites or SUITES, local, json, markdown))
