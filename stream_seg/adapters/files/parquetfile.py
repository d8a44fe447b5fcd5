"""Parquet files, a slice of rows at a time."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from stream_seg.adapters.files.extra import polars
from stream_seg.adapters.files.rows import ROWS_A_BATCH, RowBatch
from stream_seg.adapters.files.tables import decode_table, find_columns
from stream_seg.adapters.files.values import RowJson
from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl

    from stream_seg.events.mapping import EventMapping
    from stream_seg.events.records import Decoded
    from stream_seg.features.spec import FeatureSet

__all__ = ["ParquetFile"]

ROWS_A_READ = 8 * ROWS_A_BATCH
"""Rows read at a time: where a read does not end with a row group, that group is decoded twice."""


class ParquetFile:
    """A Parquet file; ``UsageError`` where it is none, or lacks a column that the mapping names."""

    def __init__(self, path: Path, mapping: EventMapping, features: FeatureSet) -> None:
        """Read the schema."""
        self._path, self._mapping, self._features = path, mapping, features
        self._polars = polars()
        empty = self._slice(0, 0)
        find_columns(empty.to_dict(), mapping, features)
        self._write = RowJson(empty.columns, mapping)

    def total_rows(self) -> int:
        """The number of rows, from the file's footer."""
        with self._reading():
            rows: int = self._scan().select(self._polars.len()).collect().item()
        return rows

    def batches(self) -> Iterator[RowBatch]:
        """Rows in order."""
        first_row, total = 0, self.total_rows()
        while first_row < total:
            rows = self._slice(first_row, ROWS_A_READ)
            for frame in rows.iter_slices(ROWS_A_BATCH):
                yield self._batch(frame, first_row)
                first_row += frame.height

    def _batch(self, frame: pl.DataFrame, first_row: int) -> RowBatch:
        decoded = decode_table(frame.to_dict(), self._mapping, self._features, first_row)
        return RowBatch(decoded, lambda: self._values(frame, decoded, first_row))

    def _values(self, frame: pl.DataFrame, decoded: Decoded, first_row: int) -> list[bytes]:
        return list(map(self._write, frame[decoded.events.offset - first_row].iter_rows()))

    def _scan(self) -> pl.LazyFrame:
        frame: pl.LazyFrame = self._polars.scan_parquet(self._path, glob=False)
        return frame

    def _slice(self, first_row: int, rows: int) -> pl.DataFrame:
        with self._reading():
            return self._scan().slice(first_row, rows).collect()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (self._polars.exceptions.PolarsError, OSError) as error:
            raise UsageError(f"{self._path.name} cannot be read as Parquet: is it whole?") from error
