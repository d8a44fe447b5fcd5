"""What a snapshot holds, and its two JSON files.

``snapshot.json`` says which model it is of and how its partitions stand, ``models.json`` has the records of
the models topic by key: versions, their lineage, and the adoptions that led to where the partitions stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from stream_seg.engine.registry import Registry
from stream_seg.engine.rowcolumns import RowColumns
from stream_seg.engine.state import Numbers
from stream_seg.errors import DamagedState, StateError

__all__ = ["FORMAT", "Holding", "Manifest", "Snapshot", "decode_manifest", "decode_models", "encode_models"]

FORMAT = 1
"""Counted up when a snapshot of this program could not be read by the one before."""


class Holding(msgspec.Struct, frozen=True):
    """A partition in a snapshot: its file of ``rows`` customers, and its numbers with the position."""

    partition: int
    file: str
    rows: int
    numbers: Numbers


class Manifest(msgspec.Struct, frozen=True):
    """``snapshot.json``.

    ``meta`` is the model's meta hash: contract, instance, features, model's hash, topic, its id and number
    of partitions; ``taken`` wall time, RFC 3339; ``version`` the newest one; ``holds`` the partitions in it:
    all, or those of the worker that took it.
    """

    format: int
    model: str
    taken: str
    program: str
    version: int
    meta: dict[str, str]
    holds: tuple[Holding, ...]

    @property
    def instance(self) -> str:
        """The life of the model that it is of."""
        return self.meta["instance"]

    @property
    def partitions(self) -> int:
        """How many partitions the model has."""
        return int(self.meta["partitions"])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is to be written: how partitions stand (numbers and rows), and what the models topic holds."""

    model: str
    taken: str
    program: str
    meta: Mapping[str, str]
    parts: Mapping[int, tuple[Numbers, RowColumns]]
    registry: Registry

    def manifest(self) -> Manifest:
        """Its ``snapshot.json``."""
        return Manifest(
            format=FORMAT,
            model=self.model,
            taken=self.taken,
            program=self.program,
            version=self.registry.known,
            meta=dict(self.meta),
            holds=tuple(
                Holding(p, f"partition-{p:05d}.parquet", len(rows), numbers)
                for p, (numbers, rows) in sorted(self.parts.items())
            ),
        )

    def models(self) -> bytes:
        """Its ``models.json``."""
        return encode_models(self.registry.records({p: n.version for p, (n, _) in self.parts.items()}))


def encode_models(records: Iterable[tuple[str, bytes]]) -> bytes:
    """Records of the models topic as one JSON object by key, one a line."""
    lines = (msgspec.json.encode(key) + b": " + value for key, value in records)
    return b"{\n" + b",\n".join(lines) + b"\n}\n"


def decode_models(text: bytes) -> list[tuple[str, bytes]]:
    """The records back, byte for byte; ``DamagedState`` where they cannot be read."""
    try:
        found = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedState(f"models.json cannot be read ({error})") from error
    return [(key, bytes(value)) for key, value in found.items()]


def decode_manifest(text: bytes) -> Manifest:
    """A manifest back; ``DamagedState`` where it cannot be read, ``StateError`` for a newer program's."""
    try:
        known = msgspec.json.decode(text, type=_Format)
        if known.format > FORMAT:
            raise StateError(
                f"it was written in format {known.format}, of a newer stream-seg: upgrade stream-seg"
            )
        manifest = msgspec.json.decode(text, type=Manifest)
        _ = manifest.partitions, manifest.instance
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise DamagedState(f"snapshot.json cannot be read ({error})") from error
    return manifest


class _Format(msgspec.Struct):
    format: int
