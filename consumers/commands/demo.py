# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg demo``."""

from __future__ import annotations

import click


@click.command(name="demo")
@click.option("--embedded", is_flag=True, help="In one process, without Kafka and Redis.")
def command(*, embedded: bool) -> int:
    """Watch the main job on a simulated shop: a year of events, segments as they form.

    It starts a Kafka and a Redis by itself and takes them down again; where they cannot be had, it goes on
    without.
    """
    from consumers.demo.run import run_demo

    return run_demo(embedded=embedded)
