"""What ``audit`` shows to people: one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consumers.tables import number, safe, share, table

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_audit"]


def print_audit(out: Console, record: dict[str, Any]) -> None:
    """Print the verdict, the label, the features then, the distances, and what changed since."""
    label, previous = record["recorded"], record["previous"]
    verdict = "is the same, byte for byte" if record["identical"] else "is NOT the same"
    out.print(
        f"{record['label']}: the label of {safe(record['model'])} derived again {verdict}.", soft_wrap=True
    )
    if not record["identical"]:
        _print_differences(out, record)
    out.print(
        f"customer {safe(label['customer_id'])}, event {label['event_time']}: "
        f"segment {label['segment']} {safe(label['name'])} under version {label['model_version']}, "
        f"distance {number(label['distance'])}, confidence {share(label['confidence'])}",
        soft_wrap=True,
    )
    _print_features(out, record["features"] or {}, previous)
    _print_distances(out, record)
    _print_since(out, label, previous, record["moved_between"])


def _print_differences(out: Console, record: dict[str, Any]) -> None:
    if record["derived"] is None:
        out.print("Nothing comes out at that offset: the record there is no event.")
        return
    if not record["differences"]:
        out.print("Every field is equal, but not the bytes: another program has written it.")
        return
    derived = record["derived"]
    rows = [
        [name, str(record["recorded"].get(name)), str(derived.get(name))] for name in record["differences"]
    ]
    out.print(table([("field", False), ("recorded", False), ("derived", False)], rows))


def _print_features(out: Console, features: dict[str, float], previous: dict[str, Any] | None) -> None:
    columns = [("feature", False), ("then", True)]
    before = {} if previous is None else previous["features"]
    if previous is not None:
        columns += [("at the previous label", True), ("change", True)]
    rows = []
    for name, value in features.items():
        row = [safe(name), number(value)]
        if previous is not None:
            old = before.get(name)
            row += [number(old), number(None if old is None else value - old)]
        rows.append(row)
    out.print(table(columns, rows))


def _print_distances(out: Console, record: dict[str, Any]) -> None:
    label = record["recorded"]
    marks = {label["segment"]: "its segment", label["runner_up"]: "runner-up"}
    rows = [
        [str(one["segment"]), safe(one["name"]), number(one["distance"]), marks.get(one["segment"], "")]
        for one in record["distances"] or []
    ]
    out.print(table([("segment", True), ("name", False), ("distance", True), ("", False)], rows))


def _print_since(
    out: Console, label: dict[str, Any], previous: dict[str, Any] | None, moves: list[dict[str, Any]]
) -> None:
    if previous is None:
        out.print("It is the customer's first label.")
        return
    old = previous["label"]
    version = (
        f"the same version {label['model_version']}"
        if old["model_version"] == label["model_version"]
        else f"version {old['model_version']} then"
    )
    out.print(
        f"The previous label, {old['event_time']} at offset {old['source']['offset']}: "
        f"segment {old['segment']} {safe(old['name'])}, {version}.",
        soft_wrap=True,
    )
    for move in moves:
        to = "forgotten" if move["to"] is None else f"{move['to']} {safe(move['to_name'])}"
        out.print(
            f"In between, {move['event_time']}: {move['from']} {safe(move['from_name'])} → {to} "
            f"({move['cause']}, version {move['model_version']})",
            soft_wrap=True,
        )
    if label["changed"]:
        out.print(f"With this event it left segment {label['previous_segment']}.")
