"""River's clusterers, found by the name and the parameters that the configuration gives."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from river import base, cluster

from stream_seg.errors import ConfigurationError

__all__ = ["PREFIX", "Labeller", "river_clusterer"]

PREFIX = "river:"


@dataclass(frozen=True, slots=True)
class Labeller:
    """A river clusterer and the name the configuration calls it by."""

    name: str
    clusterer: base.Clusterer

    def label(self, x: dict[Hashable, float]) -> Hashable:
        """Learn an observation, then predict it: river's own label.

        Raises ``ConfigurationError`` where the clusterer cannot do either, which only a call can show.
        """
        try:
            self.clusterer.learn_one(x)
            label: Hashable = self.clusterer.predict_one(x)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            said = f"model.algorithm: {self.name} fails on an event ({reason})"
            raise ConfigurationError([f"{said}: name another, or give it other parameters."]) from error
        return label


def river_clusterer(algorithm: str, parameters: Mapping[str, object], seed: int) -> Labeller:
    """Make the clusterer that ``algorithm`` (``river:cluster.DBSTREAM``) names.

    ``parameters`` are its own; ``seed`` is used where it takes one and ``parameters`` hold none.
    Raises ``ConfigurationError`` with every problem, naming the nearest class and the nearest parameters.
    """
    known = _clusterers()
    kind = known.get(algorithm.removeprefix(PREFIX))
    if kind is None:
        near = difflib.get_close_matches(algorithm.removeprefix(PREFIX), known, n=1, cutoff=0.0)[0]
        raise ConfigurationError(
            [f'model.algorithm: river has no clusterer "{algorithm}"; the nearest is "{PREFIX}{near}".']
        )
    takes = _parameters(kind)
    wrong = [text for name, value in parameters.items() if (text := _problem(takes, name, value))]
    if wrong:
        raise ConfigurationError(wrong)
    given = {"seed": seed, **parameters} if "seed" in takes else dict(parameters)
    try:
        return Labeller(algorithm, kind(**given))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            [f"model.parameters: {algorithm} refuses them ({error}).".replace("\n", " ")]
        ) from error


def _clusterers() -> dict[str, Any]:
    """Every clusterer that river exports, by its path below ``river``."""
    found = {f"cluster.{name}": getattr(cluster, name) for name in cluster.__all__}
    return {name: kind for name, kind in found.items() if issubclass(kind, base.Clusterer)}


def _parameters(kind: Any) -> dict[str, inspect.Parameter]:  # noqa: ANN401 - any clusterer's class
    """What a class takes by name; what it hands on (``**kwargs``) goes to river's own ``KMeans``."""
    takes = dict(inspect.signature(kind).parameters)
    passed_on = [name for name, p in takes.items() if p.kind is inspect.Parameter.VAR_KEYWORD]
    for name in passed_on:
        del takes[name]
        takes = {**inspect.signature(cluster.KMeans).parameters, **takes}
    return takes


def _problem(takes: Mapping[str, inspect.Parameter], name: str, value: object) -> str | None:
    if name not in takes:
        near = difflib.get_close_matches(name, takes, n=1, cutoff=0.0)
        hint = f'; the nearest is "{near[0]}"' if near else ""
        return f"model.parameters.{name}: the clusterer has no such parameter{hint}."
    default = takes[name].default
    if isinstance(default, bool | str):
        wanted: tuple[type, ...] = (type(default),)
    elif isinstance(default, float):
        wanted = (int, float)
    else:  # a whole number, or none at all by default
        wanted = (int,)
    if isinstance(value, wanted) and isinstance(value, bool) == isinstance(default, bool):
        return None
    form = {bool: "true or false", str: "text", float: "a number", int: "a whole number"}[wanted[-1]]
    return f"model.parameters.{name}: must be {form}."
