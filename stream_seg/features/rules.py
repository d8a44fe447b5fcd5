"""Names for segments by the person's own rules on centroids, as plain frozen values.

``SegmentNames`` is the parsed ``[model] names``: automatic, plain, or a table by id or by a rule such as
``days_since_order > 180 and orders >= 3``, read on a centroid in the features' own units.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Comparison", "Condition", "NameRule", "SegmentNames"]

Comparison = Literal["<", "<=", ">", ">=", "==", "!="]

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_NUMBER = r"[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_CONDITION = re.compile(rf"\s*(?P<feature>[^\s<>=!]+)\s*(?P<op><=|>=|==|!=|<|>)\s*(?P<value>{_NUMBER})\s*")
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a centroid's feature, in the feature's own unit, with a number."""

    feature: str
    op: Comparison
    value: float

    def holds(self, centroid: Mapping[str, float]) -> bool:
        """Say whether it holds for a centroid {feature: value in its own unit}.

        Raises ``KeyError`` for an unknown feature.
        """
        return _COMPARE[self.op](centroid[self.feature], self.value)


@dataclass(frozen=True, slots=True)
class NameRule:
    """A name for the segments whose centroids meet every condition."""

    name: str
    conditions: tuple[Condition, ...]

    @classmethod
    def parsed(cls, name: str, text: str) -> NameRule:
        """Parse ``FEATURE OP NUMBER``, several joined by ``and``; ``ValueError`` if it is no such rule."""
        conditions = []
        for part in _AND.split(text.strip()):
            match = _CONDITION.fullmatch(part)
            if match is None:
                raise ValueError(f'must compare as in "orders >= 3", several joined by "and", not "{part}"')
            value = float(match["value"].replace("_", ""))
            conditions.append(Condition(match["feature"], cast("Comparison", match["op"]), value))
        return cls(name, tuple(conditions))

    def holds(self, centroid: Mapping[str, float]) -> bool:
        """Say whether every condition holds for a centroid {feature: value in its own unit}."""
        return all(condition.holds(centroid) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class SegmentNames:
    """How segments get their names.

    ``mode`` is ``auto`` (from the centroid), ``plain`` (segment-0, …) or ``table``: then ``by_id`` wins over
    ``rules``, the first rule that holds wins over later ones, and what neither names is named automatically.
    """

    mode: Literal["auto", "plain", "table"] = "auto"
    by_id: tuple[tuple[int, str], ...] = ()
    rules: tuple[NameRule, ...] = ()

    def given(self, segment: int, centroid: Mapping[str, float]) -> str | None:
        """Find the person's name for a segment, or ``None`` where neither the ids nor the rules name it."""
        for number, name in self.by_id:
            if number == segment:
                return name
        return next((rule.name for rule in self.rules if rule.holds(centroid)), None)
