"""stream-seg: K-means of the whole live customer population, kept current event by event.

``PopulationKMeans`` is a river clusterer that works alone; ``stream_seg.lookup`` is what services import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from stream_seg._version import __version__

if TYPE_CHECKING:
    from stream_seg.clustering.population_kmeans import PopulationKMeans

__all__ = ["PopulationKMeans", "__version__"]


def __getattr__(name: str) -> object:
    """Import the clusterer, with numba and river, only when it is asked for: a look-up needs neither."""
    if name == "PopulationKMeans":
        return import_module("stream_seg.clustering.population_kmeans").PopulationKMeans
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
