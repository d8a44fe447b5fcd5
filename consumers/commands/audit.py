# ruff: noqa: PLC0415 - what does the work is imported when it is to be done
"""``stream-seg audit``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consumers.commands.options import GROUP, KAFKA, MODEL_NAME, TOPIC, with_settings
from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from stream_seg.settings import Settings


@click.command(name="audit")
@click.argument("label", required=False, metavar="[TOPIC/PARTITION/OFFSET]")
@click.option("--customer", help="Instead of a label: the customer whose label it is.")
@click.option(
    "--at", help="With --customer: its newest label of an event at or before that time (default: the newest)."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@with_settings(MODEL_NAME, TOPIC, GROUP, *KAFKA, needs=("topic", "event", "features"), replays=True)
def command(
    settings: Settings, label: str | None, customer: str | None, at: str | None, *, as_json: bool
) -> int:
    """Derive a label again from the topic and the recorded adoptions, compare, and explain it.

    The label is named by its event, TOPIC/PARTITION/OFFSET, or by --customer and --at. The exit status is 1
    where the record is not what is derived, byte for byte.
    """
    if (label is None) == (customer is None):
        raise UsageError('Name one label: "topic/partition/offset", or --customer with --at.')
    if at is not None and customer is None:
        raise UsageError("--at goes with --customer: leave it out.")
    from consumers.audit import Asked, run_audit

    return run_audit(settings, Asked(label, customer, _at_ms(at)), as_json=as_json)


def _at_ms(text: str | None) -> int | None:
    from consumers.replay.options import EventTime

    if text is None:
        return None
    try:
        at_ms = EventTime.parsed(text).at_ms
    except ValueError as error:
        raise UsageError(f"--at {error}.") from error
    if at_ms is None:
        raise UsageError('--at must be a date ("2011-05-03") or an RFC 3339 time.')
    return at_ms
