"""A comparison as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consumers.tables import bar, number, safe, share, table

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_comparison"]


def print_comparison(out: Console, found: dict[str, Any]) -> None:
    """Print sizes and names side by side, agreement, migration, cost, who differs, and stability."""
    a, b, customers = found["a"], found["b"], found["customers"]
    for side, mark in ((a, "A"), (b, "B")):
        span = "" if side["from"] is None else f", {side['from'][:10]} to {side['to'][:10]}"
        out.print(
            f"{mark} is {safe(side['run'])}: version {side['version']}, {side['customers']:,} customers, "
            f"{len(side['segments'])} segments{span}",
            soft_wrap=True,
        )
    agreement = found["agreement"]
    out.print(
        f"{customers['both']:,} customers are in both, {customers['only_a']:,} in A only, "
        f"{customers['only_b']:,} in B only; agreement: ARI {agreement['ari']:.3f}, "
        f"AMI {agreement['ami']:.3f}",
        soft_wrap=True,
    )
    out.print()
    _print_segments(out, found)
    _print_migration(out, found)
    _print_costs(out, found)
    _print_differ(out, found["differ"])
    _print_stability(out, found["stability"])


def _print_segments(out: Console, found: dict[str, Any]) -> None:
    """Segments in rows, each beside its match."""
    side_b = {s["segment"]: s for s in found["b"]["segments"]}
    match = {pair["a"]: pair["b"] for pair in found["matched"]}
    columns = [("A", True), ("name", False), ("customers", True), ("share", True), ("", False)]
    columns += [("B", True), ("name", False), ("customers", True), ("share", True), ("", False)]
    rows = []
    for one in sorted(found["a"]["segments"], key=lambda s: -s["size"]):
        other = side_b.pop(match.get(one["segment"]), None)
        rows.append(_segment(one) + (_segment(other) if other else [""] * 5))
    rows += [[""] * 5 + _segment(other) for other in side_b.values()]
    out.print(table(columns, rows))
    out.print()


def _segment(one: dict[str, Any]) -> list[str]:
    return [
        str(one["segment"]),
        safe(one["name"]),
        number(one["size"]),
        share(one["share"]),
        bar(one["share"], 10),
    ]


def _print_migration(out: Console, found: dict[str, Any]) -> None:
    migration = found["migration"]
    names_a = {s["segment"]: s["name"] for s in found["a"]["segments"]}
    names_b = {s["segment"]: s["name"] for s in found["b"]["segments"]}
    columns = [("from A ↓ to B →", False)]
    columns += [(f"{safe(names_b[b])} ({b})", True) for b in migration["to"]]
    rows = [
        [f"{safe(names_a[a])} ({a})", *[number(n) if n else "·" for n in counts]]
        for a, counts in zip(migration["from"], migration["customers"], strict=True)
    ]
    out.print(table(columns, rows))
    out.print()


def _print_costs(out: Console, found: dict[str, Any]) -> None:
    kinds = (
        ("nearest_centroid", "mean squared distance to the nearest centroid"),
        ("within_segments", "mean squared distance within segments"),
        ("silhouette", "silhouette of a sample"),
    )
    columns = [(f"in z-scores of {', '.join(map(safe, found['scaling']))}", False), ("A", True), ("B", True)]
    rows = [[text, number(found["cost"]["a"][k]), number(found["cost"]["b"][k])] for k, text in kinds]
    out.print(table(columns, rows))
    out.print()


def _print_differ(out: Console, differ: dict[str, Any]) -> None:
    by = ", ".join(f"{safe(name)} {share(part)}" for name, part in differ["features"].items())
    out.print(
        f"{differ['customers']:,} customers ({share(differ['share'])}) are not in matching segments, "
        f"by {by}.",
        soft_wrap=True,
    )
    rows = [
        [
            safe(one["customer_id"]),
            f"{one['a']['segment']} {safe(one['a']['name'])}",
            f"{one['b']['segment']} {safe(one['b']['name'])}",
            ", ".join(f"{safe(f['feature'])} {number(f['value'])}" for f in one["by"]),
        ]
        for one in differ["most"]
    ]
    if rows:
        out.print(table([("customer", False), ("A", False), ("B", False), ("by", False)], rows))
    out.print()


def _print_stability(out: Console, stability: list[dict[str, Any]]) -> None:
    if not stability:
        return
    columns = [("from", False), ("events", True), ("moved in A", True), ("moved in B", True)]
    columns += [("versions A", True), ("versions B", True), ("ARI", True)]
    rows = []
    for part in stability:
        a, b = part["a"] or {}, part["b"] or {}
        row = [part["from"][:10], number(a.get("events", b.get("events")))]
        row += [share(a.get("moved")), share(b.get("moved"))]
        row += [number(a.get("versions")), number(b.get("versions")), number(part["ari"])]
        rows.append(row)
    out.print(table(columns, rows))
