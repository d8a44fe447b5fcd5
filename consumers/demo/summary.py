"""The end of the demo: what was found, and what to type next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from consumers.demo.truth import NO_SEGMENT
from consumers.demo.view import say

if TYPE_CHECKING:
    from rich.console import Console

    from consumers.demo.truth import Recovery
    from consumers.demo.view import SegmentLine

PURE: Final = 0.05  # behaviours with a smaller part of a segment are not named

Mode = Literal["servers", "embedded"]


@dataclass(frozen=True)
class Command:
    """Something a person can type, and what it does or answered."""

    command: str
    note: str


@dataclass(frozen=True)
class Summary:
    """What is left to say when the year is over.

    Attributes:
        mode: how the demo ran.
        events: labelled.
        customers: with a segment.
        seconds: of wall time from the first event to the last label.
        version: the model's last.
        segments: the active ones, in the order to be shown.
        recovery: segments against hidden behaviour.
        lookups: repeatable by hand, each with its answer.
        next_steps: what to type next.

    """

    mode: Mode
    events: int
    customers: int
    seconds: float
    version: int
    segments: tuple[SegmentLine, ...]
    recovery: Recovery
    lookups: tuple[Command, ...]
    next_steps: tuple[Command, ...]


def lookup_commands(customer: str, redis_url: str, model: str = "demo") -> tuple[str, str, str]:
    """Give three things to type: a customer as `stream-seg` and as Redis has it, and all segments' sizes."""
    return (
        f"stream-seg lookup {customer}",
        f"redis-cli -u {redis_url} HGETALL seg:{model}:c:{customer}",
        f"redis-cli -u {redis_url} ZRANGE seg:{model}:segments 0 -1 WITHSCORES",
    )


def summarise(console: Console, summary: Summary) -> None:
    """Print the summary; its last line is exactly `mode: servers` or `mode: embedded`."""
    for line in summary_lines(summary):
        say(console, line)


def summary_lines(summary: Summary) -> list[str]:
    """Give the summary as lines of plain text."""
    rate = summary.events / summary.seconds if summary.seconds > 0 else 0.0
    counted = f"{summary.events:,} events of {summary.customers:,} customers"
    lines = [
        "",
        f"{counted}: {summary.seconds:.1f} s ({rate:,.0f}/s)",
        f"{len(summary.segments)} segments, model version {summary.version}",
        "",
        f"Recovery of the hidden behaviour: ARI {summary.recovery.ari:.2f} (1 is perfect, 0 is chance)",
        *(f"  {line}" for line in _found(summary)),
    ]
    if summary.lookups:
        lines += ["", "Look for yourself:", *_commands(summary.lookups)]
    if summary.next_steps:
        lines += ["", "Next:", *_commands(summary.next_steps)]
    return [*lines, "", f"mode: {summary.mode}"]


def _found(summary: Summary) -> list[str]:
    """One line a segment: name, size, and who is in it by the truth."""
    width = max((len(line.name) for line in summary.segments), default=0)
    lines = [
        f"{line.name:<{width}}  {line.size:>6,}  {_mixture(summary.recovery.composition.get(line.id, {}))}"
        for line in summary.segments
    ]
    lost = sum(summary.recovery.composition.get(NO_SEGMENT, {}).values())
    return [*lines, f"{lost:,} customers without a segment"] if lost else lines


def _mixture(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    named = [f"{count / total:.0%} {name}" for name, count in counts.items() if count / total >= PURE]
    return ", ".join(named)


def _commands(commands: tuple[Command, ...]) -> list[str]:
    """Indent each command and put its note below it."""
    return [line for each in commands for line in (f"  {each.command}", f"      {each.note}")]
