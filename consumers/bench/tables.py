"""The results as Markdown, which the documentation includes as it is."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from consumers.bench.core import KERNEL, PASS, STAGES, TO_RECORDS
from consumers.bench.figures import Spread, rates, ratios, spread
from consumers.bench.replaying import LIVE, RECORDED, REPLAY
from consumers.bench.throughput import NAIVE, copy_name, live_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.bench.figures import FileReplay, Profile, Results, Run
    from consumers.bench.stand import Client

__all__ = ["markdown"]

_MICRO: Final = 1e6
LEAST_US: Final = 0.01
_CLIENTS: Final[tuple[Client, ...]] = ("kafka-python", "confluent")


def markdown(results: Results) -> str:
    """All tables; those of what was not measured are left out."""
    parts = [
        _machine(results),
        *(_throughput(kind, runs) for kind, runs in results.throughput.items()),
        _ratios(results) if results.throughput else "",
        _core(results) if results.core else "",
        *(_profile(kind, own) for kind, own in results.profile.items()),
        _redis_ways(results) if results.redis_ways else "",
        _milliseconds("Lookups, ms", results.lookups),
        _latency(results) if results.latency else "",
        _replay(results) if results.replay else "",
        _topic_replay(results) if results.topic_replay else "",
        _scale(results) if results.scale else "",
        _takeover(results) if results.takeover else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _machine(results: Results) -> str:
    facts = results.machine | results.settings
    return _table(["what it ran on", ""], [[name, value] for name, value in facts.items()])


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _spread(value: Spread, form: str = ".2f") -> str:
    return f"{value.median:{form}} ({value.least:{form}} – {value.most:{form}})"


def _throughput(kind: str, runs: dict[str, list[Run]]) -> str:
    rows = [
        [
            name,
            _spread(rates(own), ",.0f"),
            f"{spread([run.cpu_s / run.events * _MICRO for run in own]).median:.1f}",
            f"{spread([run.redis_cpu_s / run.events * _MICRO for run in own]).median:.1f}",
        ]
        for name, own in runs.items()
    ]
    head = [f"{kind}", "events/s: median (least – most)", "own processor, µs/event", "Redis's, µs/event"]
    return f"### Throughput, {kind}\n\n" + _table(head, rows)


def _ratios(results: Results) -> str:
    kinds = list(results.throughput)
    rows = []
    for client in _CLIENTS:
        exactly = live_name(client, "exactly_once")
        at_least = live_name(client, "at_least_once")
        pairs = [
            (exactly, copy_name(client, "copy in transactions")),
            (exactly, copy_name(client, "copy in transactions, and Redis")),
            (at_least, copy_name(client, "copy")),
            (exactly, NAIVE),
        ]
        for ours, theirs in pairs:
            if all(ours in runs for runs in results.throughput.values()):
                found = [_spread(ratios(runs[ours], runs[theirs])) for runs in results.throughput.values()]
                rows.append([f"{ours} ÷ {theirs}", *found])
    return "### Ratios of rates, within a round: median (least – most)\n\n" + _table(["", *kinds], rows)


def _core(results: Results) -> str:
    kinds = list(results.core)
    stages = [*STAGES, "all of an event", KERNEL, PASS]
    rows = [[stage, *(_spread(spread(results.core[kind][stage])) for kind in kinds)] for stage in stages]
    for what, parts in (("record bytes", TO_RECORDS), ("record bytes and rows to store", STAGES)):
        took = [sum(spread(results.core[kind][stage]).median for stage in parts) for kind in kinds]
        rows.append([f"events/s on one core, bytes to {what}", *(_count(_MICRO / us) for us in took)])
    title = "### The core alone, µs of processor time an event (8 features, 8 segments)\n\n"
    return title + _table(["stage", *kinds], rows)


def _profile(kind: str, own: Profile) -> str:
    parts = [
        [what, f"{cpu:.2f}", f"{wall:.2f}" if wall else "–"] for what, (cpu, wall) in own["worker"].items()
    ]
    used = sorted(own["redis"].items(), key=lambda item: -item[1].cpu)
    commands = [[name, f"{cpu:.2f}", f"{calls:.3f}"] for name, (cpu, calls) in used if cpu >= LEAST_US]
    head = [f"live, exactly once, {kind}", "processor, µs/event", "wall, µs/event"]
    title = f"### Where a microsecond goes, {kind}\n\n"
    redis = _table(
        ["Redis's command (a script's include those it calls)", "µs/event", "calls/event"], commands
    )
    return title + _table(head, parts) + "\n\n" + redis


def _redis_ways(results: Results) -> str:
    rows = [[what, f"{redis:.2f}", f"{own:.2f}"] for what, (redis, own) in results.redis_ways.items()]
    title = "### Ways to write a customer's hash of ten fields, µs of processor time\n\n"
    return title + _table(["way", "Redis's", "the writer's"], rows)


def _milliseconds(title: str, figures: dict[str, dict[str, float]]) -> str:
    if not figures:
        return ""
    rows = [[name, *(f"{own[p]:.2f}" for p in ("p50", "p99", "max"))] for name, own in figures.items()]
    return f"### {title}\n\n" + _table(["", "p50", "p99", "max"], rows)


def _latency(results: Results) -> str:
    parts = []
    for kind, found in results.latency.items():
        sustained = _count(found["sustained"]["events/s"])
        title = (
            f"Latency from sending, {kind}, ms; {sustained} events/s are sustained while they are produced"
        )
        parts.append(_milliseconds(title, {name: own for name, own in found.items() if name != "sustained"}))
    return "\n\n".join(parts)


def _replay(results: Results) -> str:
    def row(what: str, figure: Callable[[FileReplay], float], form: str = ",.0f") -> list[str]:
        return [what, *(_spread(spread(list(map(figure, runs))), form) for runs in results.replay.values())]

    rows = [
        row(
            "events/s, passes and minting apart",
            lambda run: run.events / (run.seconds - run.pass_s - run.minting_s),
        ),
        row("passes, customers/s", lambda run: run.pass_rows / run.pass_s),
        row("minting, ms a version", lambda run: run.minting_s / run.versions * 1000, ".1f"),
        row("versions", lambda run: run.versions),
        row("events/s, passes and minting included", lambda run: run.events / run.seconds),
    ]
    return "### Replay of a Parquet file: median (least – most)\n\n" + _table(["", *results.replay], rows)


def _topic_replay(results: Results) -> str:
    kinds = results.topic_replay.values()
    contenders = list(next(iter(kinds)))
    rows = [[name, *(_spread(rates(runs[name]), ",.0f") for runs in kinds)] for name in contenders]
    for client, what in product(_CLIENTS, (REPLAY, RECORDED)):
        names = f"{client}: {what}", f"{client}: {LIVE}"
        if names[0] in contenders:
            found = [_spread(ratios(*(runs[name] for name in names))) for runs in kinds]
            rows.append([f"{names[0]} ÷ {LIVE}", *found])
    title = "### Replay from a topic beside a live worker, events/s: median (least – most)\n\n"
    return title + _table(["", *results.topic_replay], rows)


def _scale(results: Results) -> str:
    names = ("ns a row of a pass", "bytes a customer")
    rows = [
        [customers, f"{own['µs an event']:.2f}", *(f"{own[name]:.0f}" for name in names)]
        for customers, own in results.scale.items()
    ]
    title = "### By number of customers, one event each and day, passes and minting included\n\n"
    return title + _table(["residents", "µs an event", *names], rows)


def _takeover(results: Results) -> str:
    rows = [[customers, _spread(spread(own))] for customers, own in results.takeover.items()]
    title = "### Taking a partition over: seconds until it is read on, median (least – most)\n\n"
    return title + _table(["its customers", "s"], rows)
