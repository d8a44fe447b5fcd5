"""What a step leaves to be stored: position, numbers, rows and public fields of one partition, together.

Rows and numbers are guarded by a CRC-32 each: what is damaged is found when it is read, and a row that is
missing by the segments' sizes. Sums, points and places are not stored; they are derived from rows and numbers
(``State.settle``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.outcome import Outcome
from stream_seg.engine.records import STEADY, describe
from stream_seg.engine.rows import distinct
from stream_seg.engine.state import Numbers, Position, State
from stream_seg.engine.storedrows import StoredRow, StoredRows
from stream_seg.engine.texts import Texts, join
from stream_seg.engine.version import ModelVersion
from stream_seg.errors import DamagedState, StateError
from stream_seg.features.spec import AGGREGATES, FeatureSet

_CRC = 4
_CRC_TEXT = 9
"""A space and eight hexadecimal digits."""
_DISTINCT = AGGREGATES.index("distinct")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The changes of one batch of one partition, all or nothing.

    ``start`` is the position the store must be at, ``numbers`` (with the end position) what it is to hold
    afterwards; ``rows`` changed; ``freed`` row numbers that are empty now; ``gone`` customers whose public
    keys go; ``sizes`` change of members per segment id, without zeros.
    """

    partition: int
    start: Position
    numbers: Numbers
    rows: Sequence[StoredRow]
    freed: list[int]
    gone: list[str]
    sizes: dict[int, int]

    @property
    def end(self) -> Position:
        """The position after the batch."""
        return self.numbers.position


def checkpoint(state: State, outcome: Outcome, sizes_before: dict[int, int]) -> Checkpoint:
    """Make the checkpoint of the step that ``state`` has just made.

    ``sizes_before`` are the segment sizes before it.
    """
    rows = state.rows
    left = distinct(np.array([row for row, _ in outcome.removed], np.int64))
    written = outcome.written if state.version is not None else np.zeros(0, dtype=np.int64)
    after = state.numbers.sizes
    change = {s: after.get(s, 0) - sizes_before.get(s, 0) for s in sorted({*after, *sizes_before})}
    return Checkpoint(
        partition=state.partition,
        start=outcome.start,
        numbers=state.numbers,
        rows=_stored(state, written, state.version, outcome.appeared, outcome.kept),
        freed=left[~rows.held(left)].tolist(),
        gone=rows.strangers(customer for _, customer in outcome.removed),
        sizes={segment: delta for segment, delta in change.items() if delta},
    )


def full_checkpoint(state: State, versions: Mapping[int, ModelVersion], gone: Iterable[str]) -> Checkpoint:
    """All of a partition, to be stored where nothing of it is: its position counts from batch 0."""
    rows = stored_rows(state, state.rows.resident_rows(), versions)
    position = state.numbers.position
    return Checkpoint(
        partition=state.partition,
        start=Position(position.next_offset, 0),
        numbers=state.numbers,
        rows=rows,
        freed=[],
        gone=state.rows.strangers(gone),
        sizes={segment: size for segment, size in state.numbers.sizes.items() if size},
    )


def stored_rows(state: State, which: NDArray[np.int64], versions: Mapping[int, ModelVersion]) -> StoredRows:
    """Rows ready to be stored, the public fields of each under the version it was last written under."""
    written_under = state.rows.placement.version[which]
    parts = [
        _stored(state, which[written_under == number], versions[number])
        for number in np.unique(written_under).tolist()
    ]
    return StoredRows.joined(parts)


def _stored(
    state: State,
    which: NDArray[np.int64],
    version: ModelVersion | None,
    appeared: NDArray[np.int64] | None = None,
    kept: NDArray[np.int64] | None = None,
) -> StoredRows:
    """Rows all last written under ``version``, ready to be stored.

    Those that ``appeared`` (``None``: all) are fresh, and so is one that lacks what it may have had; those
    that are ``kept`` (``None``: none) need not have all of their fields written.
    """
    if version is None or not len(which):
        return StoredRows.of([])
    fields = describe(state, which, version)
    fresh = np.isnan(fields.confidence) | (True if appeared is None else np.isin(which, appeared))
    return StoredRows(
        which,
        _encoded(state, which, fields.customers),
        fields.customers,
        fresh,
        np.zeros(len(which), np.bool_) if kept is None else np.isin(which, kept),
        fields.names,
        fields.texts,
        len(STEADY),
    )


def _row_type(slots: int) -> np.dtype[np.void]:
    return np.dtype(
        [
            ("first_ms", "<i8"),
            ("last_ms", "<i8"),
            ("events", "<i8"),
            ("since_ms", "<i8"),
            ("written_ms", "<i8"),
            ("segment", "<i4"),
            ("former", "<i4"),
            ("version", "<i4"),
            ("slots", "<f8", (slots,)),
        ]
    )


def encode_rows(state: State, which: NDArray[np.int64]) -> Texts:
    """Rows as blobs: CRC-32, numbers, the distinct sets' taken places, the customer's id in UTF-8."""
    return _encoded(state, which, state.rows.texts_of(which))


def _encoded(state: State, which: NDArray[np.int64], customers: Texts) -> Texts:
    rows = state.rows
    table = np.zeros(len(which), dtype=_row_type(state.features.slots))
    for name in ("first_ms", "last_ms", "events", "slots"):
        table[name] = getattr(rows.aggregates, name)[which]
    for name in ("since_ms", "written_ms", "segment", "version"):
        table[name] = getattr(rows.placement, name)[which]
    table["former"] = rows.former[which]
    bodies = join((Texts.fixed(table), *_sets(state, which), customers))
    guards = np.array([crc32(body) for body in bodies.present()], "<u4")
    return join((Texts.fixed(guards), bodies))


def _sets(state: State, which: NDArray[np.int64]) -> list[Texts]:
    """The taken places of each distinct set."""
    aggregates, columns = state.rows.aggregates, []
    for place, slot in _distinct(state.features):
        counts = aggregates.slots[which, slot]
        row, within = taken_places(which, counts)
        tokens = aggregates.sets[row, place, within]
        length = counts.astype(np.int64) * tokens.itemsize
        end = np.cumsum(length)
        columns.append(Texts(tokens.view(np.uint8), end - length, end))
    return columns


def taken_places(
    which: NDArray[np.int64], counts: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(row, place in its set) of all places of a distinct set that are taken: ``counts`` of each row."""
    taken = counts.astype(np.int64)
    before = np.cumsum(taken) - taken
    return np.repeat(which, taken), np.arange(taken.sum()) - np.repeat(before, taken)


def _distinct(features: FeatureSet) -> list[tuple[int, int]]:
    """(place, slot) of each distinct set: the slot says how many of its places are taken."""
    layout = features.layout
    return [
        (int(layout.place[j]), int(layout.slot[j]))
        for j in np.flatnonzero(layout.aggregate == _DISTINCT).tolist()
    ]


def restore(
    partition: int,
    features: FeatureSet,
    numbers: Numbers,
    version: ModelVersion | None,
    blobs: Iterable[tuple[int, bytes]],
) -> State:
    """A partition's state from what was stored of it; ``DamagedState`` where a row is damaged or missing."""
    state = State(partition, features)
    rows, kind = state.rows, _row_type(features.slots)
    rows.reserve(numbers.used)
    places, size = _distinct(features), kind.itemsize
    which, fixed, customers = [], [], []
    for row, blob in blobs:
        body = blob[_CRC:]
        fits = len(body) >= size and 0 <= row < numbers.used
        if not fits or crc32(body).to_bytes(_CRC, "little") != blob[:_CRC]:
            raise DamagedState(f"row {row} of partition {partition} is damaged")
        values, at = body[:size], size
        try:
            for place, slot in places:
                taken = int(np.frombuffer(values, kind)["slots"][0, slot])
                rows.aggregates.sets[row, place, :taken] = np.frombuffer(body, "<u8", count=taken, offset=at)
                at += taken * 8
            customers.append(body[at:].decode())
        except (ValueError, OverflowError) as error:
            raise DamagedState(f"row {row} of partition {partition} is of another form") from error
        which.append(row)
        fixed.append(values)
    try:
        rows.put(np.array(which, np.int64), Texts.utf8(customers), numbers.used)
    except ValueError as error:
        raise DamagedState(f"the rows of partition {partition} do not fit each other: {error}") from error
    table = np.frombuffer(b"".join(fixed), dtype=kind)
    for name in ("first_ms", "last_ms", "events", "slots"):
        getattr(rows.aggregates, name)[which] = table[name]
    for name in ("since_ms", "written_ms", "segment", "version"):
        getattr(rows.placement, name)[which] = table[name]
    rows.former[which] = table["former"]
    settle_whole(state, numbers, version)
    return state


def settle_whole(state: State, numbers: Numbers, version: ModelVersion | None) -> None:
    """Settle rows that have been put back; ``DamagedState`` where they are not those the numbers count."""
    state.settle(numbers, version)
    counted = {segment: size for segment, size in state.sizes().items() if size}
    expected = {segment: size for segment, size in numbers.sizes.items() if size}
    if counted != expected or state.rows.residents != sum(expected.values()):
        raise DamagedState(f"rows of partition {state.partition} are missing, or are not its own")


def encode_numbers(numbers: Numbers) -> bytes:
    """Numbers as JSON, a space, and its CRC-32 in hexadecimal."""
    text = msgspec.json.encode(numbers)
    return b"%s %08x" % (text, crc32(text))


def decode_numbers(text: bytes) -> Numbers:
    """Numbers from what ``encode_numbers`` made; ``DamagedState`` where that is damaged.

    ``StateError`` for numbers that another version of this program wrote otherwise.
    """
    body, check = text[:-_CRC_TEXT], text[-_CRC_TEXT:]
    if check != b" %08x" % crc32(body):
        raise DamagedState("the stored numbers of a partition are damaged")
    try:
        return msgspec.json.decode(body, type=Numbers)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(
            f"the stored numbers of a partition cannot be read ({error}): upgrade stream-seg"
        ) from error
