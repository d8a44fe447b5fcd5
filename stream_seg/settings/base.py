"""What all sections of the configuration share: strict frozen values, and words for what a key allows."""

from __future__ import annotations

from types import MappingProxyType, NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "Below",
    "Positive",
    "Section",
    "Share",
    "ValueProblemsError",
    "Whole",
    "allowed",
    "always",
    "takes_table",
    "takes_text",
]

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Below = Annotated[float, Field(ge=0, lt=1)]
Whole = Annotated[int, Field(ge=1)]

_KINDS: dict[object, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


class Section(BaseModel):
    """One table of the configuration: frozen, of exactly these keys and exactly these types."""

    texts: ClassVar[Mapping[str, Callable[[str], bool]]] = MappingProxyType({})
    """Of each key that holds a free table: which of that table's keys are text, whatever they look like."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class ValueProblemsError(ValueError):
    """Several problems of one value: each a place below it (or ``""``) and what it must be."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        """Keep every (place, sentence's end) pair."""
        self.problems = tuple(problems)
        super().__init__("; ".join(text for _, text in self.problems))


def always(_: str) -> bool:
    """Say that every key of a free table holds text."""
    return True


def allowed(field: FieldInfo) -> str:
    """Say in words what a key takes: its own ``allowed`` text, or one made of its type and bounds."""
    for extra in (field.json_schema_extra, *_extras(field.annotation)):
        if isinstance(extra, dict) and "allowed" in extra:
            return str(extra["allowed"])
    members = _members(field.annotation)
    literals = [value for member in members if get_origin(member) is Literal for value in get_args(member)]
    if literals:
        return _alternatives([f'"{value}"' for value in literals])
    kind = next((_KINDS[member] for member in members if member in _KINDS), "a table")
    bounds = _bounds([*field.metadata, *_metadata(field.annotation)])
    return f"{kind} {bounds}" if bounds else kind


def takes_table(field: FieldInfo) -> bool:
    """Say whether a key may hold a table."""
    members = _members(field.annotation)
    return any(get_origin(member) is dict or not _is_plain(member) for member in members)


def takes_text(field: FieldInfo) -> bool:
    """Say whether a key may hold text."""
    members = _members(field.annotation)
    return any(member is str or get_origin(member) is Literal or not _is_plain(member) for member in members)


def _is_plain(member: object) -> bool:
    return member in _KINDS or get_origin(member) in {Literal, dict}


def _members(annotation: Any) -> list[Any]:  # noqa: ANN401 - an annotation may be anything
    if get_origin(annotation) in {Union, UnionType}:
        return [m for part in get_args(annotation) for m in _members(part) if m is not NoneType]
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    return [annotation]


def _metadata(annotation: Any) -> list[object]:  # noqa: ANN401 - an annotation may be anything
    if get_origin(annotation) in {Union, UnionType}:
        return [item for part in get_args(annotation) for item in _metadata(part)]
    if get_origin(annotation) is not Annotated:
        return []
    inner, *metadata = get_args(annotation)
    parts = [part for item in metadata for part in (item.metadata if isinstance(item, FieldInfo) else [item])]
    return [*parts, *_metadata(inner)]


def _extras(annotation: Any) -> list[object]:  # noqa: ANN401 - an annotation may be anything
    if get_origin(annotation) in {Union, UnionType}:
        return [extra for part in get_args(annotation) for extra in _extras(part)]
    if get_origin(annotation) is not Annotated:
        return []
    return [item.json_schema_extra for item in get_args(annotation)[1:] if isinstance(item, FieldInfo)]


def _bounds(metadata: Sequence[object]) -> str:
    words = []
    for item in metadata:
        if isinstance(item, annotated_types.Ge):
            words.append(f"at least {item.ge}")
        elif isinstance(item, annotated_types.Gt):
            words.append(f"above {item.gt}")
        elif isinstance(item, annotated_types.Le):
            words.append(f"at most {item.le}")
        elif isinstance(item, annotated_types.Lt):
            words.append(f"below {item.lt}")
    text = " and ".join(words)
    return f"of {text}" if text.startswith("at") else text


def _alternatives(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"
