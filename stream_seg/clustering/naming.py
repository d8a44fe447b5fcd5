"""Readable names for segments, made from their centroids, and kept as long as they are true.

A name is one classic reading where the features allow it, else the features that stand out most; words are
added only to tell segments apart. A name that was given stays while all of its words still hold, with some
tolerance, so that names keep still while centroids move a little.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stream_seg.clustering.vocabulary import FeatureMeaning, Term, feature_terms, reading_terms

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FeatureMeaning", "name_segments"]

TOLERANCE = 0.3
"""Standard deviations by which a word may fail to hold before the name is given up."""

_WORDS = 3  # features in a name without a classic reading
_AVERAGE = "average"


def name_segments(
    features: Sequence[FeatureMeaning],
    centres_z: NDArray[np.float64],
    sizes: Sequence[int] | NDArray[np.int64],
    previous: Mapping[int, str],
) -> list[str]:
    """Name every segment, each differently.

    Args:
        features: what the d features mean.
        centres_z: float64[k, d], centroids in z-scores of the population (without weights).
        sizes: members of each segment; of two that could keep one name the larger does.
        previous: names so far, by row of `centres_z`; only of segments that keep their id.

    Returns:
        k names, a function of the arguments alone.

    """
    namer = _Namer(features, centres_z)
    by_size = sorted(range(len(centres_z)), key=lambda i: (-int(sizes[i]), i))
    names: dict[int, str] = {}
    for i in by_size:
        name = previous.get(i)
        if name is not None and name not in names.values() and namer.is_apt(name, i):
            names[i] = name
    fresh = [i for i in by_size if i not in names]
    bases = {i: namer.base(i) for i in fresh}
    for i in fresh:
        rivals = [j for j in fresh if bases[j] == bases[i]]
        kept = [j for j, name in names.items() if name.startswith(bases[i])]
        longer = namer.longer_names(i, {*rivals, *kept})
        names[i] = _distinct(longer, set(names.values()), shared=len(rivals) > 1)
    return [names[i] for i in range(len(centres_z))]


class _Namer:
    """The words for one set of features, and the centroids that they are about."""

    def __init__(self, features: Sequence[FeatureMeaning], centres: NDArray[np.float64]) -> None:
        self._centres = centres
        self._readings = reading_terms(features)
        self._descriptions = feature_terms(features)
        average = Term(_AVERAGE, lambda centre: 0.5 - float(abs(centre).max(initial=0.0)))
        self._terms = {t.text: t for t in (average, *self._readings, *self._descriptions)}

    def is_apt(self, name: str, i: int) -> bool:
        """Tell whether every word of `name` still holds for segment `i`, with tolerance."""
        return self._holds(name, i) or self._holds(re.sub(r" \d+$", "", name), i)

    def _holds(self, words: str, i: int) -> bool:
        terms = [self._terms.get(word) for word in words.split(", ")]
        return all(t is not None and t.margin(self._centres[i]) >= -TOLERANCE for t in terms)

    def base(self, i: int) -> str:
        """Return the shortest name for segment `i`, whoever else may have it."""
        centre = self._centres[i]
        for reading in self._readings:
            if reading.margin(centre) >= 0.0:
                return reading.text
        words = sorted(self._standing_out(i)[:_WORDS], key=lambda t: t.features)
        return ", ".join(t.text for t in words) or _AVERAGE

    def longer_names(self, i: int, rivals: Collection[int]) -> list[str]:
        """Return names for segment `i`, from the base on by a word longer each.

        The words that set it most apart from `rivals` (which have the same base) come first.
        """
        base = self.base(i)
        said = self._terms[base].features if base in self._terms else ()
        apart = abs(self._centres[i] - self._centres[sorted(rivals)].mean(axis=0))
        names = [base]
        for term in sorted(self._standing_out(i), key=lambda t: -apart[t.features[0]]):
            new = term.strong or term.features[0] not in said
            if new and term.text not in base.split(", "):
                names.append(f"{names[-1]}, {term.text}")
        return names

    def _standing_out(self, i: int) -> list[Term]:
        """Return the strongest term that holds of each feature, the most marked feature first."""
        centre = self._centres[i]
        strongest: dict[int, Term] = {}
        for term in self._descriptions:
            if term.margin(centre) >= 0.0:
                strongest.setdefault(term.features[0], term)
        return sorted(strongest.values(), key=lambda t: (-abs(centre[t.features[0]]), t.features))


def _distinct(names: Sequence[str], taken: set[str], *, shared: bool) -> str:
    """Return the first name that is free: not the base if that is shared, and a numbered one at last."""
    for name in names[1:] if shared else names:
        if name not in taken:
            return name
    longest = names[-1]
    number = 2
    while f"{longest} {number}" in taken:
        number += 1
    return longest if longest not in taken else f"{longest} {number}"
