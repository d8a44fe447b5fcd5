"""What a replay is asked to do, as plain frozen values."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream_seg.settings.durations import parse_duration_ms

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["EventTime", "ReplayOptions"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class EventTime:
    """A moment of event time: ``at_ms`` since 1970 UTC, or ``back_ms`` before the newest event."""

    at_ms: int | None = None
    back_ms: int | None = None

    @classmethod
    def parsed(cls, text: str) -> EventTime:
        """Read a date (00:00 UTC), RFC 3339 (UTC without a zone) or a duration; else ``ValueError``."""
        try:
            return cls(back_ms=parse_duration_ms(text))
        except ValueError:
            pass  # no duration: a date or a time then
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            form = 'a date ("2011-03-01"), an RFC 3339 time or a duration back from the newest event ("90d")'
            raise ValueError(f'must be {form}, not "{text}"') from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        return cls(at_ms=(moment - _EPOCH) // _MS)

    def resolved_ms(self, newest_ms: int) -> int:
        """Give the moment in ms since 1970 UTC, where the newest event's time is ``newest_ms``."""
        return self.at_ms if self.at_ms is not None else newest_ms - (self.back_ms or 0)


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """One replay.

    ``name`` is the N of the model ``<m>.replay-<N>``. ``source`` is the file that is read (``None``: the
    topics). ``from_`` is the first event time taken, ``to`` the first not taken any more (``None``: no
    limit). ``export`` is the folder written when it is complete. ``as_recorded`` adopts what live adopted,
    ``fresh`` deletes a former replay of that name first, ``follow`` goes on as a live worker at the end,
    ``emit`` writes topics, ``allow_gap`` accepts a topic that no longer reaches back.
    """

    name: str
    source: Path | None = None
    from_: EventTime | None = None
    to: EventTime | None = None
    export: Path | None = None
    as_recorded: bool = False
    fresh: bool = False
    follow: bool = False
    emit: bool = True
    allow_gap: bool = False
