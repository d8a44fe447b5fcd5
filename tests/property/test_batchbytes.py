"""Record batches from columns and to columns are what kafka-python itself writes and reads."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder

from stream_seg.adapters.kafka_python.batchbytes import encode_batches, read_records

HEADER = 61
TIMES = st.integers(0, 2**53)
BYTES = st.binary(max_size=300)
RECORDS = st.lists(st.tuples(BYTES, BYTES, TIMES), min_size=1, max_size=60)
ANY_RECORDS = st.lists(
    st.tuples(
        st.none() | BYTES,
        st.none() | BYTES,
        TIMES,
        st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=3),
    ),
    min_size=1,
    max_size=40,
)
pytestmark = pytest.mark.timeout(120)


def written_by_the_client(records: list[tuple[Any, ...]], limit: int) -> list[bytes]:
    """The bodies of the batches that kafka-python's builder makes of the same records."""
    bodies = []
    left = list(records)
    while left:
        builder = MemoryRecordsBuilder(magic=2, compression_type=0, batch_size=limit)
        while left and builder.append(left[0][2], left[0][0], left[0][1], list(left[0][3:] and left[0][3])):
            left.pop(0)
        builder.close()
        bodies.append(bytes(builder.buffer()[HEADER:]))
    return bodies


@settings(max_examples=300, deadline=None)
@given(records=RECORDS, limit=st.integers(1, 4_000))
def test_batches_are_as_the_client_would_write_them(
    records: list[tuple[bytes, bytes, int]], limit: int
) -> None:
    keys, values, times = zip(*records, strict=True)
    encoded = encode_batches(keys, values, times, limit)
    # The client counts its header into a batch's size.
    assert [bytes(batch.body) for batch in encoded] == written_by_the_client(records, limit + HEADER)
    assert sum(batch.records for batch in encoded) == len(records)
    done = 0
    for batch in encoded:
        part = times[done : done + batch.records]
        assert (batch.first_ms, batch.largest_ms) == (part[0], max(part))
        done += batch.records


@settings(max_examples=300, deadline=None)
@given(records=ANY_RECORDS, base=st.integers(0, 2**40))
def test_records_are_read_as_the_client_reads_them(records: list[tuple[Any, ...]], base: int) -> None:
    (body,) = written_by_the_client(records, 1 << 20)
    chunk = read_records(body, 0, len(records), base, records[0][2])
    assert chunk is not None
    assert chunk.keys == [record[0] for record in records]
    assert chunk.values == [record[1] for record in records]
    assert chunk.timestamp_ms.tolist() == [record[2] for record in records]
    assert chunk.offset.tolist() == list(range(base, base + len(records)))


@settings(max_examples=500, deadline=None)
@given(body=st.binary(max_size=200), count=st.integers(1, 20))
def test_any_bytes_are_records_or_are_not(body: bytes, count: int) -> None:
    chunk = read_records(body, 0, count, 0, 0)
    assert chunk is None or len(chunk.keys) == count


@settings(max_examples=300, deadline=None)
@given(records=ANY_RECORDS, data=st.data())
def test_a_cut_batch_is_found(records: list[tuple[Any, ...]], data: st.DataObject) -> None:
    (body,) = written_by_the_client(records, 1 << 20)
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    assert read_records(cut, 0, len(records), 0, 0) is None
    assert read_records(body + b"\x00", 0, len(records), 0, 0) is None


def test_no_records_are_no_batches() -> None:
    assert encode_batches([], [], [], 100) == []


def test_columns_of_unequal_length_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="as many"):
        encode_batches([b"k"], [], [1], 100)


def test_the_client_reads_what_we_write() -> None:
    """The way through the client's own builder, header and checksum included."""
    keys, values, times = [b"k"] * 50, [b"v%d" % n for n in range(50)], list(range(1_000, 1_050))
    (batch,) = encode_batches(keys, values, times, 1 << 20)
    builder = MemoryRecordsBuilder(magic=2, compression_type=0, batch_size=1 << 20)
    for key, value, time in zip(keys, values, times, strict=True):
        builder.append(time, key, value, [])
    builder.close()
    (theirs,) = list(MemoryRecords(bytes(builder.buffer())))
    assert theirs.validate_crc()
    assert [record.value for record in theirs] == values
    assert bytes(batch.body) == bytes(builder.buffer()[HEADER:])
