# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg lookup``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consumers.commands.options import READING, with_settings

if TYPE_CHECKING:
    from stream_seg.settings import Settings


@click.command(name="lookup")
@click.argument("customers", nargs=-1, required=True, metavar="CUSTOMER...")
@click.option("--json", "as_json", is_flag=True, help="As JSON, a list.")
@with_settings(*READING, needs=(), replays=True)
def command(settings: Settings, customers: tuple[str, ...], *, as_json: bool) -> int:
    """Show customers' segments, as any service would read them.

    The exit status is 1 where a customer is unknown.
    """
    from consumers.read import lookup

    return lookup(settings, customers, as_json=as_json)
