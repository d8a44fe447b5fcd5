"""A test for a measure that should keep still and has begun to rise.

Source: E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954; with the running mean in place of a
known one as in J. Gama et al., "A survey on concept drift adaptation", ACM Computing Surveys 46(4), 2014,
section 3.2.2. The same numbers as `river.drift.PageHinkley` in mode "up", whose package takes seconds to
import.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PageHinkley"]


@dataclass(slots=True)
class PageHinkley:
    """Page-Hinkley's test for a rise of the mean; it starts anew after each alarm.

    Attributes:
        delta: how much each value may lie above the mean without counting.
        threshold: the excess added up above which it is an alarm.
        least: values before which there is none.
        forget: factor by which the excess fades with each value.

    """

    delta: float = 0.005
    threshold: float = 0.5
    least: int = 30
    forget: float = 0.9999
    _count: int = 0
    _mean: float = 0.0
    _excess: float = 0.0
    _lowest: float = float("inf")

    @property
    def numbers(self) -> tuple[int, float, float, float]:
        """What it has come to, for `resumed`."""
        return self._count, self._mean, self._excess, self._lowest

    def resumed(self, numbers: tuple[int, float, float, float]) -> None:
        """Go on from what a test of the same settings had come to."""
        self._count, self._mean, self._excess, self._lowest = numbers

    def update(self, value: float) -> bool:
        """Take the next value; tell whether it raises the alarm."""
        self._count += 1
        self._mean += (value - self._mean) / self._count
        self._excess = self._excess * self.forget + value - self._mean - self.delta
        self._lowest = min(self._lowest, self._excess)
        alarm = self._count >= self.least and self._excess - self._lowest > self.threshold
        if alarm:
            self._count, self._mean, self._excess, self._lowest = 0, 0.0, 0.0, float("inf")
        return alarm
