"""The parts of a replay: its range of event time, what it counts, and how far it says it is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from consumers.replay.bounds import Bounds
from consumers.replay.options import EventTime, ReplayOptions
from consumers.replay.output import NAMED_ROWS, Tally
from consumers.replay.progress import ReplayProgress
from consumers.replay.summary import print_rejected
from stream_seg.errors import UsageError
from stream_seg.events.batch import EventBatch, Rejected
from stream_seg.events.records import Decoded

DAY_MS = 86_400_000


def batch(times: list[int], next_offset: int | None = None) -> EventBatch:
    n = len(times)
    return EventBatch(
        customers=[f"c{i}" for i in range(n)],
        time_ms=np.array(times, dtype=np.int64),
        offset=np.arange(n),
        ids=[None] * n,
        types=[None] * n,
        numbers=np.zeros((n, 0)),
        tokens=np.zeros((n, 0), dtype=np.uint64),
        matches=np.ones((n, 1), dtype=np.bool_),
        next_offset=n if next_offset is None else next_offset,
    )


def rejected(row: int, reason: str) -> Rejected:
    return Rejected(row, None, b"{}", -1, "event", "DecodeError", reason)


@given(st.lists(st.integers(0, 100)), st.integers(0, 100), st.integers(0, 100))
def test_a_range_takes_its_beginning_and_not_its_end(times: list[int], begin: int, end: int) -> None:
    kept = Bounds(begin, end).cut(batch(times, next_offset=500))
    assert kept.time_ms.tolist() == [time for time in times if begin <= time < end]
    assert kept.offset.tolist() == [row for row, time in enumerate(times) if begin <= time < end]
    assert kept.next_offset == 500


@given(st.lists(st.integers(0, 100)))
def test_without_bounds_all_is_taken(times: list[int]) -> None:
    assert Bounds().cut(batch(times)).time_ms.tolist() == times


def options(begin: EventTime | None, end: EventTime | None) -> ReplayOptions:
    return ReplayOptions(name="r", source=Path("orders.csv"), from_=begin, to=end)


def test_a_duration_goes_back_from_the_newest_event_wherever_it_stands() -> None:
    source = [
        Decoded(batch([3 * DAY_MS, 9 * DAY_MS]), []),
        Decoded(batch([]), []),
        Decoded(batch([DAY_MS]), []),
    ]
    asked = options(EventTime(back_ms=2 * DAY_MS), EventTime(back_ms=DAY_MS))
    assert Bounds.of(asked, source) == Bounds(7 * DAY_MS, 8 * DAY_MS)


def test_moments_do_not_read_the_source() -> None:
    class Unread:
        def __iter__(self) -> None:
            raise AssertionError("read")

    asked = options(EventTime(at_ms=5), EventTime(at_ms=7))
    assert Bounds.of(asked, Unread()) == Bounds(5, 7)  # type: ignore[arg-type]
    assert Bounds.of(options(None, None), Unread()) == Bounds()  # type: ignore[arg-type]


def test_a_duration_back_from_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="no usable event"):
        Bounds.of(options(EventTime(back_ms=1), None), [Decoded(batch([]), [rejected(0, "bad")])])


@pytest.mark.parametrize("end", [5, 4])
def test_a_range_without_extent_is_refused(end: int) -> None:
    with pytest.raises(UsageError, match="Nothing lies between"):
        Bounds.of(options(EventTime(at_ms=5), EventTime(at_ms=end)), [])


def test_rejected_rows_are_counted_by_reason_and_the_first_are_named() -> None:
    tally = Tally()
    tally.rejected([rejected(row, "no time") for row in range(3, 3 + NAMED_ROWS)])
    tally.rejected([rejected(90, "no customer")])
    assert tally.reasons == {"no time": NAMED_ROWS, "no customer": 1}
    assert tally.first_rows == [(row, "no time") for row in range(3, 3 + NAMED_ROWS)]
    told = io.StringIO()
    print_rejected(Console(file=told, width=500), tally)
    assert f"{NAMED_ROWS + 1} rows cannot be events" in told.getvalue()
    assert "row 3: no time; row 4: no time" in told.getvalue()
    assert "row 90" not in told.getvalue()


def test_nothing_is_said_where_nothing_was_rejected() -> None:
    told = io.StringIO()
    print_rejected(Console(file=told), Tally())
    assert told.getvalue() == ""


def test_without_a_terminal_progress_is_a_plain_line_now_and_then() -> None:
    told, now = io.StringIO(), 0.0
    with ReplayProgress("replay r", 1000, Console(file=told, width=200), clock=lambda: now) as progress:
        for second in range(1, 13):
            now = float(second)
            progress.at(10 * second)
        assert progress.seconds == 12.0
    assert told.getvalue().splitlines() == [
        "replay r: 50 of 1,000 rows, 10/s, 1 minute left",
        "replay r: 100 of 1,000 rows, 10/s, 1 minute left",
    ]


def test_on_a_terminal_there_is_a_bar_with_rate_and_time_left() -> None:
    told, now = io.StringIO(), 0.0
    console = Console(file=told, width=120, force_terminal=True)
    with ReplayProgress("replay r", 1000, console, clock=lambda: now) as progress:
        now = 2.0
        progress.at(500)
    assert "replay r" in told.getvalue()
    assert "500/1000" in told.getvalue()
    assert "250/s" in told.getvalue()
