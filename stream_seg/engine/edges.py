"""What a live worker is given: its ports, its options, and who is told how it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from stream_seg.engine.livemint import Patience
from stream_seg.engine.minter import Minted
from stream_seg.engine.partition import Work
from stream_seg.engine.ports import DeadLetters, Log, Models, Outputs, Source, Store
from stream_seg.engine.snapshots import NoSnapshots, Snapshots
from stream_seg.events.records import Decoded, RawRecords

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Decoder(Protocol):
    """Makes events of records."""

    def decode(self, records: RawRecords) -> Decoded:
        """Every record as an event or as a rejected one."""


class Running(Protocol[T_co]):
    """Work begun beside what goes on (a ``concurrent.futures.Future`` is one)."""

    def done(self) -> bool:
        """Whether it has ended, well or not."""

    def result(self) -> T_co:
        """Wait until it has ended; what it returned, or raises what it raised."""


class Aside(Protocol):
    """Begins work beside what goes on, one piece after the other."""

    def __call__(self, work: Callable[[], T], /) -> Running[T]:
        """Begin ``work`` once what was begun before has ended."""


def at_once(work: Callable[[], T]) -> Running[T]:
    """Do work before anything else goes on: an ``Aside`` without threads."""
    future: Future[T] = Future()
    future.set_result(work())
    return future


@dataclass(frozen=True, slots=True)
class Ports:
    """The worker's edges.

    ``now_s`` is wall time in seconds since 1970 (for patience and people, never for labels). While the worker
    computes, batches are committed in ``committing``, staged and applied in ``storing``, and the next version
    is thought about in ``minting``.
    """

    source: Source
    log: Log
    models: Models
    store: Store
    decoder: Decoder
    dead_letters: DeadLetters
    outputs: Outputs
    now_s: Callable[[], float]
    snapshots: Snapshots = field(default_factory=NoSnapshots)
    committing: Aside = at_once
    storing: Aside = at_once
    minting: Aside = at_once


@dataclass(frozen=True, slots=True)
class Options:
    """How a worker runs.

    ``until_end`` stops when the group has committed what the topic held at start; ``meta`` is the model's
    meta hash; ``max_latency_s`` is how long events may wait for others to share a transaction with;
    ``models_patience_s`` is how long versions that were committed may stay out of sight; ``adopted_rows`` how
    many residents' segments are looked at anew at once when a version is adopted.
    """

    worker: str
    partitions: int
    start: str = "earliest"
    until_end: bool = False
    patience: Patience = field(default_factory=Patience)
    max_latency_s: float = 0.1
    horizon_days: float = 1.0
    horizon_patience_s: float = 30.0
    models_patience_s: float = 75.0
    adopted_rows: int = 32_768
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Progress:
    """What a worker has done so far, for people; ``remaining`` records until the end, where there is one."""

    events: int = 0
    transitions: int = 0
    rejected: int = 0
    version: int = 0
    clock_ms: int = -1
    remaining: int | None = None


class Observer(Protocol):
    """Is told what a person may want to know."""

    def notice(self, text: str) -> None:
        """One sentence, said once."""

    def committed(self, progress: Progress, work: list[Work]) -> None:
        """Batches were committed and applied."""

    def minted(self, minted: Minted) -> None:
        """A version was committed."""


def no_hook(_: str) -> None:
    """Pass every named step of the protocol by."""
