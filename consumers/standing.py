"""How a model stands: its workers' reports made into what ``stream-seg status`` says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from stream_seg.lookup.results import Record

__all__ = ["SILENT_S", "standing"]

SILENT_S: Final = 60.0
"""A worker that has not reported for so long counts as silent: seconds of wall time."""
_DAY_MS: Final = 86_400_000
_UNKNOWN: Final = -1


def standing(status: Record, version: Record | None, now: dt.datetime) -> Record:
    """Make ``SegmentLookup.status()`` and the current version into one JSON-ready record, as of ``now``.

    Lag is in records, ``None`` where a partition has not said; ``events_per_second`` leaves silent workers
    out; ``version_age_days`` is from the version's event time to the newest of all partitions.
    """
    partitions = [_partition(report, now) for report in status["partitions"]]
    clocks = [report["clock_ms"] for report in status["partitions"] if report["clock_ms"] != _UNKNOWN]
    meta, lags = status["meta"], [partition["lag"] for partition in partitions]
    return {
        "model": status["model"],
        "topic": meta.get("topics"),
        "created": meta.get("created"),
        "version": status["version"],
        "version_age_days": _age_days(version["as_of"], max(clocks)) if version and clocks else None,
        "customers": _sum(partitions, "customers"),
        "events": _sum(partitions, "events"),
        "lag": None if not lags or None in lags else sum(lags),
        "events_per_second": sum(p["events_per_second"] for p in partitions if not p["silent"]),
        "dead_letters": _sum(partitions, "dead_letters"),
        "split_customers": _sum(partitions, "split_customers"),
        "clipped": _sum(partitions, "clipped"),
        "workers": _workers(partitions),
        "quality": status["quality"],
        "partitions": partitions,
    }


def _partition(report: Record, now: dt.datetime) -> Record:
    reported = report["reported_at_ms"]
    ago = None if reported == _UNKNOWN else max(0.0, now.timestamp() - reported / 1000)
    return {
        "partition": report["partition"],
        "worker": report["worker"],
        "version": report["version"],
        "customers": report["residents"],
        "events": report["events"],
        "lag": report["lag"],
        "events_per_second": report["events_per_second"],
        "dead_letters": report["rejected"],
        "split_customers": report["split_customers"],
        "clipped": report["clipped"],
        "event_time": _rfc3339(report["clock_ms"]),
        "caught_up": report["caught_up"],
        "reported_at": _rfc3339(reported),
        "reported_seconds_ago": ago,
        "silent": ago is None or ago > SILENT_S,
    }


def _workers(partitions: Sequence[Record]) -> list[Record]:
    names = sorted({partition["worker"] for partition in partitions if partition["worker"]})
    return [
        {
            "worker": name,
            "partitions": [p["partition"] for p in partitions if p["worker"] == name],
            "silent": all(p["silent"] for p in partitions if p["worker"] == name),
        }
        for name in names
    ]


def _sum(partitions: Sequence[Record], key: str) -> int:
    counts: list[Any] = [partition[key] for partition in partitions]
    return sum(counts)


def _rfc3339(time_ms: int) -> str | None:
    if time_ms == _UNKNOWN:
        return None
    moment = dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _age_days(as_of: str, clock_ms: int) -> float:
    return (clock_ms - dt.datetime.fromisoformat(as_of).timestamp() * 1000) / _DAY_MS
