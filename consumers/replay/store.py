"""A replay's customers, segments and versions in a store, under keys of its own."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from stream_seg.engine.checkpoint import checkpoint
from stream_seg.engine.publish import quality_fields, segment_fields
from stream_seg.engine.reports import Report, report
from stream_seg.engine.state import UNKNOWN
from stream_seg.engine.version import CONTRACT_VERSION
from stream_seg.errors import OwnershipLost, StreamSegError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stream_seg.engine.minter import Minted
    from stream_seg.engine.ports import Store
    from stream_seg.engine.replay import Run, Step
    from stream_seg.engine.state import State
    from stream_seg.events.batch import Rejected
    from stream_seg.settings import Settings

__all__ = ["EMITS", "Kept", "is_finished", "is_running", "one_at_a_time", "replay_meta"]

EMITS: Final = "emits"
"""The meta field that says whether the replay has topics."""
PARTITION: Final = 0
REPORT_EVERY_MS: Final = 500
SILENT_MS: Final = 10_000
"""A replay that has not reported for so long was killed: at most a refit lies between two reports."""


def replay_meta(
    settings: Settings,
    source: str,
    instance: str,
    *,
    emits: bool,
    partitions: int = 1,
    topic_id: str = "",
) -> dict[str, str]:
    """The fields of ``seg:<m>:meta`` of a replay of ``source``, a topic or a file (without ``topic_id``)."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "contract": str(CONTRACT_VERSION),
        "instance": instance,
        "features": ",".join(settings.features.names),
        "topics": source,
        "created": now,
        "model_hash": settings.model_hash,
        "topic_id": topic_id,
        "partitions": str(partitions),
        EMITS: "yes" if emits else "no",
    }


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """``UsageError`` where another replay of the same name has taken over."""
    try:
        yield
    except OwnershipLost as error:
        raise UsageError(
            "Another replay of this name has begun and taken its place: give one of them another --name."
        ) from error


def is_finished(store: Store) -> bool:
    """Say whether a replay has come to its end: its partition has reported that nothing is left to read."""
    found = store.reports().get(PARTITION)
    return found is not None and found.caught_up


def is_running(store: Store, now_s: float) -> bool:
    """Say whether a replay that has not finished has been heard of just now."""
    found = store.reports().get(PARTITION)
    return found is not None and not found.caught_up and now_s * 1000 - found.reported_at_ms < SILENT_MS


class Kept:
    """What a store keeps; ``now_s`` is wall time, for people and for how often sizes follow."""

    def __init__(self, store: Store, worker: str, now_s: Callable[[], float] = time.time) -> None:
        """Become the owner of the replay's one partition."""
        self._store, self._worker, self._now_s = store, worker, now_s
        self._token = secrets.token_hex(16)
        self._rejected = 0
        self._reported: Report | None = None
        store.claim(PARTITION, self._token)

    def stage(self, step: Step) -> str:
        """Make ready what the step changed; gives the batch's id.

        Raises ``UsageError`` where another replay of this name has begun: nothing of this one may go out.
        """
        made = checkpoint(step.state, step.outcome, step.sizes_before)
        batch_id = secrets.token_hex(8)
        with one_at_a_time():
            self._store.stage([(made, batch_id, self._token)])
        return batch_id

    def apply(self, step: Step, batch_id: str) -> None:
        """Store what was staged, and report now and then."""
        last = self._reported
        with one_at_a_time():
            self._store.apply([(PARTITION, batch_id, self._token)])
            if last is None or self._now_s() * 1000 - last.reported_at_ms >= REPORT_EVERY_MS:
                self._report(step.state, caught_up=False)

    def check(self) -> None:
        """``UsageError`` where another replay of this name has begun."""
        if self._reported is not None:
            with one_at_a_time():
                self._store.put_report(self._reported, self._token)

    def version(self, minted: Minted) -> None:
        """Publish it."""
        version = minted.version
        self._store.put_version(
            version.version, version.to_json(), segment_fields(version), quality_fields(version)
        )

    def rejected(self, rows: Sequence[Rejected]) -> None:
        """Count them for the report."""
        self._rejected += len(rows)

    def complete(self, driver: Run) -> None:
        """Say that the replay has finished, and leave."""
        with one_at_a_time():
            self._report(driver.states[PARTITION], caught_up=True)
            self._store.release(PARTITION, self._token)

    def leave(self) -> None:
        """Say, where the end was not reached, that nobody is at work any more."""
        if self._reported is None or self._reported.caught_up:
            return
        with suppress(StreamSegError):  # the reason for leaving matters more
            self._store.put_report(replace(self._reported, reported_at_ms=UNKNOWN), self._token)

    def _report(self, state: State, *, caught_up: bool) -> None:
        made = report(state, next_event_ms=None, caught_up=caught_up, rejected=self._rejected)
        now_ms = int(self._now_s() * 1000)
        self._reported = replace(
            made, worker=self._worker, reported_at_ms=now_ms, lag=0 if caught_up else None
        )
        self._store.refresh_sizes()
        self._store.put_report(self._reported, self._token)
