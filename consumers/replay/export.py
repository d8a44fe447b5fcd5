"""A replay's results as files: labels, customers and the model in a folder that is whole or not there."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from stream_seg.adapters.files import ExportWriter
from stream_seg.engine.customers import customers_at
from stream_seg.engine.outcome import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from stream_seg.engine.minter import Minted
    from stream_seg.engine.outcome import Outcome
    from stream_seg.engine.replay import Run, Step
    from stream_seg.events.batch import Rejected

    Column = list[str] | list[str | None] | NDArray[np.generic]

__all__ = ["Export"]

ROWS_A_WRITE: Final = 65_536


class Export:
    """An ``Output`` to a folder, for a ``with`` statement; at its end nothing stays that is not complete."""

    def __init__(self, folder: Path, source: str, run: str) -> None:
        """Name the file that labels come from, and the run.

        Raises ``UsageError`` where ``folder`` cannot be replaced.
        """
        self._source, self._run = source, run
        self._writer = ExportWriter(folder)
        self._waiting: list[tuple[int, Outcome]] = []
        self._rows = 0

    def __enter__(self) -> Self:
        """The export itself."""
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was not completed."""
        self._writer.__exit__(kind, error, trace)

    def step(self, step: Step) -> None:
        """Keep the labels of a step, and write them when there are many."""
        events = step.outcome.events
        if events is None or step.outcome.labels is None or not len(events):
            return
        self._waiting.append((step.state.partition, step.outcome))
        self._rows += len(events)
        if self._rows >= ROWS_A_WRITE:
            self._write()

    def version(self, minted: Minted) -> None:
        """Versions are named in the labels; the last one is written at the end."""

    def rejected(self, rows: Sequence[Rejected]) -> None:
        """Rejected rows are no labels."""

    def complete(self, driver: Run) -> None:
        """Write what is left, the customers as of the largest event time read, and the current version."""
        version = driver.current
        if version is None:
            raise ValueError("without a version there is nothing to export")
        if self._waiting:
            self._write()
        found = customers_at(driver.states.values(), driver.as_of_ms)
        features = {
            f"f.{feature.name}": [None if value != value else value for value in column.tolist()]  # noqa: PLR0124
            for feature, column in zip(version.features, found.values.T, strict=True)
        }
        names = [version.names[segment] for segment in found.segment.tolist()]
        self._writer.customers(
            {"customer_id": found.customers, "segment": found.segment, "name": names, **features}
        )
        self._writer.model(version.to_json().decode())
        self._writer.complete()

    def _write(self) -> None:
        waiting, self._waiting, self._rows = self._waiting, [], 0
        parts = [_columns(partition, outcome, self._source) for partition, outcome in waiting]
        joined = self._in_order({name: _joined([part[name] for part in parts]) for name in parts[0]})
        rows = len(joined["customer_id"])
        self._writer.labels({**joined, "source_topic": [self._source] * rows, "run": [self._run] * rows})

    def _in_order(self, columns: dict[str, Column]) -> dict[str, Column]:
        """Steps come in the order in which events were processed."""
        return columns


def _columns(partition: int, outcome: Outcome, source: str) -> dict[str, Column]:
    """A step's labels, as ``ExportWriter.labels`` takes them."""
    events, labels, version = outcome.events, outcome.labels, outcome.version
    if events is None or labels is None or version is None:
        raise ValueError("a step without a version has no labels")
    names = version.names
    return {
        "customer_id": events.customers,
        "event_id": [
            f"{source}-{partition}-{offset}" if own is None else own
            for own, offset in zip(events.ids, events.offset.tolist(), strict=True)
        ],
        "event_type": events.types,
        "event_time": events.time_ms,
        "segment": labels.segment,
        "name": [names[number] for number in labels.segment.tolist()],
        "confidence": labels.confidence,
        "distance": labels.distance,
        "runner_up": np.ma.masked_equal(labels.runner_up, NOWHERE),
        "previous_segment": np.ma.masked_equal(labels.previous, NOWHERE),
        "changed": labels.segment != labels.previous,
        "model_version": np.full(len(events), version.version),
        "source_partition": np.full(len(events), partition),
        "source_offset": events.offset,
    }


def _joined(parts: list[Column]) -> Column:
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) < len(parts):
        return list(chain.from_iterable(parts))
    masked = isinstance(arrays[0], np.ma.MaskedArray)
    joined: Column = np.ma.concatenate(arrays) if masked else np.concatenate(arrays)  # type: ignore[no-untyped-call]
    return joined
