"""A model as ``compare`` reads it: from the folder of an export, or from Redis and its topics."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from redis import BlockingConnectionPool, Redis

from consumers.topics import REPLAY, records_of
from stream_seg.adapters.files.extra import polars
from stream_seg.adapters.kafka import connect
from stream_seg.adapters.kafka_topics import LABELS
from stream_seg.engine.moments import milliseconds
from stream_seg.errors import ConfigurationError, NotFoundError, StreamSegError, UsageError
from stream_seg.keys import Keys
from stream_seg.lookup import SegmentLookup
from stream_seg.lookup.results import Record, customer_record
from stream_seg.redis_server import address_of, opened, options, our_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from stream_seg.settings import Settings

__all__ = ["Labels", "Run", "load_run"]

LIVE: Final = "live"
EXPORTED: Final = ("customers.parquet", "labels.parquet", "model.json")
TIMEOUT_S: Final = 10.0
CUSTOMERS_A_TRIP: Final = 2000
_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,100}")


@dataclass(frozen=True, slots=True)
class Labels:
    """What a run said of each event, n of them in any order.

    ``event`` names it (position in its source), ``time_ms`` int64 [n], ``segment`` int32 [n], ``moved`` bool
    [n] whether a customer that was known already changed its segment with it, ``version`` int32 [n].
    """

    event: list[str]
    time_ms: NDArray[np.int64]
    segment: NDArray[np.int32]
    moved: NDArray[np.bool_]
    version: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Run:
    """One side of a comparison.

    ``version`` is its current model as published. ``customers`` are m ids in order, ``segment`` int32 [m],
    ``values`` float64 [m, d] the features in the version's order and their own units (NaN: none).
    ``labels`` is ``None`` where the run wrote none.
    """

    name: str
    version: Record
    customers: list[str]
    segment: NDArray[np.int32]
    values: NDArray[np.float64]
    labels: Labels | None

    @property
    def features(self) -> list[Record]:
        """The version's features."""
        found: list[Record] = self.version["features"]
        return found

    @property
    def names(self) -> dict[int, str]:
        """Segment id → name, the retired included."""
        both = [*self.version.get("retired", []), *self.version["segments"]]
        return {segment["id"]: segment["name"] for segment in both}


def load_run(settings: Settings | None, name: str) -> Run:
    """Load ``live``, a replay by its name, or the export in a folder, which needs no ``settings``.

    Raises ``UsageError`` for what can be none of them, ``NotFoundError`` for a run that is not there.
    """
    folder = Path(name)
    if name != LIVE and folder.is_dir():
        return _exported(name, folder)
    if name != LIVE and _NAME.fullmatch(name) is None:
        raise UsageError(
            f'"{name}" is neither a folder nor the name of a run: give live, a replay\'s name (letters, '
            'digits and "-") or the folder of an export.'
        )
    if settings is None:
        raise ConfigurationError([f"{name} is no folder: give the configuration that says where runs are."])
    model = settings.model.name if name == LIVE else f"{settings.model.name}{REPLAY}{name}"
    return _served(settings, name, model)


def _exported(name: str, folder: Path) -> Run:
    missing = [one for one in EXPORTED if not (folder / one).is_file()]
    if missing:
        raise UsageError(f"{name} is no export: {missing[0]} is missing; name a folder that --export wrote.")
    pl = polars()
    version = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    customers = pl.read_parquet(folder / "customers.parquet")
    columns = [f"f.{feature['name']}" for feature in version["features"]]
    values = customers.select(columns).to_numpy().astype(np.float64)
    labels = pl.read_parquet(folder / "labels.parquet")
    return Run(
        name=name,
        version=version,
        customers=customers["customer_id"].to_list(),
        segment=customers["segment"].to_numpy().astype(np.int32),
        values=values.reshape(customers.height, len(columns)),
        labels=_labels_of(labels),
    )


def _labels_of(frame: pl.DataFrame) -> Labels:
    """Labels of an export, by event: its own id, or where it stands in its source."""
    previous = frame["previous_segment"]
    return Labels(
        event=frame["event_id"].to_list(),
        time_ms=frame["event_time"].dt.timestamp("ms").to_numpy().astype(np.int64),
        segment=frame["segment"].to_numpy().astype(np.int32),
        moved=(frame["changed"] & previous.is_not_null()).to_numpy(),
        version=frame["model_version"].to_numpy().astype(np.int32),
    )


def _served(settings: Settings, name: str, model: str) -> Run:
    with SegmentLookup.from_url(settings.redis.url, model, timeout_s=TIMEOUT_S) as reader:
        version = reader.model()
    if version is None:
        raise NotFoundError(
            f"There is no run {name} (model {model}) in the Redis at {settings.redis.safe_url}: name live, a "
            "replay that has been run, or an export's folder."
        )
    records = sorted(_customers(settings.redis.url, model), key=lambda record: record["customer_id"])
    features = [feature["name"] for feature in version["features"]]
    values = [[record["features"].get(feature, np.nan) for feature in features] for record in records]
    return Run(
        name=name,
        version=version,
        customers=[record["customer_id"] for record in records],
        segment=np.array([record["segment"] for record in records], dtype=np.int32),
        values=np.array(values, dtype=np.float64).reshape(len(records), len(features)),
        labels=_read_labels(settings, model),
    )


def _customers(url: str, model: str) -> Iterator[Record]:
    """All customers' records."""
    keys = Keys(model)
    pool = opened(BlockingConnectionPool, url, **options(TIMEOUT_S))
    client: Any = Redis.from_pool(pool)
    with closing(client), our_errors(address_of(url)):
        waiting: list[bytes] = []
        for key in client.scan_iter(f"{keys.customers}*", count=CUSTOMERS_A_TRIP):
            waiting.append(key)
            if len(waiting) >= CUSTOMERS_A_TRIP:
                yield from _fetched(client, keys, waiting)
                waiting = []
        yield from _fetched(client, keys, waiting)


def _fetched(client: Any, keys: Keys, wanted: Sequence[bytes]) -> Iterator[Record]:  # noqa: ANN401 - redis-py
    pipeline = client.pipeline(transaction=False)
    for key in wanted:
        pipeline.hgetall(key)
    for key, fields in zip(wanted, pipeline.execute(), strict=True):
        record = customer_record(key[len(keys.customers) :].decode(), fields)
        if record is not None:
            yield record


class _Label(msgspec.Struct):
    event_id: str
    event_time: str
    segment: int
    previous_segment: int | None
    changed: bool
    model_version: int
    source: dict[str, int | str]


def _read_labels(settings: Settings, model: str) -> Labels | None:
    """The labels topic; ``None`` where the run writes none. Of several for one event, the last counts."""
    decode = msgspec.json.Decoder(_Label).decode
    found: dict[str, _Label] = {}
    try:
        with closing(connect(settings.kafka)) as client:
            for fetched in records_of(client, f"{model}.{LABELS}"):
                for value in fetched.records.values:
                    if value is not None:
                        label = decode(value)
                        found[f"{label.source['partition']}/{label.source['offset']}"] = label
    except NotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise StreamSegError(f"topic {model}.{LABELS} holds records that are no labels: {error}") from error
    return _columns(found)


def _columns(found: Mapping[str, _Label]) -> Labels | None:
    if not found:
        return None
    labels = found.values()
    return Labels(
        event=[label.event_id for label in labels],
        time_ms=np.array([milliseconds(label.event_time) for label in labels], dtype=np.int64),
        segment=np.array([label.segment for label in labels], dtype=np.int32),
        moved=np.array([label.changed and label.previous_segment is not None for label in labels]),
        version=np.array([label.model_version for label in labels], dtype=np.int32),
    )
