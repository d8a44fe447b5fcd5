"""How the segments of a version came from those of the version before it, as the models topic tells it."""

from __future__ import annotations

import msgspec

from stream_seg.clustering.identity import Lineage
from stream_seg.engine.version import ModelVersion, Retired, Segment

__all__ = ["Change", "LineageRecord", "lineage_record"]


class Change(msgspec.Struct, frozen=True):
    """What became of one segment with a version: ``what`` is born, renamed, split, merged or retired."""

    what: str
    segment: int
    name: str
    former_name: str | None = None
    parent: int | None = None
    into: int | None = None


class LineageRecord(msgspec.Struct, frozen=True):
    """``lineage/<v>``: how the segments of a version came from those of the version before it."""

    version: int
    instance: str
    as_of: str
    changes: tuple[Change, ...]


def lineage_record(
    version: ModelVersion, before: dict[int, Segment], lineage: Lineage, gone: tuple[Retired, ...]
) -> LineageRecord:
    """The record of ``version``; ``before`` are the segments of the one before it, by id."""
    split = {s.child for s in lineage.split}
    changes = [
        Change("split" if s.id in split else "born", s.id, s.name, parent=s.parent)
        for s in version.segments
        if s.id not in before
    ]
    changes += [
        Change("renamed", s.id, s.name, former_name=before[s.id].name)
        for s in version.segments
        if s.id in before and before[s.id].name != s.name
    ]
    changes += [Change("retired" if r.into is None else "merged", r.id, r.name, into=r.into) for r in gone]
    return LineageRecord(version.version, version.instance, version.as_of, tuple(changes))
