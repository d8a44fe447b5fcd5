# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg servers``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="servers")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder that keeps their data.",
)
def command(directory: Path | None) -> int:
    """Run a Kafka and a Redis until interrupted, and print a configuration to paste."""
    from consumers.servers import run_servers

    return run_servers(directory)
