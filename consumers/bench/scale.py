"""Cost and memory by the number of customers: one event each and day, passes and minting included."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from consumers.bench.core import SEGMENTS, pass_us
from consumers.bench.workload import DAY_MS, MORE_FEATURES, START_MS
from stream_seg.engine.checkpoint import checkpoint
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.records import Origin, encode_labels, encode_transitions
from stream_seg.engine.replay import Replay
from stream_seg.events.batch import EventBatch

if TYPE_CHECKING:
    from stream_seg.engine.replay import Step

__all__ = ["scale"]

BATCH: Final = 8_192
PAGE_BYTES: Final = 4096


def scale(customers: int, events: int) -> dict[str, float]:
    """Everybody's first event, then ``events`` more.

    Gives µs of processor time for each of the latter, ns for a row of a pass, and bytes a customer: 8
    features, 8 segments, one partition; from decoded events to record bytes and rows to store.
    """
    features, origin = MORE_FEATURES, Origin("orders", 0, "live")
    before_bytes = _resident_bytes()

    def encode(step: Step) -> None:
        encode_labels(step.outcome, origin)
        encode_transitions(step.outcome, origin, features)
        checkpoint(step.state, step.outcome, step.sizes_before)

    plan = ModelPlan(features, segments=SEGMENTS)
    replay = Replay(plan, {0: 0}, instance="bench", on_step=encode, on_version=lambda _: None)
    rng = np.random.default_rng(7)
    _feed(replay, rng.permutation(customers), 0, customers)
    held_bytes = _resident_bytes() - before_bytes
    began = time.process_time()
    _feed(replay, rng.integers(0, customers, events), customers, customers)
    cost_us = (time.process_time() - began) / events * 1e6
    return {
        "µs an event": cost_us,
        "ns a row of a pass": pass_us(replay.states[0]) * 1000,
        "bytes a customer": held_bytes / customers,
    }


def _feed(replay: Replay, customer: np.ndarray, first: int, a_day: int) -> None:
    """Feed events at ``a_day`` a day of event time, numbered from ``first`` on."""
    features = MORE_FEATURES
    for start in range(0, len(customer), BATCH):
        numbers = customer[start : start + BATCH]
        n = len(numbers)
        offset = np.arange(first + start, first + start + n, dtype=np.int64)
        replay.feed(
            0,
            EventBatch(
                customers=[f"c{number}" for number in numbers.tolist()],
                time_ms=START_MS + offset * DAY_MS // a_day,
                offset=offset,
                ids=[None] * n,
                types=[None] * n,
                numbers=np.full((n, len(features.numbers)), 40.0) + (numbers % 97)[:, None],
                tokens=np.zeros((n, len(features.tokens)), dtype=np.uint64),
                matches=np.ones((n, len(features)), dtype=np.bool_),
                next_offset=int(offset[-1]) + 1,
            ),
        )


def _resident_bytes() -> int:
    """What this process holds in memory; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES
    except OSError:
        return 0
