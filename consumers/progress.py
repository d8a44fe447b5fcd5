"""What a live worker shows: a line that moves on a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console

from stream_seg.engine.edges import Progress
from stream_seg.engine.minter import Minted
from stream_seg.engine.moments import moment
from stream_seg.engine.partition import Work

PLAIN_EVERY_S = 10.0


class LiveProgress:
    """An ``Observer`` for people, on standard error."""

    def __init__(self, *, until_end: bool = False, console: Console | None = None) -> None:
        """Show on ``console`` (default: standard error)."""
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._until_end = until_end
        self._status = self._console.status("joining the group …") if self._console.is_terminal else None
        self._began = self._shown = time.monotonic()
        self._last = Progress()

    def __enter__(self) -> Self:
        """Begin."""
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End with a line that says what was done, unless it ended in an error."""
        if self._status is not None:
            self._status.stop()
        if kind is None:
            self._console.print(self._line(self._last, "done: "), markup=False, soft_wrap=True)

    def notice(self, text: str) -> None:
        """Print a sentence."""
        self._console.print(text, markup=False, soft_wrap=True)

    def minted(self, minted: Minted) -> None:
        """Say when the first version is there."""
        if minted.version.version == 1:
            names = ", ".join(s.name for s in minted.version.segments)
            self.notice(
                f"warm-up is over, {minted.version.customers:,} customers are known; segments: {names}"
            )

    def committed(self, progress: Progress, work: list[Work]) -> None:  # noqa: ARG002 - the port's signature
        """Show how far it is."""
        self._last = progress
        if self._status is not None:
            self._status.update(self._line(progress))
            return
        if time.monotonic() - self._shown >= PLAIN_EVERY_S:
            self._shown = time.monotonic()
            self._console.print(self._line(progress), markup=False, soft_wrap=True)

    def _line(self, progress: Progress, head: str = "") -> str:
        seconds = max(time.monotonic() - self._began, 1e-9)
        parts = [f"{head}{progress.events:,} events", f"{progress.events / seconds:,.0f}/s"]
        if progress.remaining is not None:
            parts.append(f"{progress.remaining:,} to go")
        parts.append(f"{progress.transitions:,} transitions")
        if progress.rejected:
            parts.append(f"{progress.rejected:,} dead letters")
        if progress.version:
            parts.append(f"version {progress.version}")
        if progress.clock_ms >= 0:
            parts.append(f"event time {moment(progress.clock_ms)}")
        return ", ".join(parts)
