"""What the demo has seen so far, from the steps of either driver, as pictures for the view."""

from __future__ import annotations

import time
from collections import deque

from consumers.demo.view import Driver, SegmentLine, Snapshot, TransitionLine, View
from stream_seg.engine.edges import Progress
from stream_seg.engine.minter import Minted
from stream_seg.engine.outcome import CAUSES, NOWHERE, Outcome, Transitions
from stream_seg.engine.partition import Work
from stream_seg.engine.replay import Step
from stream_seg.engine.state import Numbers
from stream_seg.engine.version import ModelVersion
from stream_seg.features.spec import FeatureSet

LATEST = 8
"""Transitions shown at a time."""


class Watch:
    """Follows the steps.

    It is the live worker's ``Observer``, and takes the one-process driver's steps as well.
    """

    def __init__(self, view: View, features: FeatureSet) -> None:
        """Show on ``view``."""
        self._view, self._features = view, features
        self._began = time.monotonic()
        self._sizes: dict[int, dict[int, int]] = {}
        self._moves: deque[TransitionLine] = deque(maxlen=LATEST)
        self._version: ModelVersion | None = None
        self.clock_ms = -1
        self.events = 0

    @property
    def seconds(self) -> float:
        """Wall time since the beginning."""
        return time.monotonic() - self._began

    @property
    def version(self) -> int:
        """The newest version, 0 before there is one."""
        return 0 if self._version is None else self._version.version

    def notice(self, text: str) -> None:
        """Say a sentence."""
        self._view.say(text)

    def minted(self, minted: Minted) -> None:
        """Take a new version."""
        self._version = minted.version

    def committed(self, progress: Progress, work: list[Work]) -> None:  # noqa: ARG002 - the port's signature
        """Take the live worker's batches."""
        for one in work:
            self._note(one.partition, one.outcome, one.checkpoint.numbers)
        self._view.show(self.snapshot())

    def step(self, one: Step) -> None:
        """Take a step of the one-process driver."""
        self._note(one.state.partition, one.outcome, one.state.numbers)

    def show(self) -> None:
        """Draw what is known now."""
        self._view.show(self.snapshot())

    def snapshot(self) -> Snapshot:
        """What is known now."""
        return Snapshot(
            event_time_ms=self.clock_ms if self.clock_ms >= 0 else None,
            events=self.events,
            events_per_second=self.events / max(self.seconds, 1e-9),
            version=self.version or None,
            segments=self.segments(),
            transitions=tuple(reversed(self._moves)),
        )

    def segments(self) -> tuple[SegmentLine, ...]:
        """The active segments, the largest first."""
        if self._version is None:
            return ()
        sizes: dict[int, int] = {}
        for own in self._sizes.values():
            for number, size in own.items():
                sizes[number] = sizes.get(number, 0) + size
        total = sum(sizes.values()) or 1
        lines = [
            SegmentLine(s.id, s.name, sizes.get(s.id, 0), sizes.get(s.id, 0) / total)
            for s in self._version.segments
        ]
        return tuple(sorted(lines, key=lambda line: (-line.size, line.id)))

    def _note(self, partition: int, outcome: Outcome, numbers: Numbers) -> None:
        self._sizes[partition] = numbers.sizes
        self.clock_ms = max(self.clock_ms, numbers.clock_ms)
        self.events += 0 if outcome.events is None else len(outcome.events)
        if outcome.version is not None:
            if self._version is None or outcome.version.version > self._version.version:
                self._version = outcome.version
            self._moves.extend(_lines(outcome.transitions, outcome.version, self._features))


def _lines(moves: Transitions, version: ModelVersion, features: FeatureSet) -> list[TransitionLine]:
    """The last few of a step's transitions as they are shown."""
    names = version.names
    return [
        TransitionLine(
            customer=moves.customers[i],
            from_name=names[int(moves.origin[i])],
            to_name=None if moves.target[i] == NOWHERE else names[int(moves.target[i])],
            cause=CAUSES[int(moves.cause[i])],
            drivers=tuple(
                Driver(features.names[j], float(before), float(after))
                for j, before, after in zip(
                    moves.drivers.feature[i], moves.drivers.before[i], moves.drivers.after[i], strict=True
                )
                if j >= 0
            ),
        )
        for i in range(max(0, len(moves) - LATEST), len(moves))
    ]
