"""``stream-seg load``: a file's rows into a topic, as a producer of events would have sent them."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stream_seg.adapters.files import FileSource
from stream_seg.adapters.kafka_python.admin import KafkaPythonAdmin
from stream_seg.adapters.kafka_python.feed import TopicFeed, prepared_input
from stream_seg.adapters.kafka_topics import retention_warning
from stream_seg.events.jsontext import RECORD_LIMIT_BYTES
from stream_seg.features.spec import FeatureSet

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from stream_seg.adapters.files.rows import RowBatch
    from stream_seg.adapters.kafka_topics import TopicFacts
    from stream_seg.settings import Settings

__all__ = ["run_load"]

NAMED_ROWS: Final = 20
PLAIN_EVERY_S: Final = 10.0
# What Kafka adds to a record that is alone in its batch: the batch's and the record's heads.
RECORD_OVERHEAD_BYTES: Final = 256


def run_load(settings: Settings, file: Path, topic: str, partitions: int | None, *, append: bool) -> int:
    """Send the rows of ``file`` to ``topic``, keyed by customer, with event times as record timestamps.

    Returns the exit status: 0, or 1 where rows could not be used. Raises ``UsageError`` for a file or a
    topic that cannot be used, ``ConfigurationError`` without an ``[event]`` table, and ``ServerError``.
    """
    source = FileSource(file, settings.event, settings.feature_set or FeatureSet(()))
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    with closing(KafkaPythonAdmin(settings.kafka)) as admin:
        facts = prepared_input(admin, topic, partitions, append=append)
    skipped = _Skipped()
    loaded = 0
    with closing(TopicFeed(settings.kafka, topic)) as feed, _Shown(console, source) as shown:
        for batch in source.row_batches():
            if not loaded:
                _warn_of_retention(console, batch, facts, settings.kafka.bootstrap_servers)
            loaded += _send(feed, batch, facts, skipped)
            shown.at(batch.decoded.events.next_offset)
        feed.flush()
    click.echo(f"{loaded:,} rows of {source.name} are in topic {topic}, {facts.partitions} partitions")
    skipped.tell(console)
    return 1 if skipped.count else 0


@dataclass
class _Skipped:
    """Rows that could not be used: how many, and why the first ones."""

    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, row: int, reason: str) -> None:
        self.count += 1
        if len(self.first) < NAMED_ROWS:
            self.first.append((row, reason))

    def tell(self, console: Console) -> None:
        if not self.count:
            return
        console.print(
            f"{self.count:,} rows cannot be used and were skipped (the first row is row 0):", markup=False
        )
        for row, reason in self.first:
            console.print(f"  row {row}: {reason}", markup=False)
        if self.count > len(self.first):
            console.print(f"  and {self.count - len(self.first):,} more", markup=False)


def _send(feed: TopicFeed, batch: RowBatch, facts: TopicFacts, skipped: _Skipped) -> int:
    """Send a batch's events; gives how many."""
    events, rejected = batch.decoded
    limit = int(facts.config.get("max.message.bytes", RECORD_LIMIT_BYTES)) - RECORD_OVERHEAD_BYTES
    keys = list(map(str.encode, events.customers))
    values = batch.values()
    sizes = [len(key) + len(value) for key, value in zip(keys, values, strict=True)]
    fits = [
        size <= limit and len(value) <= RECORD_LIMIT_BYTES for size, value in zip(sizes, values, strict=True)
    ]
    unusable = [(gone.offset, gone.message) for gone in rejected]
    offsets, times = events.offset.tolist(), events.time_ms.tolist()
    unusable += [
        (offset, "the row is longer than a record of this topic may be")
        for offset, fit in zip(offsets, fits, strict=True)
        if not fit
    ]
    for row, reason in sorted(unusable):
        skipped.add(row, reason)
    rows = [place for place, fit in enumerate(fits) if fit]
    feed.send([keys[i] for i in rows], [values[i] for i in rows], [times[i] for i in rows])
    return len(rows)


def _warn_of_retention(console: Console, batch: RowBatch, facts: TopicFacts, servers: str) -> None:
    """Say so before rows go into a topic that was there before and will delete them."""
    times = batch.decoded.events.time_ms
    oldest_ms = int(times.min()) if len(times) else None
    warning = retention_warning(facts, oldest_ms, int(time.time() * 1000), servers)
    if warning:
        console.print(warning, markup=False)


class _Shown:
    """How far it is: a bar on a terminal, a plain line now and then elsewhere."""

    def __init__(self, console: Console, source: FileSource) -> None:
        self._console = console
        self._total = source.total_rows()
        self._told = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(f"loading {source.name}", total=self._total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def at(self, row: int) -> None:
        self._bar.update(self._task, completed=row)
        if not self._console.is_terminal and time.monotonic() - self._told >= PLAIN_EVERY_S:
            self._told = time.monotonic()
            self._console.print(f"{row:,} of {self._total:,} rows read", markup=False)
