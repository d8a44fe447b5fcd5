"""A synthetic population of customers that drifts: made events of known kinds, VIPs included.

For tests and for the quality benchmark. Everything follows from ``Population.seed``. VIPs are old customers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_seg.engine.state import DAY_MS
from stream_seg.events.batch import EventBatch

START_MS = 1_704_067_200_000
"""2024-01-01."""


@dataclass(frozen=True)
class Kind:
    """Customers of one kind: their share, orders a day, median revenue, its spread, active days."""

    share: float
    rate: float
    basket: float
    spread: float
    active_days: float


KINDS = (
    Kind(0.30, 0.002, 40.0, 0.5, 10.0),
    Kind(0.28, 0.06, 30.0, 0.4, 400.0),
    Kind(0.20, 0.03, 90.0, 0.5, 120.0),
    Kind(0.15, 0.15, 45.0, 0.4, 60.0),
    Kind(0.069, 0.12, 120.0, 0.4, 400.0),
    Kind(0.001, 0.5, 1500.0, 0.3, 2000.0),
)
VIP = len(KINDS) - 1


@dataclass(frozen=True)
class Population:
    """``customers`` in all over so many ``days``; ``growth_days`` is the time in which they arrive.

    ``inflation`` is by how much (log) baskets rise over the whole time: the drift. ``initial`` is the share
    of customers that are there within the first tenth of the growth. With ``fold`` the population grows so
    many times over instead, by the same share every day, after a first day in which the rest arrives.
    """

    customers: int = 5000
    days: float = 180.0
    growth_days: float | None = None
    initial: float = 0.25
    inflation: float = 0.3
    fold: float | None = None
    seed: int = 1


@dataclass(frozen=True, eq=False)
class Events:
    """Columns in order of event time: ``customer`` int64 numbers, ``time_ms`` int64, ``revenue`` float64.

    ``kind`` int64 is of each customer.
    """

    customer: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    revenue: NDArray[np.float64]
    kind: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.customer)


def events_of(population: Population) -> Events:
    """All events: everybody orders once on arrival, then at random while active."""
    rng = np.random.default_rng(population.seed)
    n, days = population.customers, population.days
    kind = rng.choice(len(KINDS), size=n, p=[k.share for k in KINDS])
    growth = days if population.growth_days is None else population.growth_days
    early = (rng.random(n) < population.initial) | (kind == VIP)
    first = np.where(early, rng.uniform(0, growth / 10, n), rng.uniform(0, growth, n))
    if population.fold is not None:
        grown = 1.0 + rng.random(n) * population.fold
        later = 1.0 + (days - 1.0) * np.log(np.maximum(grown, 1.0)) / np.log(1.0 + population.fold)
        first = np.where(np.arange(n) < n / (1.0 + population.fold), rng.random(n), later)
    rate = np.array([k.rate for k in KINDS])[kind] * rng.lognormal(0.0, 0.4, n)
    active = np.array([k.active_days for k in KINDS])[kind] * rng.lognormal(0.0, 0.4, n)
    until = np.minimum(first + active, days)
    more = rng.poisson(rate * (until - first))
    customer = np.concatenate([np.arange(n), np.repeat(np.arange(n), more)])
    when = np.concatenate([first, rng.uniform(np.repeat(first, more), np.repeat(until, more))])
    own = kind[customer]
    basket = np.array([k.basket for k in KINDS])[own] * np.exp(population.inflation * when / days)
    revenue = basket * rng.lognormal(0.0, np.array([k.spread for k in KINDS])[own])
    order = np.argsort(when, kind="stable")
    time_ms = START_MS + (when[order] * DAY_MS).astype(np.int64)
    return Events(customer[order], time_ms, np.round(revenue[order], 2), kind)


def batch_of(
    events: Events, which: slice | NDArray[np.int64], features: int, first_offset: int
) -> EventBatch:
    """Chosen events as a batch; the only number is the revenue, every event matches every feature."""
    customers = [f"c{c}" for c in events.customer[which].tolist()]
    n = len(customers)
    return EventBatch(
        customers=customers,
        time_ms=events.time_ms[which],
        offset=np.arange(first_offset, first_offset + n, dtype=np.int64),
        ids=[None] * n,
        types=[None] * n,
        numbers=events.revenue[which][:, None].copy(),
        tokens=np.zeros((n, 0), dtype=np.uint64),
        matches=np.ones((n, features), dtype=np.bool_),
        next_offset=first_offset + n,
    )


def batches(population: Population, *, features: int = 3, size: int = 500) -> Iterator[EventBatch]:
    """The population's events, in batches of one partition."""
    events = events_of(population)
    for start in range(0, len(events), size):
        yield batch_of(events, slice(start, start + size), features, start)
