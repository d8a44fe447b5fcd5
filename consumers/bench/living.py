"""stream-seg itself over the same topic: the worker that ``stream-seg live`` runs, until it has read all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from consumers.bench.figures import Run
from consumers.bench.processes import Clock
from consumers.bench.stand import Client, Mode, Stand
from consumers.bench.warm import compile_kernels
from consumers.bench.watching import Watched
from consumers.live import live_worker
from stream_seg.adapters.kafka import KafkaClient, connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from stream_seg.engine.edges import Progress
    from stream_seg.engine.minter import Minted
    from stream_seg.engine.partition import Work
    from stream_seg.engine.ports import Polled
    from stream_seg.settings import Settings
    from stream_seg.settings.servers import KafkaSettings

__all__ = ["Silent", "labelled", "live", "live_kept", "run_until_stopped"]


class Silent:
    """An observer that only stops the clock with every commit: the last one counts."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Nothing has happened yet."""
        self._clock = clock
        self.events = self.versions = 0

    def notice(self, text: str) -> None:
        """Pass a sentence by."""

    def minted(self, minted: Minted) -> None:
        """Count versions."""
        self.versions = minted.version.version

    def committed(self, progress: Progress, work: list[Work]) -> None:  # noqa: ARG002 - the port's signature
        """Note how far it is."""
        self.events = progress.events
        if self._clock is not None:
            self._clock.stop()


def _timing(clock: Clock) -> Callable[[KafkaSettings], KafkaClient]:
    def polled(found: Polled) -> None:
        if found.records:
            clock.start()

    def connecting(settings: KafkaSettings) -> KafkaClient:
        client = connect(settings)
        source = client.source
        client.source = lambda topic, group: Watched(source(topic, group), "poll", polled)  # type: ignore[method-assign]
        return client

    return connecting


def live(stand: Stand, topic: str, events: int, client: Client, *, mode: Mode) -> Run:
    """Label all ``events`` of ``topic`` as a new model, warm-up and minting included."""
    settings = stand.model(client, mode, topic)
    compile_kernels(settings)
    return labelled(stand, settings, events)


def labelled(stand: Stand, settings: Settings, events: int) -> Run:
    """Run a worker over all ``events`` of its topic, from the first records to the last commit."""
    clock = Clock()
    observer = Silent(clock)
    try:
        with live_worker(settings, observer, until_end=True, connecting=_timing(clock)) as worker:
            redis_cpu = stand.redis_cpu_s()
            worker.run()
            redis_cpu = stand.redis_cpu_s() - redis_cpu
    finally:
        stand.clear(settings)
    if observer.events != events:
        raise RuntimeError(f"the worker has labelled {observer.events} of {events} events")
    return Run(observer.events, clock.seconds, clock.cpu_s, redis_cpu)


def live_kept(settings: Settings) -> None:
    """Label all events of a model's topic; what it leaves is left."""
    compile_kernels(settings)
    with live_worker(settings, Silent(), until_end=True) as worker:
        worker.run()


def run_until_stopped(settings: Settings, stop: Event) -> int:
    """Run a worker until ``stop`` is set; gives the events that it labelled."""
    compile_kernels(settings)
    observer = Silent()
    with live_worker(settings, observer) as worker:

        def wait() -> None:
            stop.wait()
            worker.stop()

        threading.Thread(target=wait, daemon=True).start()
        worker.run()
    return observer.events
