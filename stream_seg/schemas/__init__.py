"""JSON Schemas (2020-12) of all records that other programs read, version 1 of the contract, as package data.

They are what ``docs/reference/topics.asyncapi.yaml`` refers to and what the tests check real output against.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any, Final, Literal, get_args

__all__ = ["SCHEMAS", "SchemaName", "schema"]

SchemaName = Literal["label", "transition", "version", "adoption", "lineage", "dead_letter_headers"]
SCHEMAS: Final[tuple[SchemaName, ...]] = get_args(SchemaName)


@cache
def _text(name: SchemaName) -> str:
    return resources.files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8")


def schema(name: SchemaName) -> dict[str, Any]:
    """One record's schema, the caller's to change; ``FileNotFoundError`` for a name not in ``SCHEMAS``."""
    loaded: dict[str, Any] = json.loads(_text(name))
    return loaded
