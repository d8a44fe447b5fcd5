"""What a person sees of a run: segments and transitions drawn in place, or a plain line now and then.

The view is given frozen values and keeps nothing but the time of its last plain line; where they come from
(Kafka and Redis, or the engine in this process) it does not know.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, Self

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.console import Console, RenderableType

BAR_CELLS: Final = 24
TRANSITIONS_SHOWN: Final = 5
DRIVERS_SHOWN: Final = 2
PLAIN_EVERY_SECONDS: Final = 2.0
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Cause = Literal["behaviour", "silence", "model"]
CAUSE_STYLES: Final[dict[Cause, str]] = {"behaviour": "green", "silence": "yellow", "model": "blue"}


@dataclass(frozen=True)
class Driver:
    """A feature that moved, in its own unit; None where the feature had or has no value."""

    feature: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class SegmentLine:
    """One active segment; `share` of the population is in [0, 1]."""

    id: int
    name: str
    size: int
    share: float


@dataclass(frozen=True)
class TransitionLine:
    """One customer's change of segment; `to_name` is None where the customer was forgotten."""

    customer: str
    from_name: str
    to_name: str | None
    cause: Cause
    drivers: tuple[Driver, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """The state of a run at one moment.

    Attributes:
        event_time_ms: how far the stream has come, milliseconds since 1970-01-01 UTC; None before any event.
        events: how many have been labelled since the start.
        events_per_second: of wall time, lately.
        version: of the model; None during warm-up.
        segments: the active ones, in the order to be shown.
        transitions: the newest, oldest first.

    """

    event_time_ms: int | None
    events: int
    events_per_second: float
    version: int | None
    segments: tuple[SegmentLine, ...] = ()
    transitions: tuple[TransitionLine, ...] = ()


class View:
    """Draws snapshots while it is open: in place on a terminal, else as lines.

    Lines are what a file, a pipe, a dumb terminal or a reader with `NO_COLOR` set gets.

    """

    def __init__(
        self, console: Console, title: str = "stream-seg", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Draw on `console` under `title`; `clock` gives seconds that never fall, to space plain lines."""
        self._console = console
        self._title = title
        self._clock = clock
        self._live = Live(console=console, auto_refresh=False, transient=False) if in_place(console) else None
        self._last_line: float | None = None

    def __enter__(self) -> Self:
        """Start drawing."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last drawing on the screen and give the cursor back, also after an error."""
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a sentence above the drawing."""
        say(self._console, text)

    def show(self, snapshot: Snapshot) -> None:
        """Draw a snapshot; as a line only if the last one is `PLAIN_EVERY_SECONDS` old."""
        if self._live is not None:
            self._live.update(draw(snapshot, self._title), refresh=True)
            return
        now = self._clock()
        if self._last_line is None or now - self._last_line >= PLAIN_EVERY_SECONDS:
            self._last_line = now
            say(self._console, plain_line(snapshot))


def in_place(console: Console) -> bool:
    """Tell whether the console can and may be redrawn."""
    return console.is_terminal and not console.is_dumb_terminal and not console.no_color


def say(console: Console, line: str) -> None:
    """Print one line as it is: no mark-up, no colours, no wrapping."""
    console.print(Text(line), soft_wrap=True, highlight=False)


def plain_line(snapshot: Snapshot) -> str:
    """Put a snapshot in one line of text."""
    parts = [
        _date(snapshot.event_time_ms),
        f"{snapshot.events:,} events",
        f"{snapshot.events_per_second:,.0f}/s",
        _version(snapshot.version),
    ]
    parts += [f"{line.name} {line.size:,}" for line in snapshot.segments]
    return " | ".join(parts)


def draw(snapshot: Snapshot, title: str) -> RenderableType:
    """Lay a snapshot out for a terminal."""
    head = Text(title, style="bold")
    progress = Text.assemble(
        (_date(snapshot.event_time_ms), "bold cyan"),
        f"   {snapshot.events:,} events   {snapshot.events_per_second:,.0f} events/s   ",
        _version(snapshot.version),
    )
    return Group(
        head, progress, Text(), _segments(snapshot.segments), Text(), _transitions(snapshot.transitions)
    )


def describe_driver(driver: Driver) -> str:
    """Say which feature moved from what to what, as in `orders 3.2 → 4.1`."""
    return f"{driver.feature} {_number(driver.before)} → {_number(driver.after)}"


def _segments(lines: tuple[SegmentLine, ...]) -> RenderableType:
    if not lines:
        return Text("warming up: no segments yet", style="dim")
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    table.add_column("id", justify="right")
    table.add_column("segment", no_wrap=True, overflow="ellipsis")
    table.add_column("customers", justify="right", no_wrap=True, min_width=9)
    table.add_column("share", justify="right", no_wrap=True, min_width=6)
    table.add_column("", no_wrap=True)
    longest = max(line.share for line in lines)
    for line in lines:
        cells = 0 if longest <= 0 else max(round(BAR_CELLS * line.share / longest), int(line.size > 0))
        bar = Text("█" * cells, style="cyan")
        table.add_row(str(line.id), Text(line.name), f"{line.size:,}", f"{line.share:.1%}", bar)
    return table


def _transitions(lines: tuple[TransitionLine, ...]) -> RenderableType:
    """Two rows a transition, newest last; always the same height, so that the drawing does not jump."""
    rows: list[Text] = []
    for line in lines[-TRANSITIONS_SHOWN:]:
        to_name = "forgotten" if line.to_name is None else line.to_name
        why = ", ".join(describe_driver(driver) for driver in line.drivers[:DRIVERS_SHOWN])
        rows.append(Text.assemble((line.customer, "bold"), f"  {line.from_name} → {to_name}"))
        rows.append(Text.assemble("    ", (line.cause, CAUSE_STYLES[line.cause]), f"  {why}"))
    rows += [Text()] * (2 * TRANSITIONS_SHOWN - len(rows))
    for row in rows:
        row.no_wrap = True
        row.overflow = "ellipsis"
    return Group(Text("latest transitions", style="dim"), *rows)


def _date(time_ms: int | None) -> str:
    return "no event yet" if time_ms is None else f"{EPOCH + timedelta(milliseconds=time_ms):%Y-%m-%d}"


def _version(version: int | None) -> str:
    return "warming up" if version is None else f"model version {version}"


def _number(value: float | None) -> str:
    """Three figures are enough to see which way a feature moved."""
    if value is None:
        return "none"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
