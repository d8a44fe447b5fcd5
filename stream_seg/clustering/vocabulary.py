"""The words for segments: terms that hold for a centroid or do not, each with how clearly.

A centroid is given in z-scores of the population: 0 is average, 1 is one standard deviation above. A term
is a phrase with a margin: 0 or more where it holds, below 0 where it does not. The classic readings of
recency, frequency and money ("high-value", "churn-risk", ...) are in the spirit of A. M. Hughes, "Strategic
Database Marketing", 1994; the bounds are our own.

A z-score alone can lie about time: in a population of a day's age three hours are a long silence, and where
nearly everybody left last year a year is an average one. So silence is also bounded in days
(`plain_silence`).
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

__all__ = ["FeatureMeaning", "Term", "feature_terms", "plain_silence", "reading_terms"]

_SLIGHT = 0.1  # from here on a feature is "fairly" high or low: said only to tell segments apart
_MARKED = 0.5  # from here on it is "high" or "low"
_EXTREME = 1.5  # from here on it is "very" so
_AWAY = 0.25  # from here on a silence is longer than usual, and below the negative of it shorter
_LAPSED = 0.5  # and from here on it is a longer one

_SELDOM = -0.35

_NOT_YET_DAYS, _NO_MORE_DAYS = 7.0, 180.0

_ALONE = {  # for the only feature with this aggregate
    "days_since": ("long inactive", "inactive", "fairly inactive", "fairly recent", "recent", "very recent"),
    "days_since_first": (
        "very long-standing",
        "long-standing",
        "fairly long-standing",
        "fairly new",
        "new",
        "very new",
    ),
    "gap_days": (
        "very long gaps",
        "long gaps",
        "fairly long gaps",
        "fairly short gaps",
        "short gaps",
        "very short gaps",
    ),
    "count": (
        "very frequent",
        "frequent",
        "fairly frequent",
        "fairly infrequent",
        "infrequent",
        "very infrequent",
    ),
}
_NUMBER = (
    "very many {thing}",
    "many {thing}",
    "fairly many {thing}",
    "fairly few {thing}",
    "few {thing}",
    "very few {thing}",
)
_MEASURE = (
    "very high {thing}",
    "high {thing}",
    "fairly high {thing}",
    "fairly low {thing}",
    "low {thing}",
    "very low {thing}",
)
_SINCE = (
    "very long since {what}",
    "long since {what}",
    "fairly long since {what}",
    "fairly recent {what}",
    "recent {what}",
    "very recent {what}",
)
_PATTERNS = {"days_since": _SINCE, "days_since_first": _SINCE, "count": _NUMBER, "distinct": _NUMBER}


@dataclass(frozen=True, slots=True)
class FeatureMeaning:
    """What a feature tells about a customer, as far as words need it.

    Attributes:
        name: as configured, for example `days_since_order`.
        aggregate: as configured: `days_since`, `count`, `sum`, `mean`, `share`, ...
        weight: its say in the distance; a feature of weight 0 gives no words.
        where: the events that it looks at, empty for all; only compared. The classic readings use features
            that see all events, or the same ones.

    """

    name: str
    aggregate: str
    weight: float = 1.0
    where: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Term:
    """A phrase and how clearly it holds.

    Attributes:
        text: the phrase.
        margin: takes a centroid (float64[d], z-scores); 0 or more where the term holds.
        features: indices of the features that it speaks of.
        least: the magnitude of a z-score that it asks for, from "fairly" over plain to "very".

    """

    text: str
    margin: Margin
    features: tuple[int, ...] = ()
    least: float = _MARKED


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
            phrases = _phrases(feature.aggregate, thing, alone=alone)
            for least, high, low in zip(
                (_EXTREME, _MARKED, _SLIGHT), phrases[:3], reversed(phrases[3:]), strict=True
            ):
                terms.append(Term(high, _above((j,), least), (j,), least))
                terms.append(Term(low, _below((j,), -least), (j,), least))
    return terms


def plain_silence(z: float, days: float) -> float:
    """Return the z-score of a silence of so many days, brought to where no reading of it is plainly false.

    Up to a week nobody counts as away, from half a year on everybody does.
    """
    if days <= _NOT_YET_DAYS:
        return min(z, 0.0)
    return max(z, _EXTREME) if days >= _NO_MORE_DAYS else z


def reading_terms(features: Sequence[FeatureMeaning]) -> list[Term]:
    """Return the classic readings, the first that holds is meant; none where the features do not allow them.

    They need a `days_since` and a `count` or `sum` of all events, or of the same ones: a day without returns
    is no silence.
    """
    silence = _silences(features)
    if not silence:
        return []
    heard = features[silence[0]].where

    def having(*aggregates: str) -> tuple[int, ...]:
        return tuple(
            j
            for j, f in enumerate(features)
            if f.aggregate in aggregates and f.weight > 0.0 and f.where in {(), heard}
        )

    worth, counts, age = having("count", "sum"), having("count"), having("days_since_first")
    if not worth:
        return []
    here, away = _below(silence, _AWAY), _above(silence, _AWAY)
    seldom = counts or worth
    terms = [
        Term("top-value", _all(_above(worth, 2.0), here), silence),
        Term("high-value", _all(_above(worth, 0.6), here), silence),
        Term("churn-risk", _all(_above(worth, 0.25), away), silence),
        Term("lapsed", _above(silence, _LAPSED), silence),
        Term("cooling", _all(away, _below(silence, _LAPSED)), silence),
    ]
    if age:
        terms.append(Term("new", _all(_below(age, -0.75), _below(silence, -_AWAY)), silence + age))
    return [
        *terms,
        Term("potential", _all(_below(silence, -_AWAY), _below(worth, 0.6)), silence),
        Term("occasional", _all(_below(seldom, _SELDOM), here), silence + counts),
        Term(
            "regular",
            _all(here, _above(silence, -_AWAY), _above(seldom, _SELDOM), _below(worth, 0.6)),
            silence,
        ),
    ]


def _silences(features: Sequence[FeatureMeaning]) -> tuple[int, ...]:
    """Return the features that tell of silence: of all events, else of the same events as some worth."""
    found = [j for j, f in enumerate(features) if f.aggregate == "days_since" and f.weight > 0.0]
    valued = {f.where for f in features if f.aggregate in {"count", "sum"} and f.weight > 0.0}
    plain = tuple(j for j in found if not features[j].where)
    if plain:
        return plain
    heard = next((features[j].where for j in found if features[j].where in valued), None)
    return tuple(j for j in found if features[j].where == heard)


def _spoken(name: str) -> str:
    return name.replace("_", " ").strip() or "value"


def _phrases(aggregate: str, thing: str, *, alone: bool) -> tuple[str, ...]:
    """Return the words for very high, high, fairly high, fairly low, low and very low."""
    if alone and aggregate in _ALONE:
        return _ALONE[aggregate]
    what = thing.removeprefix("days since ")
    return tuple(p.format(thing=thing, what=what) for p in _PATTERNS.get(aggregate, _MEASURE))


def _above(features: tuple[int, ...], bound: float) -> Margin:
    return lambda centre: _mean(centre, features) - bound


def _below(features: tuple[int, ...], bound: float) -> Margin:
    return lambda centre: bound - _mean(centre, features)


def _mean(centre: NDArray[np.float64], features: tuple[int, ...]) -> float:
    """Return the mean of a few values; numpy's own takes ten times as long."""
    return sum(map(centre.item, features)) / len(features)


def _all(*margins: Margin) -> Margin:
    return lambda centre: min(margin(centre) for margin in margins)
