"""JSON records to events, a whole batch at once.

Each record is decoded by itself (decoding all of them joined to one array is no faster, and lets a value such
as ``1},{2`` shift its neighbours); everything after that is done in columns. What one record holds cannot
change what becomes of another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from stream_seg.errors import DecodeError
from stream_seg.events.assembly import accepted, draft, field_paths
from stream_seg.events.batch import Rejected
from stream_seg.events.columns import matching, number_column, token_column, type_column
from stream_seg.events.findings import Findings
from stream_seg.events.ids import customer_column, id_column
from stream_seg.events.jsontext import are_plain, checked, explained
from stream_seg.events.records import Decoded
from stream_seg.events.shape import Shape
from stream_seg.events.times import TimeReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stream_seg.events.mapping import EventMapping
    from stream_seg.events.records import RawRecords
    from stream_seg.features.spec import FeatureSet, Scalar

__all__ = ["JsonDecoder"]

NO_KEY = "the record has no key, and only in a topic of one partition may it have none"
OTHER_KEY = 'the record key is not the customer; [source] key = "unchecked" takes it all the same'
AHEAD = "the time lies further after the record's own timestamp than max_ahead allows"


class JsonDecoder:
    """Decodes records by a mapping into what a set of features reads.

    Raises ``UsageError`` where the mapping contradicts itself or lacks a field.
    """

    def __init__(self, mapping: EventMapping, features: FeatureSet) -> None:
        """Work out once what is read from a record."""
        self._mapping, self._features = mapping, features
        numbers = field_paths(mapping, features.numbers)
        others = field_paths(mapping, (*features.tokens, *features.filters))
        own = [path for path in (mapping.customer, mapping.time, mapping.id, mapping.type) if path]
        self._shape = Shape(numbers.values(), (*own, *others.values()))
        self._times = TimeReader(mapping.time, mapping.time_unit, ZoneInfo(mapping.time_zone))

    def decode(self, records: RawRecords) -> Decoded:
        """Decode consecutive records: every one is an event or rejected, both in source order."""
        findings = Findings(len(records))
        columns = self._shape.columns(self._objects(records.values, findings))
        reader = _JsonColumns(columns, self._times)
        batch = draft(reader, self._mapping, self._features, records.offset, findings)
        if self._mapping.key == "customer":
            _check_keys(records, batch.customers, findings)
        ahead = (records.timestamp_ms >= 0) & (
            batch.time_ms - records.timestamp_ms > self._mapping.max_ahead_ms
        )
        findings.mark(ahead, DecodeError("time", self._mapping.time, AHEAD))
        events = accepted(batch, findings.good, records.next_offset)
        return Decoded(events, [_rejected(records, row, error) for row, error in findings.problems()])

    def _objects(self, values: list[bytes | None], findings: Findings) -> list[Any]:
        """One object for each record; where it cannot be decoded, the row is marked and the object empty."""
        if are_plain(values):
            try:
                return list(map(self._shape.decode, cast("list[bytes]", values)))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                pass  # one of them is bad: find out which
        return [self._object(row, value, findings) for row, value in enumerate(values)]

    def _object(self, row: int, value: bytes | None, findings: Findings) -> Any:  # noqa: ANN401 - built at run time
        try:
            return self._shape.decode(checked(value))
        except DecodeError as error:
            findings.mark_row(row, error)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            findings.mark_row(row, explained(error))
        return self._shape.empty


class _JsonColumns:
    """The columns of decoded records (a ``ColumnReader``)."""

    def __init__(self, columns: dict[str, list[Any]], times: TimeReader) -> None:
        self._columns, self._times = columns, times

    def customers(self, path: str, findings: Findings) -> list[str]:
        return customer_column(self._columns[path], path, findings)

    def ids(self, path: str, findings: Findings) -> list[str | None]:
        return id_column(self._columns[path], path, findings)

    def types(self, path: str, findings: Findings) -> list[str | None]:  # noqa: ARG002 - any single value will do
        return type_column(self._columns[path])

    def times(self, path: str, findings: Findings) -> NDArray[np.int64]:
        return self._times.column(self._columns[path], findings)

    def numbers(self, path: str, findings: Findings) -> NDArray[np.float64]:
        return number_column(self._columns[path], path, findings)

    def tokens(self, path: str, findings: Findings) -> NDArray[np.uint64]:  # noqa: ARG002 - the same
        return token_column(self._columns[path])

    def matching(self, path: str, allowed: tuple[Scalar, ...], findings: Findings) -> NDArray[np.bool_]:  # noqa: ARG002
        return matching(self._columns[path], allowed)


def _check_keys(records: RawRecords, customers: list[str], findings: Findings) -> None:
    expected: list[bytes | None] = list(map(str.encode, customers))
    if expected == records.keys:
        return
    n = len(records)
    missing = np.fromiter((key is None for key in records.keys), np.bool_, n)
    other = np.fromiter((key != own for key, own in zip(records.keys, expected, strict=True)), np.bool_, n)
    findings.mark(missing & (not records.single_partition), DecodeError("key", "", NO_KEY))
    findings.mark(other & ~missing, DecodeError("key", "", OTHER_KEY))


def _rejected(records: RawRecords, row: int, error: DecodeError) -> Rejected:
    return Rejected(
        offset=int(records.offset[row]),
        key=records.keys[row],
        value=records.values[row],
        timestamp_ms=int(records.timestamp_ms[row]),
        stage=error.stage,
        error=type(error).__name__,
        message=str(error),
    )
