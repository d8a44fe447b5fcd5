"""What ``<m>.models`` holds, as records and as a value that follows them: versions, adoptions, lineage.

Kafka is the truth: whatever a worker knows of versions and adoptions it has read from there, read committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from stream_seg.engine.lineage import LineageRecord
from stream_seg.engine.minter import Minted
from stream_seg.engine.moments import milliseconds, moment
from stream_seg.engine.outcome import Adoption
from stream_seg.engine.state import UNKNOWN
from stream_seg.engine.version import ModelVersion
from stream_seg.errors import StateError


class AdoptionRecord(msgspec.Struct, frozen=True):
    """``adoption/<partition>/<v>``: a partition labels under a version from ``first_offset`` on.

    ``clock`` is its event time then, RFC 3339, or ``None`` before its first event.
    """

    partition: int
    version: int
    first_offset: int
    clock: str | None
    instance: str


@dataclass(slots=True)
class Registry:
    """All versions, adoptions and lineage (as recorded) read so far."""

    versions: dict[int, ModelVersion] = field(default_factory=dict)
    adoptions: dict[tuple[int, int], AdoptionRecord] = field(default_factory=dict)
    lineage: dict[int, bytes] = field(default_factory=dict)

    @property
    def newest(self) -> ModelVersion | None:
        """The version with the highest number."""
        return self.versions[max(self.versions)] if self.versions else None

    @property
    def known(self) -> int:
        """The newest version's number, 0 where there is none."""
        return max(self.versions, default=0)

    @property
    def instance(self) -> str | None:
        """The instance the records belong to; ``None`` where there are none."""
        return None if self.newest is None else self.newest.instance

    def take(self, records: Iterable[tuple[str, bytes]]) -> bool:
        """Take new records in order.

        Returns whether there was a new version. ``StateError`` for one that cannot be read.
        """
        found = False
        for key, value in records:
            kind, _, rest = key.partition("/")
            if kind == "version":
                version = ModelVersion.from_json(value)
                found |= version.version not in self.versions
                self.versions[version.version] = version
            elif kind == "adoption":
                record = _adoption(key, value)
                self.adoptions[record.partition, record.version] = record
            elif kind == "lineage" and rest.isdecimal():
                self.lineage[int(rest)] = value
            else:
                raise StateError(
                    f'the models topic holds a record with key "{key}": it belongs to another program'
                )
        return found

    def adoptions_of(self, partition: int) -> list[AdoptionRecord]:
        """A partition's adoptions in the order in which it made them."""
        return [self.adoptions[key] for key in sorted(self.adoptions) if key[0] == partition]

    def records(self, adopted: Mapping[int, int]) -> list[tuple[str, bytes]]:
        """What the models topic holds of versions, lineage and the adoptions that led to ``adopted``.

        That is partition → its version; of other partitions no adoption is given, and none made later.
        """
        found: list[tuple[str, bytes]] = []
        for number, version in sorted(self.versions.items()):
            found.append((f"version/{number}", version.to_json()))
            if number in self.lineage:
                found.append((f"lineage/{number}", self.lineage[number]))
        return found + [
            (f"adoption/{partition}/{number}", msgspec.json.encode(record))
            for (partition, number), record in sorted(self.adoptions.items())
            if number <= adopted.get(partition, 0)
        ]

    def adoption(self, record: AdoptionRecord) -> Adoption:
        """A recorded adoption as a change for ``step``; ``StateError`` where its version is missing."""
        version = self.versions.get(record.version)
        if version is None:
            raise StateError(
                f"partition {record.partition} adopted version {record.version}, which the models topic does "
                "not hold: restore the topic, or reset the model and replay"
            )
        clock_ms = UNKNOWN if record.clock is None else milliseconds(record.clock)
        return Adoption(version, record.first_offset, clock_ms)


def _adoption(key: str, value: bytes) -> AdoptionRecord:
    try:
        return msgspec.json.decode(value, type=AdoptionRecord)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(f'the models topic\'s record "{key}" cannot be read ({error})') from error


def version_records(minted: Minted) -> list[tuple[str, bytes]]:
    """The records of a new version: itself, and its lineage."""
    number = minted.version.version
    return [
        (f"version/{number}", minted.version.to_json()),
        (f"lineage/{number}", msgspec.json.encode(minted.lineage)),
    ]


def adoption_record(partition: int, adopted: Adoption) -> tuple[str, bytes]:
    """The record of an adoption."""
    number = adopted.version.version
    clock = None if adopted.clock_ms == UNKNOWN else moment(adopted.clock_ms)
    record = AdoptionRecord(partition, number, adopted.next_offset, clock, adopted.version.instance)
    return f"adoption/{partition}/{number}", msgspec.json.encode(record)


def lineage_of(value: bytes) -> LineageRecord:
    """Read a lineage record back."""
    return msgspec.json.decode(value, type=LineageRecord)
