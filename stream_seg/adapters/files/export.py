"""What ``--export DIR`` writes: ``labels.parquet``, ``customers.parquet`` and ``model.json``.

Everything goes into a folder beside the target first and takes its place only when it is complete and on the
disk. The bytes depend on the rows only: no times, fixed row groups and compression.
"""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from stream_seg.adapters.files.extra import polars
from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    Column = Sequence[object] | NDArray[np.generic]

__all__ = ["ExportWriter"]

LABELS, CUSTOMERS, MODEL = "labels.parquet", "customers.parquet", "model.json"
ROWS_A_GROUP = 65_536
_FEATURE = "f."


class ExportWriter:
    """Writes an export; use it in a ``with`` statement, and call ``complete`` at the end or nothing stays.

    Raises ``UsageError`` where ``directory`` cannot be replaced: it is a file, or holds anything but a former
    export, or its parent is missing; and where the disk does not take it.
    """

    def __init__(self, directory: Path) -> None:
        """Check the target and make the folder beside it."""
        self._target = directory.resolve()
        self._polars = polars()
        self._pending: list[pl.DataFrame] = []
        self._customers: list[pl.DataFrame] = []
        self._parts = 0
        _check_replaceable(self._target)
        self._folder = self._target.with_name(f".{self._target.name}.{uuid.uuid4().hex[:8]}.partial")
        with self._writing():
            (self._folder / "parts").mkdir(parents=True)

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was not completed."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def labels(self, columns: Mapping[str, Column]) -> None:
        """Add label rows, in the order processed.

        Columns of equal length: ``customer_id``, ``event_id``, ``event_type`` (text or ``None``),
        ``event_time`` (int64 ms since 1970 UTC), ``segment``, ``name``, ``confidence`` (NaN or ``None``:
        null), ``distance``, ``runner_up``, ``previous_segment`` (``None``: null), ``changed``,
        ``model_version``, ``source_topic``, ``source_partition``, ``source_offset``, ``run``.
        """
        self._pending.append(self._frame(columns, self._label_types()))
        if sum(frame.height for frame in self._pending) >= ROWS_A_GROUP:
            self._write_part()

    def customers(self, columns: Mapping[str, Column]) -> None:
        """Add customers: ``customer_id``, ``segment``, ``name`` and a float64 ``f.<feature>`` for each."""
        pl = self._polars
        types = {"customer_id": pl.String, "segment": pl.Int64, "name": pl.String}
        features = {name: pl.Float64 for name in columns if name.startswith(_FEATURE)}
        self._customers.append(self._frame(columns, {**types, **features}))

    def model(self, text: str) -> None:
        """Write the current version, as it stands in Redis."""
        with self._writing():
            (self._folder / MODEL).write_text(text, encoding="utf-8")

    def complete(self) -> None:
        """Put everything on the disk and replace the target; ``ValueError`` where a part is missing."""
        if not (self._folder / MODEL).exists() or not self._customers:
            raise ValueError("an export needs its customers and its model")
        pl = self._polars
        with self._writing():
            self._write_part()
            parts = sorted((self._folder / "parts").iterdir())
            self._sink(pl.scan_ipc(parts), LABELS)
            self._sink(pl.concat(self._customers).sort("customer_id").lazy(), CUSTOMERS)
            shutil.rmtree(self._folder / "parts")
            for name in (LABELS, CUSTOMERS, MODEL):
                _sync(self._folder / name)
            _check_replaceable(self._target)
            _replace(self._folder, self._target)

    def _write_part(self) -> None:
        pl = self._polars
        empty = pl.DataFrame(schema=self._label_types())
        with self._writing():
            part = self._folder / "parts" / f"{self._parts:09d}.arrow"
            pl.concat([empty, *self._pending]).write_ipc(part, compression="lz4")
        self._parts += 1
        self._pending = []

    def _sink(self, rows: pl.LazyFrame, name: str) -> None:
        rows.sink_parquet(
            self._folder / name,
            compression="zstd",
            compression_level=3,
            row_group_size=ROWS_A_GROUP,
            statistics=True,
            maintain_order=True,
        )

    def _frame(self, columns: Mapping[str, Column], types: Mapping[str, Any]) -> pl.DataFrame:
        if set(columns) != set(types):
            raise ValueError(f"columns {sorted(set(columns) ^ set(types))} are missing or unknown")
        frame: pl.DataFrame = self._polars.DataFrame(
            [self._series(name, columns[name], kind) for name, kind in types.items()]
        )
        return frame

    def _series(self, name: str, values: Column, kind: Any) -> pl.Series:  # noqa: ANN401 - a polars type
        module = self._polars
        is_time = kind == module.Datetime("ms", "UTC")
        series: pl.Series = module.Series(
            name, values, dtype=module.Int64 if is_time else kind, nan_to_null=name == "confidence"
        )
        return series.cast(kind) if is_time else series

    def _label_types(self) -> dict[str, Any]:
        pl = self._polars
        return {
            "customer_id": pl.String,
            "event_id": pl.String,
            "event_type": pl.String,
            "event_time": pl.Datetime("ms", "UTC"),
            "segment": pl.Int64,
            "name": pl.String,
            "confidence": pl.Float64,
            "distance": pl.Float64,
            "runner_up": pl.Int64,
            "previous_segment": pl.Int64,
            "changed": pl.Boolean,
            "model_version": pl.Int64,
            "source_topic": pl.String,
            "source_partition": pl.Int64,
            "source_offset": pl.Int64,
            "run": pl.String,
        }

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, self._polars.exceptions.PolarsError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
            raise UsageError(f"The export cannot be written to {self._target}: {reason}") from error


def _check_replaceable(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{target} is a file: name a folder for the export")
    others = sorted({path.name for path in target.iterdir()} - {LABELS, CUSTOMERS, MODEL})
    if others:
        raise UsageError(
            f'{target} holds "{others[0]}", which is no export: name another folder, or empty it'
        )


def _replace(folder: Path, target: Path) -> None:
    """Put ``folder`` in the place of ``target``, with the former export out of the way."""
    former = folder.with_suffix(".former")
    if target.exists():
        target.rename(former)
    folder.rename(target)
    _sync(target.parent)
    shutil.rmtree(former, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
