"""What was measured, and how it is told: medians with their spread, never one number alone."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

import msgspec

__all__ = [
    "FileReplay",
    "Profile",
    "Results",
    "Run",
    "Share",
    "Spread",
    "percentile",
    "rates",
    "ratios",
    "spread",
]


class Run(msgspec.Struct, frozen=True):
    """One contender's run over one workload.

    ``seconds`` from the first record read to the last one committed; ``cpu_s`` processor time of the
    contender's own process in it, ``redis_cpu_s`` of Redis.
    """

    events: int
    seconds: float
    cpu_s: float = 0.0
    redis_cpu_s: float = 0.0

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds


class FileReplay(msgspec.Struct, frozen=True):
    """A replay of a file, without servers.

    ``seconds`` in all, ``pass_s`` of it in passes over ``pass_rows`` customers, ``minting_s`` in making
    ``versions`` and in checks that made none.
    """

    events: int
    seconds: float
    pass_rows: int
    pass_s: float
    versions: int
    minting_s: float


class Share(NamedTuple):
    """A part of the whole, µs an event: ``cpu`` of processor time, ``wall`` (of Redis: calls an event)."""

    cpu: float
    wall: float


Profile = dict[str, dict[str, Share]]
"""``worker``: part → its share, ``redis``: command → its share."""


class Results(msgspec.Struct):
    """Everything that was measured.

    ``throughput``: workload → contender → a run for each round, in order. ``core``: workload → stage →
    microseconds of processor time an event (passes: a row), one for each round. ``lookups``: what →
    milliseconds by percentile. ``latency``: workload → what → the same. ``replay``: workload → a replay of a
    file for each round. ``topic_replay``: workload → contender → a run for each round, in order.
    ``profile``: workload → where the time of a live worker went. ``redis_ways``: way of writing → µs a
    customer. ``takeover``: customers → seconds until a partition is served again.
    """

    machine: dict[str, str] = {}
    settings: dict[str, str] = {}
    throughput: dict[str, dict[str, list[Run]]] = {}
    core: dict[str, dict[str, list[float]]] = {}
    scale: dict[str, dict[str, float]] = {}
    lookups: dict[str, dict[str, float]] = {}
    latency: dict[str, dict[str, dict[str, float]]] = {}
    replay: dict[str, list[FileReplay]] = {}
    topic_replay: dict[str, dict[str, list[Run]]] = {}
    profile: dict[str, Profile] = {}
    redis_ways: dict[str, Share] = {}
    takeover: dict[str, list[float]] = {}


class Spread(NamedTuple):
    """Several measurements of one thing."""

    median: float
    least: float
    most: float


def spread(values: list[float]) -> Spread:
    """Median, least and most; there must be one value at least."""
    return Spread(median(values), min(values), max(values))


def ratios(runs: list[Run], others: list[Run]) -> Spread:
    """Rate ÷ rate of the same round: what a machine does meanwhile slows both alike."""
    return spread([one.rate / other.rate for one, other in zip(runs, others, strict=True)])


def rates(runs: list[Run]) -> Spread:
    """Events per second."""
    return spread([run.rate for run in runs])


def percentile(values: list[float], share: float) -> float:
    """The smallest value that a ``share`` (0 to 1) of all values do not exceed; ``values`` not empty."""
    ordered = sorted(values)
    place = max(0, -(-len(ordered) * share // 1) - 1)
    return ordered[min(int(place), len(ordered) - 1)]
