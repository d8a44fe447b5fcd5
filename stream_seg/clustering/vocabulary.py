"""The words for segments: terms that hold for a centroid or do not, each with how clearly.

A centroid is given in z-scores of the population: 0 is average, 1 is one standard deviation above. A term
is a phrase with a margin: 0 or more where it holds, below 0 where it does not. The classic readings of
recency, frequency and money ("high-value", "churn-risk", ...) are in the spirit of A. M. Hughes, "Strategic
Database Marketing", 1994; the bounds are our own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Margin = Callable[[NDArray[np.float64]], float]

__all__ = ["FeatureMeaning", "Term", "feature_terms", "reading_terms"]

_MARKED = 0.5  # from here on a feature is "high" or "low"
_EXTREME = 1.5  # from here on it is "very" so


_ALONE = {  # for the only feature with this aggregate
    "days_since": ("long inactive", "inactive", "recent", "very recent"),
    "days_since_first": ("very long-standing", "long-standing", "new", "very new"),
    "gap_days": ("very long gaps", "long gaps", "short gaps", "very short gaps"),
    "count": ("very frequent", "frequent", "infrequent", "very infrequent"),
}
_NUMBER = ("very many {thing}", "many {thing}", "few {thing}", "very few {thing}")
_MEASURE = ("very high {thing}", "high {thing}", "low {thing}", "very low {thing}")
_SINCE = ("very long since {what}", "long since {what}", "recent {what}", "very recent {what}")
_PATTERNS = {"days_since": _SINCE, "days_since_first": _SINCE, "count": _NUMBER, "distinct": _NUMBER}


@dataclass(frozen=True, slots=True)
class FeatureMeaning:
    """What a feature tells about a customer, as far as words need it.

    Attributes:
        name: as configured, for example `days_since_order`.
        aggregate: as configured: `days_since`, `count`, `sum`, `mean`, `share`, ...
        weight: its say in the distance; a feature of weight 0 gives no words.
        filtered: whether it looks at some events only (`where`); the classic readings use those that see
            all.

    """

    name: str
    aggregate: str
    weight: float = 1.0
    filtered: bool = False


@dataclass(frozen=True, slots=True)
class Term:
    """A phrase and how clearly it holds.

    Attributes:
        text: the phrase.
        margin: takes a centroid (float64[d], z-scores); 0 or more where the term holds.
        features: indices of the features that it speaks of.
        strong: whether it says "very".

    """

    text: str
    margin: Margin
    features: tuple[int, ...] = ()
    strong: bool = False


def feature_terms(features: Sequence[FeatureMeaning]) -> list[Term]:
    """Return the terms that speak of one feature each, of every feature the stronger ones first."""
    aggregates = Counter(feature.aggregate for feature in features)
    spoken = Counter(_spoken(feature.name) for feature in features)
    terms = []
    for j, feature in enumerate(features):
        if feature.weight > 0.0:
            name = _spoken(feature.name)
            thing = name if spoken[name] == 1 else feature.name
            alone = aggregates[feature.aggregate] == 1
            very_high, high, low, very_low = _phrases(feature.aggregate, thing, alone=alone)
            terms += [
                Term(very_high, _above((j,), _EXTREME), (j,), strong=True),
                Term(very_low, _below((j,), -_EXTREME), (j,), strong=True),
                Term(high, _above((j,), _MARKED), (j,)),
                Term(low, _below((j,), -_MARKED), (j,)),
            ]
    return terms


def reading_terms(features: Sequence[FeatureMeaning]) -> list[Term]:
    """Return the classic readings, the first that holds is meant; none where the features do not allow them.

    They need an unfiltered `days_since` and an unfiltered `count` or `sum`.
    """

    def having(*aggregates: str) -> tuple[int, ...]:
        return tuple(
            j
            for j, f in enumerate(features)
            if f.aggregate in aggregates and f.weight > 0.0 and not f.filtered
        )

    silence, worth = having("days_since"), having("count", "sum")
    counts, age = having("count"), having("days_since_first")
    if not silence or not worth:
        return []
    terms = [
        Term("top-value", _all(_above(worth, 2.0), _below(silence, _MARKED)), silence),
        Term("high-value", _all(_above(worth, 0.6), _below(silence, _MARKED)), silence),
        Term("churn-risk", _all(_above(worth, 0.25), _above(silence, _MARKED)), silence),
        Term("lapsed", _above(silence, 0.8), silence),
    ]
    if age:
        terms.append(Term("new", _all(_below(age, -0.75), _below(silence, -0.25)), silence + age))
    if counts:
        terms.append(
            Term("one-off", _all(_below(counts, -_MARKED), _above(silence, -0.25)), silence + counts)
        )
    terms.append(Term("potential", _all(_below(silence, -0.25), _below(worth, 0.6)), silence))
    terms.append(
        Term("regular", _all(_below(silence, 0.8), _above(silence, -0.25), _below(worth, 0.6)), silence)
    )
    return terms


def _spoken(name: str) -> str:
    return name.replace("_", " ").strip() or "value"


def _phrases(aggregate: str, thing: str, *, alone: bool) -> tuple[str, ...]:
    """Return the words for very high, high, low and very low."""
    if alone and aggregate in _ALONE:
        return _ALONE[aggregate]
    what = thing.removeprefix("days since ")
    return tuple(p.format(thing=thing, what=what) for p in _PATTERNS.get(aggregate, _MEASURE))


def _above(features: tuple[int, ...], bound: float) -> Margin:
    return lambda centre: float(centre[list(features)].mean()) - bound


def _below(features: tuple[int, ...], bound: float) -> Margin:
    return lambda centre: bound - float(centre[list(features)].mean())


def _all(*margins: Margin) -> Margin:
    return lambda centre: min(margin(centre) for margin in margins)
