"""Checks of ``[features]`` that one key alone cannot tell, and the ``FeatureSet`` made of it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from stream_seg.features.spec import (
    AGGREGATES,
    NEEDS_FIELD,
    TAKES_DEFAULT,
    TAKES_HALF_LIFE,
    Feature,
    FeatureSet,
)
from stream_seg.settings.sections import FeatureSection
from stream_seg.settings.tree import Text, settled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stream_seg.settings.problems import Report

__all__ = ["FEATURE_NAME", "read_features"]

FEATURE_NAME = 'a letter and then up to 63 letters, digits, "_" and "-"'
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def read_features(
    table: object, declared: frozenset[str], *, typed: bool, report: Report
) -> FeatureSet | None:
    """Make a ``FeatureSet`` of the ``[features]`` table, reporting everything wrong with it.

    ``declared`` are the names of ``[event.fields]``; ``typed`` says whether ``[event]`` names a type.
    ``None`` where there was any problem; an empty table is the caller's to judge.
    """
    if isinstance(table, Text):
        table = table.value
    if not isinstance(table, dict):
        report.add(("features",), "must be a table of features, such as [features.orders]")
        return None
    before = len(report.sentences)
    seen: dict[str, str] = {}
    features = []
    for name, entry in table.items():
        if name.lower() in seen:
            report.add(("features", name), f"is the same name as {seen[name.lower()]} but for capitals")
        seen[name.lower()] = name
        if _NAME.fullmatch(name) is None:
            report.add(("features", name), f"is not a feature's name: it must be {FEATURE_NAME}")
        features.append(_read_feature(name, entry, declared, typed=typed, report=report))
    if len(report.sentences) > before:
        return None
    return FeatureSet(tuple(feature for feature in features if feature is not None))


def _read_feature(
    name: str, entry: object, declared: frozenset[str], *, typed: bool, report: Report
) -> Feature | None:
    path = ("features", name)
    if isinstance(entry, Text):
        entry = entry.value
    if not isinstance(entry, dict):
        report.add(path, 'must be a table, such as { aggregate = "count" }')
        return None
    given = settled(entry, FeatureSection)
    wrong: set[str] = set()
    section = None
    try:
        section = FeatureSection.model_validate(given)
    except ValidationError as error:
        wrong = report.invalid(path, FeatureSection, error)
    sound = {key: value for key, value in given.items() if key not in wrong}
    _check_options(path, sound, report)
    _check_names(path, sound, declared, typed=typed, report=report)
    return None if section is None else _feature(name, section)


def _check_options(path: tuple[str, ...], given: Mapping[str, Any], report: Report) -> None:
    aggregate = given.get("aggregate")
    if aggregate in AGGREGATES:
        if aggregate in NEEDS_FIELD and "field" not in given:
            report.add((*path, "field"), f'is missing: "{aggregate}" aggregates a field of [event.fields]')
        for option, takers in (
            ("field", NEEDS_FIELD),
            ("half_life_days", TAKES_HALF_LIFE),
            ("default", TAKES_DEFAULT),
        ):
            if option in given and aggregate not in takers:
                who = ", ".join(a for a in AGGREGATES if a in takers)
                report.add((*path, option), f'is no option of "{aggregate}": only of {who}')
    step = given.get("step")
    if step is not None and math.frexp(step)[0] != 0.5:
        report.add((*path, "step"), f"must be a power of two, such as 0.0625, not {step}")


def _check_names(
    path: tuple[str, ...], given: Mapping[str, Any], declared: frozenset[str], *, typed: bool, report: Report
) -> None:
    known = ", ".join(sorted(declared)) or "none"
    field = given.get("field")
    if field is not None and field not in declared:
        report.add((*path, "field"), f'must be declared in [event.fields] (declared: {known}), not "{field}"')
    for key, values in given.get("where", {}).items():
        place = (*path, "where", key)
        if key == "type" and not typed:
            report.add(place, "needs the path of the event's type: set event.type")
        elif key != "type" and key not in declared:
            report.add(place, f'must be "type" or declared in [event.fields] (declared: {known})')
        if not _are_scalars(values):
            report.add(place, "must be text, a number, true or false, or a list of at least one of those")


def _are_scalars(values: object) -> bool:
    listed = values if isinstance(values, list) else [values]
    return bool(listed) and all(
        isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
        for value in listed
    )


def _feature(name: str, section: FeatureSection) -> Feature:
    where = tuple(
        (key, tuple(values) if isinstance(values, list) else (values,))
        for key, values in sorted(section.where.items())
    )
    return Feature(
        name=name,
        aggregate=section.aggregate,
        field=section.field,
        where=where,
        half_life_days=section.half_life_days,
        transform=section.transform,
        weight=section.weight,
        default=section.default,
        lattice_step=section.step,
    )
