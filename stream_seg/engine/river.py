"""A river clusterer in the place of ours, for runs of one process: the same aggregates and the same records.

River's clusterers learn events, not a population: each event's customer vector (transformed, times the feature's
weight, otherwise unscaled) is learned, then predicted, and the prediction is the label. Segments are the labels
seen, numbered as they first appear; a segment's centroid is the mean of its members' last vectors. There is no
warm-up, hysteresis, pass or forgetting. A version is made for every new segment and for every sixteenth of the
population in events, so that labels, as always, are described under an immutable one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from stream_seg.clustering.distance import scale_row
from stream_seg.clustering.lattice import ClusterSums
from stream_seg.engine.adoption import NextEvent
from stream_seg.engine.kernels import LabelColumns, judge
from stream_seg.engine.minter import Minted
from stream_seg.engine.outcome import NOWHERE, Adoption, Outcome
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.replay import Step, fresh_state
from stream_seg.engine.river_clusterers import Labeller
from stream_seg.engine.river_rows import Moved, advance, undo
from stream_seg.engine.river_versions import RiverVersions
from stream_seg.engine.state import State
from stream_seg.engine.version import ModelVersion
from stream_seg.events.batch import EventBatch
