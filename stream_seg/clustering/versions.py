"""When a population in memory gets a new version of its clusters, and which.

The rules of the streaming engine without its clock: a check after population/16 events; a mint when the sums
have moved enough; with a check, after 2 % of growth or as many events as there are points, a structural
refit, taken if it lowers the cost by 1.5 %.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stream_seg.clustering.alternation import assign_by, cost_of, fit_by, refit_by
from stream_seg.clustering.distance import Distance, apart
from stream_seg.clustering.identity import carry_ids, first_ids
from stream_seg.clustering.lattice import ClusterSums
from stream_seg.clustering.mint import Proposal, Scaling, propose, scaling_of, should_mint
from stream_seg.clustering.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stream_seg.clustering.population import Population

__all__ = ["Versions"]

CHECK_SHARE = 1.0 / 16.0
"""Events between two checks, as a share of the population."""
STRUCTURE_GROWTH = 0.02
"""Growth of the population after which a check looks for a better structure."""
STRUCTURE_GAIN = 0.015
"""Share of the cost that a structural refit must save to be taken."""
SEEDING_RESTARTS = 10
"""Starts of the first fit."""


class Versions:
    """The versions of one population, one after the other."""

    def __init__(self, k: int, hysteresis: float, seed: int, distance: Distance) -> None:
        """Wait for the first population; `k` clusters are wanted."""
        self._distance = distance
        self.model: Model | None = None
        self._k, self._hysteresis, self._seed = k, hysteresis, seed
        self._next_id = 0
        self._checks = 0
        self._events = 0  # since the last check
        self._size = 0.0  # of the population then
        self._structure_events = 0  # since the last look at the structure
        self._structure_size = 0.0

    def first(self, rows: NDArray[np.int32], step: NDArray[np.float64]) -> Model:
        """Make the first version from the rows (int32[n, d], n >= 1) of the warm-up."""
        everyone = np.zeros(rows.shape[0], dtype=np.int32)
        d = rows.shape[1]
        scaling = (
            Scaling(np.zeros(d), np.ones(d), np.ones(d))
            if self._distance.unit
            else scaling_of(ClusterSums.recount(rows, everyone, 1), step, np.ones(d))
        )
        points = scaling.scaled(rows * step)
        fit = fit_by(
            self._distance,
            points,
            np.ones(len(points)),
            self._k,
            restarts=SEEDING_RESTARTS,
            seed=self._seed,
        )
        sizes = np.bincount(fit.labels, minlength=len(fit.centres))
        by_size = np.argsort(-sizes, kind="stable")
        identities = first_ids(len(by_size))
        self._next_id = identities.next_id
        self._size = self._structure_size = float(rows.shape[0])
        self.model = Model(
            step, scaling, fit.centres[by_size], identities.ids, self._hysteresis, self._distance
        )
        return self.model

    def widen(self, step: NDArray[np.float64]) -> Model:
        """Give the current version new columns, in which everybody is at 0 so far; `step` is float64[d]."""
        old = self._current()
        more = len(step) - len(old.step)
        scaling = Scaling(
            np.append(old.scaling.offset, np.zeros(more)),
            np.append(old.scaling.scale, np.ones(more)),
            np.append(old.scaling.weight, np.ones(more)),
        )
        centres = np.pad(old.centres, ((0, 0), (0, more)))
        self.model = Model(step, scaling, centres, old.ids, old.hysteresis, old.distance)
        return self.model

    @property
    def events_to_check(self) -> int:
        """How many more events come before the next check, at least 1."""
        return max(1, int(CHECK_SHARE * self._size) - self._events)

    def count(self, events: int) -> None:
        """Note that so many events have been learned."""
        self._events += events
        self._structure_events += events

    def check(self, population: Population) -> None:
        """Make a new version if one is due, and have the population adopt it."""
        old = self._current()
        self._events, self._size = 0, population.size
        self._checks += 1
        sums = population.sums(len(old.ids))
        proposal = propose(sums, old.step, old.scaling, old.centres_unscaled)
        if old.distance.unit:
            proposal = replace(proposal, scaling=old.scaling, scale_drift=0.0)
        if not old.distance.has_means and proposal.residents:
            proposal = _with_centres(proposal, old, population)
        new = self._restructured(population, proposal) if self._structure_due(population) else None
        if new is None and should_mint(proposal):
            moved = proposal.scaling.scaled(proposal.centres)
            new = Model(old.step, proposal.scaling, moved, old.ids, old.hysteresis, old.distance)
        if new is not None:
            self.model = new
            at = {number: place for place, number in enumerate(new.ids)}
            population.adopt(new, np.array([at.get(number, -1) for number in old.ids], dtype=np.int32))

    def _current(self) -> Model:
        if self.model is None:
            raise ValueError("there is no version before the end of warm-up")
        return self.model

    def _structure_due(self, population: Population) -> bool:
        size = population.size
        return (
            len(self._current().ids) != self._k
            or size >= self._structure_size * (1.0 + STRUCTURE_GROWTH)
            or self._structure_events >= size
        )

    def _restructured(self, population: Population, proposal: Proposal) -> Model | None:
        """Return the version after a structural refit, if that is worth it."""
        self._structure_events, self._structure_size = 0, population.size
        old = self._current()
        rows, weights, labels = population.sample(len(old.ids), self._seed + self._checks)
        points = proposal.scaling.scaled(rows * old.step)
        centres = proposal.scaling.scaled(proposal.centres)
        fit = refit_by(self._distance, points, weights, centres, self._k, seed=self._seed + self._checks)
        k = fit.centres.shape[0]
        cost = assign_by(self._distance, points, weights, centres).cost
        if k == len(old.ids) and not fit.cost < cost * (1.0 - STRUCTURE_GAIN):
            return None
        identities = carry_ids(old.ids, labels, fit.labels, weights, k, self._next_id)
        self._next_id = identities.next_id
        by_id = np.argsort(identities.ids)
        ids = tuple(identities.ids[place] for place in by_id)
        return Model(old.step, proposal.scaling, fit.centres[by_id], ids, old.hysteresis, old.distance)


def _with_centres(proposal: Proposal, old: Model, population: Population) -> Proposal:
    """Return the proposal with the centres, and their movement, of a distance whose centres are no means."""
    rows, weights, labels = population.everyone()
    points = old.scaling.scaled(rows * old.step)
    moved = old.centres.copy()
    order = np.ascontiguousarray(np.argsort(points, axis=0, kind="stable").T)
    old.distance.fill_centres(points, weights, labels, order, moved)
    mass = np.bincount(labels, weights=weights, minlength=len(moved))
    shifts = [apart(new, former, old.distance.code) for new, former in zip(moved, old.centres, strict=True)]
    shift = float((mass * np.array(shifts)).sum())
    cost = cost_of(old.distance, points, weights, labels, old.centres)
    unscaled = moved / old.scaling.factor + old.scaling.offset
    return replace(proposal, centres=unscaled, movement=shift / cost if cost > 0.0 else 0.0)
