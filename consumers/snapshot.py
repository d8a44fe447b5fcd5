"""``stream-seg snapshot`` and ``stream-seg restore``: a model to a folder, and from there to its servers."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from consumers.identity import check_contract
from consumers.waiting import again
from stream_seg._version import __version__
from stream_seg.adapters.files.extra import polars
from stream_seg.adapters.kafka import connect
from stream_seg.adapters.kafka_topics import MODELS
from stream_seg.adapters.redis import RedisStore
from stream_seg.adapters.snapshots import Snapshot, SnapshotFolder
from stream_seg.engine.checkpoint import restore
from stream_seg.engine.moments import moment
from stream_seg.engine.registry import Registry
from stream_seg.engine.rowcolumns import RowColumns, columns_of
from stream_seg.engine.state import Numbers
from stream_seg.errors import DamagedState, NotFoundError, ServerUnavailable, StateError

if TYPE_CHECKING:
    from stream_seg.engine.ports import Models
    from stream_seg.settings import Settings

__all__ = ["run_snapshot"]

PATIENCE_S: Final = 20.0
"""How long a partition may be without state, half applied, or under a version that is not to be seen yet."""


def run_snapshot(settings: Settings) -> int:
    """Write a snapshot of all partitions as they stand in Redis, workers running or not; exit status 0.

    Raises ``NotFoundError`` where there is no model yet, ``StateError`` where it cannot be read,
    ``ServerError``, and ``UsageError`` where the folder does not take it.
    """
    polars()
    model = settings.model.name
    folder = SnapshotFolder(Path(settings.snapshot.dir), model)
    with (
        closing(connect(settings.kafka)) as client,
        closing(RedisStore.connect(settings.redis.url, model)) as store,
    ):
        meta = store.meta()
        if not meta or store.current() is None:
            raise NotFoundError(
                f"model {model} has no segments yet: start stream-seg live, and wait for them"
            )
        check_contract(model, meta)
        if meta.get("model_hash") != settings.model_hash:
            raise StateError(
                f"model {model} was made with other [features], [event], key, max_ahead or format: use the "
                "configuration that its workers use"
            )
        with closing(client.models(f"{model}.{MODELS}")) as models:
            registry = Registry()
            parts = {
                p: again(lambda p=p: _part(settings, store, models, registry, p), PATIENCE_S)  # type: ignore[misc]
                for p in range(int(meta["partitions"]))
            }
    now_s = time.time()
    snapshot = Snapshot(model, moment(int(now_s * 1000)), __version__, meta, parts, registry)
    name = folder.write(snapshot, settings.features, now_s)
    folder.prune(settings.snapshot.keep, now_s)
    customers = sum(len(rows) for _, rows in parts.values())
    click.echo(f"{folder.path / name}: {customers:,} customers, {len(parts)} partitions")
    return 0


def _part(
    settings: Settings, store: RedisStore, models: Models, registry: Registry, partition: int
) -> tuple[Numbers, RowColumns]:
    """A partition as it stands, once the models topic shows what it has adopted."""
    try:
        stored = store.whole(partition)
        if stored is None or not stored.numbers.version:
            raise ServerUnavailable(f"partition {partition} has no state yet: see that a worker is running")
        numbers = stored.numbers
        registry.take(models.read())
        if (partition, numbers.version) not in registry.adoptions:
            raise ServerUnavailable(
                f"topic {settings.model.name}.{MODELS} does not show yet what partition {partition} adopted: "
                "see that it is this model's"
            )
        version = registry.versions[numbers.version]
        return numbers, columns_of(restore(partition, settings.features, numbers, version, stored.rows))
    except DamagedState as error:
        raise StateError(f"{error}: start a worker, which rebuilds the partition, and try again") from error
