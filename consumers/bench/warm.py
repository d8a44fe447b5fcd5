"""Kernels compiled or loaded before a clock starts: a matter of the first start, not of speed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.bench.workload import Workload
from consumers.plan import plan_of
from stream_seg.engine.checkpoint import checkpoint
from stream_seg.engine.replay import Replay
from stream_seg.events.decoder import JsonDecoder

if TYPE_CHECKING:
    from stream_seg.engine.replay import Step
    from stream_seg.settings import Settings

__all__ = ["compile_kernels"]

EVENTS = 6_000


def compile_kernels(settings: Settings) -> None:
    """Run some thousand events through a model like ``settings``' in memory: warm-up, passes and minting."""
    from consumers.bench.core import raw_records  # noqa: PLC0415

    decoder = JsonDecoder(settings.event, settings.features)

    def store(step: Step) -> None:
        checkpoint(step.state, step.outcome, step.sizes_before)

    replay = Replay(plan_of(settings), {0: 0}, instance="warm", on_step=store, on_version=lambda _: None)
    for records in raw_records(Workload("uniform", EVENTS)):
        replay.feed(0, decoder.decode(records).events)
    replay.finish()
