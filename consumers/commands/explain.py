# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consumers.commands.options import READING, with_settings

if TYPE_CHECKING:
    from stream_seg.settings import Settings


@click.command(name="explain")
@click.argument("customer")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@with_settings(*READING, needs=(), replays=True)
def command(settings: Settings, customer: str, *, as_json: bool) -> int:
    """Show why CUSTOMER is where it is: its features beside its segment's and the nearest other one's."""
    from consumers.read import explain

    return explain(settings, customer, as_json=as_json)
