"""The pictures of `docs/how-it-works.md`: `python -m tests.bench.quality.pictures`.

The first is drawn from the rows of `docs/benchmarks/quality.json`, the others from a synthetic population.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.kernels import rows_points
from stream_seg.engine.outcome import MODEL
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.replay import Replay, Step, between
from stream_seg.engine.state import DAY_MS, State
from tests.bench.quality.charts import Chart, Series
from tests.bench.quality.data import DataSet, synthetic
from tests.bench.quality.ours import Row

SHOWN = ("river KMeans", "river CluStream", "MiniBatchKMeans, events", "full refit every day")
SILENT_DAYS = 240


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.quality.pictures", description=__doc__)
    parser.add_argument("--rows", type=Path, default=Path("docs/benchmarks/quality.json"))
    parser.add_argument("--folder", type=Path, default=Path("docs/pictures"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    data = synthetic("decayed", 3000, 1)
    replay, moved = _run(data)
    charts = {"versions": _versions(moved), "silence": _silence(replay)}
    events = _events(json.loads(options.rows.read_text()) if options.rows.exists() else [])
    if events is not None:
        charts["events"] = events
    for name, chart in charts.items():
        (options.folder / f"{name}.svg").write_text(chart.svg(), encoding="utf-8")
    sys.stdout.write(f"{', '.join(sorted(charts))} written to {options.folder}\n")
    return 0


def _events(rows: Sequence[Row]) -> Chart | None:
    """Why clustering events fails: the cost of the population under everybody's centroids."""
    wanted = [r for r in rows if r["data"] == "Online Retail" and r["features"] == "decayed" and r["k"] == 6]
    ours = [r for r in wanted if r["table"] == "ours"]
    theirs = {r["method"]: r for r in wanted if r["table"] == "peers"}
    if not ours or not theirs:
        return None
    looks = list(range(1, 13))
    series = [Series("stream-seg", looks, ours[0]["costs"])]
    series += [Series(name, looks, theirs[name]["costs"]) for name in SHOWN if name in theirs]
    return Chart(
        "Cost of the live population ÷ batch k-means (Online Retail, k = 6)",
        "checkpoint, from 1,000 customers to the end of the year",
        "1 is as good as batch (log scale)",
        series,
        log=True,
    )


def _run(data: DataSet) -> tuple[Replay, list[tuple[float, str, float]]]:
    """One history; of every version adopted: (day, reason, share of the customers it moved)."""
    moved: list[tuple[float, str, float]] = []
    start = int(data.events.time_ms[0])

    def note(step: Step) -> None:
        residents = step.state.rows.residents
        if step.adopted is not None and residents:
            share = int((step.outcome.transitions.cause == MODEL).sum()) / residents
            day = (step.state.numbers.clock_ms - start) / DAY_MS
            moved.append((day, step.adopted.version.reason, share))

    plan = ModelPlan(data.features, segments=6, seed=1)
    replay = Replay(plan, {0: 0}, instance="pictures", on_step=note, on_version=lambda _: None)
    for begin in range(0, len(data.events), 2000):
        replay.feed(0, between(data.events, begin, min(begin + 2000, len(data.events))))
    replay.finish()
    return replay, moved


def _versions(moved: list[tuple[float, str, float]]) -> Chart:
    """What a mint and a structural move cost: how many customers each moves."""
    series = []
    for reason, name in (("mint", "ordinary version"), ("structure", "structural move")):
        own = [(day, 100.0 * share) for day, kind, share in moved if kind == reason and day >= 0]
        if own:
            series.append(Series(name, [d for d, _ in own], [s for _, s in own], bars=True))
    return Chart(
        "Customers that each version moves to another segment (synthetic, k = 6)",
        "day",
        "per cent of all customers",
        series,
    )


def _silence(replay: Replay) -> Chart:
    """What a pass does: the distances of one good customer to the centroids, while nothing is heard of it."""
    state = replay.states[0]
    version = state.version
    if version is None:
        raise ValueError("the history ended within warm-up")
    row = _good_customer(state)
    days = np.arange(SILENT_DAYS)
    distance = np.stack([_distances(state, row, int(day)) for day in days.tolist()])
    own = int(distance[0].argmin())
    path, marks = [own], []
    for day in days.tolist()[1:]:
        nearest = int(distance[day].argmin())
        if distance[day, nearest] < 0.9 * distance[day, path[-1]]:
            marks.append((float(day), f"moves on day {day}"))
            path.append(nearest)
        else:
            path.append(path[-1])
    series = [
        Series(version.segments[c].name, days.tolist(), distance[:, c].tolist())
        for c in dict.fromkeys([own, *path])
    ]
    return Chart(
        "One customer falls silent: a pass a day re-evaluates it, without any event",
        "days since its last order",
        "distance to the centroid, scaled space",
        series,
        marks=marks,
    )


def _good_customer(state: State) -> int:
    """The row nearest to the centroid of the largest segment of customers who have ordered lately."""
    points, places, which = state.points()
    version = state.version
    assert version is not None
    arrays = version.arrays
    recent = arrays.centres[:, 0] < 0.0
    best = int(np.where(recent, state.sums.count, -1).argmax())
    scaled = (points * arrays.step - arrays.offset) * arrays.factor
    far = ((scaled - arrays.centres[best]) ** 2).sum(axis=1)
    far[places != best] = np.inf
    return int(which[int(far.argmin())])


def _distances(state: State, row: int, silent_days: int) -> NDArray[np.float64]:
    version = state.version
    assert version is not None
    arrays, aggregates = version.arrays, state.rows.aggregates
    now = int(aggregates.last_ms[row]) + silent_days * DAY_MS
    point = np.empty((1, len(state.features)), dtype=np.int32)
    rows_points(np.array([row]), now, aggregates, state.features.layout, point)
    scaled = (point[0] * arrays.step - arrays.offset) * arrays.factor
    found: NDArray[np.float64] = np.sqrt(((arrays.centres - scaled) ** 2).sum(axis=1))
    return found


if __name__ == "__main__":
    sys.exit(main())
