"""What a replay says at its end: the segments it came to, what it counted, and where the results are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from consumers.shown import print_segments
from consumers.tables import safe
from stream_seg.engine.moments import moment
from stream_seg.engine.naming import centroid_values

if TYPE_CHECKING:
    from rich.console import Console

    from consumers.replay.options import ReplayOptions
    from consumers.replay.output import Tally
    from stream_seg.engine.replay import Run
    from stream_seg.engine.version import ModelVersion

__all__ = ["print_rejected", "print_summary", "print_where"]


def print_summary(out: Console, model: str, driver: Run, tally: Tally, seconds: float) -> None:
    """Print the segments and the counts of a finished replay."""
    version = driver.current
    if version is None:
        raise ValueError("a replay without a version has no summary")
    segments = _segments(version, driver)
    print_segments(out, segments)
    out.print()
    begin, end = (moment(time_ms)[:10] for time_ms in (tally.first_ms or 0, driver.as_of_ms))
    rate = tally.events / max(seconds, 1e-9)
    customers = sum(segment["size"] for segment in segments)
    lines = [
        f"{model}: {tally.events:,} events of {customers:,} customers, {begin} to {end}",
        f"took {seconds:.1f} s, {rate:,.0f} events/s",
        f"{tally.versions:,} model versions, {tally.passes:,} passes, {_transitions(tally)}",
    ]
    if tally.outside:
        lines.append(f"{tally.outside:,} events lie outside --from and --to and were left out")
    if tally.clipped:
        lines.append(f"{tally.clipped:,} feature values lie beyond the lattice and were clipped")
    for line in lines:
        out.print(line, soft_wrap=True)


def print_where(out: Console, model: str, options: ReplayOptions, *, on_servers: bool) -> None:
    """Print where the results of the replay ``model`` are."""
    if options.export is not None:
        files = "labels.parquet, customers.parquet, model.json"
        out.print(f"exported to {options.export}: {files}", soft_wrap=True)
    if on_servers:
        topics = f", and topics {model}.*" if options.emit else ""
        out.print(
            f"keys seg:{model}:*{topics}; look with stream-seg segments --model {model}", soft_wrap=True
        )


def print_rejected(out: Console, tally: Tally) -> None:
    """Print how many rows could not be used, by reason, and which the first ones were."""
    if not tally.reasons:
        return
    count = tally.reasons.total()
    said = "1 row cannot be an event and was" if count == 1 else f"{count:,} rows cannot be events and were"
    out.print(f"{said} skipped (the first row is row 0):", soft_wrap=True)
    for reason, count in tally.reasons.most_common():
        out.print(f"  {count:,} × {safe(reason)}", soft_wrap=True)
    rows = "; ".join(f"row {row}: {safe(reason)}" for row, reason in tally.first_rows)
    out.print(f"  the first: {rows}", soft_wrap=True)


def _transitions(tally: Tally) -> str:
    by_cause = ", ".join(f"{count:,} by {cause}" for cause, count in tally.transitions.items() if count)
    return f"{tally.transitions.total():,} transitions" + (f" ({by_cause})" if by_cause else "")


def _segments(version: ModelVersion, driver: Run) -> list[dict[str, Any]]:
    """The segments as ``segments`` shows them, with their sizes now."""
    sizes = dict.fromkeys((s.id for s in version.segments), 0)
    for state in driver.states.values():
        for segment, size in state.numbers.sizes.items():
            sizes[segment] = sizes.get(segment, 0) + size
    total = sum(sizes.values())
    centres = np.array([s.centroid for s in version.segments])
    return [
        {
            "segment": segment.id,
            "name": segment.name,
            "size": sizes[segment.id],
            "share": sizes[segment.id] / total if total else 0.0,
            "status": "active",
            "features": values,
        }
        for segment, values in zip(version.segments, centroid_values(version.features, centres), strict=True)
    ]
