"""Decoded records of one partition that wait for their step, accepted and rejected ones, in order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from stream_seg.events.batch import EventBatch, Rejected
from stream_seg.events.records import Decoded


@dataclass(slots=True)
class EventQueue:
    """``next_offset`` is where fetching goes on: the first record that is not in the queue."""

    next_offset: int
    _parts: deque[EventBatch] = field(default_factory=deque)
    _rejected: deque[Rejected] = field(default_factory=deque)
    events: int = 0

    @property
    def head_ms(self) -> int | None:
        """The event time of the first waiting event; ``None`` if none waits."""
        return int(self._parts[0].time_ms[0]) if self._parts else None

    @property
    def empty(self) -> bool:
        """Whether neither an event nor a rejected record waits."""
        return not self._parts and not self._rejected

    def put(self, decoded: Decoded) -> None:
        """Append what was fetched next."""
        self.next_offset = max(self.next_offset, decoded.events.next_offset)
        if len(decoded.events):
            self._parts.append(decoded.events)
            self.events += len(decoded.events)
        self._rejected.extend(decoded.rejected)

    def events_waiting(self) -> list[EventBatch]:
        """All waiting events, without taking them."""
        return list(self._parts)

    def take(self, most: int, until_ms: float = np.inf) -> tuple[list[EventBatch], list[Rejected], int]:
        """Take up to ``most`` events from the front, none after ``until_ms`` or behind such a one.

        Returns (batches, the rejected records before the first event left, the first unread offset).
        """
        taken: list[EventBatch] = []
        while self._parts and most > 0:
            part = self._parts.popleft()
            late = np.flatnonzero(part.time_ms > until_ms)
            room = min(most, int(late[0]) if len(late) else len(part))
            front, rest = part.cut(room)
            if len(front):
                taken.append(front)
                most -= len(front)
                self.events -= len(front)
            if len(rest):
                self._parts.appendleft(rest)
                break
        end = int(self._parts[0].offset[0]) if self._parts else self.next_offset
        rejected = []
        while self._rejected and self._rejected[0].offset < end:
            rejected.append(self._rejected.popleft())
        return taken, rejected, end

    def take_before(self, offset: int) -> list[EventBatch]:
        """Take all events before ``offset``; rejected records are passed over."""
        taken = []
        while self._parts and int(self._parts[0].offset[0]) < offset:
            part = self._parts.popleft()
            front, rest = part.cut(int(np.searchsorted(part.offset, offset)))
            taken.append(front)
            self.events -= len(front)
            if len(rest):
                self._parts.appendleft(rest)
        self._rejected.clear()
        return taken
