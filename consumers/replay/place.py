"""A replay's checkpoint: one place of the merged order, to go on from after an interruption.

Customers' rows and the partitions' numbers are in the store anyway. What the minter goes by is kept beside
them, before the transaction that it belongs to: so of the two newest checkpoints one names the batches that
Kafka has committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from stream_seg.engine.checkpoint import restore
from stream_seg.engine.mark import Mark
from stream_seg.engine.minter import Counted
from stream_seg.engine.state import Position
from stream_seg.errors import DamagedState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.replay.commits import Commits
    from stream_seg.engine.merged import MergedReplay
    from stream_seg.engine.ports import Committed
    from stream_seg.engine.registry import Registry
    from stream_seg.engine.state import State

__all__ = ["Place", "go_back", "place_of"]


class Place(msgspec.Struct, frozen=True):
    """Each partition's newest batch, and the minter as it stood behind them: its version's number."""

    batches: dict[int, str]
    version: int
    counted: Counted


class _Found(NamedTuple):
    number: int
    place: Place


def place_of(driver: MergedReplay, batches: Mapping[int, str]) -> bytes | None:
    """The checkpoint of a replay as it stands; ``None`` during warm-up."""
    current = driver.current
    if current is None:
        return None
    return msgspec.msgpack.encode(Place(dict(batches), current.version, driver.minter.counted))


def go_back(driver: MergedReplay, commits: Commits, registry: Registry) -> bool:
    """Put a fresh replay to the place of the last commit; ``False`` where what is stored is not of there.

    ``registry`` holds the replay's own versions. Then nothing has changed, and history is to be taken again.
    """
    marks = {p: Mark.read(found.metadata) for p, found in commits.resume.items()}
    found = _found(commits, {p: mark.batch_id for p, mark in marks.items()})
    if found is None or found.place.version not in registry.versions or marks.keys() != driver.states.keys():
        return False
    states = {}
    for partition, committed in commits.resume.items():
        state = _state(driver, commits, registry, committed, marks[partition], partition)
        if state is None:
            return False
        states[partition] = state
    driver.restore(states, registry.versions[found.place.version], found.place.counted)
    commits.go_on(registry.versions, found.place.batches, found.number)
    return True


def _found(commits: Commits, batches: dict[int, str | None]) -> _Found | None:
    for number in (0, 1):
        text = commits.servers.store.place(number)
        try:
            place = None if text is None else msgspec.msgpack.decode(text, type=Place)
        except msgspec.DecodeError:
            continue
        if place is not None and place.batches == batches:
            return _Found(number, place)
    return None


def _state(
    driver: MergedReplay,
    commits: Commits,
    registry: Registry,
    committed: Committed,
    mark: Mark,
    partition: int,
) -> State | None:
    """A partition as it is stored, if that is where it was committed."""
    try:
        stored = commits.stored(partition, mark)
        if stored is None or stored.numbers.position != Position(committed.next_offset, mark.batch):
            return None
        version = registry.versions.get(stored.numbers.version)
        if version is None:
            return None
        return restore(partition, driver.plan.features, stored.numbers, version, stored.rows)
    except DamagedState:
        return None
