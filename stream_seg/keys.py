"""Names of everything a model keeps in Redis: the one place where they stand (``docs/reference/redis.md``).

Public keys begin with ``seg:<m>:``, private ones of a partition with ``seg:{<m>:<partition>}:``. A model's
name holds no colon and no brace, so no model's keys begin as another's do; a customer's id stands last and
needs no escaping.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["BLOCK_ROWS", "Keys"]

BLOCK_ROWS = 1024
"""Customer rows of one private hash."""

_GLOB = re.compile(r"([*?\[\]\\^])")


@dataclass(frozen=True, slots=True)
class Keys:
    """The key names of one model."""

    model: str

    @property
    def public(self) -> str:
        """How all public keys begin."""
        return f"seg:{self.model}:"

    @property
    def customers(self) -> str:
        """How customers' hashes begin; the id follows as it is."""
        return f"seg:{self.model}:c:"

    @property
    def segment_hashes(self) -> str:
        """How segments' hashes begin; the segment's id follows."""
        return f"seg:{self.model}:s:"

    @property
    def segments(self) -> str:
        """Sorted set: segment id → size."""
        return f"seg:{self.model}:segments"

    @property
    def quality(self) -> str:
        """Hash: the current version's quality."""
        return f"seg:{self.model}:quality"

    @property
    def meta(self) -> str:
        """Hash: contract version, instance, features, topics, partitions, created."""
        return f"seg:{self.model}:meta"

    @property
    def current(self) -> str:
        """String: the current version's number."""
        return f"seg:{self.model}:model:current"

    def customer(self, customer: str) -> str:
        """Hash: one customer as readers see it."""
        return self.customers + customer

    def segment(self, segment: int) -> str:
        """Hash: one segment."""
        return f"{self.segment_hashes}{segment}"

    def version(self, version: int) -> str:
        """String: one version as JSON."""
        return f"seg:{self.model}:model:{version}"

    def private(self, partition: int | str) -> str:
        """How a partition's private keys begin."""
        return f"seg:{{{self.model}:{partition}}}:"

    def owner(self, partition: int | str) -> str:
        """Hash: the owner's token and its producer's transactional id."""
        return self.private(partition) + "owner"

    def position(self, partition: int | str) -> str:
        """Hash: position, the batch id that led there, and the partition's numbers."""
        return self.private(partition) + "position"

    def pending(self, partition: int | str) -> str:
        """Hash: what a wholly staged batch consists of, and how much of it is applied."""
        return self.private(partition) + "pending"

    def staged(self, partition: int | str) -> str:
        """Hash: the pieces of a staged batch, and the batch id they belong to."""
        return self.private(partition) + "staged"

    def batch(self, partition: int) -> list[str]:
        """The four keys that staging and applying look at: owner, position, pending, staged."""
        return [
            self.owner(partition),
            self.position(partition),
            self.pending(partition),
            self.staged(partition),
        ]

    def frozen(self, partition: int | str) -> str:
        """How copies of a partition's position and rows begin, while a snapshot is read from them."""
        return self.private(partition) + "frozen:"

    def rows(self, partition: int | str) -> str:
        """How a partition's hashes of customer rows begin; the block's number follows."""
        return self.private(partition) + "rows:"

    def split(self, partition: int | str) -> str:
        """Set: row numbers of customers whose public hash another partition has."""
        return self.private(partition) + "split"

    def report(self, partition: int | str) -> str:
        """String: the partition's report as JSON."""
        return self.private(partition) + "report"

    def sample(self, partition: int | str) -> str:
        """String: the partition's sample as MessagePack."""
        return self.private(partition) + "sample"

    @property
    def horizon(self) -> str:
        """String: the minter's horizon, event time in ms; empty where it is open."""
        return self.private(0) + "horizon"

    def place(self, number: int) -> str:
        """String: one of the two newest checkpoints of a replay, as MessagePack."""
        return self.private(0) + f"place:{number}"

    def patterns(self) -> tuple[str, str]:
        """Glob patterns that match all private and all public keys of this model, and no other's."""
        name = _GLOB.sub(r"\\\1", self.model)
        return f"seg:{{{name}:*}}:*", f"seg:{name}:*"
