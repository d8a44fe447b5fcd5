"""``stream-seg live``: the worker on real Kafka and Redis."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from consumers.health import health_server
from consumers.identity import Identity, check_stored, identify
from consumers.plan import plan_of
from consumers.progress import LiveProgress
from consumers.threads import switching
from consumers.topics import run_of
from stream_seg._version import __version__
from stream_seg.adapters.dead_letters import KafkaDeadLetters
from stream_seg.adapters.files.extra import polars
from stream_seg.adapters.kafka import KafkaClient, connect
from stream_seg.adapters.kafka_topics import DEAD_LETTERS, LABELS, MODELS, TRANSITIONS
from stream_seg.adapters.outputs import LastLabels
from stream_seg.adapters.redis import RedisStore
from stream_seg.adapters.snapshots import FolderSnapshots, SnapshotFolder
from stream_seg.engine.committer import OutputTopics
from stream_seg.engine.edges import Aside, Observer, Options, Ports, no_hook
from stream_seg.engine.livemint import Patience
from stream_seg.engine.worker import Worker
from stream_seg.errors import ServerUnavailable
from stream_seg.events.decoder import JsonDecoder
from stream_seg.settings import Settings
from stream_seg.settings.servers import KafkaSettings

T = TypeVar("T")
MODELS_PATIENCE_S = 15.0
"""Beyond the transaction time-out: how long committed versions may stay out of sight."""


def run_live(settings: Settings, *, until_end: bool, wait_s: float, health_port: int | None) -> int:
    """Run the worker until it is stopped by SIGINT or SIGTERM, or the end is reached.

    Returns the exit status.
    """
    with (
        LiveProgress(until_end=until_end) as progress,
        live_worker(settings, progress, until_end=until_end, wait_s=wait_s) as worker,
        stopped_by_signals(worker.stop),
        health_server(health_port, lambda: True, lambda: worker.ready),
    ):
        worker.run()
    return 0


@contextmanager
def live_worker(
    settings: Settings,
    observer: Observer,
    *,
    until_end: bool = False,
    wait_s: float = 30.0,
    hook: Callable[[str], None] = no_hook,
    connecting: Callable[[KafkaSettings], KafkaClient] = connect,
) -> Iterator[Worker]:
    """A worker connected to the settings' servers, checked and ready to run.

    Waits ``wait_s`` for servers that do not answer. ``hook`` is called at each named step of the protocol;
    ``connecting`` gives the Kafka client. Raises ``ServerError`` and ``StateError`` as the contract's exit
    statuses.
    """
    model, topic = settings.model.name, settings.topic
    if settings.snapshot.every_minutes:
        polars()  # says what to install, before anything is begun

    def between(what: str) -> None:
        hook(f"within_{what}")

    with ExitStack() as stack:
        stack.enter_context(switching())
        client = stack.enter_context(closing(connecting(settings.kafka)))
        wait = _Waiting(observer, wait_s)
        found = wait.until(lambda: client.topics.describe(topic))
        store = stack.enter_context(
            closing(wait.until(lambda: RedisStore.connect(settings.redis.url, model, between=between)))
        )
        wait.until(lambda: check_stored(settings, found, store))
        prepared = wait.until(lambda: client.topics.prepare(model, topic))
        for warning in prepared.warnings:
            observer.notice(warning)

        def identified() -> tuple[Identity, dict[str, str]]:
            with closing(client.models(f"{model}.{MODELS}")) as models:
                return identify(settings, prepared.topic_id, prepared.partitions, models, store)

        identity, meta = wait.until(identified)
        worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        log = client.log(f"{model}-{worker_id}", settings.delivery.mode, topic=topic, hooks=hook)
        source = wait.until(lambda: client.source(topic, settings.group))
        stack.callback(log.close)
        snapshots = stack.enter_context(closing(_snapshots(settings, meta, observer)))
        stack.callback(source.close)
        ports = Ports(
            source=source,
            log=log,
            models=stack.enter_context(closing(wait.until(lambda: client.models(f"{model}.{MODELS}")))),
            store=store,
            decoder=JsonDecoder(settings.event, settings.features),
            dead_letters=KafkaDeadLetters(f"{model}.{DEAD_LETTERS}", topic, prepared.dead_letter_bytes),
            outputs=LastLabels(client, f"{model}.{LABELS}"),
            now_s=time.time,
            snapshots=snapshots,
            storing=_beside(stack, "stream-seg-store"),
            committing=_beside(stack, "stream-seg-committer"),  # ends first: it uses the other
            minting=_beside(stack, "stream-seg-minter"),
        )
        clustering = settings.clustering
        options = Options(
            worker=worker_id,
            partitions=prepared.partitions,
            start=settings.source.start,
            until_end=until_end,
            patience=Patience(clustering.warm_up_idle_s, clustering.silent_report_s),
            max_latency_s=settings.delivery.max_latency_ms / 1000,
            horizon_days=clustering.horizon_days,
            horizon_patience_s=clustering.horizon_patience_s,
            models_patience_s=settings.kafka.transaction_timeout_ms / 1000 + MODELS_PATIENCE_S,
            meta=identity.meta(dt.datetime.now(dt.UTC)),
        )
        labels, transitions, versions = (f"{model}.{kind}" for kind in (LABELS, TRANSITIONS, MODELS))
        topics = OutputTopics(topic, labels, transitions, versions, run_of(model))
        yield Worker(plan_of(settings), identity.instance, topics, ports, options, observer, hook)


def _beside(stack: ExitStack, name: str) -> Aside:
    """A thread that does one piece of work after the other."""
    return stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix=name)).submit


def _snapshots(settings: Settings, meta: dict[str, str], observer: Observer) -> FolderSnapshots:
    """The model's snapshots in the configured folder; looked for there also where none are taken."""
    snapshot = settings.snapshot
    return FolderSnapshots(
        folder=SnapshotFolder(Path(snapshot.dir), settings.model.name),
        features=settings.features,
        meta=meta,
        program=__version__,
        every_s=60.0 * snapshot.every_minutes,
        keep=snapshot.keep,
        notice=observer.notice,
    )


@dataclass(slots=True)
class _Waiting:
    """Waits for absent servers, up to ``seconds`` in all, saying so once."""

    observer: Observer
    seconds: float

    def until(self, attempt: Callable[[], T]) -> T:
        deadline, said, pause = time.monotonic() + self.seconds, False, 0.2
        while True:
            try:
                return attempt()
            except ServerUnavailable as error:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise
                if not said:
                    self.observer.notice(f"{error}; waiting for it up to {self.seconds:.0f} s")
                    said = True
                time.sleep(min(pause, left))
                pause = min(pause * 2, 2.0)


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM call ``stop``: the round is finished, the partitions are given back."""
    former = {s: signal.signal(s, lambda *_: stop()) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


__all__ = ["KafkaClient", "live_worker", "run_live", "stopped_by_signals"]
