"""How far a replay is: a bar with rate and time left on a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consumers.tables import duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["ReplayProgress"]

PLAIN_EVERY_S: Final = 5.0


class ReplayProgress:
    """Counts rows on standard error; ``clock`` gives seconds that never fall."""

    def __init__(
        self,
        title: str,
        total: int,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Be ready for ``total`` rows."""
        self.console = console or Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._title, self._total, self._clock = title, total, clock
        self._in_place = self.console.is_terminal and not self.console.is_dumb_terminal
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("rows, {task.fields[rate]}", markup=False),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self._in_place,
        )
        self._task = self._bar.add_task(title, total=total, rate="")
        self._began = self._told = clock()
        self.before = 0
        """Rows that an earlier run has taken: they count as done, and not for the rate."""

    def __enter__(self) -> Self:
        """Begin."""
        self._began = self._told = self._clock()
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self._bar.stop()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._clock() - self._began

    def notice(self, text: str) -> None:
        """Print a sentence."""
        self.console.print(text, markup=False)

    def at(self, rows: int) -> None:
        """Show that so many rows have been taken."""
        rate = (rows - self.before) / max(self.seconds, 1e-9)
        self._bar.update(self._task, completed=rows, rate=f"{rate:,.0f}/s")
        if self._in_place or self._clock() - self._told < PLAIN_EVERY_S:
            return
        self._told = self._clock()
        left = duration((self._total - rows) / rate) if rate else "unknown"
        self.notice(f"{self._title}: {rows:,} of {self._total:,} rows, {rate:,.0f}/s, {left} left")
