"""Rows of a file to events: the mapping, features and rules of JSON records, on columns."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np

from stream_seg.adapters.files.cells import CellColumns
from stream_seg.adapters.files.rowjson import row_as_json
from stream_seg.errors import UsageError
from stream_seg.events.assembly import ColumnReader, accepted, draft, field_paths
from stream_seg.events.batch import Rejected
from stream_seg.events.findings import Findings
from stream_seg.events.records import Decoded
from stream_seg.events.times import TimeReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from stream_seg.events.mapping import EventMapping
    from stream_seg.features.spec import FeatureSet

__all__ = ["Cells", "Columns", "decode_table", "find_columns"]

Cells: TypeAlias = "Mapping[str, list[str | None]]"
"""The columns of a CSV file by name: texts, ``None`` for an empty cell."""

Columns: TypeAlias = "Mapping[str, pl.Series] | Cells"
"""The columns of a table by name, all of one length n: typed ones (``DataFrame.to_dict()``), or cells."""


def decode_table(
    columns: Columns,
    mapping: EventMapping,
    features: FeatureSet,
    first_row: int,
    findings: Findings | None = None,
) -> Decoded:
    """Decode n rows of a table; their offsets are row numbers from ``first_row`` on.

    ``findings`` holds what is known to be wrong with rows already (their cells may be anything). A path is
    the name of a column, or leads by dots into a column of objects. There are no record keys and timestamps,
    so neither is checked. Raises ``UsageError`` naming a column that the mapping wants and the table does not
    have.
    """
    found = find_columns(columns, mapping, features)
    times = TimeReader(mapping.time, mapping.time_unit, ZoneInfo(mapping.time_zone))
    reader: ColumnReader
    if any(isinstance(column, list) for column in found.values()):
        reader = CellColumns(found, times)
    else:
        from stream_seg.adapters.files.series import SeriesColumns  # noqa: PLC0415 - needs polars, an extra

        reader = SeriesColumns(found, times)
    rows = len(found[mapping.customer])
    findings = findings or Findings(rows)
    batch = draft(reader, mapping, features, np.arange(first_row, first_row + rows), findings)
    events = accepted(batch, findings.good, first_row + rows)
    return Decoded(events, _rejected(columns, first_row, findings))


def find_columns(columns: Columns, mapping: EventMapping, features: FeatureSet) -> dict[str, Any]:
    """The column at each path that the mapping and the features read; ``UsageError`` where there is none."""
    fields = field_paths(mapping, (*features.numbers, *features.tokens, *features.filters))
    own = [path for path in (mapping.customer, mapping.time, mapping.id, mapping.type) if path]
    return {path: _find(columns, path) for path in (*own, *fields.values())}


def _find(columns: Columns, path: str) -> Any:  # noqa: ANN401 - a series or a list of cells
    column: Any = columns.get(path)
    if column is not None:
        return column
    name, *inner = path.split(".")
    column = columns.get(name)
    for part in inner:
        if isinstance(column, list) or column is None or part not in _parts(column):
            break
        column = column.struct.field(part)
    else:
        if column is not None:
            return column
    near = get_close_matches(path, _all_paths(columns), n=1, cutoff=0.0)
    hint = f'; the nearest is "{near[0]}"' if near else ""
    raise UsageError(f'the file has no column "{path}", which [event] names{hint}')


def _parts(series: pl.Series) -> list[str]:
    return series.struct.fields if series.dtype.base_type().__name__ == "Struct" else []


def _all_paths(columns: Columns) -> list[str]:
    paths = list(columns)
    for name, column in columns.items():
        if not isinstance(column, list):
            paths += [f"{name}.{part}" for part in _parts(column)]
    return paths


def _rejected(columns: Columns, first_row: int, findings: Findings) -> list[Rejected]:
    problems = list(findings.problems())
    rows = [row for row, _ in problems]
    if not rows:
        return []
    picked = [_pick(column, rows) for column in columns.values()]
    values = [row_as_json(dict(zip(columns, row, strict=True))) for row in zip(*picked, strict=True)]
    return [
        Rejected(first_row + row, None, value, -1, error.stage, type(error).__name__, str(error))
        for (row, error), value in zip(problems, values, strict=True)
    ]


def _pick(column: Any, rows: list[int]) -> list[Any]:  # noqa: ANN401 - a series or a list of cells
    if isinstance(column, list):
        return [column[row] for row in rows]
    picked: list[Any] = column.gather(rows).to_list()
    return picked
