"""The typed columns of a Parquet file as columns of an event batch; same meaning as their JSON would have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from stream_seg.adapters.files.rowjson import json_values
from stream_seg.errors import DecodeError
from stream_seg.events.columns import NOT_A_NUMBER, NOT_FINITE, matching, token_column, type_column
from stream_seg.events.ids import customer_column, id_column
from stream_seg.events.times import MISSING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from numpy.typing import NDArray

    from stream_seg.events.findings import Findings
    from stream_seg.events.times import TimeReader
    from stream_seg.features.spec import Scalar

__all__ = ["SeriesColumns"]

_PER_MS = {"ms": 1, "us": 1_000, "ns": 1_000_000}
_DAY_MS = 86_400_000


class SeriesColumns:
    """Columns by path, each a polars series of n values (a ``ColumnReader``)."""

    def __init__(self, columns: Mapping[str, pl.Series], times: TimeReader) -> None:
        """Keep the columns and how times are written."""
        self._columns, self._times = columns, times

    def customers(self, path: str, findings: Findings) -> list[str]:
        """Text as it is, whole numbers as decimal digits."""
        return customer_column(_id_values(self._columns[path]), path, findings)

    def ids(self, path: str, findings: Findings) -> list[str | None]:
        """Text as it is, whole numbers as decimal digits."""
        return id_column(_id_values(self._columns[path]), path, findings)

    def types(self, path: str, findings: Findings) -> list[str | None]:
        """Single values as text."""
        return type_column(_scalars(self._columns[path], path, findings))

    def times(self, path: str, findings: Findings) -> NDArray[np.int64]:
        """Timestamps of any unit and zone, dates, text, or with a unit numbers."""
        series = self._columns[path]
        times = self._typed_times(series)
        if times is None:
            return self._times.column(json_values(_plain(series)), findings)
        if series.null_count():
            times = np.where(series.is_null().to_numpy(), MISSING, times)
        return self._times.checked(times, findings)

    def _typed_times(self, series: pl.Series) -> NDArray[np.int64] | None:
        """Times where the column's type says how they are written, anything where null; else ``None``."""
        kind = series.dtype
        name = kind.base_type().__name__
        if name == "Datetime":
            ms = _whole(series.to_physical()) // _PER_MS[kind.time_unit]  # type: ignore[attr-defined]
            return ms if kind.time_zone else self._times.local(ms)  # type: ignore[attr-defined]
        if name == "Date":
            return self._times.local(_whole(series.to_physical()) * _DAY_MS)
        if kind.is_integer() and name not in {"UInt64", "Int128", "UInt128"}:
            return self._times.integers(_whole(series))
        if kind.is_float():
            return self._times.floats(_doubles(series))
        return None

    def numbers(self, path: str, findings: Findings) -> NDArray[np.float64]:
        """Numbers of any type; what is no number, and NaN (a value, not a null) and infinity, are marked."""
        series = self._columns[path]
        present = series.is_not_null().to_numpy()
        if not series.dtype.is_numeric():
            findings.mark(present, DecodeError("event", path, NOT_A_NUMBER))
            return np.full(len(series), np.nan)
        numbers = _doubles(series)
        findings.mark(present & ~np.isfinite(numbers), DecodeError("event", path, NOT_FINITE))
        return numbers

    def tokens(self, path: str, findings: Findings) -> NDArray[np.uint64]:
        """Hashes of single values."""
        return token_column(_scalars(self._columns[path], path, findings))

    def matching(self, path: str, allowed: tuple[Scalar, ...], findings: Findings) -> NDArray[np.bool_]:
        """Whether single values are among the allowed ones."""
        return matching(_scalars(self._columns[path], path, findings), allowed)


def _whole(series: pl.Series) -> NDArray[np.int64]:
    return series.cast(pl.Int64).fill_null(0).to_numpy()


def _doubles(series: pl.Series) -> NDArray[np.float64]:
    return series.cast(pl.Float64).to_numpy()


def _plain(series: pl.Series) -> list[Any]:
    """Python values; decimals as int or float, categories as their text."""
    if series.dtype.is_decimal():
        return [value if value is None else _number(value) for value in series.to_list()]
    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    return series.to_list()


def _number(value: Decimal) -> float:
    whole = int(value)
    return whole if whole == value else float(value)


def _id_values(series: pl.Series) -> list[Any]:
    """Values that ``ids`` understands; integers straight as their digits."""
    return series.cast(pl.String).to_list() if series.dtype.is_integer() else _plain(series)


def _scalars(series: pl.Series, path: str, findings: Findings) -> list[Any]:
    """Single values; the rows of a column of lists or objects are marked."""
    if series.dtype.is_nested():
        findings.mark(
            series.is_not_null().to_numpy(), DecodeError("event", path, "the record has no single value here")
        )
        return [None] * len(series)
    values = _plain(series)
    return (
        json_values(values)
        if series.dtype.is_temporal() or series.dtype.base_type().__name__ == "Binary"
        else values
    )
