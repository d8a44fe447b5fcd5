"""A replay's customers, segments and versions in a store, under keys of its own."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from stream_seg.engine.checkpoint import checkpoint
from stream_seg.engine.publish import quality_fields, segment_fields
from stream_seg.engine.reports import report
from stream_seg.engine.version import CONTRACT_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stream_seg.engine.minter import Minted
    from stream_seg.engine.ports import Store
    from stream_seg.engine.replay import Driver, Step
    from stream_seg.engine.state import State
    from stream_seg.events.batch import Rejected
    from stream_seg.settings import Settings

__all__ = ["EMITS", "Kept", "is_finished", "replay_meta"]

EMITS: Final = "emits"
"""The meta field that says whether the replay has topics."""
PARTITION: Final = 0
REPORT_EVERY_S: Final = 0.5


def replay_meta(settings: Settings, source: str, instance: str, *, emits: bool) -> dict[str, str]:
    """The fields of ``seg:<m>:meta`` of a replay of the file ``source``."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "contract": str(CONTRACT_VERSION),
        "instance": instance,
        "features": ",".join(settings.features.names),
        "topics": source,
        "created": now,
        "model_hash": settings.model_hash,
        "topic_id": "",
        "partitions": "1",
        EMITS: "yes" if emits else "no",
    }


def is_finished(store: Store) -> bool:
    """Say whether a replay has come to its end: its partition has reported that nothing is left to read."""
    found = store.reports().get(PARTITION)
    return found is not None and found.caught_up


class Kept:
    """An ``Output`` to a store; ``now_s`` is wall time, for people and for how often sizes follow."""

    def __init__(self, store: Store, worker: str, now_s: Callable[[], float] = time.time) -> None:
        """Become the owner of the replay's one partition."""
        self._store, self._worker, self._now_s = store, worker, now_s
        self._token = secrets.token_hex(16)
        self._rejected = 0
        self._reported_at = 0.0
        store.claim(PARTITION, self._token)

    def step(self, step: Step) -> None:
        """Store what the step changed, and report now and then."""
        made = checkpoint(step.state, step.outcome, step.sizes_before)
        batch_id = secrets.token_hex(8)
        self._store.stage([(made, batch_id, self._token)])
        self._store.apply([(PARTITION, batch_id, self._token)])
        if self._now_s() - self._reported_at >= REPORT_EVERY_S:
            self._report(step.state, caught_up=False)

    def version(self, minted: Minted) -> None:
        """Publish it."""
        version = minted.version
        self._store.put_version(
            version.version, version.to_json(), segment_fields(version), quality_fields(version)
        )

    def rejected(self, rows: Sequence[Rejected]) -> None:
        """Count them for the report."""
        self._rejected += len(rows)

    def complete(self, driver: Driver) -> None:
        """Say that the replay has finished, and leave."""
        self._report(driver.states[PARTITION], caught_up=True)
        self._store.release(PARTITION, self._token)

    def _report(self, state: State, *, caught_up: bool) -> None:
        made = report(state, next_event_ms=None, caught_up=caught_up, rejected=self._rejected)
        now = self._now_s()
        signed = replace(
            made, worker=self._worker, reported_at_ms=int(now * 1000), lag=0 if caught_up else None
        )
        self._store.refresh_sizes()
        self._store.put_report(signed, self._token)
        self._reported_at = now
