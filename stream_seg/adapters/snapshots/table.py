"""A partition's rows as a Parquet file.

A row per customer: ``row``, ``customer_id``, ``first_event``, ``last_event``, ``events``, ``segment``,
``former_segment``, ``since``, ``as_of``, ``model_version``; for each feature its aggregate's numbers
``<feature>.0``, …, and for a distinct one the hashes it has seen, ``<feature>.seen``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stream_seg.adapters.files.extra import polars
from stream_seg.engine.rowcolumns import RowColumns, distinct_slots
from stream_seg.engine.texts import Texts
from stream_seg.errors import DamagedState

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from stream_seg.features.spec import FeatureSet

__all__ = ["read_rows", "write_rows"]

_TIMES = {"first_event": "first_ms", "last_event": "last_ms", "since": "since_ms", "as_of": "written_ms"}
_INTEGERS = {
    "row": "row",
    "events": "events",
    "segment": "segment",
    "former_segment": "former",
    "model_version": "version",
}


def _schema(pl: Any, features: FeatureSet) -> dict[str, Any]:  # noqa: ANN401 - polars
    return {
        "row": pl.Int64,
        "customer_id": pl.String,
        "events": pl.Int64,
        "segment": pl.Int32,
        "former_segment": pl.Int32,
        "model_version": pl.Int32,
        **dict.fromkeys(_TIMES, pl.Datetime("ms", "UTC")),
        **dict.fromkeys(_slot_names(features), pl.Float64),
        **dict.fromkeys(_set_names(features), pl.List(pl.UInt64)),
    }


def write_rows(path: Path, rows: RowColumns, features: FeatureSet) -> None:
    """Write a file of all rows; ``OSError`` where the disk does not take it."""
    pl = polars()
    columns: dict[str, Any] = {name: getattr(rows, field) for name, field in _INTEGERS.items()}
    columns |= {name: pl.Series(getattr(rows, field), dtype=pl.Int64) for name, field in _TIMES.items()}
    columns |= {
        name: np.ascontiguousarray(rows.slots[:, slot]) for slot, name in enumerate(_slot_names(features))
    }
    for name, slot, values in zip(_set_names(features), distinct_slots(features), rows.sets, strict=True):
        columns[name] = _lists(pl, rows.slots[:, slot], values)
    columns["customer_id"] = rows.customers.strings()
    kinds = _schema(pl, features)
    series = [
        pl.Series(name, columns[name]).cast(kind) if name in _TIMES else pl.Series(name, columns[name], kind)
        for name, kind in kinds.items()
    ]
    frame = pl.DataFrame(series)
    try:
        frame.write_parquet(path, compression="zstd", compression_level=1)
    except pl.exceptions.PolarsError as error:
        raise OSError(str(error).partition("\n")[0]) from error


def _lists(pl: Any, counts: NDArray[np.float64], values: NDArray[np.uint64]) -> Any:  # noqa: ANN401 - polars
    """A column of lists, ``counts`` of the values in each."""
    everyone = np.arange(len(counts), dtype=np.int64)
    seen = pl.DataFrame({"row": np.repeat(everyone, counts.astype(np.int64)), "seen": values})
    lists = seen.group_by("row", maintain_order=True).agg("seen")
    whole = pl.DataFrame({"row": everyone}).join(lists, on="row", how="left", maintain_order="left")
    return whole["seen"].fill_null([])


def read_rows(path: Path, features: FeatureSet) -> RowColumns:
    """Read a file back; ``DamagedState`` where it is no such file or of other features."""
    pl = polars()
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DamagedState(f"{path.name} cannot be read ({type(error).__name__})") from error
    if dict(frame.schema) != _schema(pl, features) or sum(frame.null_count().row(0)):
        raise DamagedState(f"{path.name} does not hold the rows of this model's features")
    slots = [frame[name].to_numpy() for name in _slot_names(features)]
    return RowColumns(
        customers=Texts.utf8(frame["customer_id"].to_list()),
        **{field: frame[name].to_numpy() for name, field in _INTEGERS.items()},
        **{field: frame[name].cast(pl.Int64).to_numpy() for name, field in _TIMES.items()},
        slots=np.column_stack(slots) if slots else np.zeros((frame.height, 0)),
        sets=[frame[name].explode().drop_nulls().to_numpy() for name in _set_names(features)],
    )


def _slot_names(features: FeatureSet) -> list[str]:
    layout = features.layout
    ends = [*layout.slot.tolist()[1:], features.slots]
    return [
        f"{feature.name}.{slot - first}"
        for feature, first, end in zip(features.features, layout.slot.tolist(), ends, strict=True)
        for slot in range(first, end)
    ]


def _set_names(features: FeatureSet) -> list[str]:
    return [f"{feature.name}.seen" for feature in features.features if feature.aggregate == "distinct"]
