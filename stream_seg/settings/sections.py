"""The tables of the configuration file as frozen values; see ``docs/reference/configuration.md``."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, field_validator, model_validator

from stream_seg.events.mapping import EventMapping, KeyRule, TimeUnit
from stream_seg.features.rules import SegmentNames
from stream_seg.features.spec import Aggregate, Transform
from stream_seg.settings.base import Below, Positive, Section, ValueProblemsError, Whole, always
from stream_seg.settings.durations import DURATION_FORM, parse_duration_ms
from stream_seg.settings.names import NAMES_FORM, parse_names

__all__ = [
    "DeliverySettings",
    "EventSection",
    "FeatureSection",
    "ModelSettings",
    "SnapshotSettings",
    "SourceSettings",
    "WarmUpSettings",
]

_MODEL_NAME = '1 to 100 letters, digits and "-"'
_ALGORITHM = '"population" or "river:" and the name of a river clusterer, such as "river:cluster.DBSTREAM"'
_TOPIC = '1 to 249 letters, digits, ".", "_" and "-"'
_GROUP = "1 to 249 characters"
_FOLDER = "a folder's path"
_PATH = "a dotted path into the record, without empty parts"
_ZONE = 'a time zone of the IANA database, such as "UTC" or "Europe/Amsterdam"'


def _text(pattern: str, allowed: str) -> BeforeValidator:
    compiled = re.compile(pattern)

    def check(value: object) -> object:
        if not isinstance(value, str) or compiled.fullmatch(value) is None:
            raise ValueError(f"must be {allowed}")
        return value

    return BeforeValidator(check)


Path_ = Annotated[
    str, _text(r"[^.\x00-\x1f]+(\.[^.\x00-\x1f]+)*", _PATH), Field(json_schema_extra={"allowed": _PATH})
]


class ModelSettings(Section):
    """``[model]``: what the model is called and how its segments are made."""

    texts = MappingProxyType({"names": always})

    name: Annotated[str, _text(r"[A-Za-z0-9-]{1,100}", _MODEL_NAME)] = Field(
        description="The model's name: the first part of its keys and topics.",
        json_schema_extra={"allowed": _MODEL_NAME},
    )
    segments: Annotated[int, Field(ge=2, le=1000)] = Field(default=6, description="How many segments, k.")
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(
        default=7, description="Seed of all chance; the same seed and input give the same model."
    )
    hysteresis: Below = Field(
        default=0.1,
        description="A customer changes segment only if a new centre is nearer by this share (0.1: 10 %).",
    )
    forget_after_days: Positive | None = Field(
        default=None,
        description="A customer silent for that many days leaves the population and the keys, in a pass.",
    )
    names: Annotated[SegmentNames, BeforeValidator(parse_names)] = Field(
        default=SegmentNames(),
        description="How segments are named: from their centroids, plainly (segment-0, …), or by a table.",
        json_schema_extra={"allowed": NAMES_FORM},
    )
    algorithm: Annotated[str, _text(r"population|river:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", _ALGORITHM)] = Field(
        default="population",
        description="What clusters; river's clusterers in file replays and in --embedded runs only.",
        json_schema_extra={"allowed": _ALGORITHM},
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="The river clusterer's own parameters."
    )
    distance: Literal["euclidean", "manhattan", "chebyshev", "cosine"] = Field(
        default="euclidean",
        description="Distance in scaled space; others than euclidean in replay and in --embedded runs only.",
    )

    @model_validator(mode="after")
    def _parameters_are_river_s(self) -> ModelSettings:
        if self.parameters and self.algorithm == "population":
            raise ValueProblemsError([("parameters", 'is for algorithm = "river:…" only')])
        return self


class WarmUpSettings(Section):
    """``[warm_up]``: when the first version is made, whichever comes first."""

    customers: Whole = Field(default=500, description="Customers known.")
    events: Whole = Field(default=5000, description="Events read.")


class SourceSettings(Section):
    """``[source]``: the topic that is read."""

    topic: Annotated[str, _text(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}", _TOPIC)] | None = Field(
        default=None, description="The one input topic.", json_schema_extra={"allowed": _TOPIC}
    )
    group: Annotated[str, _text(r"[^\x00-\x1f]{1,249}", _GROUP)] | None = Field(
        default=None,
        description="The consumer group; by default the model's name.",
        json_schema_extra={"allowed": _GROUP},
    )
    format: Literal["json"] = Field(default="json", description="The records' format.")
    start: Literal["earliest", "latest"] = Field(
        default="earliest", description="Where a group without committed offsets starts."
    )
    key: KeyRule = Field(
        default="customer",
        description="Whether the record key must be the customer (null keys: only in a one-partition topic).",
    )
    max_ahead: str = Field(
        default="1d",
        description="How far an event's time may lie after its own record's Kafka timestamp.",
        json_schema_extra={"allowed": DURATION_FORM},
    )

    @field_validator("max_ahead")
    @classmethod
    def _is_a_duration(cls, value: str) -> str:
        parse_duration_ms(value)
        return value

    @property
    def max_ahead_ms(self) -> int:
        """``max_ahead`` in milliseconds."""
        return parse_duration_ms(self.max_ahead)


class EventSection(Section):
    """``[event]``: where things stand in a record."""

    texts = MappingProxyType({"fields": always})

    customer: Path_ = Field(description="Path of the customer's id.")
    time: Path_ = Field(description="Path of the event's time: RFC 3339, a date, or a number with time_unit.")
    time_unit: TimeUnit | None = Field(
        default=None, description="Unit of a time that is a number from 1970 on."
    )
    time_zone: str = Field(
        default="UTC", description="The zone of a time that names none.", json_schema_extra={"allowed": _ZONE}
    )
    id: Path_ | None = Field(default=None, description="Path of the event's id; else topic-partition-offset.")
    type: Path_ | None = Field(default=None, description="Path of the event's type.")
    fields: dict[str, Path_] = Field(
        default_factory=dict, description="What features and filters use: a name and its path."
    )

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            _ = value == "UTC" or ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"must be {_ZONE}") from None
        return value

    @field_validator("fields")
    @classmethod
    def _type_is_the_event_s(cls, value: dict[str, str]) -> dict[str, str]:
        if "type" in value:
            raise ValueProblemsError(
                [("type", "must be set as event.type: filters call the event's type so")]
            )
        return value

    def mapping(self, source: SourceSettings) -> EventMapping:
        """Give the decoders' frozen value of this and of ``[source]``'s ``key`` and ``max_ahead``."""
        return EventMapping(**dict(self), max_ahead_ms=source.max_ahead_ms, key=source.key)


class FeatureSection(Section):
    """``[features.<name>]``: one feature; what depends on the aggregate is checked by ``features``."""

    aggregate: Aggregate = Field(
        description="What is made of a customer's matching events; see the table below."
    )
    field: str | None = Field(default=None, description="The event field that is aggregated.")
    where: dict[str, Any] = Field(
        default_factory=dict,
        description="Which events match: a field (or type) and its value or list of values.",
    )
    half_life_days: Positive | None = Field(
        default=None, description="Days in which an event's weight halves; without it events never fade."
    )
    transform: Transform = Field(
        default="none", description="Applied before clustering; log1p and sqrt are odd: sign(x)·f(|x|)."
    )
    weight: Positive = Field(default=1.0, description="Scales the feature's say in the distance.")
    default: float = Field(default=0.0, description="What stands in without a match.")
    step: Positive | None = Field(
        default=None,
        description="The lattice's step, a power of two; by default 2⁻¹⁶ for anything transformed, shares "
        "and days, 2⁻⁴ for other plain values.",
        json_schema_extra={"allowed": "a power of two, such as 0.0625"},
    )


class DeliverySettings(Section):
    """``[delivery]``: what a crash may cost."""

    mode: Literal["exactly_once", "at_least_once"] = Field(
        default="exactly_once",
        description="Whether labels come exactly once, or may come twice after a crash, with less latency.",
    )
    max_latency_ms: Whole = Field(
        default=100, description="Milliseconds that events are gathered for one batch at most."
    )


class SnapshotSettings(Section):
    """``[snapshot]``: copies of a model in a folder."""

    every_minutes: Annotated[float, Field(ge=0)] = Field(default=0.0, description="How often; 0 is never.")
    dir: Annotated[str, _text(r"[^\x00]+", _FOLDER)] = Field(
        default="snapshots",
        description="The folder they go to.",
        json_schema_extra={"allowed": _FOLDER},
    )
    keep: Whole = Field(default=3, description="How many are kept.")
