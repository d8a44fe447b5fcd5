"""The quality page: the rows as Markdown tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from tests.bench.quality.ours import Row

GROWING = 0.1
"""A population is growing while so much of it has come within a day."""

INTRODUCTION = """\
# Quality: as good as batch K-means?

Made by `make bench-quality` (rows: `quality.json`; this page is written by it). Cost is that of the live
population under the current centroids, in fresh z-scores, ÷ a batch K-means with 10 restarts on the same
vectors: 1 is as good as batch. Every row looks 12 times, from 1,000 customers to the end of the data.
*Served* is the same for the segments that customers are in, hysteresis included. Ratios do not depend on
the machine; seconds do.
"""


def page(rows: Sequence[Row], machine: str) -> str:
    """All tables that have rows."""
    parts = [INTRODUCTION, f"Machine of the last rows: {machine}.\n", _in_short(rows)]
    for title, made in (
        ("## One process, all data", _ours(_of(rows, "ours"))),
        ("## Growth", _growth(_of(rows, "growth"))),
        ("## Partitions", _worlds(_of(rows, "partitions"))),
        ("## Peers", _peers(rows)),
        ("## Structural moves", _structure(_of(rows, "structure"))),
        ("## Hysteresis", _hysteresis(_of(rows, "hysteresis"))),
        ("## Rare but distinct", _vips(_of(rows, "vips"))),
        ("## Classic tables", _classic(_of(rows, "classic"))),
    ):
        if made:
            parts.append(f"{title}\n\n{made}")
    return "\n".join(parts)


def _in_short(rows: Sequence[Row]) -> str:
    """The largest median and the worst cost of all rows, once the population has grown."""
    lines: list[list[object]] = []
    for what, table in (("one process", "ours"), ("4 and 16 partitions", "partitions")):
        for several, name in ((False, "k ≤ 8"), (True, "k = 12")):
            found = [_in_all(row) for row in _of(rows, table) if (row["k"] > 8) is several]
            if found:
                lines.append([what, name, *(f"{max(column):.4f}" for column in zip(*found, strict=True))])
    if not lines:
        return ""
    head = ["", "", "largest median", "worst", "served: largest median", "worst"]
    return f"## In short\n\n{_table(head, lines)}"


def _in_all(row: Row) -> tuple[float, float, float, float]:
    """A row's median and worst cost, and the same as served."""
    costs, served = (_at([row], name, growing=False) for name in ("costs", "served"))
    return statistics.median(costs), max(costs), statistics.median(served), max(served)


def _of(rows: Sequence[Row], table: str) -> list[Row]:
    return [row for row in rows if row["table"] == table]


def _table(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    body = [f"| {' | '.join(head)} |", f"|{'|'.join('---' for _ in head)}|"]
    body += [f"| {' | '.join(str(cell) for cell in line)} |" for line in lines]
    return "\n".join(body) + "\n"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _grouped(rows: list[Row], *names: str) -> Iterable[tuple[tuple[Any, ...], list[Row]]]:
    def key(row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in names)

    for values, group in groupby(sorted(rows, key=key), key=key):
        yield values, list(group)


def _costs(group: list[Row], name: str = "costs") -> tuple[str, str]:
    return _told([cost for row in group for cost in row[name]])


def _told(every: list[float]) -> tuple[str, str]:
    return f"{statistics.median(every):.4f}", f"{max(every):.4f}"


def _ours(rows: list[Row]) -> str:
    if not rows:
        return ""
    head = ["data", "features", "k", "seeds", "median", "worst", "served median", "worst"]
    head += [
        "worst while growing",
        "flapping",
        "moved by a mint",
        "by a structural move",
        "structural moves a year",
        "rows an event",
        "seconds",
    ]
    lines = []
    for (data, features, k), group in _grouped(rows, "data", "features", "k"):
        lines.append([
            data, features, k, len(group), *_grown(group),
            _share(_mean(r["flapping"] for r in group)),
            _share(_mean(r["moved_by_mint"] for r in group)),
            _share(_mean(r["moved_by_structure"] for r in group)),
            f"{_mean(r['structural_a_year'] for r in group) or 0.0:.0f}",
            f"{_mean(r['rows_an_event'] for r in group) or 0.0:.0f}",
            f"{_mean(r['seconds'] for r in group) or 0.0:.0f}",
        ])  # fmt: skip
    note = (
        f"\n*While growing*: at checkpoints where more than {GROWING:.0%} of the customers came within the "
        "last day; all other costs are those of populations that have grown. The table of growth says more.\n"
    )
    return _table(head, lines) + note


def _grown(group: list[Row]) -> tuple[str, ...]:
    """Median and worst of the centroids and as served once grown, and the worst of before."""
    growing = _at(group, "costs", growing=True)
    return (
        *_told(_at(group, "costs", growing=False)),
        *_told(_at(group, "served", growing=False)),
        f"{max(growing):.4f}" if growing else "–",
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return statistics.fmean(known) if known else None


def _growth(rows: list[Row]) -> str:
    if not rows:
        return ""
    marks = list(rows[0]["at"])
    head = ["partitions", "k", "seeds", *(f"{mark} × warm-up" for mark in marks)]
    lines = []
    for (partitions, k), group in _grouped(rows, "partitions", "k"):
        cells = []
        for mark in marks:
            found = [r["at"][mark] for r in group if mark in r["at"]]
            cells.append(f"{statistics.median(found):.3f} / {max(found):.3f}" if found else "–")
        lines.append([partitions, k, len(group), *cells])
    note = (
        "\nA population that grows fifteenfold in a week; median / worst of the seeds; with several "
        "partitions reports come 0.2 % of the growth late.\n"
    )
    return _table(head, lines) + note


def _worlds(rows: list[Row]) -> str:
    if not rows:
        return ""
    head = ["data", "features", "partitions", "conduct", "k", "seeds", "median", "worst", "served median"]
    head += ["worst", "worst while growing", "labels", "derived alone"]
    names = ("data", "features", "partitions", "method", "k")
    lines = []
    for (data, features, partitions, method, k), group in _grouped(rows, *names):
        same = {row["derived_alone"] for row in group}
        labels = f"{sum(r['labels'] for r in group):,}"
        lines.append([
            data, features, partitions, method, k, len(group), *_grown(group), labels,
            "; ".join(sorted(same)),
        ])  # fmt: skip
    note = (
        "\nSimulated without servers by the production code's own `step`, adoption, minter and horizon "
        "(`tests/simulation`). *Derived alone*: partitions whose labels, transitions and final sums come out "
        "the same from their events and recorded adoptions alone, with other batch cuts.\n"
    )
    return _table(head, lines) + note


def _at(group: list[Row], name: str, *, growing: bool) -> list[float]:
    return [
        cost
        for row in group
        for cost, grown in zip(row[name], row["grown_in_a_day"], strict=True)
        if (grown > GROWING) is growing
    ]


def _peers(rows: Sequence[Row]) -> str:
    found = _of(rows, "peers")
    if not found:
        return ""
    lines = []
    for (data, features, k, method), group in _grouped(found, "data", "features", "k", "method"):
        lines.append(
            [data, features, k, method, *_costs(group), f"{_mean(r['seconds'] for r in group) or 0:.0f}"]
        )
    return _table(["data", "features", "k", "method", "median", "worst", "seconds"], lines)


def _structure(rows: list[Row]) -> str:
    if not rows:
        return ""
    head = ["data", "features", "k", "rule", "moves a year", "median", "worst", "moved by one", "flapping"]
    lines = []
    for (data, features, k, method), group in _grouped(rows, "data", "features", "k", "method"):
        lines.append([
            data, features, k, method, f"{_mean(r['structural_a_year'] for r in group) or 0.0:.0f}",
            *_costs(group), _share(_mean(r["moved_by_structure"] for r in group)),
            _share(_mean(r["flapping"] for r in group)),
        ])  # fmt: skip
    return _table(head, lines)


def _hysteresis(rows: list[Row]) -> str:
    if not rows:
        return ""
    head = ["data", "features", "k", "hysteresis", "flapping", "served median", "worst", "moved by a mint"]
    lines = [
        [
            r["data"], r["features"], r["k"], r["method"], _share(r["flapping"]),
            f"{r['served_median']:.4f}", f"{r['served_worst']:.4f}", _share(r["moved_by_mint"]),
        ]
        for r in sorted(rows, key=lambda r: (r["data"], r["k"], float(r["method"].rstrip("%"))))
    ]  # fmt: skip
    note = (
        "\nA customer changes its segment only if another centroid is nearer by this share of the distance. "
        "*Flapping*: the share of changes that are reverted within 7 days. Who orders every week or two "
        "comes back by ordering and leaves by silence: that is what the features say, and no rule about "
        "distances tells it from noise but by serving worse segments.\n"
    )
    return _table(head, lines) + note


def _vips(rows: list[Row]) -> str:
    if not rows:
        return ""
    head = ["data", "transform", "k", "method", "recall", "purity"]
    lines = [
        [r["data"], r["features"], r["k"], r["method"], f"{r['recall']:.3f}", f"{r['purity']:.3f}"]
        for r in rows
    ]
    return _table(head, lines)


def _classic(rows: list[Row]) -> str:
    if not rows:
        return ""
    names = {
        "published": "published",
        "plain": "plain k-means++",
        "ours": "ours",
        "sklearn": "scikit-learn",
        "online": "learned one by one",
    }
    lines = [
        [r["data"], r["k"], *(f"{r[name]:.4g}" if name in r else "–" for name in names)]
        for r in sorted(rows, key=lambda r: (r["data"], r["k"]))
    ]
    note = (
        "\nFinal cost ÷ 10⁵. Spambase: the median of 11 single runs over raw columns, *published* in Bahmani "
        "et al., PVLDB 5(7), 2012, for plain k-means++; we start greedily. Mixture: the best of 10 runs, and "
        "`PopulationKMeans` after one pass.\n"
    )
    return _table(["data", "k", *names.values()], lines) + note
