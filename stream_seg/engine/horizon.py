"""How far in event time a partition may go.

A backfill must not leave the minter's checks behind (design §4.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stream_seg.engine.state import DAY_MS


@dataclass(slots=True)
class Horizon:
    """``days`` of event time past the earliest unread event.

    After ``patience_s`` without any move one day more, and so again.
    """

    days: float
    patience_s: float
    moved_at_s: float
    earliest_ms: int | None = 0
    extra_days: int = 0

    def limit_ms(self, earliest_ms: int | None, now_s: float) -> float:
        """The last event time that may be taken now.

        ``earliest_ms`` as published (``None``: open), ``now_s`` wall time.
        """
        if earliest_ms != self.earliest_ms:
            self.earliest_ms, self.moved_at_s, self.extra_days = earliest_ms, now_s, 0
        elif now_s - self.moved_at_s >= self.patience_s:
            self.moved_at_s, self.extra_days = now_s, self.extra_days + 1
        if self.earliest_ms is None:
            return math.inf
        return self.earliest_ms + DAY_MS * (self.days + self.extra_days)
