"""The export of a replay of several partitions: labels in the merged order of their events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consumers.replay.bounds import Bounds
from consumers.replay.export import Export

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from consumers.replay.export import Column
    from stream_seg.engine.replay import Step

__all__ = ["MergedExport"]


class MergedExport(Export):
    """As ``Export``; steps told between two calls of ``flush`` come in any order, with their ranks."""

    def __init__(
        self,
        folder: Path,
        source: str,
        run: str,
        written: Bounds = Bounds(),  # noqa: B008 - frozen
    ) -> None:
        """Write labels of events whose time is one of ``written``."""
        super().__init__(folder, source, run)
        self._ranks: list[NDArray[np.int64]] = []
        self._written = written

    def step(self, step: Step) -> None:
        """Keep the labels of a step."""
        events = step.outcome.events
        if events is None or step.outcome.labels is None or not len(events) or step.rank is None:
            return
        self._waiting.append((step.state.partition, step.outcome))
        self._ranks.append(step.rank)

    def flush(self) -> None:
        """Write what has been told: everything that comes later ranks behind it."""
        if self._waiting:
            self._write()

    def _in_order(self, columns: dict[str, Column]) -> dict[str, Column]:
        ranks, self._ranks = np.concatenate(self._ranks), []
        order = np.argsort(ranks, kind="stable")
        order = order[self._written.holds(np.asarray(columns["event_time"])[order])]
        places = order.tolist()
        return {
            name: column[order] if isinstance(column, np.ndarray) else [column[i] for i in places]
            for name, column in columns.items()
        }
