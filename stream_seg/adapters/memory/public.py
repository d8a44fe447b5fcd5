"""What readers would find in Redis, as plain values: customers' and segments' hashes, sizes, versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["PublicView", "decimal"]

_SHORTEST, _LONGEST = 15, 17  # digits of a double


@dataclass(slots=True)
class PublicView:
    """The public part of a model.

    ``customers`` and ``segments`` are hashes by id, ``sizes`` members per segment id (a retired one leaves
    when it is empty), ``versions`` JSON by number, ``current`` the newest of them, ``quality`` and ``meta``
    hashes.
    """

    customers: dict[str, dict[str, str]] = field(default_factory=dict)
    segments: dict[int, dict[str, str]] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    versions: dict[int, bytes] = field(default_factory=dict)
    current: int | None = None
    quality: dict[str, str] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)

    def add_sizes(self, changes: Mapping[int, int], sign: int) -> None:
        """Count members in or out."""
        for segment, change in changes.items():
            size = self.sizes[segment] = self.sizes.get(segment, 0) + sign * change
            if segment in self.segments:
                self.segments[segment]["size"] = str(size)

    def recount(self, parts: Iterable[Mapping[int, int]]) -> None:
        """Count members anew from what the partitions hold."""
        self.sizes = dict.fromkeys(self.sizes, 0)
        for sizes in parts:
            self.add_sizes(sizes, 1)
        self.refresh_sizes()

    def refresh_sizes(self) -> None:
        """Write size and share into the segments' hashes, from ``sizes`` alone."""
        total = sum(self.sizes.values())
        for segment, size in list(self.sizes.items()):
            fields = self.segments.get(segment)
            if fields is None:
                continue
            fields.update(size=str(size), share=decimal(size / total if total > 0 else 0.0))
            if size == 0 and fields.get("status") == "retired":
                del self.sizes[segment]

    def publish(
        self,
        version: int,
        model: bytes,
        segments: Mapping[int, Mapping[str, str]],
        quality: Mapping[str, str],
    ) -> None:
        """Publish a version, unless a newer one is current."""
        if self.current is not None and self.current > version:
            return
        self.versions[version] = model
        for segment, fields in segments.items():
            counted = {"size": str(self.sizes.get(segment, 0)), "share": "0"}
            if fields.get("status") == "retired":  # keeps what it had
                self.segments[segment] = {**self.segments.get(segment, {}), **fields, **counted}
            else:
                self.segments[segment] = {**fields, **counted}
                self.sizes.setdefault(segment, 0)
        self.quality = dict(quality)
        self.current = version
        self.refresh_sizes()


def decimal(value: float) -> str:
    """A float as the shortest of its C texts that reads back the same: Redis's scripts write it so, too."""
    texts = (f"{value:.{digits}g}" for digits in range(_SHORTEST, _LONGEST + 1))
    return next(text for text in texts if float(text) == value)
