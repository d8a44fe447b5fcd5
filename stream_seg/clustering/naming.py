"""Readable names for segments, made from their centroids, and kept as long as they are true.

A name is one classic reading where the features allow it, else the features that stand out most; a word is
added only to tell segments apart, and a number only where no word can. A name that was given stays while all
of its words still hold, with some tolerance, so that names keep still while centroids move a little.
"""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from stream_seg.clustering.vocabulary import (
    FeatureMeaning,
    Term,
    feature_terms,
    plain_silence,
    reading_terms,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["FeatureMeaning", "name_segments"]

TOLERANCE = 0.3
"""Standard deviations by which a word may fail to hold before the name is given up."""

_WORDS = 3  # features in a name without a classic reading
_AVERAGE = "average"
_MARKED = 0.5
_NUMBERED = re.compile(r" \d+$")


def name_segments(
    features: Sequence[FeatureMeaning],
    centres_z: NDArray[np.float64],
    sizes: Sequence[int] | NDArray[np.int64],
    previous: Mapping[int, str],
    days: NDArray[np.float64] | None = None,
) -> list[str]:
    """Name every segment, each differently.

    Args:
        features: what the d features mean.
        centres_z: float64[k, d], centroids in z-scores of the population (without weights).
        sizes: members of each segment; of two that could keep one name the larger does, and one without
            members keeps its own: nothing is known against it.
        previous: names so far, by row of `centres_z`; only of segments that keep their id.
        days: float64[k, d], centroids in the features' own unit, where known; `days_since` features are read
            with them (`plain_silence`).

    Returns:
        k names, a function of the arguments alone.

    """
    namer = _Namer(features, _plain(features, centres_z, days))
    by_size = sorted(range(len(centres_z)), key=lambda i: (-int(sizes[i]), i))
    names = _kept(namer, by_size, sizes, previous)
    fresh = [i for i in by_size if i not in names]
    bases = {i: namer.base(i) for i in by_size}
    for i in fresh:
        taken = set(names.values())
        rivals = [
            j for j in by_size if j != i and (bases[j] == bases[i] or names.get(j, "").startswith(bases[i]))
        ]
        shared = any(j in fresh for j in rivals)
        names[i] = next(n for n in namer.candidates(i, rivals, shared=shared) if n not in taken)
    return [names[i] for i in range(len(centres_z))]


def _plain(
    features: Sequence[FeatureMeaning], centres: NDArray[np.float64], days: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return the centroids with every silence brought to where no reading of it is plainly false."""
    result = centres.copy()
    if days is not None:
        for j, feature in enumerate(features):
            if feature.aggregate == "days_since":
                result[:, j] = [
                    plain_silence(z, d)
                    for z, d in zip(centres[:, j].tolist(), days[:, j].tolist(), strict=True)
                ]
    return result


def _kept(
    namer: _Namer,
    by_size: Sequence[int],
    sizes: Sequence[int] | NDArray[np.int64],
    previous: Mapping[int, str],
) -> dict[int, str]:
    """Return the former names that stay, by row; a number stays only beside the name without it."""
    names: dict[int, str] = {}
    for numbered in (False, True):
        for i in by_size:
            name = previous.get(i)
            if name is None or i in names or name in names.values():
                continue
            words = namer.without_number(name)
            if (words != name) != numbered or (numbered and words not in names.values()):
                continue
            if not sizes[i] or namer.is_apt(words, i):
                names[i] = name
    return names


class _Namer:
    """The words for one set of features, and the centroids that they are about."""

    def __init__(self, features: Sequence[FeatureMeaning], centres: NDArray[np.float64]) -> None:
        self._centres = centres
        self._readings = reading_terms(features)
        self._descriptions = feature_terms(features)
        average = Term(_AVERAGE, lambda centre: 0.5 - float(abs(centre).max(initial=0.0)))
        self._terms = {t.text: t for t in (average, *self._readings, *self._descriptions)}

    def without_number(self, name: str) -> str:
        """Return `name` without the number that told it from another; a feature's own name may end in one."""
        known = all(word in self._terms for word in name.split(", "))
        return name if known else _NUMBERED.sub("", name)

    def is_apt(self, name: str, i: int) -> bool:
        """Tell whether every word of `name` still holds for segment `i`, with tolerance."""
        terms = [self._terms.get(word) for word in name.split(", ")]
        centre = self._centres[i]
        return all(t is not None and t.margin(centre) >= -min(TOLERANCE, t.least) for t in terms)

    def base(self, i: int) -> str:
        """Return the shortest name for segment `i`, whoever else may have it."""
        centre = self._centres[i]
        for reading in self._readings:
            if reading.margin(centre) >= 0.0:
                return reading.text
        marked = [t for t in self._strongest(i) if t.least >= _MARKED]
        words = sorted(marked[:_WORDS], key=lambda t: t.features)
        return ", ".join(t.text for t in words) or _AVERAGE

    def candidates(self, i: int, rivals: Sequence[int], *, shared: bool) -> Iterator[str]:
        """Give names for segment `i`, the best first, without end.

        The base (not if it is `shared` with a rival that gets its name now), then the base and a word, then
        two; words first that hold for no rival, of the feature that sets the segment most apart from them.
        """
        base = self.base(i)
        if not shared:
            yield base
        longest = base
        if rivals:
            words = [t.text for t in self._telling(i, rivals) if t.text not in base.split(", ")]
            yield from (f"{base}, {word}" for word in words)
            pairs = [f"{base}, {a}, {b}" for n, a in enumerate(words) for b in words[n + 1 :]]
            yield from pairs
            longest = f"{base}, {words[0]}" if words else base
        yield longest
        yield from (f"{longest} {number}" for number in count(2))

    def _telling(self, i: int, rivals: Sequence[int]) -> list[Term]:
        """Return what can be said of segment `i`, what tells it from its rivals first."""
        centre, others = self._centres[i], self._centres[list(rivals)]
        apart = abs(centre - others.mean(axis=0))

        def rank(term: Term) -> tuple[int, float]:
            common = sum(term.margin(other) >= 0.0 for other in others)
            return (common, -float(apart[term.features[0]]))

        return sorted(self._strongest(i), key=rank)

    def _strongest(self, i: int) -> list[Term]:
        """Return the strongest term that holds of each feature, the most marked feature first."""
        centre = self._centres[i]
        strongest: dict[int, Term] = {}
        for term in self._descriptions:
            if term.margin(centre) >= 0.0:
                strongest.setdefault(term.features[0], term)
        return sorted(strongest.values(), key=lambda t: (-abs(centre[t.features[0]]), t.features))
