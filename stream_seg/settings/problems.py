"""What is wrong with a configuration, as sentences: the key's path and what is allowed there."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING

from stream_seg.settings.base import Section, ValueProblemsError, allowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["Report", "dotted"]

_SHOWN = 60
_HIDDEN = ("kafka.options", "redis.url")


def dotted(*parts: object) -> str:
    """Join a key's path as TOML writes it, quoting a part with dots or signs in it."""
    texts = [str(part) for part in parts if str(part)]
    return ".".join(t if t.replace("_", "").replace("-", "").isalnum() else json.dumps(t) for t in texts)


class Report:
    """Collects problems, one sentence each; ``origins`` says which variable a path's value came from."""

    def __init__(self, origins: Mapping[tuple[str, ...], str], known: Mapping[str, Iterable[str]]) -> None:
        """Start without problems; ``known`` are the keys of each section, for "did you mean"."""
        self.sentences: list[str] = []
        self._origins = origins
        self._known = {section: tuple(keys) for section, keys in known.items()}

    def add(self, path: tuple[str, ...], text: str) -> None:
        """Add "``path`` ``text``." with the variable it was set by, if it was."""
        sentence = f"{dotted(*path)}{self._origin(path)} {text}"
        self.sentences.append(sentence if sentence.endswith((".", "?")) else f"{sentence}.")

    def unknown(self, path: tuple[str, ...], choices: Iterable[str]) -> None:
        """Add an unknown key, with the nearest right one."""
        choices = tuple(choices)
        *above, key = path
        near = difflib.get_close_matches(key.lower(), choices, n=1, cutoff=0.6)
        elsewhere = [dotted(section, key) for section, keys in self._known.items() if key in keys]
        if near:
            self.add(path, f"is not a setting: did you mean {dotted(*above, near[0])}?")
        elif above == ["kafka"]:
            self.add(path, f"is not a setting: did you mean {dotted('kafka', 'options', key)}?")
        elif elsewhere:
            self.add(path, f"is not a setting: did you mean {elsewhere[0]}?")
        else:
            self.add(path, f"is not a setting: possible here are {', '.join(sorted(choices))}")

    def invalid(self, path: tuple[str, ...], section: type[Section], error: ValidationError) -> set[str]:
        """Add everything a section's validation found; gives the section's keys concerned."""
        concerned: set[str] = set()
        for item in error.errors(include_url=False):
            place = tuple(str(part) for part in item["loc"] if part != "[key]")
            concerned.update(place[:1])
            self._one(path, section, place, item)
        return concerned

    def _one(
        self, path: tuple[str, ...], section: type[Section], place: tuple[str, ...], item: ErrorDetails
    ) -> None:
        kind, cause = item["type"], item.get("ctx", {}).get("error")
        field = section.model_fields.get(place[0]) if place else None
        where = (*path, *place)
        if kind == "extra_forbidden":
            self.unknown(where, section.model_fields)
        elif isinstance(cause, ValueProblemsError):
            for below, text in cause.problems:
                self.add((*where, below) if below else where, text)
        elif kind == "missing" and field is not None:
            self.add(where, f"is missing: it must be {allowed(field)}")
        elif isinstance(cause, ValueError):
            self.add(where, f"{cause}{_instead(where, item['input'])}")
        elif field is None or kind in {"model_type", "dict_type"}:
            self.add(where, f"must be a table{_instead(where, item['input'])}")
        else:
            self.add(where, f"must be {allowed(field)}{_instead(where, item['input'])}")

    def _origin(self, path: tuple[str, ...]) -> str:
        for length in range(len(path), 0, -1):
            if path[:length] in self._origins:
                return f" (from {self._origins[path[:length]]})"
        return ""


def _instead(path: tuple[str, ...], value: object) -> str:
    if dotted(*path).startswith(_HIDDEN) or isinstance(value, dict):
        return ""
    text = json.dumps(value, ensure_ascii=False, default=str)
    # an address may hold a password wherever it was written
    return f", not {text}" if len(text) <= _SHOWN and "@" not in text else ""
