"""The moments of event time that a replay's ``--from`` and ``--to`` name."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.replay.options import EventTime


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-02", EventTime(at_ms=86_400_000)),
        ("1969-12-31", EventTime(at_ms=-86_400_000)),
        ("1970-01-01T00:00:01Z", EventTime(at_ms=1000)),
        ("1970-01-01T01:00:00.25+01:00", EventTime(at_ms=250)),
        ("1970-01-01T00:00:01", EventTime(at_ms=1000)),
        ("90d", EventTime(back_ms=90 * 86_400_000)),
    ],
)
def test_a_moment_is_a_date_a_time_or_a_way_back(text: str, moment: EventTime) -> None:
    assert EventTime.parsed(text) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2011-13-01", "90", "-3d"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a date"):
        EventTime.parsed(text)


def test_a_way_back_is_from_the_newest_event() -> None:
    assert EventTime.parsed("1d").resolved_ms(86_400_001) == 1
    assert EventTime.parsed("1970-01-02").resolved_ms(7) == 86_400_000


@given(st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2099, 12, 31), timezones=st.just(dt.UTC)))  # noqa: DTZ001
def test_a_time_reads_back_to_the_millisecond(moment: dt.datetime) -> None:
    read = EventTime.parsed(moment.isoformat(timespec="milliseconds"))
    assert read.at_ms == int(moment.timestamp() * 1000 // 1) or read.at_ms == round(
        moment.replace(microsecond=moment.microsecond // 1000 * 1000).timestamp() * 1000
    )
