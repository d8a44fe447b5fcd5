"""River clusterers in the place of ours, for runs of one process: replays of a file, and the demo."""

from __future__ import annotations

from stream_seg.engine.river.clusterers import Labeller, river_clusterer
from stream_seg.engine.river.driver import RiverReplay
from stream_seg.engine.river.versions import RiverVersions

__all__ = ["Labeller", "RiverReplay", "RiverVersions", "river_clusterer"]
