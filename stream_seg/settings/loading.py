"""From a TOML file, the environment and flags to ``Settings``, with every problem named at once."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import ValidationError

from stream_seg.errors import ConfigurationError
from stream_seg.settings.clustering import ClusteringSettings
from stream_seg.settings.features import read_features
from stream_seg.settings.problems import Report
from stream_seg.settings.sections import (
    DeliverySettings,
    EventSection,
    ModelSettings,
    SnapshotSettings,
    SourceSettings,
    WarmUpSettings,
)
from stream_seg.settings.servers import KafkaSettings, RedisSettings
from stream_seg.settings.settings import MISSING_EVENT, MISSING_FEATURES, MISSING_TOPIC, Settings
from stream_seg.settings.tree import Text, Tree, read_file, settled, with_environment, with_overrides

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from stream_seg.features.spec import FeatureSet
    from stream_seg.settings.base import Section

__all__ = ["SECTIONS", "Need", "load_settings"]

Need = Literal["topic", "event", "features"]
SECTIONS: Mapping[str, type[Section]] = MappingProxyType(
    {
        "model": ModelSettings,
        "warm_up": WarmUpSettings,
        "source": SourceSettings,
        "event": EventSection,
        "kafka": KafkaSettings,
        "redis": RedisSettings,
        "delivery": DeliverySettings,
        "snapshot": SnapshotSettings,
        "clustering": ClusteringSettings,
    }
)
_TOP = (*SECTIONS, "features")

_S = TypeVar("_S", bound="Section")


def load_settings(
    path: Path | None,
    *,
    overrides: Mapping[str, object] = MappingProxyType({}),
    environ: Mapping[str, str] | None = None,
    needs: Collection[Need] = ("event", "features"),
) -> Settings:
    """Read the configuration, checked.

    ``path`` is the TOML file (``None``: there is none), ``environ`` the environment (``None``: the
    process's), whose ``STREAM_SEG__…`` variables win over the file; ``overrides`` (dotted path → value,
    ``None``: not given) win over both. ``needs`` are the parts without a default that the caller cannot do
    without. Raises ``ConfigurationError`` with every problem there is.
    """
    tree = read_file(path) if path is not None else {}
    tree, origins = with_environment(tree, os.environ if environ is None else environ)
    tree = with_overrides(tree, overrides)
    report = Report(origins, {name: section.model_fields for name, section in SECTIONS.items()})
    for key in tree:
        if key not in _TOP:
            report.unknown((key,), _TOP)
    settings = _checked(tree, needs, report)
    if report.sentences or settings is None:
        raise ConfigurationError(report.sentences)
    return settings


def _checked(tree: Tree, needs: Collection[Need], report: Report) -> Settings | None:
    model = _section(tree, "model", ModelSettings, report)
    source = _section(tree, "source", SourceSettings, report)
    event = _section(tree, "event", EventSection, report) if "event" in tree else None
    features = _features(tree, event, report) if "features" in tree else None
    others = {
        "warm_up": _section(tree, "warm_up", WarmUpSettings, report),
        "kafka": _section(tree, "kafka", KafkaSettings, report),
        "redis": _section(tree, "redis", RedisSettings, report),
        "delivery": _section(tree, "delivery", DeliverySettings, report),
        "snapshot": _section(tree, "snapshot", SnapshotSettings, report),
        "clustering": _section(tree, "clustering", ClusteringSettings, report),
    }
    _check_needs(tree, needs, report)
    if model is not None and features is not None:
        _check_rules(model, features, report)
    if report.sentences or model is None or source is None:
        return None
    parts: dict[str, Any] = others
    return Settings(
        model=model,
        source=source,
        event_mapping=event.mapping(source) if event is not None else None,
        feature_set=features or None,
        servers_configured="kafka" in tree or "redis" in tree,
        **parts,
    )


def _table(tree: Tree, name: str) -> object:
    table = tree.get(name, {})
    return table.value if isinstance(table, Text) else table


def _section(tree: Tree, name: str, kind: type[_S], report: Report) -> _S | None:
    table = _table(tree, name)
    if not isinstance(table, dict):
        report.add((name,), f"must be a table: [{name}]")
        return None
    try:
        return kind.model_validate(settled(table, kind))
    except ValidationError as error:
        report.invalid((name,), kind, error)
        return None


def _features(tree: Tree, event: EventSection | None, report: Report) -> FeatureSet | None:
    if event is not None:
        return read_features(
            tree["features"], frozenset(event.fields), typed=event.type is not None, report=report
        )
    # [event] is missing or wrong: what it seems to declare spares the person problems that are none
    table = _table(tree, "event")
    given = settled(table, EventSection) if isinstance(table, dict) else {}
    fields = given.get("fields")
    declared = frozenset(fields) if isinstance(fields, dict) else frozenset[str]()
    return read_features(tree["features"], declared, typed="type" in given, report=report)


def _check_needs(tree: Tree, needs: Collection[Need], report: Report) -> None:
    source = _table(tree, "source")
    if "topic" in needs and isinstance(source, dict) and "topic" not in source:
        report.sentences.append(MISSING_TOPIC)
    if "event" in needs and "event" not in tree:
        report.sentences.append(MISSING_EVENT)
    if "features" in needs and _table(tree, "features") == {}:
        report.sentences.append(MISSING_FEATURES)


def _check_rules(model: ModelSettings, features: FeatureSet, report: Report) -> None:
    known = ", ".join(features.names)
    for rule in model.names.rules:
        for condition in rule.conditions:
            if condition.feature not in features.names:
                report.add(
                    ("model", "names", rule.name),
                    f'must compare features of [features] ({known}), not "{condition.feature}"',
                )
