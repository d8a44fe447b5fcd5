"""A replay on the servers that are configured: whether it may begin, what it replaces, its outputs there."""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumers.replay.store import EMITS, Kept, is_finished, is_running, replay_meta
from consumers.replay.topics import ReplayTopics, Sent, replay_topics
from stream_seg.adapters.redis import RedisStore
from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from consumers.replay.options import ReplayOptions
    from stream_seg.engine.minter import Minted
    from stream_seg.engine.replay import Run, Step
    from stream_seg.events.batch import Rejected
    from stream_seg.settings import Settings

__all__ = ["Served", "served"]


@contextmanager
def served(
    settings: Settings, options: ReplayOptions, model: str, source: str, notice: Callable[[str], None]
) -> Iterator[Served]:
    """The outputs of a replay on the settings' servers.

    Raises ``UsageError`` where a replay of that name has finished and must not be deleted, and
    ``ServerError``.
    """
    with ExitStack() as stack:
        store = stack.enter_context(closing(RedisStore.connect(settings.redis.url, model)))
        topics = stack.enter_context(replay_topics(settings.kafka, model))
        replaces = _replaces(store, topics, options)
        if replaces and not options.fresh:
            notice(f"a former replay {options.name} did not finish: it is deleted and begun again")
        yield Served(settings, options, source, store, topics, stack, replaces=replaces)


def _replaces(store: RedisStore, topics: ReplayTopics, options: ReplayOptions) -> bool:
    """Whether a former replay is to be deleted; ``UsageError`` where there is one that must not be."""
    again = "give --fresh to delete it and run it again, or another --name"
    if not options.fresh and is_finished(store):
        raise UsageError(f"Replay {options.name} has finished already: {again}.")
    if not options.fresh and is_running(store, time.time()):
        raise UsageError(f"Replay {options.name} is running: wait for it, or give another --name.")
    meta = store.meta()
    if not options.fresh and not meta and options.emit and topics.exist():
        raise UsageError(f"Topics of a former replay {options.name} are there, and no keys: {again}.")
    return options.fresh or bool(meta)


@dataclass(slots=True)
class Served:
    """An ``Output`` to Redis and, unless that is not wanted, to topics.

    What a former replay left is deleted, and topics are created, with the first call: not before there is
    something to be kept.
    """

    settings: Settings
    options: ReplayOptions
    source: str
    store: RedisStore
    topics: ReplayTopics
    stack: ExitStack
    replaces: bool
    _kept: Kept | None = None
    _sent: Sent | None = None

    def step(self, step: Step) -> None:
        """Stage, send, apply: a replay whose place another one has taken sends nothing any more."""
        kept = self._begun()
        batch_id = kept.stage(step)
        if self._sent is not None:
            self._sent.step(step)
        kept.apply(step, batch_id)

    def version(self, minted: Minted) -> None:
        """Send it, then publish it."""
        kept = self._begun()
        kept.check()
        if self._sent is not None:
            self._sent.version(minted)
        kept.version(minted)

    def rejected(self, rows: Sequence[Rejected]) -> None:
        """Send dead letters, and count them."""
        kept = self._begun()
        kept.check()
        if self._sent is not None:
            self._sent.rejected(rows)
        kept.rejected(rows)

    def complete(self, driver: Run) -> None:
        """Everything has been sent: say that the replay has finished."""
        self._begun().complete(driver)

    def _begun(self) -> Kept:
        if self._kept is not None:
            return self._kept
        if self.replaces:
            self._delete()
        run, emits = f"replay:{self.options.name}", self.options.emit
        self.store.put_meta(replay_meta(self.settings, self.source, run, emits=emits))
        if emits:
            self._sent = self.stack.enter_context(self.topics.begun(self.source, run))
        self._kept = Kept(self.store, f"{socket.gethostname()}-{os.getpid()}")
        self.stack.callback(self._kept.leave)
        return self._kept

    def _delete(self) -> None:
        """Delete the former replay: its topics, where it has any, before the keys that say so."""
        meta = self.store.meta()
        if self.options.emit or meta.get(EMITS) == "yes":
            self.topics.delete(offsets=bool(meta.get("topic_id")))
        self.store.reset()
