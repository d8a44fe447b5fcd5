"""Where a replay's results go: the port of its outputs, and what it counts for the person who asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from stream_seg.engine.outcome import CAUSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream_seg.engine.minter import Minted
    from stream_seg.engine.replay import Run, Step
    from stream_seg.events.batch import Rejected

__all__ = ["Output", "Tally"]

NAMED_ROWS: Final = 10


class Output(Protocol):
    """Is told everything that a replay does, in order."""

    def step(self, step: Step) -> None:
        """A partition moved on."""

    def version(self, minted: Minted) -> None:
        """A version was made."""

    def rejected(self, rows: Sequence[Rejected]) -> None:
        """Rows that cannot be events."""

    def complete(self, driver: Run) -> None:
        """The end was reached; whatever is not complete before this call must not look so."""


@dataclass(slots=True)
class Tally:
    """An ``Output`` that counts.

    ``outside`` are events before ``--from`` or from ``--to`` on, ``reasons`` why rows were rejected, and
    ``first_rows`` the first of those with their numbers, from 0.
    """

    events: int = 0
    outside: int = 0
    passes: int = 0
    clipped: int = 0
    versions: int = 0
    first_ms: int | None = None
    transitions: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    first_rows: list[tuple[int, str]] = field(default_factory=list)

    def step(self, step: Step) -> None:
        """Count events, passes, transitions and clipped features."""
        outcome = step.outcome
        self.passes += outcome.passes
        self.clipped += outcome.clipped
        if outcome.events is not None and len(outcome.events):
            self.events += len(outcome.events)
            first = int(outcome.events.time_ms.min())
            self.first_ms = first if self.first_ms is None else min(first, self.first_ms)
        counts = np.bincount(outcome.transitions.cause, minlength=len(CAUSES)).tolist()
        self.transitions.update(dict(zip(CAUSES, counts, strict=True)))

    def version(self, minted: Minted) -> None:  # noqa: ARG002 - the port's signature
        """Count it."""
        self.versions += 1

    def rejected(self, rows: Sequence[Rejected]) -> None:
        """Count them by reason, and keep the first few."""
        self.reasons.update(row.message for row in rows)
        room = max(NAMED_ROWS - len(self.first_rows), 0)
        self.first_rows += [(row.offset, row.message) for row in rows[:room]]

    def complete(self, driver: Run) -> None:
        """Nothing is left to do."""
