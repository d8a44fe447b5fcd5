"""The events that every contender reads: orders of a simulated shop, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from stream_seg.events.mapping import EventMapping
from stream_seg.features.spec import Feature, FeatureSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = [
    "DAY_MS",
    "FEATURES",
    "MAPPING",
    "MORE_FEATURES",
    "START_MS",
    "Columns",
    "Kind",
    "Records",
    "Workload",
]

Kind = Literal["zipf", "uniform", "settled"]

START_MS: Final = 1_700_000_000_000
DAY_MS: Final = 86_400_000
BATCH_RECORDS: Final = 8_192
CUSTOMERS: Final[dict[Kind, int]] = {"zipf": 50_000, "uniform": 200_000, "settled": 5_000}
ZIPF_EXPONENT: Final = 1.3
SEED: Final = 7

MAPPING: Final = EventMapping("customer_id", "order_time", id="order_id", fields={"revenue": "revenue"})


def _decayed(name: str, half_life_days: float, *, field: str | None = None) -> Feature:
    return Feature(
        name, "sum" if field else "count", field=field, half_life_days=half_life_days, transform="log1p"
    )


FEATURES: Final = FeatureSet(
    (
        Feature("days_since_order", "days_since", transform="log1p"),
        _decayed("orders", 180),
        _decayed("spend", 180, field="revenue"),
    )
)
"""Recency, frequency and monetary value, as in the README."""

MORE_FEATURES: Final = FeatureSet(
    (
        *FEATURES.features,
        _decayed("orders_30", 30),
        _decayed("spend_30", 30, field="revenue"),
        Feature("basket", "mean", field="revenue", half_life_days=180, transform="log1p"),
        _decayed("orders_7", 7),
        _decayed("spend_7", 7, field="revenue"),
    )
)
"""Eight features, seven of them decayed."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Events in order of time, n of them.

    ``customer`` int64 numbers, ``time_ms`` int64, ``revenue`` float64.
    """

    customer: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    revenue: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Records:
    """Events as Kafka records, a list each; ``partitions`` goes by customer."""

    keys: list[bytes]
    values: list[bytes]
    timestamps_ms: list[int]
    partitions: list[int]


@dataclass(frozen=True, slots=True)
class Workload:
    """``events`` of so many ``customers``, one event a customer and day on average, or ``rate`` a second.

    ``kind`` says how often each customer orders: ``uniform``, or ``zipf``, proportional to rank^-1.3;
    ``settled`` is uniform with so few customers that most of the events come after all have ordered.
    """

    kind: Kind
    events: int
    partitions: int = 4
    seed: int = SEED
    rate: float | None = None

    @property
    def customers(self) -> int:
        """How many different customers there are at the most."""
        return CUSTOMERS[self.kind]

    @property
    def end_ms(self) -> int:
        """The end of the history in event time."""
        rate = self.rate or self.customers / (DAY_MS / 1000)
        return START_MS + max(1, int(self.events / rate * 1000))

    def columns(self) -> Columns:
        """All events."""
        rng = np.random.default_rng([self.seed, self.customers])
        if self.kind == "zipf":
            weights = np.arange(1, self.customers + 1) ** -ZIPF_EXPONENT
            drawn = rng.choice(self.customers, self.events, p=weights / weights.sum())
            customer = rng.permutation(self.customers)[drawn]
        else:
            customer = rng.integers(0, self.customers, self.events)
        time_ms = np.sort(rng.integers(START_MS, self.end_ms, self.events))
        return Columns(customer, time_ms, rng.gamma(2.0, 20.0, self.events).round(2))

    def records(self, size: int = BATCH_RECORDS) -> Iterator[Records]:
        """All events as JSON records, so many at a time."""
        columns = self.columns()
        for start in range(0, self.events, size):
            part = slice(start, start + size)
            yield encoded(
                columns.customer[part], columns.time_ms[part], columns.revenue[part], start, self.partitions
            )


def encoded(
    customer: NDArray[np.int64],
    time_ms: NDArray[np.int64],
    revenue: NDArray[np.float64],
    first: int,
    partitions: int,
) -> Records:
    """Events as JSON records, orders numbered from ``first`` on."""
    text = np.datetime_as_string(time_ms.astype("M8[ms]"), timezone="UTC").tolist()
    rows = zip(customer.tolist(), text, range(first, first + len(text)), revenue.tolist(), strict=True)
    values = [
        b'{"customer_id":"c%d","order_time":"%s","order_id":"o%d","revenue":%.2f}'
        % (number, moment.encode(), order, amount)
        for number, moment, order, amount in rows
    ]
    keys = [b"c%d" % number for number in customer.tolist()]
    return Records(keys, values, time_ms.tolist(), (customer % partitions).tolist())
