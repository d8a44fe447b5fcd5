"""Which driver takes a history through the model that the settings ask for: ours, or a river clusterer's."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from consumers.plan import plan_of
from stream_seg.engine.replay import Replay
from stream_seg.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from stream_seg.clustering.structure import Each
    from stream_seg.engine.minter import Minted
    from stream_seg.engine.replay import Driver, Step
    from stream_seg.settings import Settings

__all__ = ["driver_of", "on_every_core"]


@contextmanager
def on_every_core() -> Iterator[Each]:
    """Threads, one for each core, for the fits of a structural refit."""
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="stream-seg-fit") as threads:
        yield threads.map


def driver_of(
    settings: Settings,
    partitions: Mapping[int, int],
    *,
    instance: str,
    on_step: Callable[[Step], None],
    on_version: Callable[[Minted], None],
    each: Each = map,
) -> Driver:
    """Make the driver.

    ``partitions`` maps each one to its first offset, ``instance`` names the model's life, ``each`` says how
    the fits of a structural refit are made.

    Raises ``ConfigurationError`` for an algorithm or a distance that is not there.
    """
    model = settings.model
    if model.distance != "euclidean":
        raise ConfigurationError(
            [f'model.distance = "{model.distance}" is not there yet: set "euclidean", or leave it out.']
        )
    plan = plan_of(settings)
    if model.algorithm == "population":
        return Replay(plan, partitions, instance=instance, on_step=on_step, on_version=on_version, each=each)
    if model.forget_after_days is not None:
        raise ConfigurationError(
            ['model.forget_after_days needs algorithm = "population": river clusterers forget by themselves.']
        )
    from stream_seg.engine.river import RiverReplay, RiverVersions, river_clusterer  # noqa: PLC0415 - slow

    labeller = river_clusterer(model.algorithm, model.parameters, model.seed)
    versions = RiverVersions(plan, instance)
    return RiverReplay(labeller, versions, partitions, on_step=on_step, on_version=on_version)
