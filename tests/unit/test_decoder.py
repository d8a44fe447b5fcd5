"""JSON records to events: what is taken, what is rejected and why."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from stream_seg.errors import UsageError
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.ids import ID_LIMIT_BYTES
from stream_seg.events.jsontext import DEPTH_LIMIT, RECORD_LIMIT_BYTES
from stream_seg.events.mapping import EventMapping
from stream_seg.events.records import Decoded, RawRecords
from stream_seg.features.spec import Feature, FeatureSet

FIELDS = {"revenue": "revenue", "channel": "context.channel", "country": "country"}
MAPPING = EventMapping("customer", "time", id="id", type="kind", fields=FIELDS, key="unchecked")
FEATURES = FeatureSet(
    (
        Feature("days", "days_since"),
        Feature("spend", "sum", field="revenue"),
        Feature("app", "share", where=(("channel", ("app",)),)),
        Feature("countries", "distinct", field="country"),
        Feature("bought", "count", where=(("type", ("order", 1, True)),)),
    )
)
GOOD = {"customer": "a", "time": "2024-01-01T00:00:00Z"}


def records(*values: bytes | None, keys: list[bytes | None] | None = None, **given: Any) -> RawRecords:
    n = len(values)
    timestamps = np.full(n, -1, dtype=np.int64)
    return RawRecords(
        keys=keys or [None] * n,
        values=list(values),
        offset=np.arange(n, dtype=np.int64),
        timestamp_ms=given.get("timestamp_ms", timestamps),
        next_offset=n,
        single_partition=given.get("single_partition", True),
    )


def decode(*values: bytes | None, mapping: EventMapping = MAPPING) -> Decoded:
    return JsonDecoder(mapping, FEATURES).decode(records(*values))


def event(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}, ensure_ascii=False).encode()


def the_event(**fields: Any) -> dict[str, Any]:
    decoded = decode(event(**fields))
    assert decoded.rejected == []
    events = decoded.events
    return {
        "customer": events.customers[0],
        "id": events.ids[0],
        "type": events.types[0],
        "revenue": events.numbers[0, 0],
        "country": int(events.tokens[0, 0]),
        "matches": dict(zip(FEATURES.names, events.matches[0].tolist(), strict=True)),
    }


def the_reason(*values: bytes | None) -> tuple[str, str]:
    decoded = decode(*values)
    assert len(decoded.events) == 0
    (rejected,) = decoded.rejected
    assert rejected.error == "DecodeError"
    assert rejected.value == values[0]
    return rejected.stage, rejected.message


def test_every_column_of_an_event() -> None:
    decoded = decode(
        event(id="x1", kind="order", revenue=2.5, context={"channel": "app"}, country="NL"),
        event(customer="b", time="2024-01-01T00:00:00.250+01:00"),
    )
    events = decoded.events
    assert events.customers == ["a", "b"]
    assert events.time_ms.tolist() == [1_704_067_200_000, 1_704_063_600_250]
    assert events.offset.tolist() == [0, 1]
    assert events.ids == ["x1", None]
    assert events.types == ["order", None]
    np.testing.assert_array_equal(events.numbers, [[2.5], [np.nan]])
    assert events.tokens[0, 0] != 0
    assert events.tokens[1, 0] == 0
    assert events.matches.tolist() == [[True, True, True, True, True], [True, True, False, True, False]]
    assert events.next_offset == 2


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (b'"17850"', "17850"),
        (b"17850", "17850"),
        (b"17850.0", "17850"),
        (b"1e3", "1000"),
        (b"-5", "-5"),
        (b"-0.0", "0"),
        (b"12345678901234567890123", "12345678901234567890123"),
        (b'"007"', "007"),
        (b'" a:b{c} "', " a:b{c} "),
        ('"\U0001f6d2é"'.encode(), "\U0001f6d2é"),
        (rb'"\ud83d\uded2\u00e9"', "\U0001f6d2é"),
        (b'"' + b"x" * ID_LIMIT_BYTES + b'"', "x" * ID_LIMIT_BYTES),
    ],
)
def test_a_customer_is_text_or_a_whole_number(written: bytes, text: str) -> None:
    decoded = decode(b'{"time":"2024-01-01","customer":' + written + b"}")
    assert decoded.events.customers == [text]


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (b"null", "missing, null or empty"),
        (b'""', "missing, null or empty"),
        (b"true", "boolean"),
        (b"1.5", "fraction"),
        (b"9007199254740992.0", "2^53"),
        (b"1e400", "too large"),
        (b"[1]", "a list where a single value belongs"),
        (b'{"a":1}', "an object where a single value belongs"),
        (b'"' + "é".encode() * (ID_LIMIT_BYTES // 2 + 1) + b'"', "at most 4096 bytes"),
    ],
)
def test_anything_else_is_no_customer(written: bytes, why: str) -> None:
    stage, message = the_reason(b'{"time":"2024-01-01","customer":' + written + b"}")
    assert stage == "event"
    assert message.startswith("customer: ")
    assert why in message


def test_a_missing_customer_is_rejected() -> None:
    assert the_reason(b'{"time":"2024-01-01"}') == (
        "event",
        "customer: the customer is missing, null or empty",
    )


@pytest.mark.parametrize(
    ("value", "stage", "why"),
    [
        (None, "json", "no value"),
        (b"", "json", "not JSON"),
        (b"  ", "json", "not JSON"),
        (b"not json", "json", "not JSON"),
        (b"\xff\xfe", "json", "not UTF-8"),
        (b'{"other":"\xff"}', "json", "not UTF-8"),
        (b'{"other":"\xed\xa0\x80"}', "json", "not UTF-8"),
        (rb'{"customer":"\ud800","time":"2024-01-01"}', "json", "not JSON"),
        (b'{"customer":"a","time":"2024-01-01","revenue":NaN}', "json", "not JSON"),
        (b'{"customer":"a","time":"2024-01-01"} {}', "json", "not JSON"),
        (b'{"customer":"a","time":"2024-01-01"},{"customer":"b"}', "json", "not JSON"),
        (b"null", "json", "is null, where an object belongs"),
        (b"[]", "json", "is a list, where an object belongs"),
        (b'"text"', "json", "is text, where an object belongs"),
        (b"\xef\xbb\xbf{}", "json", "not JSON"),
        (b'{"deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "json", "nested more than"),
        (b'{"customer":"' + b"x" * 10_000_000 + b'"}', "json", f"longer than {RECORD_LIMIT_BYTES} bytes"),
    ],
)
def test_what_is_no_json_object_is_rejected(value: bytes | None, stage: str, why: str) -> None:
    found_stage, message = the_reason(value)
    assert found_stage == stage
    assert why in message


def test_nesting_is_counted_without_the_brackets_in_strings() -> None:
    allowed = event(deep=json.loads("[" * (DEPTH_LIMIT - 1) + "]" * (DEPTH_LIMIT - 1)))
    refused = event(deep=json.loads("[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT))
    in_text = event(text='"[' * 1000, wide=[{}] * 1000)
    decoded = decode(allowed, refused, in_text)
    assert decoded.events.offset.tolist() == [0, 2]


@pytest.mark.parametrize("written", [b'"12.5"', b"true", b"[1]", b'{"a":1}'])
def test_a_number_of_another_kind_is_rejected(written: bytes) -> None:
    stage, message = the_reason(b'{"customer":"a","time":"2024-01-01","revenue":' + written + b"}")
    assert stage == "event"
    assert message.startswith("revenue: ")
    assert "number" in message


@pytest.mark.parametrize("written", [b"1e400", b"-1e400", b"1" + b"0" * 400, b"1" * 5000])
def test_a_number_that_no_double_holds_is_rejected(written: bytes) -> None:
    stage, message = the_reason(b'{"customer":"a","time":"2024-01-01","revenue":' + written + b"}")
    assert (stage, message) == ("event", "revenue: the number is not finite or too large to be held")


def test_numbers_of_two_roles_are_checked_too() -> None:
    features = FeatureSet(
        (Feature("spend", "sum", field="revenue"), Feature("prices", "distinct", field="revenue")),
    )
    decoder = JsonDecoder(MAPPING, features)
    huge = b'{"customer":"a","time":"2024-01-01","revenue":1' + b"0" * 400 + b"}"
    decoded = decoder.decode(
        records(event(revenue=5), event(revenue="5"), huge, event(revenue=True), event())
    )
    np.testing.assert_array_equal(decoded.events.numbers, [[5.0], [np.nan]])
    assert [r.offset for r in decoded.rejected] == [1, 2, 3]


def test_whole_numbers_are_numbers_however_large() -> None:
    assert the_event(revenue=2**70)["revenue"] == 2.0**70


def test_a_path_through_missing_or_null_is_missing_and_through_another_value_rejected() -> None:
    missing: list[dict[str, Any]] = [
        {},
        {"context": None},
        {"context": {}},
        {"context": {"channel": None}},
    ]
    for fields in missing:
        assert the_event(**fields)["matches"]["app"] is False
    others: list[Any] = [5, "app", [], True]
    for context in others:
        stage, message = the_reason(event(context=context))
        assert stage == "event"
        assert message.startswith("context: ")
        assert message.endswith("where an object belongs")


def test_a_filtered_or_counted_field_may_be_any_single_value() -> None:
    single: list[Any] = ["x", 5, 5.5, True, None]
    for value in single:
        the_event(country=value, kind=value, context={"channel": value})
    several: list[Any] = [[], {}]
    for value in several:
        for fields in ({"country": value}, {"kind": value}, {"context": {"channel": value}}):
            assert "where a single value belongs" in the_reason(event(**fields))[1]


def test_numbers_match_numerically_and_booleans_only_booleans() -> None:
    def bought(kind: object, *allowed: str | float | bool) -> bool:
        features = FeatureSet((Feature("f", "count", where=(("type", allowed),)),))
        return bool(JsonDecoder(MAPPING, features).decode(records(event(kind=kind))).events.matches[0, 0])

    assert bought("order", "order", "gift")
    assert not bought("Order", "order")
    assert bought(1, 1)
    assert bought(1.0, 1)
    assert bought(1, 1.0)
    assert bought(2**60 + 1, 2**60 + 1)
    assert not bought(True, 1)
    assert not bought(1, True)
    assert not bought("1", 1)
    assert not bought(1, "1")
    assert bought(True, True)
    assert not bought("true", True)
    assert not bought(None, "order")


def test_equal_conditions_of_different_kind_are_kept_apart() -> None:
    features = FeatureSet(
        (
            Feature("one", "count", where=(("type", (1,)),)),
            Feature("yes", "count", where=(("type", (True,)),)),
        ),
    )
    matches = JsonDecoder(MAPPING, features).decode(records(event(kind=1), event(kind=True))).events.matches
    assert matches.tolist() == [[True, False], [False, True]]


def test_tokens_tell_values_apart_and_are_the_same_for_ever() -> None:
    def token(value: object) -> int:
        return int(the_event(country=value)["country"])

    assert token("NL") == 0xD7CBDC6696CF5F2A
    assert token(5) == token(5.0)
    assert len({token(v) for v in ("5", 5, "true", True, False, 1, 0, "", 5.5, "x" * 1000)}) == 10
    assert token(None) == 0


def test_ids_are_text_and_may_be_missing() -> None:
    assert the_event(id="x")["id"] == "x"
    assert the_event(id=536_365)["id"] == "536365"
    assert the_event(id=1e3)["id"] == "1000"
    assert the_event(id=None)["id"] is None
    assert the_event(id="")["id"] is None
    others: list[Any] = [True, 1.5, {}, "x" * (ID_LIMIT_BYTES + 1)]
    for wrong in others:
        stage, message = the_reason(event(id=wrong))
        assert stage == "event"
        assert message.startswith("id: ")


def test_types_are_text() -> None:
    types = [the_event(kind=kind)["type"] for kind in ("order", 7, 7.0, 7.5, True, None)]
    assert types == ["order", "7", "7", "7.5", "true", None]


def test_a_reason_never_holds_the_value() -> None:
    secret = "s3cret-value"
    wrong = [
        event(customer={secret: secret}),
        event(customer=secret * 1000),
        event(time=secret),
        event(revenue=secret),
        event(context=secret),
        secret.encode(),
        b'{"customer":"' + secret.encode() + b'\xff"}',
    ]
    decoded = decode(*wrong)
    assert len(decoded.rejected) == len(wrong)
    assert not any(secret in r.message for r in decoded.rejected)


def test_values_that_would_make_two_shift_nobody() -> None:
    good = [event(customer=str(number)) for number in range(4)]
    pair = good[1] + b"," + good[2]
    half, other_half = b'{"customer":"x","time":"2024-01-01","more":[1', b"2]}"
    for bad in (
        [pair, b""],
        [b"", pair],
        [pair, b" "],
        [half, other_half, pair],
        [pair, None],
        [b"],[", pair],
    ):
        decoded = decode(good[0], *bad, good[3])
        assert decoded.events.customers == ["0", "3"]
        assert decoded.events.offset.tolist() == [0, len(bad) + 1]
        assert [r.offset for r in decoded.rejected] == list(range(1, len(bad) + 1))
        assert [r.value for r in decoded.rejected] == bad


def test_an_event_too_far_after_its_record_is_rejected() -> None:
    day = 86_400_000
    stamps = np.array([1_704_067_200_000 - day, 1_704_067_200_000 - day - 1, -1], dtype=np.int64)
    batch = records(event(), event(), event(), timestamp_ms=stamps)
    decoded = JsonDecoder(MAPPING, FEATURES).decode(batch)
    assert decoded.events.offset.tolist() == [0, 2]
    (rejected,) = decoded.rejected
    assert rejected.stage == "time"
    assert "max_ahead" in rejected.message
    assert rejected.timestamp_ms == stamps[1]


def test_the_key_must_be_the_customer() -> None:
    mapping = EventMapping("customer", "time")
    features = FeatureSet((Feature("days", "days_since"),))
    values = [event(customer=17850), event(customer="é"), event(customer="a"), event(customer="a")]
    keys: list[bytes | None] = [b"17850", "é".encode(), b"b", None]

    def offsets(mapping: EventMapping, *, single_partition: bool) -> list[int]:
        batch = records(*values, keys=keys, single_partition=single_partition)
        decoded = JsonDecoder(mapping, features).decode(batch)
        assert {r.stage for r in decoded.rejected} <= {"key"}
        assert [r.key for r in decoded.rejected] == [keys[r.offset] for r in decoded.rejected]
        return decoded.events.offset.tolist()  # type: ignore[no-any-return]

    assert offsets(mapping, single_partition=True) == [0, 1, 3]
    assert offsets(mapping, single_partition=False) == [0, 1]
    unchecked = EventMapping("customer", "time", key="unchecked")
    assert offsets(unchecked, single_partition=False) == [0, 1, 2, 3]


def test_the_next_offset_counts_rejected_records_as_read() -> None:
    decoded = decode(b"bad", b"worse")
    assert decoded.events.next_offset == 2
    assert len(decoded.events) == 0


def test_no_records_are_no_events() -> None:
    decoded = decode()
    assert len(decoded.events) == 0
    assert decoded.rejected == []
    assert decoded.events.matches.shape == (0, len(FEATURES))


def test_contradicting_paths_are_named() -> None:
    with pytest.raises(UsageError, match='reads "context" as one value and'):
        JsonDecoder(EventMapping("context", "time", type="kind", fields=FIELDS), FEATURES)
    with pytest.raises(UsageError, match='the field "revenue"'):
        JsonDecoder(EventMapping("customer", "time", type="kind"), FEATURES)
    with pytest.raises(UsageError, match="cannot be read from JSON"):
        JsonDecoder(EventMapping('cus"tomer', "time", fields=FIELDS, type="kind"), FEATURES)
