"""What the owner of partition 0 does beside its own work: mint, and say how far anyone may go (design §4).

A version is committed together with partition 0's offset, so an old owner of that partition cannot mint, and
nothing waits for it. The store gets its copy afterwards, and only upwards. A check is made beside what
goes on, and has ended before the next one is due: no batch is labelled by a model that follows the population
from farther away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from stream_seg.engine.committer import Committer
from stream_seg.engine.edges import Observer, Ports, Running
from stream_seg.engine.livemint import Gathered, LiveMinter, horizon, totals
from stream_seg.engine.minter import Minted
from stream_seg.engine.partition import LivePartition
from stream_seg.engine.ports import Membership
from stream_seg.engine.publish import quality_fields, segment_fields
from stream_seg.engine.registry import Registry, version_records
from stream_seg.engine.reporting import Reporter

Owned = Mapping[int, LivePartition]
"""A worker's partitions by number."""


@dataclass(slots=True)
class MinterDuty:
    """A worker's part in minting: the minter's where it owns partition 0, a follower's elsewhere."""

    minter: LiveMinter
    reporter: Reporter
    committer: Committer
    registry: Registry
    ports: Ports
    observer: Observer
    _checking: Running[Minted | None] | None = None
    _minted: Minted | None = None

    def at_rest(self, owned: Owned) -> bool:
        """Whether no check and no version of ours is under way.

        Waits for a check that is, whose result is for ``mint`` to take.
        """
        if 0 not in owned:
            return True
        if self._checking is None:
            return self._minted is None
        self._checking.result()
        return False

    def follow(self) -> None:
        """Read what is new in the models topic."""
        self.registry.take(self.ports.models.read())

    def resume(self, owned: Owned, *, lost_data: bool) -> None:
        """After a take-over, begin anew.

        With partition 0 publish the newest version, or all of them where the store lost data.
        """
        self._minted = None  # one that was under way is committed, or never will be
        newest = self.registry.newest
        if 0 not in owned:
            return
        self._forget()
        if newest is None:
            self.minter.begin()
        else:
            self._publish(all_versions=lost_data)
            self.minter.resume(newest, self.reporter.gather(owned))

    def earliest_unread(self, owned: Owned) -> int | None:
        """The event time of the earliest unread event of all partitions; ``None``: open."""
        if 0 in owned:
            return horizon(self.reporter.gather(owned))
        return self.ports.store.horizon()

    def committed(self, minted: Minted) -> None:
        """Take a version that is committed, and tell of it."""
        self._minted = None
        self.registry.take(version_records(minted))
        self._publish()
        self.observer.minted(minted)

    def warm_up(self, owned: Owned, membership: Membership) -> None:
        """Seed the first version once enough is known; elsewhere look whether it is there."""
        if 0 not in owned:
            self.follow()
        elif self._minted is None and self.registry.newest is None:  # it may have come with the last commit
            gathered = self.reporter.with_samples(self.reporter.gather(owned), owned)
            self._commit(self.minter.warm_up(gathered, self.ports.now_s()), membership)

    def mint(self, owned: Owned, membership: Membership) -> None:
        """Mint if a check is due and the population asks for it; else publish the horizon."""
        if 0 not in owned:
            self.follow()
            return
        if self._minted is not None:
            return
        gathered = self.reporter.gather(owned)
        minted, owed = self._check(gathered, owned)
        self._commit(minted, membership)
        if minted is None and not owed and len(owned) < self.reporter.partitions:
            self.ports.store.put_horizon(horizon(gathered), owned[0].token)

    def _check(self, gathered: Gathered, owned: Owned) -> tuple[Minted | None, bool]:
        """(what a check has come to, whether one is owed: it cannot begin yet, or has not ended)."""
        due = self.minter.minter.due(*totals(gathered.reports))
        if self._checking is None and due:
            gathered = self.reporter.with_samples(gathered, owned)
            standing, owed = self.minter.standing(gathered, self.ports.now_s())
            if standing is None:
                return None, owed
            self.minter.minter.count_from(standing)
            self._checking = self.ports.minting(partial(self.minter.minter.check, standing))
            due = False
        if self._checking is None:
            return None, False
        if not (due or self._checking.done()):
            return None, True
        checking, self._checking = self._checking, None
        return checking.result(), False

    def _forget(self) -> None:
        """Drop a check that has begun under another ownership."""
        checking, self._checking = self._checking, None
        if checking is not None:
            checking.result()

    def _commit(self, minted: Minted | None, membership: Membership) -> None:
        if minted is not None:
            self._minted = minted
            self.committer.commit_version(minted, membership)

    def _publish(self, *, all_versions: bool = False) -> None:
        """Give the store the newest version, or every one in order, where it has lost some."""
        for number in sorted(self.registry.versions)[0 if all_versions else -1 :]:
            version = self.registry.versions[number]
            self.ports.store.put_version(
                number, version.to_json(), segment_fields(version), quality_fields(version)
            )
