"""Event times: what is read, as which moment, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from stream_seg.events.findings import Findings
from stream_seg.events.times import END_MS, TimeReader

if TYPE_CHECKING:
    from stream_seg.events.mapping import TimeUnit

BERLIN = "Europe/Berlin"


def ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type,misc]


def read(value: Any, unit: TimeUnit | None = None, zone: str = "UTC") -> int | str:
    findings = Findings(1)
    times = TimeReader("t", unit, ZoneInfo(zone)).column([value], findings)
    problems = [error for _, error in findings.problems()]
    assert {error.stage for error in problems} <= {"time"}
    return problems[0].reason if problems else int(times[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2011-12-09T12:50:00Z", ms(2011, 12, 9, 12, 50)),
        ("2011-12-09t12:50:00z", ms(2011, 12, 9, 12, 50)),
        ("2011-12-09 12:50:00Z", ms(2011, 12, 9, 12, 50)),
        ("2011-12-09T12:50:00.5Z", ms(2011, 12, 9, 12, 50) + 500),
        ("2011-12-09T12:50:00.12Z", ms(2011, 12, 9, 12, 50) + 120),
        ("2011-12-09T12:50:00.123456789Z", ms(2011, 12, 9, 12, 50) + 123),
        ("2011-12-09T12:50:00." + "9" * 5000 + "Z", ms(2011, 12, 9, 12, 50) + 999),
        ("2011-12-09T12:50:00+01:00", ms(2011, 12, 9, 11, 50)),
        ("2011-12-09T12:50:00.25-23:59", ms(2011, 12, 10, 12, 49) + 250),
        ("2011-12-09T12:50:00-00:00", ms(2011, 12, 9, 12, 50)),
        ("2011-12-09T12:50:00", ms(2011, 12, 9, 12, 50)),
        ("2011-12-09 12:50:00.000000", ms(2011, 12, 9, 12, 50)),
        ("2011-12-09", ms(2011, 12, 9)),
        ("2012-02-29", ms(2012, 2, 29)),
        ("2016-12-31T23:59:60Z", ms(2017, 1, 1)),
        ("2017-01-01T00:59:60.25+01:00", ms(2017, 1, 1) + 250),
        ("1970-01-01T00:00:00Z", 0),
        ("2099-12-31T23:59:59.999Z", END_MS - 1),
        ("2100-01-01T01:00:00+02:00", END_MS - 3_600_000),
    ],
)
def test_text_that_is_a_time(text: str, expected: int) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2011-12-09T",
        "2011-12-09T12:50",
        "2011-12-09T12:50:00.Z",
        "2011-12-09T12:50:00+0100",
        "2011-12-09T12:50:00+24:00",
        "2011-12-09T12:50:00+01:60",
        "2011-12-09T24:00:00Z",
        "2011-12-09T12:60:00Z",
        "2011-12-09T12:50:60Z",
        "2011-12-09T23:59:60+01:00",
        "2011-12-09T23:59:60",
        "2011-12-09T12:50:61Z",
        "2011-13-09",
        "2011-00-09",
        "2011-12-00",
        "2011-02-29",
        "0000-01-01",
        "11-12-09",
        "2011/12/09",
        "2011-12-09 ",
        "２０１１-12-09",
        "2011-12-09T12:50:00\ud800",
    ],
)
def test_text_that_is_no_time(text: str) -> None:
    assert read(text) == "the time is neither RFC 3339 nor a date"


@pytest.mark.parametrize(
    "text", ["0001-01-01", "1969-12-31T23:59:59.999Z", "2100-01-01", "9999-12-31T23:59:59Z"]
)
def test_years_outside_are_refused(text: str) -> None:
    for zone in ("UTC", BERLIN, "Pacific/Apia"):
        if zone == "UTC" or not text.startswith("2100"):
            assert read(text, zone=zone) == "the time lies outside 1970-01-01 to 2100-01-01"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-15", ms(2024, 1, 14, 23)),
        ("2024-07-15T12:00:00", ms(2024, 7, 15, 10)),
        ("2024-07-15T12:00:00Z", ms(2024, 7, 15, 12)),
        ("2024-10-27T02:30:00", ms(2024, 10, 27, 0, 30)),  # comes twice: the first
        ("2024-03-31T02:30:00", ms(2024, 3, 31, 1, 30)),  # is skipped: the offset before
        ("2024-03-31T03:00:00", ms(2024, 3, 31, 1)),
    ],
)
def test_a_wall_clock_time_is_read_in_the_zone(text: str, expected: int) -> None:
    assert read(text, zone=BERLIN) == expected


def test_an_offset_that_changes_within_an_hour() -> None:
    assert read("2024-10-06T01:59:59", zone="Australia/Lord_Howe") == ms(2024, 10, 5, 15, 29, 59)
    assert read("2024-04-07T01:45:00", zone="Australia/Lord_Howe") == ms(2024, 4, 6, 14, 45)
    assert read("2024-04-07T02:00:00", zone="Australia/Lord_Howe") == ms(2024, 4, 6, 15, 30)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1_700_000_000, "s", 1_700_000_000_000),
        (1_700_000_000.123, "s", 1_700_000_000_123),
        (1_700_000_000.1239999, "s", 1_700_000_000_124),
        (1_700_000_000.1234, "s", 1_700_000_000_123),
        (1_700_000_000_123, "ms", 1_700_000_000_123),
        (1_700_000_000_123.0, "ms", 1_700_000_000_123),
        (1_700_000_000_123.9, "ms", 1_700_000_000_123),
        (1_700_000_000_123_999, "us", 1_700_000_000_123),
        ("1700000000", "s", 1_700_000_000_000),
        ("1700000000.5", "s", 1_700_000_000_500),
        ("1700000000123", "ms", 1_700_000_000_123),
        ("2024-01-01", "ms", ms(2024, 1, 1)),
        (0, "s", 0),
    ],
)
def test_a_number_is_read_in_its_unit(value: float | str, unit: TimeUnit, expected: int) -> None:
    assert read(value, unit) == expected


@pytest.mark.parametrize("value", [-1, -0.001, 4_102_444_800, 1e300, -1e300, 2**63, 10**400, "9" * 24, "-1"])
def test_a_number_outside_is_refused(value: float | str) -> None:
    assert read(value, "s") == "the time lies outside 1970-01-01 to 2100-01-01"


def test_what_else_is_refused() -> None:
    assert read(1_700_000_000) == "the time is a number, and the mapping has no time_unit"
    assert read("1700000000") == "the time is a number, and the mapping has no time_unit"
    assert read(1.5e9) == "the time is a number, and the mapping has no time_unit"
    assert read(float("nan"), "s") == "the time is not a finite number"
    assert read(float("inf"), "s") == "the time is not a finite number"
    assert read(None) == "the time is missing or null"
    assert read(True, "s") == "the time is neither text nor a number"


def test_a_column_of_many_kinds_is_read_row_by_row() -> None:
    values = ["2024-01-01", None, 5, "2024-01-01T00:00:00Z", True, 2.5, "5", "x", 2**80]
    findings = Findings(len(values))
    times = TimeReader("t", "s", ZoneInfo("UTC")).column(values, findings)
    assert findings.good.tolist() == [True, False, True, True, False, True, True, False, False]
    assert times[findings.good].tolist() == [ms(2024, 1, 1), 5000, ms(2024, 1, 1), 2500, 5000]
    assert times.dtype == np.int64
