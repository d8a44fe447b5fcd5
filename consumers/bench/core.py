"""The pure core alone: from record bytes to record bytes and what is to be stored, stage by stage."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec.structs import replace

from consumers.bench.watching import timed
from consumers.bench.workload import MAPPING, MORE_FEATURES, Workload
from stream_seg.adapters.redis.staging import stage_calls
from stream_seg.engine import step as heart
from stream_seg.engine.checkpoint import checkpoint
from stream_seg.engine.minter import Minter
from stream_seg.engine.outcome import Adoption
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.records import Origin, encode_labels, encode_transitions
from stream_seg.engine.state import State
from stream_seg.engine.version import Rules
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.records import RawRecords
from stream_seg.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream_seg.engine.version import ModelVersion
    from stream_seg.events.batch import EventBatch
    from stream_seg.features.spec import FeatureSet

__all__ = ["KERNEL", "PASS", "STAGES", "TO_RECORDS", "core", "minted", "no_passes", "pass_us", "raw_records"]

SEGMENTS: Final = 8
WARM_UP_BATCHES: Final = 3
PASSES: Final = 5
PASS: Final = "a row of a pass"  # noqa: S105 - no password
KERNEL: Final = "update and label: the kernel"
TO_RECORDS: Final = ("decode", "find rows", "update and label", "label records", "transition records")
STAGES: Final = (*TO_RECORDS, "rows to store", "pack")
_AGAIN: Final = "find rows again, as step does"
HOUR_MS: Final = 3_600_000


@dataclass(slots=True)
class _Stages:
    """Processor time by stage."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.seconds.setdefault(stage, []).append(time.process_time() - began)

    def microseconds(self, units: int) -> dict[str, float]:
        """Microseconds a unit: the median batch, so that a pause of the machine does not count."""
        return {stage: float(np.median(s)) / units * 1e6 for stage, s in self.seconds.items()}


def raw_records(workload: Workload) -> Iterator[RawRecords]:
    """All events as consecutive records of one partition."""
    first = 0
    for part in workload.records():
        n = len(part.keys)
        offsets, times = np.arange(first, first + n), np.array(part.timestamps_ms, dtype=np.int64)
        yield RawRecords([*part.keys], [*part.values], offsets, times, first + n, single_partition=False)
        first += n


def no_passes() -> Rules:
    """Rules under which no pass falls due, so that events and passes can be told apart."""
    return Rules(pass_shortest_ms=10**15, pass_longest_ms=10**15, pass_growth=1e9)


def minted(features: FeatureSet, batches: list[EventBatch], rules: Rules) -> ModelVersion:
    """A first version from the customers of some batches."""
    state = State(0, features)
    for batch in batches:
        heart.step(state, batch)
    plan = ModelPlan(features, segments=SEGMENTS, rules=rules)
    return Minter(plan, "bench").first(state.evaluated()[0], state.numbers.clock_ms).version


def core(workload: Workload) -> dict[str, float]:
    """Microseconds of processor time an event by stage, and ``PASS``'s by row.

    8 features, 8 segments, batches of 8,192. "update and label" is what ``step`` takes beyond finding rows,
    ``KERNEL`` included.
    """
    features, stages = MORE_FEATURES, _Stages()
    decoder, origin, keys = JsonDecoder(MAPPING, features), Origin("orders", 0, "live"), Keys("bench")
    records = [raw for raw in raw_records(workload) if len(raw.values) == len(raw.keys)]
    full = [raw for raw in records if len(raw) == len(records[0])]
    decoded = [decoder.decode(raw).events for raw in full[:WARM_UP_BATCHES]]
    version = minted(features, decoded, no_passes())
    state = State(0, features)
    heart.step(state, Adoption(version, 0, -1))
    for number, raw in enumerate(full):
        if number == WARM_UP_BATCHES:
            stages.seconds.clear()  # the first batches find an empty population, and cold kernels
        with stages.timed("decode"):
            events = decoder.decode(raw).events
        with stages.timed("find rows"):
            state.rows.numbers_of(events.customers)
        with stages.timed(_AGAIN):
            state.rows.numbers_of(events.customers)
        before = state.numbers.sizes
        with timed(heart, "run_events") as kernel, stages.timed("update and label"):
            outcome = heart.step(state, events)
        stages.seconds.setdefault(KERNEL, []).append(sum(call.cpu for call in kernel))
        with stages.timed("label records"):
            encode_labels(outcome, origin)
        with stages.timed("transition records"):
            encode_transitions(outcome, origin, features)
        with stages.timed("rows to store"):
            made = checkpoint(state, outcome, before)
        with stages.timed("pack"):
            stage_calls(keys, made, "0" * 16, "token")
    found = stages.microseconds(len(full[0]))
    found["update and label"] -= found.pop(_AGAIN)
    found["all of an event"] = sum(found[stage] for stage in STAGES)
    return found | {PASS: pass_us(state)}


def pass_us(state: State) -> float:
    """Microseconds a row of a pass an hour later under the same centres, under which hardly anybody moves."""
    stages = _Stages()
    for _ in range(PASSES):
        version = state.version
        assert version is not None  # noqa: S101 - one was adopted
        later = replace(version, version=version.version + 1)
        numbers = state.numbers
        with stages.timed(PASS):
            heart.step(state, Adoption(later, numbers.position.next_offset, numbers.clock_ms + HOUR_MS))
    return stages.microseconds(state.rows.residents)[PASS]
