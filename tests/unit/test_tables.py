"""Rows of a table to events: the same as their JSON records, as far as the types allow."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from stream_seg.adapters.files.tables import decode_table
from stream_seg.errors import UsageError
from stream_seg.events.mapping import EventMapping
from stream_seg.events.records import Decoded
from stream_seg.features.spec import Feature, FeatureSet

NOON = 1_704_110_400_000
PLAIN = FeatureSet((Feature("days", "days_since"),))
SPEND = FeatureSet((Feature("spend", "sum", field="revenue"),))
MAPPING = EventMapping("customer", "time")
WITH_REVENUE = EventMapping("customer", "time", fields={"revenue": "revenue"})


def table(**columns: Any) -> dict[str, pl.Series]:
    rows = len(next(iter(columns.values())))
    usual = {"customer": ["a"] * rows, "time": [datetime(2024, 1, 1, 12)] * rows}  # noqa: DTZ001
    return pl.DataFrame({**usual, **columns}).to_dict()


def decode(features: FeatureSet = PLAIN, mapping: EventMapping = MAPPING, **columns: Any) -> Decoded:
    return decode_table(table(**columns), mapping, features, 0)


def reasons(decoded: Decoded) -> dict[int, str]:
    return {r.offset: r.message for r in decoded.rejected}


def test_rows_are_numbered_from_the_first_row() -> None:
    decoded = decode_table(table(customer=["a", None, "c"]), MAPPING, PLAIN, 100)
    assert decoded.events.customers == ["a", "c"]
    assert decoded.events.offset.tolist() == [100, 102]
    assert decoded.events.next_offset == 103
    assert reasons(decoded) == {101: "customer: the customer is missing, null or empty"}


def test_a_rejected_row_is_kept_as_json() -> None:
    decoded = decode(
        customer=[None],
        when=[date(2024, 1, 2)],
        at=[datetime(2024, 1, 1, 12, tzinfo=UTC)],
        price=pl.Series([Decimal("1.50")]),
        inner=[{"a": 1, "b": None}],
        tags=[["x"]],
        nothing=[None],
        bad=[float("nan")],
    )
    (rejected,) = decoded.rejected
    assert rejected.key is None
    assert rejected.timestamp_ms == -1
    assert rejected.value is not None
    assert msgspec.json.decode(rejected.value) == {
        "time": "2024-01-01T12:00:00",
        "when": "2024-01-02",
        "at": "2024-01-01T12:00:00Z",
        "price": 1.5,
        "inner": {"a": 1, "b": None},
        "tags": ["x"],
        "bad": None,
    }


@pytest.mark.parametrize(
    ("column", "customer"),
    [
        (pl.Series(["007"]), "007"),
        (pl.Series([17850], dtype=pl.Int64), "17850"),
        (pl.Series([2**64 - 1], dtype=pl.UInt64), "18446744073709551615"),
        (pl.Series([17850.0]), "17850"),
        (pl.Series([Decimal("17850.00")]), "17850"),
        (pl.Series(["x"], dtype=pl.Categorical), "x"),
    ],
)
def test_ids_of_any_type(column: pl.Series, customer: str) -> None:
    mapping = EventMapping("customer", "time", id="customer")
    events = decode(mapping=mapping, customer=column).events
    assert events.customers == [customer]
    assert events.ids == [customer]


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (pl.Series([True]), "a boolean"),
        (pl.Series([1.5]), "a fraction"),
        (pl.Series([float("nan")]), "a fraction"),
        (pl.Series([1e300]), "2^53"),
        (pl.Series([date(2024, 1, 1)]), "neither text nor a whole number"),
        (pl.Series([[1]]), "neither text nor a whole number"),
        (pl.Series([{"a": 1}]), "neither text nor a whole number"),
        (pl.Series([None], dtype=pl.Null), "missing"),
    ],
)
def test_what_is_no_id(column: pl.Series, why: str) -> None:
    assert why in reasons(decode(customer=column))[0]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_timestamps_of_any_unit_and_zone(unit: Any, zone: str) -> None:
    local = pl.Series(["2024-01-01T12:00:00.123999"]).str.to_datetime(time_unit=unit)
    mapping = EventMapping("customer", "time", time_zone=zone)
    offset = 9 * 3_600_000 if zone == "Asia/Tokyo" else 0
    assert decode(mapping=mapping, time=local).events.time_ms.tolist() == [NOON + 123 - offset]
    for named in ("UTC", "America/New_York"):
        aware = local.dt.replace_time_zone("UTC").dt.convert_time_zone(named)
        assert decode(mapping=mapping, time=aware).events.time_ms.tolist() == [NOON + 123]


def test_dates_are_midnight_in_the_zone() -> None:
    column = pl.Series([date(2024, 1, 1), None])
    decoded = decode(mapping=EventMapping("customer", "time", time_zone="Europe/Berlin"), time=column)
    assert decoded.events.time_ms.tolist() == [NOON - 13 * 3_600_000]
    assert reasons(decoded) == {1: "time: the time is missing or null"}


def test_times_as_text_and_numbers() -> None:
    text = decode(time=["2024-01-01T12:00:00Z", "never", None])
    assert text.events.time_ms.tolist() == [NOON]
    assert list(reasons(text)) == [1, 2]
    in_ms = EventMapping("customer", "time", time_unit="ms")
    for kind in (pl.Int64, pl.UInt64, pl.Float64, pl.Decimal(20, 0)):
        whole = decode(mapping=in_ms, time=pl.Series([NOON, None], dtype=pl.Int64).cast(kind))
        assert whole.events.time_ms.tolist() == [NOON]
        assert reasons(whole) == {1: "time: the time is missing or null"}
    assert "no time_unit" in reasons(decode(time=[NOON]))[0]
    assert "not a finite" in reasons(decode(mapping=in_ms, time=[float("inf")]))[0]
    assert "neither text nor a number" in reasons(decode(mapping=in_ms, time=[True]))[0]
    assert "neither text nor a number" in reasons(decode(mapping=in_ms, time=[{"a": 1}]))[0]
    for odd in (time(12), timedelta(1)):
        assert reasons(decode(time=[odd])) == {0: "time: the time is neither RFC 3339 nor a date"}


def test_timestamps_outside_are_refused() -> None:
    days = [date(1, 1, 1), date(1969, 12, 31), date(2100, 1, 1), date(9999, 1, 1)]
    column = pl.Series(days).cast(pl.Datetime("us"))
    for zone in ("UTC", "Europe/Berlin"):
        mapping = EventMapping("customer", "time", time_zone=zone)
        found = reasons(decode(mapping=mapping, time=column[[0, 1, 3]]))
        assert set(found.values()) == {"time: the time lies outside 1970-01-01 to 2100-01-01"}
        assert len(found) == 3
    assert len(reasons(decode(time=column))) == 4


@pytest.mark.parametrize("kind", [pl.Int8, pl.UInt64, pl.Int128, pl.Float32, pl.Float64, pl.Decimal(10, 2)])
def test_numbers_of_any_type(kind: Any) -> None:
    column = pl.Series([5, None]).cast(kind)
    np.testing.assert_array_equal(
        decode(SPEND, WITH_REVENUE, revenue=column).events.numbers, [[5.0], [np.nan]]
    )


def test_what_is_no_number() -> None:
    nan_and_infinite = decode(SPEND, WITH_REVENUE, revenue=[1.0, float("nan"), float("-inf"), None])
    assert nan_and_infinite.events.offset.tolist() == [0, 3]
    assert set(reasons(nan_and_infinite).values()) == {
        "revenue: the number is not finite or too large to be held"
    }
    others: list[list[Any]] = [["5"], [True], [[5]], [date(2024, 1, 1)]]
    for column in others:
        assert "a number is needed" in reasons(decode(SPEND, WITH_REVENUE, revenue=column))[0]
    empty = decode(SPEND, WITH_REVENUE, revenue=pl.Series([None], dtype=pl.Null))
    assert np.isnan(empty.events.numbers).all()


def test_filters_and_counted_values_have_their_kind() -> None:
    fields = {"x": "x"}

    def matches(column: Any, *allowed: Any) -> list[bool]:
        features = FeatureSet((Feature("f", "count", where=(("x", allowed),)),))
        found = decode(features, EventMapping("customer", "time", fields=fields), x=column).events.matches
        return found[:, 0].tolist()  # type: ignore[no-any-return]

    assert matches(["NL", None, "BE"], "NL") == [True, False, False]
    assert matches([1, 2, None], 1.0) == [True, False, False]
    assert matches([1, 0], True) == [False, False]
    assert matches([True, False, None], True, 0) == [True, False, False]
    assert matches(["1"], 1) == [False]
    assert matches(pl.Series(["NL", None], dtype=pl.Categorical), "NL") == [True, False]
    assert matches([date(2024, 1, 1)], "2024-01-01") == [True]
    assert matches(pl.Series([Decimal("1.5"), Decimal("2.0")]), 1.5, 2) == [True, True]

    distinct = FeatureSet((Feature("f", "distinct", field="x"),))
    mapping = EventMapping("customer", "time", fields=fields)
    tokens = decode(distinct, mapping, x=[5, None]).events.tokens[:, 0].tolist()
    assert tokens[0] == decode(distinct, mapping, x=[5.0]).events.tokens[0, 0]
    assert tokens[0] != decode(distinct, mapping, x=["5"]).events.tokens[0, 0]
    assert tokens[1] == 0
    nested: list[Any] = [[1], {"a": 1}]
    for value in nested:
        assert "no single value" in reasons(decode(distinct, mapping, x=[value]))[0]


def test_types_are_text() -> None:
    mapping = EventMapping("customer", "time", type="kind")
    assert decode(mapping=mapping, kind=["order", None]).events.types == ["order", None]
    assert decode(mapping=mapping, kind=[7]).events.types == ["7"]


def test_objects_are_entered_by_dotted_paths() -> None:
    features = FeatureSet((Feature("app", "count", where=(("channel", ("app",)),)),))
    mapping = EventMapping("customer", "time", fields={"channel": "context.device.channel"})
    rows = [{"device": {"channel": "app"}}, {"device": None}, None]
    nested = decode(features, mapping, context=rows)
    assert nested.events.matches[:, 0].tolist() == [True, False, False]
    flat = decode(features, mapping, **{"context.device.channel": ["app", "web"]})
    assert flat.events.matches[:, 0].tolist() == [True, False]


@pytest.mark.parametrize(
    ("columns", "mapping", "said"),
    [
        (
            {"custmer_id": ["a"]},
            EventMapping("customer_id", "time"),
            '"customer_id".*nearest is "custmer_id"',
        ),
        ({}, EventMapping("customer", "time", id="invoice"), '"invoice"'),
        ({"x": [{"y": 1}]}, EventMapping("customer", "time", type="x.yy"), '"x.yy".*nearest is "x.y"'),
        ({"x": ["text"]}, EventMapping("customer", "time", type="x.y"), '"x.y"'),
    ],
)
def test_a_missing_column_is_named_with_the_nearest(columns: Any, mapping: EventMapping, said: str) -> None:
    frame = pl.DataFrame({"customer": ["a"], "time": ["2024-01-01"], **columns})
    with pytest.raises(UsageError, match=said):
        decode_table(frame.to_dict(), mapping, PLAIN, 0)


def test_cells_of_a_csv_file() -> None:
    features = FeatureSet(
        (
            Feature("spend", "sum", field="revenue"),
            Feature("five", "count", where=(("x", (5, True, "a")),)),
            Feature("x", "distinct", field="x"),
        )
    )
    mapping = EventMapping("customer", "time", id="id", type="kind", fields={"revenue": "r", "x": "x"})
    cells: dict[str, list[str | None]] = {
        "customer": ["007", "b", "c", "d", None, "f", "g"],
        "time": ["2024-01-01T12:00:00Z", " 2024-01-01 ", *["2024-01-01"] * 5],
        "id": ["1", None, None, None, None, None, None],
        "kind": ["order", None, "5", None, None, None, None],
        "r": ["12.5", " -1e3 ", None, "inf", "1", "1_000", "1e999"],
        "x": ["5.0", "TRUE", "a", None, None, None, None],
    }
    decoded = decode_table(cells, mapping, features, 0)
    events = decoded.events
    assert events.customers == ["007", "b", "c"]
    assert events.ids == ["1", None, None]
    assert events.types == ["order", None, "5"]
    np.testing.assert_array_equal(events.numbers, [[12.5], [-1000.0], [np.nan]])
    assert events.matches[:, 1].tolist() == [True, True, True]
    assert len(set(events.tokens[:, 0].tolist())) == 3
    assert reasons(decoded) == {
        3: "r: a number is needed here, and the record has something else",
        4: "customer: the customer is missing, null or empty",
        5: "r: a number is needed here, and the record has something else",
        6: "r: the number is not finite or too large to be held",
    }
    assert decoded.rejected[1].value is not None
    assert msgspec.json.decode(decoded.rejected[1].value) == {"time": "2024-01-01", "r": "1"}


def test_cells_hold_times_as_numbers_where_a_unit_is_set() -> None:
    cells: dict[str, list[str | None]] = {"customer": ["a", "b"], "time": [str(NOON), "2024-01-01T12:00:00Z"]}
    decoded = decode_table(cells, EventMapping("customer", "time", time_unit="ms"), PLAIN, 0)
    assert decoded.events.time_ms.tolist() == [NOON, NOON]
    assert len(decode_table(cells, MAPPING, PLAIN, 0).events) == 1
