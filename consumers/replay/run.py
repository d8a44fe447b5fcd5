"""``stream-seg replay``: history again, as the model ``<m>.replay-<name>``."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consumers.replay.bounds import Bounds
from consumers.replay.driver import driver_of, on_every_core
from consumers.replay.export import Export
from consumers.replay.output import Output, Tally
from consumers.replay.progress import ReplayProgress
from consumers.replay.summary import print_rejected, print_summary, print_where
from consumers.tables import console
from stream_seg.adapters.files import FileSource
from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from consumers.replay.options import ReplayOptions
    from stream_seg.engine.minter import Minted
    from stream_seg.engine.replay import Driver, Run, Step
    from stream_seg.events.records import Decoded
    from stream_seg.settings import Settings

__all__ = ["Outputs", "replay_events", "replay_model", "run_replay"]


def replay_model(settings: Settings, name: str) -> str:
    """The model that a replay is: the first part of its keys and topics."""
    return f"{settings.model.name}.replay-{name}"


@dataclass(slots=True)
class Outputs:
    """Several outputs told as one, the ``tally`` first."""

    tally: Tally = field(default_factory=Tally)
    others: list[Output] = field(default_factory=list)

    def step(self, step: Step) -> None:
        """Tell all of a step."""
        for output in (self.tally, *self.others):
            output.step(step)

    def version(self, minted: Minted) -> None:
        """Tell all of a version."""
        for output in (self.tally, *self.others):
            output.version(minted)

    def take(self, driver: Driver, decoded: Decoded, bounds: Bounds) -> None:
        """Take a batch of rows: rejected ones to the outputs, the events inside ``bounds`` to the driver."""
        if decoded.rejected:
            for output in (self.tally, *self.others):
                output.rejected(decoded.rejected)
        inside = bounds.cut(decoded.events)
        self.tally.outside += len(decoded.events) - len(inside)
        driver.feed(0, inside)

    def complete(self, driver: Run) -> None:
        """Tell all of the end."""
        for output in (self.tally, *self.others):
            output.complete(driver)


def run_replay(settings: Settings, options: ReplayOptions) -> int:
    """Run a replay of a file or of the topic, show its progress and its results; the exit status.

    Raises ``UsageError`` for a file, a range or a folder that cannot be used, ``ServerError`` where servers
    are configured and one of them cannot be had.
    """
    if options.source is None:
        from consumers.replay.history import run_history  # noqa: PLC0415 - needs this module

        return run_history(settings, options)
    source = FileSource(options.source, settings.event, settings.features)
    bounds = Bounds.of(options, source)
    model, run = replay_model(settings, options.name), f"replay:{options.name}"
    outputs = Outputs()
    with ExitStack() as stack:
        driver = driver_of(
            settings,
            {0: 0},
            instance=run,
            on_step=outputs.step,
            on_version=outputs.version,
            each=stack.enter_context(on_every_core()),
        )
        progress = ReplayProgress(f"replay {options.name}", source.total_rows())
        if options.export is not None:
            outputs.others.append(stack.enter_context(Export(options.export, source.name, run)))
        if settings.servers_configured:
            from consumers.replay.served import served  # noqa: PLC0415 - needless without servers

            serving = served(settings, options, model, source.name, progress.notice)
            outputs.others.append(stack.enter_context(serving))
        stack.enter_context(progress)
        try:
            replay_events(source, driver, outputs, bounds, progress.at)
        except KeyboardInterrupt:
            progress.notice("stopped before the end: nothing is exported, and the replay has not finished")
            raise
        finally:
            print_rejected(progress.console, outputs.tally)
        seconds = progress.seconds
    print_summary(console(), model, driver, outputs.tally, seconds)
    print_where(console(), model, options, on_servers=settings.servers_configured)
    return 0


def replay_events(
    source: Iterable[Decoded],
    driver: Driver,
    outputs: Outputs,
    bounds: Bounds = Bounds(),  # noqa: B008 - frozen
    at: Callable[[int], None] = lambda _: None,
) -> None:
    """Take all batches of ``source`` through ``driver``, and complete the outputs.

    ``at`` is told how many rows have been read. Raises ``UsageError`` where there is no event at all: then
    nothing is completed.
    """
    for decoded in source:
        outputs.take(driver, decoded, bounds)
        at(decoded.events.next_offset)
    driver.finish()
    if driver.current is None:
        raise UsageError(_nothing(outputs.tally))
    outputs.complete(driver)


def _nothing(tally: Tally) -> str:
    if tally.outside:
        return f"All {tally.outside:,} events of the file lie outside --from and --to: nothing was written."
    if tally.reasons:
        reason = tally.reasons.most_common(1)[0][0]
        return (
            f"None of the file's {tally.reasons.total():,} rows can be an event (mostly: {reason}): "
            "nothing was written; look at [event]."
        )
    return "The file has no rows: nothing was written."
