"""What the reading commands show to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from consumers.tables import bar, duration, number, safe, share, table

if TYPE_CHECKING:
    from rich.console import Console

    from consumers.explanation import Explanation, FeatureSays
    from stream_seg.lookup.results import Record

__all__ = ["print_customer", "print_customers", "print_explanation", "print_segments", "print_status"]

_QUALITY: Final = (
    ("cost_per_customer", "cost per customer", number),
    ("silhouette", "silhouette", number),
    ("simplified_silhouette", "simplified silhouette", number),
    ("davies_bouldin", "Davies-Bouldin", number),
    ("flapping", "flapping", share),
    ("churn.behaviour", "moved by behaviour", share),
    ("churn.silence", "by silence", share),
    ("churn.model", "by the model", share),
)
_SHOWN_ONCE: Final = (
    "confidence",
    "distance",
    "since",
    "event_time",
    "as_of",
    "events",
    "model_version",
    "partition",
)


def _named(record: Record) -> str:
    return f"{record['segment']} {safe(record['name'])}"


def print_customer(out: Console, record: Record) -> None:
    """Print one customer, a line for each of its fields."""
    rows = [("customer", safe(record["customer_id"])), ("segment", _named(record))]
    rows += [("runner-up", number(record["runner_up"]))]
    for key in _SHOWN_ONCE:
        value = record.get(key)
        shown = share(value) if key == "confidence" else value if isinstance(value, str) else number(value)
        rows.append((key.replace("_", " "), shown))
    rows += [(safe(name), number(value)) for name, value in record["features"].items()]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        out.print(f"{name:<{width}}  {value}", soft_wrap=True)


def print_customers(out: Console, customers: Sequence[str], records: Sequence[Record | None]) -> None:
    """Print many customers as a table."""
    names = list(dict.fromkeys(name for record in records if record for name in record["features"]))
    columns = [("customer", False), ("segment", False), ("confidence", True), ("newest event", False)]
    columns += [("events", True), *[(safe(name), True) for name in names]]
    rows = []
    for customer, record in zip(customers, records, strict=True):
        if record is None:
            rows.append([safe(customer), "unknown", *[""] * (len(columns) - 2)])
            continue
        values = [number(record["features"].get(name)) for name in names]
        row = [safe(customer), _named(record), share(record["confidence"]), record["event_time"]]
        rows.append([*row, number(record["events"]), *values])
    out.print(table(columns, rows))


def print_segments(out: Console, records: Sequence[Record], quality: Record | None = None) -> None:
    """Print the segments, largest first, without retired ones that are empty, and how good they are."""
    shown = [record for record in records if record["status"] == "active" or record["size"]]
    names = list(dict.fromkeys(name for record in shown for name in record["features"]))
    columns = [("id", True), ("name", False), ("customers", True), ("share", True), ("", False)]
    columns += [(safe(name), True) for name in names]
    rows = []
    for record in sorted(shown, key=lambda record: (-record["size"], record["segment"])):
        retired = "" if record["status"] == "active" else " (retired)"
        row = [str(record["segment"]), safe(record["name"]) + retired, number(record["size"])]
        row += [share(record["share"]), bar(record["share"])]
        rows.append(row + [number(record["features"].get(name)) for name in names])
    out.print(table(columns, rows))
    _print_quality(out, quality or {})


def _print_quality(out: Console, quality: Record) -> None:
    """Print the current version's quality, in the order of ``_QUALITY``, without what is unknown."""
    known = [(text, shape(quality[key])) for key, text, shape in _QUALITY if key in quality]
    if known:
        out.print()
        out.print(", ".join(f"{text} {value}" for text, value in known), soft_wrap=True)


def print_status(out: Console, record: Record) -> None:
    """Print what ``standing`` found."""
    age = record["version_age_days"]
    version = "warming up" if record["version"] is None else f"version {record['version']}"
    if age is not None:
        version += f", {duration(age * 86_400)} of event time old"
    facts = [f"model {record['model']} on topic {record['topic']}: {version}"]
    facts.append(
        f"{record['customers']:,} customers, {record['events']:,} events, lag {number(record['lag'])} records"
    )
    facts.append(f"{record['events_per_second']:,.0f} events/s, {record['dead_letters']:,} dead letters")
    for key, text in (("split_customers", "customers in two partitions"), ("clipped", "values clipped")):
        if record[key]:
            facts.append(f"{record[key]:,} {text}")
    silent = sum(worker["silent"] for worker in record["workers"])
    facts.append(f"{len(record['workers'])} workers{f', {silent} of them silent' if silent else ''}")
    for fact in facts:
        out.print(fact, soft_wrap=True)
    columns = [("partition", True), ("worker", False), ("version", True), ("customers", True), ("lag", True)]
    columns += [("events/s", True), ("dead letters", True), ("event time", False), ("reported", False)]
    rows = []
    for p in record["partitions"]:
        row = [str(p["partition"]), safe(p["worker"]), str(p["version"]), number(p["customers"])]
        row += [number(p["lag"])]
        row += [number(p["events_per_second"]), number(p["dead_letters"]), p["event_time"] or "–", _ago(p)]
        rows.append(row)
    if rows:
        out.print()
        out.print(table(columns, rows))
    _print_quality(out, record["quality"])
    _print_drift(out, record["quality"])


def _print_drift(out: Console, quality: Record) -> None:
    """Print by how much each feature's mean has moved since the version before."""
    drift = {key.removeprefix("drift."): value for key, value in quality.items() if key.startswith("drift.")}
    if drift:
        moved = ", ".join(f"{safe(name)} {number(value)}" for name, value in sorted(drift.items()))
        out.print(f"means moved since the version before, in standard deviations: {moved}", soft_wrap=True)


def _ago(partition: Record) -> str:
    ago = partition["reported_seconds_ago"]
    return "never" if ago is None else f"{duration(ago)} ago"


def print_explanation(out: Console, found: Explanation) -> None:
    """Print why a customer is where it is."""
    place = f"in segment {found.segment} {safe(found.name)} under version {found.model_version}"
    out.print(f"Customer {safe(found.customer_id)} is {place}, as of {found.as_of}.", soft_wrap=True)
    columns = [("feature", False), ("customer", True), ("segment", True)]
    if found.runner_up is None:
        out.print("It is the only segment.")
        rows = [[f.feature, number(f.value), number(f.centroid)] for f in found.features]
    else:
        rival = f"{found.runner_up} {safe(found.runner_up_name or '')}"
        out.print(
            f"Its centroid is at distance {number(found.distance)}, the runner-up's, {rival}, at "
            f"{number(found.runner_up_distance)} (confidence {share(found.confidence)}).",
            soft_wrap=True,
        )
        if found.kept:
            needed = share(found.hysteresis)
            out.print(
                f"The runner-up is nearer, but not by the {needed} that a change of segment needs.",
                soft_wrap=True,
            )
        columns += [("runner-up", True), ("speaks for", False), ("by", True)]
        rows = [_against(feature) for feature in sorted(found.features, key=lambda f: -abs(f.says or 0.0))]
    out.print(table(columns, rows))


def _against(feature: FeatureSays) -> list[str]:
    says = feature.says or 0.0
    values = [number(feature.value), number(feature.centroid), number(feature.runner_up)]
    return [feature.feature, *values, "segment" if says >= 0 else "runner-up", number(abs(says))]
