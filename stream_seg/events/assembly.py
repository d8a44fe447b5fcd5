"""From columns at paths to an event batch: what JSON records and the rows of a file have in common."""

from __future__ import annotations

from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING, Protocol

import numpy as np

from stream_seg.errors import UsageError
from stream_seg.events.batch import EventBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stream_seg.events.findings import Findings
    from stream_seg.events.mapping import EventMapping
    from stream_seg.features.spec import FeatureSet, Scalar

__all__ = ["ColumnReader", "accepted", "draft", "field_paths"]


class ColumnReader(Protocol):
    """One kind of input, n rows: gives the column at a path, marking the rows where it cannot."""

    def customers(self, path: str, findings: Findings) -> list[str]:
        """Customers' ids, "" where marked."""

    def ids(self, path: str, findings: Findings) -> list[str | None]:
        """Events' ids, ``None`` where missing."""

    def types(self, path: str, findings: Findings) -> list[str | None]:
        """Events' types, ``None`` where missing."""

    def times(self, path: str, findings: Findings) -> NDArray[np.int64]:
        """Event times, int64 [n], ms since 1970 UTC."""

    def numbers(self, path: str, findings: Findings) -> NDArray[np.float64]:
        """Numbers, float64 [n], NaN where missing."""

    def tokens(self, path: str, findings: Findings) -> NDArray[np.uint64]:
        """Hashes of values, uint64 [n], 0 where missing."""

    def matching(self, path: str, allowed: tuple[Scalar, ...], findings: Findings) -> NDArray[np.bool_]:
        """Whether the values are among the allowed ones, bool [n]."""


def field_paths(mapping: EventMapping, names: Sequence[str]) -> dict[str, str]:
    """Find the path of each field that a feature reads.

    ``type`` is the mapping's own unless a field has that name. Raises ``UsageError`` for an undeclared field.
    """
    known = {**({"type": mapping.type} if mapping.type else {}), **mapping.fields}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f'a feature reads the field "{unknown[0]}", which [event.fields] does not declare')
    return {name: known[name] for name in names}


def draft(
    reader: ColumnReader,
    mapping: EventMapping,
    features: FeatureSet,
    offset: NDArray[np.int64],
    findings: Findings,
) -> EventBatch:
    """Read every row's columns; rows marked in ``findings`` are still in the batch, with placeholders.

    ``offset`` int64 [n] are the rows' own; ``next_offset`` is left for ``accepted`` to set.
    """
    n = len(offset)
    paths = field_paths(mapping, (*features.numbers, *features.tokens, *features.filters))
    customers = reader.customers(mapping.customer, findings)
    times = reader.times(mapping.time, findings)
    nothing: list[str | None] = [None] * n
    ids = reader.ids(mapping.id, findings) if mapping.id else nothing
    types = reader.types(mapping.type, findings) if mapping.type else nothing
    numbers = np.empty((n, len(features.numbers)), dtype=np.float64)
    for column, name in enumerate(features.numbers):
        numbers[:, column] = reader.numbers(paths[name], findings)
    tokens = np.empty((n, len(features.tokens)), dtype=np.uint64)
    for column, name in enumerate(features.tokens):
        tokens[:, column] = reader.tokens(paths[name], findings)
    matches = _matches(reader, features, paths, n, findings)
    return EventBatch(customers, times, offset, ids, types, numbers, tokens, matches, next_offset=-1)


def _matches(
    reader: ColumnReader, features: FeatureSet, paths: dict[str, str], n: int, findings: Findings
) -> NDArray[np.bool_]:
    matches = np.ones((n, len(features)), dtype=np.bool_)
    known: dict[object, NDArray[np.bool_]] = {}
    for column, feature in enumerate(features.features):
        for name, allowed in feature.where:
            condition = (name, allowed, tuple(map(type, allowed)))  # 1 and True are equal, and not the same
            if condition not in known:
                known[condition] = reader.matching(paths[name], allowed, findings)
            matches[:, column] &= known[condition]
    return matches


def accepted(batch: EventBatch, good: NDArray[np.bool_], next_offset: int) -> EventBatch:
    """The rows of a batch where ``good`` (bool [n]) holds, read up to ``next_offset``."""
    if good.all():
        return replace(batch, next_offset=next_offset)
    return EventBatch(
        list(compress(batch.customers, good)),
        batch.time_ms[good],
        batch.offset[good],
        list(compress(batch.ids, good)),
        list(compress(batch.types, good)),
        batch.numbers[good],
        batch.tokens[good],
        batch.matches[good],
        next_offset,
    )
