"""Whatever stands in a record, in the configuration or in what was stored: a result, or an error of ours.

``make fuzz`` runs these with 20,000 inputs each.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_seg.adapters.snapshots.content import decode_manifest, decode_models
from stream_seg.engine.checkpoint import decode_numbers, encode_numbers, encode_rows, restore
from stream_seg.engine.mark import Mark
from stream_seg.engine.registry import Registry
from stream_seg.engine.version import ModelVersion
from stream_seg.errors import StreamSegError
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.mapping import EventMapping
from stream_seg.events.records import RawRecords
from stream_seg.settings import load_settings
from tests.histories import FEATURES, START_MS, Event, History, run

T = TypeVar("T")
EXAMPLE = (Path(__file__).parents[2] / "examples/orders.toml").read_text(encoding="utf-8")
DECODER = JsonDecoder(
    EventMapping("c", "t", id="i", fields={"revenue": "r", "channel": "ch", "country": "a.b"}), FEATURES
)
RECORD = b'{"c":"ann","t":"2024-01-01T00:00:00Z","i":7,"r":12.5,"ch":"app","a":{"b":"de"}}'
SOME = settings(deadline=None)
"""How many inputs are tried is said by Hypothesis's profile."""
KEYS = ["model.segments", "kafka.client", "source.topic", "event.time", "warm_up.customers", "redis.url"]


def cuts(data: bytes) -> st.SearchStrategy[bytes]:
    """Bytes with some replaced, left out, or put in."""

    def changed(changes: list[tuple[int, int, bytes]]) -> bytes:
        result = data
        for at, length, other in changes:
            place = at % (len(result) + 1)
            result = result[:place] + other + result[place + length :]
        return result

    tokens = st.sampled_from(
        [b"", b"null", b"-1", b"1e999", b'"', b"{}", b"[]", b"\xff", b"\n", b"true", b"9" * 20]
    )
    change = st.tuples(st.integers(0, 4000), st.integers(0, 12), st.one_of(tokens, st.binary(max_size=6)))
    return st.lists(change, max_size=4).map(changed)


def ours(work: Callable[[], T]) -> T | None:
    """What came of it; an error of ours is as good, any other fails the test."""
    with suppress(StreamSegError):
        return work()
    return None


HISTORY = History(
    [
        Event(c, START_MS + 40_000_000 * i, 12.5 * i, i % 2 == 0, i % 3)
        for i, c in enumerate("abcdefghabcaeh")
    ],
    adoptions=[(0, 0), (9, 0)],
    forget_after_days=None,
    seed=5,
)
STATE = run(HISTORY, []).state
NUMBERS = encode_numbers(STATE.numbers)
VERSION = HISTORY.version(1).to_json()
RESIDENTS = STATE.rows.resident_rows()
BLOBS = list(zip(RESIDENTS.tolist(), encode_rows(STATE, RESIDENTS).present(), strict=True))


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.binary(max_size=8), st.just(b"ann")),
            st.one_of(st.none(), st.binary(max_size=40), cuts(RECORD)),
            st.integers(-(2**63), 2**63 - 1),
        ),
        max_size=8,
    )
)
@SOME
def test_a_record_is_an_event_or_rejected(rows: list[tuple[bytes | None, bytes | None, int]]) -> None:
    n = len(rows)
    decoded = DECODER.decode(
        RawRecords(
            keys=[key for key, _, _ in rows],
            values=[value for _, value, _ in rows],
            offset=np.arange(n, dtype=np.int64),
            timestamp_ms=np.array([stamp for _, _, stamp in rows], dtype=np.int64),
            next_offset=n,
            single_partition=True,
        )
    )
    assert len(decoded.events) + len(decoded.rejected) == n


@given(cuts(EXAMPLE.encode()))
@SOME
def test_a_configuration_is_taken_or_explained(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile.toml"
    path.write_bytes(text)
    ours(lambda: load_settings(path, environ={}))


@given(st.dictionaries(st.sampled_from(KEYS), st.text(max_size=12), max_size=3))
@SOME
def test_an_environment_is_taken_or_explained(values: dict[str, str]) -> None:
    environ = {"STREAM_SEG__" + name.replace(".", "__").upper(): value for name, value in values.items()}
    ours(lambda: load_settings(None, environ=environ, needs=()))


@given(st.data(), st.booleans())
@SOME
def test_stored_rows_are_restored_or_damaged(data: st.DataObject, checked: bool) -> None:  # noqa: FBT001
    blobs = [*BLOBS]
    place = data.draw(st.integers(0, len(blobs) - 1))
    row, blob = blobs[place]
    changed = data.draw(cuts(blob[4:] if checked else blob))
    blobs[place] = (row, crc32(changed).to_bytes(4, "little") + changed if checked else changed)
    for gone in sorted(data.draw(st.sets(st.integers(0, len(blobs) - 1), max_size=2)), reverse=True):
        del blobs[gone]

    state = ours(lambda: restore(0, FEATURES, STATE.numbers, STATE.version, blobs))

    assert state is None or checked or encode_rows(state, RESIDENTS).present() == [b for _, b in BLOBS]


@given(st.one_of(cuts(NUMBERS), cuts(NUMBERS[:-9]).map(lambda text: b"%s %08x" % (text, crc32(text)))))
@SOME
def test_stored_numbers_are_read_or_damaged(text: bytes) -> None:
    ours(lambda: decode_numbers(text))


@given(st.one_of(cuts(VERSION), st.binary(max_size=30)), st.text(max_size=20))
@SOME
def test_records_of_the_models_topic_are_read_or_refused(value: bytes, key: str) -> None:
    version = ours(lambda: ModelVersion.from_json(value))
    if version is not None:
        ours(version.to_json)
    for kind in ("version/1", "adoption/0/1", "lineage/1", key):
        ours(lambda kind=kind: Registry().take([(kind, value)]))  # type: ignore[misc]
    ours(lambda: Mark.read(key))


@given(st.one_of(cuts(b'{"format":1,"model":"m"}'), cuts(b'{\n"version/1": ' + VERSION + b"\n}\n")))
@SOME
def test_a_snapshot_s_files_are_read_or_damaged(text: bytes) -> None:
    ours(lambda: decode_manifest(text))
    ours(lambda: Registry().take(decode_models(text)))
