"""Laws of the JSON decoder and of the reading of times."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_seg.events.batch import EventBatch
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.findings import Findings
from stream_seg.events.mapping import EventMapping
from stream_seg.events.records import Decoded, RawRecords
from stream_seg.events.times import END_MS, TimeReader
from stream_seg.events.timetext import parse_text, parse_texts
from stream_seg.events.zones import utc_from_local
from stream_seg.features.spec import Feature, FeatureSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAPPING = EventMapping("c", "t", time_unit="s", id="i", type="k", fields={"n": "n", "w": "x.w", "d": "d"})
FEATURES = FeatureSet(
    (
        Feature("spend", "sum", field="n"),
        Feature("app", "share", where=(("w", ("app", 1)),)),
        Feature("yes", "count", where=(("type", (True, "buy")), ("n", (1, 2.5)))),
        Feature("values", "distinct", field="d"),
    )
)
DECODER = JsonDecoder(MAPPING, FEATURES)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["app", "buy", 1, 2.5, "2024-01-01T00:00:00Z", "2024-01-01", 1_700_000_000]),
)
anything = st.one_of(
    scalars, st.lists(scalars, max_size=2), st.dictionaries(st.text(max_size=2), scalars, max_size=2)
)
usual_times = st.one_of(st.just("2024-01-01T00:00:00Z"), st.integers(0, 4_000_000_000), st.just("2024-05-01"))
objects = st.fixed_dictionaries(
    {},
    optional={
        "c": st.one_of(st.sampled_from(["a", "b", 5]), anything),
        "t": st.one_of(usual_times, anything),
        "i": anything,
        "k": anything,
        "n": st.one_of(st.floats(-10, 10), anything),
        "d": anything,
        "x": st.one_of(st.fixed_dictionaries({}, optional={"w": anything}), anything),
        "other": anything,
    },
)
fragments = st.sampled_from(
    [b"", b" ", b",", b"}", b"{", b"[1", b"2]", b'"', b"},{", b"\xff", b"null", b"1,2"]
)
good = st.builds(
    lambda customer, number: json.dumps({"c": customer, "t": "2024-01-01", "n": number}).encode(),
    st.text(min_size=1, max_size=4).filter(lambda text: text.isprintable()),
    st.floats(-10, 10),
)
values = st.one_of(
    st.none(),
    st.binary(max_size=12),
    fragments,
    good,
    objects.map(lambda found: json.dumps(found).encode()),
    st.lists(st.one_of(fragments, good), max_size=3).map(b"".join),
)
records = st.lists(
    st.tuples(st.sampled_from([None, b"a", b"b", b"5"]), values, st.integers(-1, 2 * 10**12)), max_size=12
)


def raw(
    rows: list[tuple[bytes | None, bytes | None, int]], first: int = 100, *, single: bool = True
) -> RawRecords:
    n = len(rows)
    return RawRecords(
        keys=[key for key, _, _ in rows],
        values=[value for _, value, _ in rows],
        offset=np.arange(first, first + n, dtype=np.int64),
        timestamp_ms=np.array([stamp for _, _, stamp in rows], dtype=np.int64),
        next_offset=first + n,
        single_partition=single,
    )


def rows_of(decoded: Decoded) -> list[Any]:
    """Events and rejected records as plain comparable rows."""
    events = decoded.events
    lists = zip(events.customers, events.ids, events.types, strict=True)
    columns = zip(
        events.offset.tolist(),
        events.time_ms.tolist(),
        [row.tobytes() for row in events.numbers],
        events.tokens.tolist(),
        events.matches.tolist(),
        strict=True,
    )
    return [*zip(lists, columns, strict=True), *decoded.rejected]


@given(records, st.booleans())
@settings(max_examples=300, deadline=None)
def test_every_record_becomes_an_event_or_is_rejected(
    rows: list[tuple[bytes | None, bytes | None, int]],
    single: bool,  # noqa: FBT001
) -> None:
    batch = raw(rows, single=single)
    events, rejected = DECODER.decode(batch)
    assert sorted([*events.offset.tolist(), *(r.offset for r in rejected)]) == batch.offset.tolist()
    assert events.next_offset == batch.next_offset
    assert (np.diff(events.offset) > 0).all()
    assert all(0 <= time < END_MS for time in events.time_ms.tolist())
    assert all(customer and customer.encode() for customer in events.customers)
    assert not np.isinf(events.numbers).any()
    for gone in rejected:
        key, value, stamp = rows[gone.offset - 100]
        assert (gone.key, gone.value, gone.timestamp_ms) == (key, value, stamp)
        assert gone.stage in {"json", "key", "event", "time"}
        assert gone.message


@given(records, st.data())
@settings(max_examples=200, deadline=None)
def test_batches_cut_anywhere_give_the_same(
    rows: list[tuple[bytes | None, bytes | None, int]], data: st.DataObject
) -> None:
    whole = DECODER.decode(raw(rows))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(rows)), max_size=4)) | {0, len(rows)})
    parts = [
        DECODER.decode(raw(rows[start:stop], 100 + start))
        for start, stop in zip(cuts, [*cuts[1:], len(rows)], strict=True)
    ]
    joined = Decoded(EventBatch.joined([p.events for p in parts]), [r for p in parts for r in p.rejected])
    assert rows_of(joined) == rows_of(whole)
    alone = [DECODER.decode(raw([row], 100 + at)) for at, row in enumerate(rows)]
    assert sorted(map(repr, (x for part in alone for x in rows_of(part)))) == sorted(
        map(repr, rows_of(whole))
    )


@given(st.lists(good, min_size=1, max_size=5), st.lists(values, min_size=1, max_size=6), st.randoms())
@settings(max_examples=200, deadline=None)
def test_a_bad_neighbour_changes_no_event(
    good_values: list[bytes], others: list[bytes | None], chance: Any
) -> None:
    mixed = [(None, value, -1, True) for value in good_values] + [
        (None, value, -1, False) for value in others
    ]
    chance.shuffle(mixed)
    batch = raw([(key, value, stamp) for key, value, stamp, _ in mixed])
    events = DECODER.decode(batch).events
    expected = {
        100 + at: json.loads(value)["c"]
        for at, (_, value, _, is_good) in enumerate(mixed)
        if is_good and value
    }
    found = dict(zip(events.offset.tolist(), events.customers, strict=True))
    assert {offset: found[offset] for offset in expected} == expected


digits = st.integers(0, 99).map(lambda number: f"{number:02d}")
almost_times = st.builds(
    lambda year, *parts: "".join((f"{year:04d}", *parts)),
    st.integers(0, 9999),
    st.sampled_from(["-", "/"]) | st.just("-"),
    digits,
    st.just("-"),
    digits,
    st.sampled_from(["", "T", "t", " ", "x"]),
    digits | st.just(""),
    st.sampled_from([":", ""]),
    digits | st.just(""),
    st.sampled_from([":", ""]),
    digits | st.just(""),
    st.sampled_from(["", ".", ".5", ".123", ".1234567", ".x", "." + "9" * 30]),
    st.sampled_from(["", "Z", "z", "+01:00", "-23:59", "+24:00", "+0100", "+01:60", "é", "\ud800"]),
)
true_times = st.builds(
    lambda when, letter, precision, zone: when.isoformat(letter, precision) + zone,
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)),  # noqa: DTZ001
    st.sampled_from(["T", "t", " "]),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
    st.sampled_from(["", "Z", "z", "+00:00", "-08:30", "+14:00"]),
)


@given(st.lists(st.one_of(almost_times, true_times, st.text(max_size=30)), max_size=10))
@settings(max_examples=300, deadline=None)
def test_a_column_of_texts_is_read_as_each_of_them(texts: list[str]) -> None:
    column = parse_texts(texts)
    one_by_one = [parse_text(text) for text in texts]
    assert column.is_read.tolist() == [one is not None for one in one_by_one]
    for row, one in enumerate(one_by_one):
        if one is not None:
            assert (int(column.ms[row]), bool(column.is_local[row])) == one


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2099, 12, 30)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["T", "t", " "]),
)
def test_rfc_3339_is_read_as_the_standard_library_reads_it(when: datetime, minutes: int, letter: str) -> None:
    hours, rest = divmod(abs(minutes), 60)
    zone = f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"
    text = when.isoformat(timespec="microseconds").replace("T", letter) + zone
    expected = when.replace(tzinfo=UTC) - timedelta(minutes=minutes) - datetime(1970, 1, 1, tzinfo=UTC)
    times = TimeReader("t", None, ZoneInfo("UTC")).column([text], Findings(1))
    assert times.tolist() == [expected // timedelta(milliseconds=1)]


@given(
    st.lists(st.integers(0, END_MS), max_size=20),
    st.sampled_from(
        ["Europe/Berlin", "Australia/Lord_Howe", "Africa/Monrovia", "America/St_Johns", "Pacific/Apia"]
    ),
)
def test_wall_clock_times_are_those_of_zoneinfo(local: list[int], name: str) -> None:
    zone = ZoneInfo(name)
    column: NDArray[np.int64] = utc_from_local(np.array(local, dtype=np.int64), zone)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for wall, utc in zip(local, column.tolist(), strict=True):
        aware = (epoch + timedelta(milliseconds=wall)).replace(tzinfo=zone)
        assert utc == (aware.astimezone(UTC) - epoch) // timedelta(milliseconds=1)
