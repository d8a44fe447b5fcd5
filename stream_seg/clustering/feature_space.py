"""Which feature stands in which column, and on which lattice: for input whose features come and go.

An absent feature counts as 0, so a feature that appears late is a new column of zeros for everyone so far,
and changes no sum.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stream_seg.clustering.lattice import quantise

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from numpy.typing import NDArray

__all__ = ["FeatureSpace", "lattice_step"]

_FINE = 16  # without anything to go by: a step of 2**-16
_HEADROOM = 12  # doublings that the largest value seen may still grow by before it is clipped
_LARGEST = 100  # steps stay within 2**±100, so that their squares are ordinary numbers


def lattice_step(largest: float) -> float:
    """Return the power of two that puts values of magnitude `largest` on the lattice, with room to grow.

    Values may become 4,096 times as large before they are clipped; the resolution is 4 millionths of that
    value, or finer. For 0 it is 2**-16, good for values up to 32,768.
    """
    if not 0.0 < largest < math.inf:
        return 2.0**-_FINE
    exponent = math.frexp(largest)[1] + _HEADROOM - 31
    return 2.0 ** min(max(exponent, -_LARGEST), _LARGEST)


class FeatureSpace:
    """Names of features in the order of their columns, and the lattice's steps once they are fixed."""

    def __init__(self) -> None:
        """Start without features."""
        self.names: list[Hashable] = []
        self.step: NDArray[np.float64] | None = None
        self.clipped = 0  # values that lay beyond the lattice so far

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self.names)

    def vectors(self, columns: Mapping[Hashable, NDArray[np.float64]], n: int) -> NDArray[np.float64]:
        """Return `columns` (float64[n] each) as float64[n, d], with a new column for every new name.

        New names are sorted first, so that the order of features in the input makes no difference.

        Raises:
            ValueError: for a value that is not a number; it names the feature.

        """
        known = set(self.names)
        for name in columns:
            if np.isnan(columns[name]).any():
                raise ValueError(f"feature {name!r} is not a number (NaN)")
        self._extend(sorted((name for name in columns if name not in known), key=_sort_key), columns)
        result = np.zeros((n, len(self.names)))
        for j, name in enumerate(self.names):
            if name in columns:
                result[:, j] = columns[name]
        return result

    def known_vectors(self, columns: Mapping[Hashable, NDArray[np.float64]], n: int) -> NDArray[np.float64]:
        """Do the same for a prediction: names never learned are left out, and nothing changes."""
        result = np.zeros((n, len(self.names)))
        for j, name in enumerate(self.names):
            if name in columns:
                result[:, j] = columns[name]
        if np.isnan(result).any():
            raise ValueError("a feature is not a number (NaN)")
        return result

    @property
    def fixed_step(self) -> NDArray[np.float64]:
        """The lattice's steps, float64[d]; `ValueError` before they are fixed."""
        if self.step is None:
            raise ValueError("the lattice is fixed at the end of warm-up")
        return self.step

    def fix_lattice(self, values: NDArray[np.float64]) -> None:
        """Choose every feature's step from the values (float64[n, d]) known so far."""
        finite = np.where(np.isfinite(values), np.abs(values), 0.0)
        self.step = np.array([lattice_step(x) for x in finite.max(axis=0, initial=0.0).tolist()])

    def rows(self, values: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return float64[n, d] on the lattice, int32[n, d], and count what had to be clipped."""
        rows, clipped = quantise(values, self.fixed_step)
        self.clipped += clipped
        return rows

    def _extend(self, names: Iterable[Hashable], columns: Mapping[Hashable, NDArray[np.float64]]) -> None:
        for name in names:
            self.names.append(name)
            if self.step is not None:
                first = columns[name][0] if columns[name].size else 0.0
                self.step = np.append(self.step, lattice_step(abs(float(first))))


def _sort_key(name: Hashable) -> tuple[str, str]:
    return type(name).__name__, str(name)
