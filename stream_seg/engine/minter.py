"""The minter: reads how the partitions stand and makes the next model version, or none.

It is pure. Its versions depend on what it is shown and when; labels depend on versions only through recorded
adoptions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_seg.clustering.identity import Identities, Lineage, carry_ids, first_ids
from stream_seg.clustering.lattice import ClusterSums
from stream_seg.clustering.lloyd import batch_kmeans
from stream_seg.clustering.metrics import cost_per_customer
from stream_seg.clustering.mint import Proposal, Scaling, propose, scaling_of, should_mint
from stream_seg.clustering.structure import SMALL_SAMPLE, Each
from stream_seg.engine.lineage import LineageRecord, lineage_record
from stream_seg.engine.moments import moment
from stream_seg.engine.naming import name_all
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.quality import Observer, Quality, Seen, clustering_quality, drift_of
from stream_seg.engine.restructure import refitted
from stream_seg.engine.state import DAY_MS, Changes
from stream_seg.engine.version import (
    FeatureScale,
    ModelVersion,
    Movement,
    Reason,
    Retired,
    Segment,
)

SamplePoints = tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int32]]
"""Lattice points int32 [n, d], weights float64 [n], places int32 [n] under the current version."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The population as the minter sees it: ``sums`` of all partitions under the current version.

    ``events`` and ``rows_passed`` so far over all partitions; ``as_of_ms`` the largest event time;
    ``sample`` draws rows when asked; ``changes`` of segment so far.
    """

    sums: ClusterSums
    events: int
    rows_passed: int
    as_of_ms: int
    sample: Callable[[], SamplePoints]
    changes: Changes


@dataclass(frozen=True, slots=True)
class Minted:
    """A new version and how it came from the one before."""

    version: ModelVersion
    lineage: LineageRecord


@dataclass(frozen=True, slots=True)
class _Made:
    """What a version is made of, but for its number and its segments' ids and names."""

    reason: Reason
    scaling: Scaling
    centres: NDArray[np.float64]
    counts: NDArray[np.int64]
    as_of_ms: int
    movement: Movement
    quality: Quality


class Counted(msgspec.Struct, frozen=True):
    """What a minter goes by beside its current version: see ``Minter``'s fields."""

    events: int
    rows_passed: int
    customers: int
    structure_customers: int
    structure_ms: int
    seen: Seen


@dataclass(slots=True)
class Minter:
    """Makes versions one after the other.

    ``current`` is the newest; ``standing`` numbers are those of the last check; ``each`` says how the fits of
    a structural refit are made, one after the other or beside each other.
    """

    plan: ModelPlan
    instance: str
    current: ModelVersion | None = None
    events: int = 0
    rows_passed: int = 0
    customers: int = 0
    structure_customers: int = 0
    structure_ms: int = field(default=-(2**62))
    each: Each = field(default=map, repr=False)
    _observer: Observer = field(default_factory=Observer)

    def first(self, points: NDArray[np.int32], as_of_ms: int) -> Minted:
        """Seed version 1 from the vectors int32 [n, d] known at the end of warm-up (design §3.1); n ≥ 1."""
        plan = self.plan
        step = plan.features.steps
        everyone = np.zeros(len(points), dtype=np.int32)
        scaling = scaling_of(ClusterSums.recount(points, everyone, 1), step, plan.features.weights)
        scaled = scaling.scaled(points * step)
        fit = batch_kmeans(
            scaled,
            np.ones(len(points)),
            plan.segments,
            restarts=plan.minting.seeding_restarts,
            seed=plan.seed,
        )
        counts = np.bincount(fit.labels, minlength=len(fit.centres))
        order = np.argsort(-counts, kind="stable")
        centres = fit.centres[order]
        quality: Quality = {"cost_per_customer": fit.cost / len(points)}
        quality |= clustering_quality(scaled, np.ones(len(points)), centres, plan.seed)
        made = _Made("warm-up", scaling, centres, counts[order], as_of_ms, Movement(), quality)
        minted = self._mint(made, first_ids(len(order)))
        self._observer.start(Changes(), as_of_ms)
        self.customers = self.structure_customers = len(points)
        self.structure_ms = as_of_ms
        return minted

    def resume(
        self, current: ModelVersion, events: int, rows_passed: int, changes: Changes | None = None
    ) -> None:
        """Go on from a version that exists already, counting from here to the next check."""
        self._observer.start(changes or Changes(), current.as_of_ms)
        self.current = current
        self.events, self.rows_passed = events, rows_passed
        self.customers = self.structure_customers = current.customers
        self.structure_ms = current.as_of_ms

    @property
    def counted(self) -> Counted:
        """What it goes by, for ``restore``."""
        return Counted(
            self.events,
            self.rows_passed,
            self.customers,
            self.structure_customers,
            self.structure_ms,
            self._observer.seen,
        )

    def restore(self, current: ModelVersion, counted: Counted) -> None:
        """Stand where a minter stood that had made ``current`` and ``counted`` so far."""
        self.current = current
        self.events, self.rows_passed = counted.events, counted.rows_passed
        self.customers, self.structure_customers = counted.customers, counted.structure_customers
        self.structure_ms = counted.structure_ms
        self._observer.resume(counted.seen)

    @property
    def events_to_check(self) -> int:
        """A check is due when this many events have come since the last (design §3.4)."""
        return max(1, math.ceil(self.customers * self.plan.minting.check_events_share))

    @property
    def rows_to_check(self) -> int:
        """A check is due when this many rows have been through passes b and c since the last."""
        return max(1, math.ceil(self.customers * self.plan.minting.check_population_share))

    def due(self, events: int, rows_passed: int) -> bool:
        """Whether a check is owed, with so many events and rows passed over all partitions so far."""
        new_events, new_rows = events - self.events, rows_passed - self.rows_passed
        return new_events >= self.events_to_check or new_rows >= self.rows_to_check

    def count_from(self, standing: Standing) -> None:
        """Count anew from there to the next check."""
        self.events, self.rows_passed = standing.events, standing.rows_passed

    def check(self, standing: Standing) -> Minted | None:
        """Make the next version if the population asks for one; counting starts anew either way."""
        current = self.current
        if current is None:
            raise ValueError("there is no version to follow: seed the first one")
        self.count_from(standing)
        standing = replace(standing, sample=cache(standing.sample))
        if self._held_back(current, standing):
            return None
        proposal = propose(standing.sums, current.arrays.step, _scaling(current), current.centres_transformed)
        if proposal.residents == 0:
            return None
        self.customers = proposal.residents
        self._observer.checked(proposal.cost / proposal.residents)
        return self._restructured(current, proposal, standing) or self._moved(proposal, standing)

    def _held_back(self, current: ModelVersion, standing: Standing) -> bool:
        """Whether what warm-up held back is still running, and few customers are there yet.

        The first version was made for the end of it; in between there is no population to follow.
        """
        if current.reason != "warm-up" or standing.as_of_ms > current.as_of_ms:
            return False
        residents = standing.sums.residents
        self.structure_customers, self.structure_ms = residents, standing.as_of_ms
        return residents < min(current.customers, self.plan.warm_up.customers)

    def _moved(self, proposal: Proposal, standing: Standing) -> Minted | None:
        minting = self.plan.minting
        if not should_mint(proposal, movement=minting.mint_movement, scale_drift=minting.mint_scale_drift):
            return None
        current = self.current
        assert current is not None  # noqa: S101 - ``check`` has looked
        ids = Identities(tuple(s.id for s in current.segments), current.next_id, Lineage())
        centres = proposal.scaling.scaled(proposal.centres)
        movement = Movement(centroids=proposal.movement, scale=proposal.scale_drift)
        cost = cost_per_customer(standing.sums, current.arrays.step, proposal.scaling, proposal.centres)
        points, weights, _ = standing.sample()
        scaled = proposal.scaling.scaled(points * current.arrays.step)
        quality = {"cost_per_customer": cost} | self._quality(standing, proposal, scaled, weights, centres)
        counts = standing.sums.count
        made = _Made("mint", proposal.scaling, centres, counts, standing.as_of_ms, movement, quality)
        return self._mint(made, ids)

    def _quality(
        self,
        standing: Standing,
        proposal: Proposal,
        scaled: NDArray[np.float64],
        weights: NDArray[np.float64],
        centres: NDArray[np.float64],
    ) -> Quality:
        """What can be said of the next version's ``centres`` on a sample in its scaled space."""
        current = self.current
        assert current is not None  # noqa: S101 - ``check`` has looked
        names = [f.name for f in current.features]
        return {
            **clustering_quality(scaled, weights, centres, self.plan.seed),
            **self._observer.minted(standing.changes, standing.as_of_ms, proposal.residents),
            **drift_of(names, _scaling(current), proposal.scaling),
        }

    def _restructured(self, current: ModelVersion, proposal: Proposal, standing: Standing) -> Minted | None:
        """Refit on a sample when due, and take the result if it is worth it (design §3.5)."""
        plan, minting = self.plan, self.plan.minting
        forced = len(current.segments) != plan.segments
        grown = proposal.residents >= self.structure_customers * (1.0 + minting.structure_growth)
        aged = standing.as_of_ms - self.structure_ms >= minting.structure_days * DAY_MS
        if not (forced or grown or aged):
            return None
        self.structure_customers, self.structure_ms = proposal.residents, standing.as_of_ms
        points, weights, places = standing.sample()
        if not len(points):
            return None
        scaled = proposal.scaling.scaled(points * current.arrays.step)
        centres = proposal.scaling.scaled(proposal.centres)
        found = refitted(
            scaled,
            weights,
            centres,
            plan.segments,
            minting,
            seed=plan.seed + current.version,
            small=proposal.residents < SMALL_SAMPLE,
            each=self.each,
        )
        if found is None:
            return None
        fit, k = found.fit, len(found.fit.centres)
        former = [s.id for s in current.segments]
        ids = carry_ids(former, places, fit.labels, weights, k, current.next_id)
        kept = not found.structural and list(ids.ids) == former
        counts = np.rint(np.bincount(fit.labels, weights=weights, minlength=k)).astype(np.int64)
        movement = Movement(centroids=proposal.movement, scale=proposal.scale_drift, gain=found.gain)
        quality: Quality = {"cost_per_customer": fit.cost / float(weights.sum())}
        quality |= self._quality(standing, proposal, scaled, weights, fit.centres)
        reason: Reason = "mint" if kept else "structure"
        made = _Made(reason, proposal.scaling, fit.centres, counts, standing.as_of_ms, movement, quality)
        return self._mint(made, ids)

    def _mint(self, made: _Made, identities: Identities) -> Minted:
        plan, former = self.plan, self.current
        scaling, centres, counts = made.scaling, made.centres, made.counts
        number = 1 if former is None else former.version + 1
        before = {} if former is None else {s.id: s for s in former.segments}
        features = tuple(
            FeatureScale(f.name, f.transform, f.weight, offset, scale, f.step)
            for f, offset, scale in zip(
                plan.features.features, scaling.offset.tolist(), scaling.scale.tolist(), strict=True
            )
        )
        names = name_all(
            plan, features, centres, counts, identities.ids, {i: s.name for i, s in before.items()}
        )
        parents = identities.lineage.parents
        segments = tuple(
            Segment(
                id=number_,
                name=name,
                size=int(count),
                centroid=tuple(centre),
                born=before[number_].born if number_ in before else number,
                parent=before[number_].parent if number_ in before else parents.get(number_),
            )
            for number_, name, count, centre in zip(
                identities.ids, names, counts.tolist(), centres.tolist(), strict=True
            )
        )
        into = {merge.segment: merge.into for merge in identities.lineage.merged}
        gone = tuple(
            Retired(number_, before[number_].name, number, into.get(number_))
            for number_ in identities.lineage.retired
        )
        version = ModelVersion(
            version=number,
            instance=self.instance,
            as_of=moment(made.as_of_ms),
            reason=made.reason,
            seed=plan.seed,
            segments_wanted=plan.segments,
            features_hash=plan.features.hash,
            features=features,
            segments=segments,
            retired=(() if former is None else former.retired) + gone,
            next_id=identities.next_id,
            customers=int(counts.sum()),
            rules=plan.rules,
            movement=made.movement,
            quality=made.quality,
        )
        self.current = version
        return Minted(version, lineage_record(version, before, identities.lineage, gone))


def _scaling(version: ModelVersion) -> Scaling:
    scales = version.features
    return Scaling(
        offset=np.array([f.offset for f in scales]),
        scale=np.array([f.scale for f in scales]),
        weight=np.array([f.weight for f in scales]),
    )
