"""Several steps of one partition stored as one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from stream_seg.engine.checkpoint import Checkpoint, checkpoint, stored_rows
from stream_seg.engine.replay import Step
from stream_seg.engine.rows import distinct
from stream_seg.engine.version import ModelVersion

__all__ = ["joined_checkpoint"]


def joined_checkpoint(steps: Sequence[Step], versions: Mapping[int, ModelVersion]) -> Checkpoint:
    """The checkpoint of consecutive steps, the last of which ``state`` has just made; one at least.

    A row is stored as it is now, its public fields as of its last write, under the version of then.
    """
    state, first = steps[-1].state, steps[0]
    removed = [gone for one in steps for gone in one.outcome.removed]
    outcome = replace(
        steps[-1].outcome, written=np.zeros(0, dtype=np.int64), removed=removed, start=first.outcome.start
    )
    whole = checkpoint(state, outcome, first.sizes_before)
    written = distinct(np.concatenate([one.outcome.written for one in steps]))
    written = written[written < state.rows.used]
    written = written[state.rows.aggregates.events[written] > 0]
    return replace(whole, rows=stored_rows(state, written, versions))
