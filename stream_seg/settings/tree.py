"""Where settings are found, as one tree: the file, then the environment, then what the command line gives."""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stream_seg.errors import ConfigurationError
from stream_seg.settings.base import Section, takes_table, takes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pydantic.fields import FieldInfo

__all__ = ["PREFIX", "Text", "Tree", "read_file", "settled", "with_environment", "with_overrides"]

PREFIX = "STREAM_SEG__"
Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Text:
    """A value from the environment, not yet read: what it means depends on what its key takes."""

    variable: str
    raw: str

    @property
    def value(self) -> object:
        """The TOML value it writes, or the text itself where it writes none (times count as text)."""
        try:
            read = tomllib.loads(f"value = {self.raw}")
        except tomllib.TOMLDecodeError:
            return self.raw
        value = read["value"]
        is_time = isinstance(value, dt.date | dt.time)
        return self.raw if len(read) > 1 or is_time else value

    def settled(self, field: FieldInfo | None) -> object:
        """Read it as its key wants: text stays text where the key takes text and no table is written."""
        value = self.value
        if field is None or not takes_text(field) or isinstance(value, str):
            return value
        return value if isinstance(value, dict) and takes_table(field) else self.raw


def read_file(path: Path) -> Tree:
    """Read a TOML file; ``ConfigurationError`` where it cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise ConfigurationError(
            [f"{path}: cannot be read ({reason}); name another file with --config."]
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path}: is not UTF-8 (byte {error.start})."]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            [f"{path}: is not TOML: {str(error)[:1].lower()}{str(error)[1:]}."]
        ) from error


def with_environment(tree: Tree, environ: Mapping[str, str]) -> tuple[Tree, dict[tuple[str, ...], str]]:
    """Lay the environment's settings over ``tree``; also say which variable each of their paths came from.

    ``STREAM_SEG__A__B`` is the key ``b`` of the table ``a``. A part in capitals means the key of that
    spelling where there is one, whatever its case, else the same in small letters. Variables count in the
    order of their names.
    """
    tree = _copied(tree)
    origins: dict[tuple[str, ...], str] = {}
    for variable in sorted(environ, key=lambda name: name.lower().split("__")):
        if variable.startswith(PREFIX):
            path = _put(tree, variable.removeprefix(PREFIX).split("__"), Text(variable, environ[variable]))
            origins[path] = variable
    return tree, origins


def with_overrides(tree: Tree, overrides: Mapping[str, object]) -> Tree:
    """Lay ``overrides`` (dotted path → value; ``None``: not given) over ``tree``."""
    tree = _copied(tree)
    for dotted, value in overrides.items():
        if value is not None:
            _put(tree, dotted.split("."), value)
    return tree


def settled(table: Mapping[str, Any], section: type[Section]) -> Tree:
    """Read every value from the environment in ``table``, by what ``section``'s keys take."""
    out: Tree = {}
    for key, value in table.items():
        if isinstance(value, Text):
            out[key] = value.settled(section.model_fields.get(key))
        elif isinstance(value, dict):
            out[key] = _settled_free(value, section.texts.get(key, _never))
        else:
            out[key] = value
    return out


def _settled_free(table: Mapping[str, Any], is_text: Callable[[str], bool]) -> Tree:
    out: Tree = {}
    for key, value in table.items():
        if isinstance(value, Text):
            read = value.value
            out[key] = value.raw if is_text(key) and not isinstance(read, str) else read
        elif isinstance(value, dict):
            out[key] = _settled_free(value, is_text)
        else:
            out[key] = value
    return out


def _never(_: str) -> bool:
    return False


def _copied(tree: Mapping[str, Any]) -> Tree:
    return {key: _copied(value) if isinstance(value, dict) else value for key, value in tree.items()}


def _put(tree: Tree, parts: list[str], value: object) -> tuple[str, ...]:
    path = []
    for part in parts[:-1]:
        key = _spelling(tree, part)
        path.append(key)
        below = tree.get(key)
        if isinstance(below, Text):
            below = below.value
        tree[key] = below if isinstance(below, dict) else {}
        tree = tree[key]
    key = _spelling(tree, parts[-1])
    tree[key] = value
    return (*path, key)


def _spelling(tree: Tree, part: str) -> str:
    if part in tree or part != part.upper():
        return part
    same = [key for key in tree if key.upper() == part]
    return same[0] if len(same) == 1 else part.lower()
