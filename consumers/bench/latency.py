"""From an event's sending to its label, and to its customer's hash, at parts of the sustainable rate.

The model has settled: it has read a history of the same customers at the same rate, and event time goes
on with the clock. So an event's time tells when it was sent.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from redis import Redis

from consumers.bench.clients import Reader, Writer, reader, writer
from consumers.bench.figures import percentile
from consumers.bench.living import run_until_stopped
from consumers.bench.lookups import await_version
from consumers.bench.processes import beside
from consumers.bench.workload import encoded
from stream_seg.engine.moments import milliseconds
from stream_seg.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

    from numpy.typing import NDArray

    from consumers.bench.stand import Client, Stand
    from consumers.bench.workload import Workload

__all__ = ["SHARES", "latency"]

SHARES: Final = (0.1, 0.5, 0.9)
TICK_S: Final = 0.005
TRACER_S: Final = 0.02
SETTLE_S: Final = 1.5
PATIENCE_S: Final = 120.0
READ_RECORDS: Final = 2_000
PARSED: Final = 64
"""Labels of one read that are looked at, about."""


class _Label(msgspec.Struct):
    event_time: str


_decode: Final = msgspec.json.Decoder(_Label).decode


@dataclass(frozen=True, slots=True)
class Pace:
    """``rate`` events/s; event time goes with the clock, ``first_ms`` at ``began_ms``."""

    rate: float
    first_ms: int
    began_ms: float = field(default_factory=lambda: time.time() * 1e3)

    def event_ms(self) -> int:
        """The time of an event that is sent now."""
        return self.first_ms + int(time.time() * 1e3 - self.began_ms)

    def age_ms(self, event_time: str) -> float:
        """How long ago an event was sent."""
        return time.time() * 1e3 - self.began_ms - (milliseconds(event_time) - self.first_ms)


def latency(
    stand: Stand, workload: Workload, client: Client, rate: float, seconds: float
) -> dict[str, dict[str, float]]:
    """Milliseconds by percentile at ``SHARES`` of the rate that a worker sustains while events are produced.

    ``workload`` is the history. ``rate`` (events/s) is offered first, for ``seconds``: what is labelled of it
    in its second half is sustainable.
    """
    with _settled(stand, replace(workload, rate=rate), client) as (topic, watch):
        sustained = _sustained(stand, workload, topic, Pace(rate, watch.history.end_ms), seconds, watch)
    found = {"sustained": {"events/s": sustained}}
    for share in SHARES:
        at = share * sustained
        with _settled(stand, replace(workload, rate=at), client) as (topic, watch):
            pace = Pace(at, watch.history.end_ms)
            watch.begin(pace)
            with beside(pump, stand, workload, topic, pace):
                watch.until_begun()
                watch.look(SETTLE_S)
                watch.forget()
                watch.look(seconds)
        found |= {
            f"label at {share:.0%}": _told(watch.labels_ms),
            f"Redis at {share:.0%}": _told(watch.redis_ms),
        }
    return found


@contextmanager
def _settled(stand: Stand, history: Workload, client: Client) -> Iterator[tuple[str, _Watch]]:
    """A topic with a history, and a worker that has read it and goes on."""
    with stand.topic(history.partitions) as topic:
        stand.feed(history, topic)
        settings = stand.model(client, "exactly_once", topic)
        try:
            with beside(run_until_stopped, settings):
                await_version(stand, settings.model.name)
                with closing(_Watch(stand, settings.model.name, client, history)) as watch:
                    watch.until_labelled(history.events)
                    yield topic, watch
        finally:
            stand.clear(settings)


def _told(times_ms: list[float]) -> dict[str, float]:
    if not times_ms:
        raise RuntimeError("nothing was labelled in time")
    return {"p50": percentile(times_ms, 0.5), "p99": percentile(times_ms, 0.99), "max": max(times_ms)}


def _sustained(
    stand: Stand, workload: Workload, topic: str, pace: Pace, seconds: float, watch: _Watch
) -> float:
    """Labels a second while more events come than can be labelled."""
    watch.begin(pace)
    with beside(pump, stand, workload, topic, pace):
        watch.until_begun()
        watch.look(seconds / 2)
        before, began = watch.labelled, time.perf_counter()
        watch.look(seconds / 2)
        labelled, took = watch.labelled - before, time.perf_counter() - began
    return labelled / took


class _Watch:
    """Reads labels and looks into Redis, and notes how old what it finds is."""

    def __init__(self, stand: Stand, model: str, client: Client, history: Workload) -> None:
        """Look at a model's labels and hashes, which has read a ``history`` before."""
        self.history = history
        self._reader: Reader = reader(stand.kafka(client), f"{model}.labels", stand.name("watch"))
        self._redis: Any = Redis.from_url(stand.redis_url)
        self._keys = Keys(model)
        self._next = 0
        self._pace: Pace | None = None
        self.labelled = 0
        self.labels_ms: list[float] = []
        self.redis_ms: list[float] = []

    def begin(self, pace: Pace) -> None:
        """Take the ages of events from now on."""
        self._pace = pace

    def forget(self) -> None:
        """Count anew."""
        self.labels_ms, self.redis_ms = [], []

    def look(self, seconds: float) -> None:
        """Look for so long."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            self._look()

    def until_labelled(self, events: int) -> None:
        """Wait for so many labels in all."""
        until = time.perf_counter() + PATIENCE_S
        while self.labelled < events:
            if time.perf_counter() > until:
                raise RuntimeError(f"{self.labelled} of {events} events were labelled in {PATIENCE_S:.0f} s")
            self._look()

    def until_begun(self) -> None:
        """Wait for the run's first tracer."""
        until = time.perf_counter() + PATIENCE_S
        while not self._next:
            if time.perf_counter() > until:
                raise RuntimeError(f"nothing that is sent comes through in {PATIENCE_S:.0f} s")
            self._look()

    def _look(self) -> None:
        found = self._reader.read(READ_RECORDS, TICK_S)
        self.labelled += len(found)
        if self._pace is not None:
            some = found[:: max(1, len(found) // PARSED)]  # to look at all of them would take a core
            self.labels_ms += [self._pace.age_ms(_decode(one.value).event_time) for one in some]
            self._look_for_tracers(self._pace)

    def _look_for_tracers(self, pace: Pace) -> None:
        """Look for the next one only: more would take time from those that are measured."""
        while text := self._redis.hget(self._keys.customer(tracer(self._next)), "event_time"):
            self.redis_ms.append(pace.age_ms(text.decode()))
            self._next += 1

    def close(self) -> None:
        """End."""
        self._reader.close()
        self._redis.close()


def tracer(number: int) -> str:
    """A customer with one event only."""
    return f"tracer-{number}"


def pump(stand: Stand, workload: Workload, topic: str, pace: Pace, stop: Event) -> int:
    """Send events at a pace until ``stop`` is set, and a tracer now and then; gives how many.

    What could not be sent in time is sent at once: a slow consumer does not slow the shop down.
    """
    with closing(writer(stand.kafka(stand.clients[-1]), None)) as sink:
        customers = workload.columns().customer  # who comes often came often
        pump_ = _Pump(sink, workload, topic, pace, customers)
        began, tracers = time.perf_counter(), 0
        while not stop.is_set():
            for _ in range(8):
                elapsed = time.perf_counter() - began
                pump_.send(int(pace.rate * elapsed) - pump_.sent)
                if elapsed >= tracers * TRACER_S:
                    pump_.send_tracer(tracers)
                    tracers += 1
                time.sleep(TICK_S)
        sink.flush()
    return pump_.sent


@dataclass(slots=True)
class _Pump:
    sink: Writer
    workload: Workload
    topic: str
    pace: Pace
    customers: NDArray[np.int64]
    sent: int = 0
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(time.time_ns()))

    def send(self, events: int) -> None:
        """Send so many events of now."""
        if events <= 0:
            return
        customer = self._rng.choice(self.customers, events)
        time_ms = np.full(events, self.pace.event_ms())
        part = encoded(customer, time_ms, np.full(events, 40.0), self.sent, self.workload.partitions)
        for row in zip(part.keys, part.values, part.partitions, part.timestamps_ms, strict=True):
            self.sink.send(self.topic, *row)
        self.sent += events

    def send_tracer(self, number: int) -> None:
        """Send a customer's only event."""
        customer, time_ms = tracer(number), self.pace.event_ms()
        moment = np.datetime_as_string(np.datetime64(time_ms, "ms"), timezone="UTC")
        value = (
            f'{{"customer_id":"{customer}","order_time":"{moment}","order_id":"{customer}","revenue":40.0}}'
        )
        partition = number % self.workload.partitions
        self.sink.send(self.topic, customer.encode(), value.encode(), partition, time_ms)
