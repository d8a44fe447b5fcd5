"""Tables of numbers as columns: whatever kind of table they come in."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Columns", "columns_of", "row_count"]

Columns = Mapping[Hashable, "NDArray[np.float64]"]


def columns_of(X: Any) -> Columns:  # noqa: ANN401 - any kind of table
    """Return the columns of `X` as float64[n] each, without changing or keeping `X`.

    Args:
        X: a mapping of names to columns, a data frame (anything with `columns` that can be indexed by them:
            pandas, polars), or a 2-dimensional array, whose columns are then called 0, 1, ...

    Raises:
        ValueError: for anything that does not hold numbers, and for columns of different lengths.

    """
    if isinstance(X, Mapping):
        names = list(X)
    elif hasattr(X, "columns"):
        names = list(X.columns)
    else:
        table = np.asarray(X, dtype=np.float64)
        if table.ndim != 2:
            raise ValueError(f"a table has 2 dimensions, this has {table.ndim}")
        return {j: table[:, j] for j in range(table.shape[1])}
    columns: Columns = {name: np.asarray(X[name], dtype=np.float64) for name in names}
    if len({column.shape for column in columns.values()}) > 1:
        raise ValueError("columns have different lengths")
    return columns


def row_count(columns: Columns) -> int:
    """Return how many rows the columns have; 0 for no columns."""
    return next((column.shape[0] for column in columns.values()), 0)
