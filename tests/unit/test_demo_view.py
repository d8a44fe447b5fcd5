"""The demo's view and summary, drawn into text."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace

import pytest
from rich.console import Console

from consumers.demo.summary import Command, Mode, Summary, lookup_commands, summarise
from consumers.demo.truth import NO_SEGMENT, Recovery
from consumers.demo.view import (
    PLAIN_EVERY_SECONDS,
    TRANSITIONS_SHOWN,
    Driver,
    SegmentLine,
    Snapshot,
    TransitionLine,
    View,
    describe_driver,
    in_place,
)

SEGMENTS = (SegmentLine(0, "frequent, much", 1500, 0.5), SegmentLine(4, "[red]silent", 750, 0.25))
MOVED = TransitionLine(
    customer="c00042",
    from_name="frequent, much",
    to_name="[red]silent",
    cause="silence",
    drivers=(
        Driver("days_since_order", 40.25, 61.5),
        Driver("spend", 1240.4, None),
        Driver("orders", 3.0, 2.0),
    ),
)
SNAPSHOT = Snapshot(1_740_787_200_000, 12_345, 3_210.4, 7, SEGMENTS, (MOVED,))
SUMMARY = Summary(
    mode="servers",
    events=95_071,
    customers=3_000,
    seconds=10.0,
    version=41,
    segments=SEGMENTS,
    recovery=Recovery(0.903, {0: {"loyal": 98, "VIP": 2}, 4: {"stopped coming": 60, "one-off": 40}}),
    lookups=tuple(
        Command(command, "answer") for command in lookup_commands("c00042", "redis://127.0.0.1:7000/0")
    ),
    next_steps=(Command("stream-seg servers", "keeps both servers up"),),
)


@dataclass
class HandClock:
    """Seconds that move when told to."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def console(
    *, terminal: bool, width: int = 120, environment: dict[str, str] | None = None
) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    settings = {"TERM": "xterm-256color", **(environment or {})}
    return Console(file=written, force_terminal=terminal, width=width, height=40, _environ=settings), written


def text_of(written: io.StringIO) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.getvalue())


@pytest.mark.parametrize(
    ("terminal", "environment", "expected"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_it_redraws_only_where_it_can_and_may(
    *, terminal: bool, environment: dict[str, str], expected: bool
) -> None:
    screen, _ = console(terminal=terminal, environment=environment)
    assert in_place(screen) is expected


def test_a_terminal_shows_segments_transitions_and_progress() -> None:
    screen, written = console(terminal=True)
    with View(screen) as view:
        view.show(SNAPSHOT)
    text = text_of(written)
    for part in (
        "2025-03-01",
        "12,345 events",
        "3,210 events/s",
        "model version 7",
        "50.0%",
        "[red]silent",
        "750",
    ):
        assert part in text
    assert "c00042" in text
    assert "days_since_order 40.2 → 61.5, spend 1,240 → none" in text
    assert "orders" not in text  # only the drivers that moved the customer most


def test_bars_are_in_proportion_to_the_shares() -> None:
    screen, written = console(terminal=True)
    with View(screen) as view:
        view.show(SNAPSHOT)
    bars = [line.count("█") for line in text_of(written).splitlines() if "█" in line][-2:]
    assert bars[0] == 2 * bars[1] > 0


def test_the_cursor_comes_back_after_an_error() -> None:
    screen, written = console(terminal=True)

    def interrupted() -> None:
        with View(screen) as view:
            view.show(SNAPSHOT)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert written.getvalue().rindex("\x1b[?25h") > written.getvalue().rindex("\x1b[?25l")


def test_the_drawing_keeps_its_height_whatever_the_number_of_transitions() -> None:
    heights = set()
    for number in (0, 1, TRANSITIONS_SHOWN, 3 * TRANSITIONS_SHOWN):
        screen, written = console(terminal=True)
        with View(screen) as view:
            view.show(replace(SNAPSHOT, transitions=(MOVED,) * number))
        heights.add(written.getvalue().count("\x1b[1A"))
    assert len(heights) == 1


def test_warm_up_is_shown_as_such() -> None:
    for terminal in (True, False):
        screen, written = console(terminal=terminal)
        with View(screen) as view:
            view.show(Snapshot(None, 0, 0.0, None))
        assert "no event yet" in text_of(written)
        assert "warming up" in text_of(written)


def test_without_a_terminal_a_plain_line_comes_now_and_then() -> None:
    screen, written = console(terminal=False, width=20)
    clock = HandClock()
    with View(screen, clock=clock) as view:
        view.show(SNAPSHOT)
        clock.seconds += PLAIN_EVERY_SECONDS / 2
        view.show(SNAPSHOT)
        clock.seconds += PLAIN_EVERY_SECONDS / 2
        view.show(replace(SNAPSHOT, events=20_000))
    assert written.getvalue().splitlines() == [
        "2025-03-01 | 12,345 events | 3,210/s | model version 7 | frequent, much 1,500 | [red]silent 750",
        "2025-03-01 | 20,000 events | 3,210/s | model version 7 | frequent, much 1,500 | [red]silent 750",
    ]


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        (Driver("orders", 3.0, 2.875), "orders 3 → 2.88"),
        (Driver("spend", None, 12_345.6), "spend none → 12,346"),
        (Driver("sale_share", 0.0, 0.123456), "sale_share 0 → 0.123"),
    ],
)
def test_a_driver_says_what_moved_from_what_to_what(driver: Driver, expected: str) -> None:
    assert describe_driver(driver) == expected


@pytest.mark.parametrize("mode", ["servers", "embedded"])
@pytest.mark.parametrize("terminal", [True, False])
def test_the_last_line_of_the_summary_is_the_mode(mode: Mode, *, terminal: bool) -> None:
    screen, written = console(terminal=terminal, width=30)
    summarise(screen, replace(SUMMARY, mode=mode))
    assert written.getvalue().endswith(f"\nmode: {mode}\n")


def test_the_summary_names_the_recovery_and_what_is_in_each_segment() -> None:
    screen, written = console(terminal=False)
    summarise(screen, SUMMARY)
    lines = written.getvalue().splitlines()
    assert "95,071 events of 3,000 customers: 10.0 s (9,507/s)" in lines
    assert "Recovery of the hidden behaviour: ARI 0.90 (1 is perfect, 0 is chance)" in lines
    assert "  frequent, much   1,500  98% loyal" in lines
    assert "  [red]silent        750  60% stopped coming, 40% one-off" in lines


def test_the_summary_gives_commands_whole_on_lines_of_their_own() -> None:
    screen, written = console(terminal=False, width=20)
    summarise(screen, SUMMARY)
    lines = written.getvalue().splitlines()
    assert "  stream-seg lookup c00042" in lines
    assert "  redis-cli -u redis://127.0.0.1:7000/0 HGETALL seg:demo:c:c00042" in lines
    assert "  stream-seg servers" in lines


def test_customers_without_a_segment_are_named() -> None:
    screen, written = console(terminal=False)
    lost = Recovery(0.5, {NO_SEGMENT: {"loyal": 1200}, 0: {"loyal": 1}})
    summarise(screen, replace(SUMMARY, recovery=lost))
    assert "1,200 customers without a segment" in written.getvalue()
