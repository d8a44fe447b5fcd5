"""The way of a topic's records through the model: read, merged, taken, committed, shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from consumers.replay.merged_export import MergedExport
from consumers.replay.summary import print_rejected, print_summary
from consumers.tables import console
from stream_seg.engine.history import History, Reading
from stream_seg.engine.merge import Merge
from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from consumers.replay.commits import Commits
    from consumers.replay.extent import Extent
    from consumers.replay.progress import ReplayProgress
    from consumers.replay.run import Outputs
    from stream_seg.engine.merged import MergedReplay, RecordedReplay
    from stream_seg.events.decoder import JsonDecoder

__all__ = ["Course"]

FIRST_EVENTS, FEWEST_EVENTS, MOST_EVENTS = 1_024, 256, 32_768
"""Events of one commit, over all partitions: at first, at least and at the most."""
QUICK_S, SLOW_S = 0.5, 2.0
"""A commit that took less is followed by one of twice the events, one that took more by one of half."""
WAITING_EVENTS: Final = 32_768
"""Events of a partition beyond which it is not fetched while others are waited for."""


@dataclass(slots=True)
class Course:
    """The way of a topic's records through the model.

    ``taken`` says whether the bounds choose what is taken; else they only choose what is written.
    ``going_on`` maps each partition to what an interrupted replay had committed (empty: there was none).
    """

    history: History
    decoder: JsonDecoder
    extent: Extent
    driver: MergedReplay | RecordedReplay
    outputs: Outputs
    commits: Commits
    taken: bool
    going_on: dict[int, int]

    def run(self, progress: ReplayProgress, model: str, topic: str) -> None:
        """Read, merge, take, commit; then complete the outputs and print the summary."""
        driver, outputs, commits = self.driver, self.outputs, self.commits
        if self.going_on:
            at = ", ".join(f"{p}: {offset:,}" for p, offset in sorted(self.going_on.items()))
            again = "; history is taken again up to there" if commits.resume else ""
            progress.notice(f"going on behind what was committed (partition: offset {at}){again}")
            progress.before = self._taken()
        with progress:
            try:
                self._take_all(progress.at)
            except KeyboardInterrupt:
                progress.notice("stopped before the end: the same command goes on from there")
                raise
            finally:
                print_rejected(progress.console, outputs.tally)
            if driver.current is None or not driver.events:
                raise UsageError(_nothing(outputs, topic))
            outputs.complete(driver)
            seconds = progress.seconds
        print_summary(console(), model, driver, outputs.tally, seconds)

    def _take_all(self, at: Callable[[int], None]) -> None:
        states = self.driver.states
        begins = {p: states[p].numbers.position.next_offset for p in self.extent.spans}
        reading = Reading(self.history, {p: (begins[p], end) for p, end in self.extent.ends.items()})
        merge, most = Merge(self.extent.ends), FIRST_EVENTS
        finished: set[int] = set()
        while True:
            for partition in self.extent.spans.keys() - reading.left.keys() - finished:
                merge.finish(partition)
                finished.add(partition)
            while (stretch := merge.take(most, self.commits.until)) is not None:
                began = time.monotonic()
                self.driver.take(stretch)
                self._flush()
                most = _next_most(most, time.monotonic() - began)
                at(self._taken())
            if merge.exhausted:
                break
            if not reading.left and self.commits.until is not None:
                continue_from = self.commits.until
                self._flush()
                if self.commits.until == continue_from:
                    break  # only the end itself is left
                continue
            resting = frozenset(p for p in reading.left if merge.waiting(p) >= WAITING_EVENTS)
            self._fetch(reading, merge, resting)
        self.driver.end(self.extent.ends)
        if self.driver.events:
            self._flush()
        self.commits.settle()

    def _flush(self) -> None:
        self.commits.commit(self.driver.states)
        for output in self.outputs.others:
            if isinstance(output, MergedExport):
                output.flush()

    def _taken(self) -> int:
        """How many offsets lie behind the partitions' positions."""
        spans, states = self.extent.spans, self.driver.states
        return sum(states[p].numbers.position.next_offset - spans[p][0] for p in states)

    def _fetch(self, reading: Reading, merge: Merge, resting: frozenset[int]) -> None:
        for fetched in reading.poll(resting):
            decoded = self.decoder.decode(fetched.records)
            if decoded.rejected:
                self.outputs.tally.rejected(decoded.rejected)
                self.commits.rejected_of(fetched.partition, decoded.rejected)
            events = self.extent.bounds.cut(decoded.events) if self.taken else decoded.events
            self.outputs.tally.outside += len(decoded.events) - len(events)
            merge.put(fetched.partition, events)


def _next_most(most: int, seconds: float) -> int:
    """How many events the next commit takes: where commits fall changes nothing in what is written."""
    wanted = most * 2 if seconds < QUICK_S else most // 2 if seconds > SLOW_S else most
    return min(max(wanted, FEWEST_EVENTS), MOST_EVENTS)


def _nothing(outputs: Outputs, topic: str) -> str:
    tally = outputs.tally
    if tally.outside:
        return (
            f"All {tally.outside:,} events of topic {topic} lie outside --from and --to: nothing was "
            "written; give another range."
        )
    if tally.reasons:
        reason = tally.reasons.most_common(1)[0][0]
        return f"No record of topic {topic} can be an event (mostly: {reason}): look at [event]."
    return f"Topic {topic} holds no record: nothing was written."
