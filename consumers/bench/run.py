"""``stream-seg bench``: all suites, or some, on one's own servers or on two that it starts by itself."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Console

from consumers.bench.core import core
from consumers.bench.figures import Results
from consumers.bench.latency import latency
from consumers.bench.lookups import lookups
from consumers.bench.machine import machine
from consumers.bench.processes import apart
from consumers.bench.profiling import profile
from consumers.bench.redis_ways import redis_ways
from consumers.bench.replaying import file_replay, topic_replays
from consumers.bench.scale import scale
from consumers.bench.stand import Stand
from consumers.bench.tables import markdown
from consumers.bench.takeover import take_overs
from consumers.bench.throughput import live_name, throughput
from consumers.bench.workload import Kind, Workload
from stream_seg.adapters.local import local_servers
from stream_seg.settings.servers import RedisSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream_seg.settings import Settings

__all__ = ["FULL", "SMALL", "SUITES", "BenchOptions", "Sizes", "run_bench"]

SUITES: Final = ("throughput", "core", "lookups", "latency", "replay", "scale", "profile", "takeover")
KINDS: Final[tuple[Kind, ...]] = ("zipf", "uniform")
SETTLED: Final[Kind] = "settled"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured: events of a run, rounds, lookups, seconds of a rate, resident customers."""

    events: int = 200_000
    rounds: int = 3
    core_events: int = 400_000
    replay_events: int = 400_000
    calls: int = 3_000
    seconds: float = 8.0
    first_rate: float = 60_000.0
    customers: tuple[int, ...] = (50_000, 1_000_000, 2_000_000, 5_000_000)
    taken_over: tuple[int, ...] = (200_000, 1_000_000)


FULL: Final = Sizes()
SMALL: Final = Sizes(
    events=12_000,
    rounds=1,
    core_events=60_000,
    replay_events=20_000,
    calls=50,
    seconds=1.0,
    first_rate=3_000.0,
    customers=(5_000,),
    taken_over=(5_000,),
)
"""Enough to see that everything works; its figures mean nothing."""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What is measured, and where the results go besides the terminal; ``local``: on servers of our own."""

    sizes: Sizes = FULL
    suites: tuple[str, ...] = SUITES
    local: bool = False
    json: Path | None = None
    markdown: Path | None = None


def run_bench(settings: Settings, options: BenchOptions) -> int:
    """Measure, print the tables, write the files; exit status 0.

    Raises ``ServerError`` where servers are needed and cannot be had. What it puts on the servers it takes
    away again.
    """
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)

    def tell(text: str) -> None:
        console.print(text, markup=False)

    with ExitStack() as stack:
        if options.local:
            servers = stack.enter_context(local_servers(report=tell))
            kafka = settings.kafka.model_copy(update={"bootstrap_servers": servers.bootstrap_servers})
            settings = replace(settings, kafka=kafka, redis=RedisSettings(url=servers.redis_url))
        results = measured(Stand.new(settings), options, tell)
    text = markdown(results)
    sys.stdout.write(text)
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")
    return 0


def measured(stand: Stand, options: BenchOptions, tell: Callable[[str], None]) -> Results:
    """Measure the wanted suites."""
    sizes, suites = options.sizes, options.suites
    servers = bool(set(SUITES) - {"core", "scale"} & set(suites))
    results = _kept(options)
    results.machine |= machine(stand.redis_url if servers else None)
    results.settings = {"events of a run": f"{sizes.events:,}", "rounds": str(sizes.rounds)}
    for name, suite in _SUITES.items():
        if name in suites:
            suite(results, stand, sizes, tell)
    return results


def _kept(options: BenchOptions) -> Results:
    """What the file holds of suites that are not to be measured now."""
    path = options.json
    if path is None or not path.exists() or set(options.suites) == set(SUITES):
        return Results()
    results = msgspec.json.decode(path.read_bytes(), type=Results)
    for suite in options.suites:
        for name in _SEVERAL.get(suite, (suite,)):
            setattr(results, name, {})
    return results


def _profile(results: Results, stand: Stand, sizes: Sizes, tell: Callable[[str], None]) -> None:
    client = stand.clients[-1]
    for kind in KINDS:
        workload = Workload(kind, sizes.events)
        tell(f"profile, {kind}, with {client}")
        with stand.topic(workload.partitions) as topic:
            stand.feed(workload, topic)
            results.profile[kind] = apart(profile, stand, topic, workload.events, client)
    results.redis_ways = apart(redis_ways, stand)


def _throughput(results: Results, stand: Stand, sizes: Sizes, tell: Callable[[str], None]) -> None:
    for kind in KINDS:
        results.throughput[kind] = throughput(stand, Workload(kind, sizes.events), sizes.rounds, tell)


def _lookups(results: Results, stand: Stand, sizes: Sizes, tell: Callable[[str], None]) -> None:
    tell("lookups")
    workload = Workload("uniform", sizes.events)
    with stand.topic(workload.partitions) as topic:
        stand.feed(workload, topic)
        results.lookups = lookups(stand, workload, topic, sizes.calls)


def _latency(results: Results, stand: Stand, sizes: Sizes, tell: Callable[[str], None]) -> None:
    client = stand.clients[-1]
    for kind in KINDS:
        tell(f"latency, {kind}, with {client}")
        rate = _rate(results, kind, live_name(client, "exactly_once")) or sizes.first_rate
        history = Workload(kind, 3 * sizes.events)
        results.latency[kind] = latency(stand, history, client, rate, sizes.seconds)


def _rate(results: Results, kind: Kind, contender: str) -> float | None:
    runs = results.throughput.get(kind, {}).get(contender)
    return max(run.rate for run in runs) if runs else None


def _takeover(results: Results, stand: Stand, sizes: Sizes, tell: Callable[[str], None]) -> None:
    for customers in sizes.taken_over:
        results.takeover[f"{customers:,}"] = take_overs(stand, customers, tell)


def _scale(results: Results, _: Stand, sizes: Sizes, tell: Callable[[str], None]) -> None:
    for customers in sizes.customers:
        tell(f"scale: {customers:,} customers")
        results.scale[f"{customers:,}"] = apart(scale, customers, customers)


def _core(results: Results, _: Stand, sizes: Sizes, tell: Callable[[str], None]) -> None:
    for number in range(sizes.rounds):
        for kind in KINDS:
            tell(f"core, {kind}, round {number + 1} of {sizes.rounds}")
            found = apart(core, Workload(kind, sizes.core_events))
            for stage, microseconds in found.items():
                results.core.setdefault(kind, {}).setdefault(stage, []).append(microseconds)


def _replay(results: Results, stand: Stand, sizes: Sizes, tell: Callable[[str], None]) -> None:
    settings = stand.model(stand.clients[0], "exactly_once", "none")
    for number in range(sizes.rounds):
        for kind in KINDS:
            tell(f"replay of Parquet, {kind}, round {number + 1} of {sizes.rounds}")
            found = apart(file_replay, settings, Workload(kind, sizes.replay_events))
            results.replay.setdefault(kind, []).append(found)
    for kind in (*KINDS, SETTLED):
        workload = Workload(kind, sizes.events)
        results.topic_replay[kind] = topic_replays(stand, workload, sizes.rounds, tell)


_SEVERAL: Final = {"replay": ("replay", "topic_replay"), "profile": ("profile", "redis_ways")}
"""What suites fill in of the results, where it is not just what they are called."""
_SUITES: Final = {
    "core": _core,
    "replay": _replay,
    "scale": _scale,
    "throughput": _throughput,
    "profile": _profile,
    "takeover": _takeover,
    "lookups": _lookups,
    "latency": _latency,
}
"""In the order in which they are measured."""
