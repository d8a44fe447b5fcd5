"""The stretch of event time that a replay takes: from one moment on, up to but not including another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stream_seg.errors import UsageError
from stream_seg.events.assembly import accepted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from consumers.replay.options import EventTime, ReplayOptions
    from stream_seg.events.batch import EventBatch
    from stream_seg.events.records import Decoded

__all__ = ["Bounds"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """``from_ms`` is the first event time taken, ``to_ms`` the first not taken any more (``None``: none)."""

    from_ms: int | None = None
    to_ms: int | None = None

    @classmethod
    def of(cls, options: ReplayOptions, source: Iterable[Decoded]) -> Bounds:
        """Resolve what was asked for; ``source`` is read for its newest event only where a duration needs it.

        Raises ``UsageError`` where nothing can lie between the two.
        """
        asked = [time for time in (options.from_, options.to) if time is not None]
        newest_ms = _newest_ms(source) if any(time.at_ms is None for time in asked) else 0
        bounds = cls(_resolved(options.from_, newest_ms), _resolved(options.to, newest_ms))
        if bounds.from_ms is not None and bounds.to_ms is not None and bounds.from_ms >= bounds.to_ms:
            raise UsageError("Nothing lies between --from and --to: --from must be the earlier one.")
        return bounds

    def holds(self, time_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether event times int64 [n] lie inside, bool [n]."""
        inside = np.ones(len(time_ms), dtype=np.bool_)
        if self.from_ms is not None:
            inside &= time_ms >= self.from_ms
        if self.to_ms is not None:
            inside &= time_ms < self.to_ms
        return inside

    def cut(self, events: EventBatch) -> EventBatch:
        """The events inside; the batch's ``next_offset`` stays."""
        return accepted(events, self.holds(events.time_ms), events.next_offset)


def _resolved(time: EventTime | None, newest_ms: int) -> int | None:
    return None if time is None else time.resolved_ms(newest_ms)


def _newest_ms(source: Iterable[Decoded]) -> int:
    newest = [int(decoded.events.time_ms.max()) for decoded in source if len(decoded.events)]
    if not newest:
        raise UsageError("The file has no usable event from which --from and --to could be counted back.")
    return max(newest)
