"""A simulated shop: customers of known behaviour, and a year of what they do, in event-time order.

Everything follows from `Shop.seed`: no clock, no other chance. The behaviours are what the demo tries to find
again; they stand in `ShopHistory.behaviour` and nowhere in the events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import numpy.typing as npt

from consumers.demo.behaviours import BEHAVIOURS, CHANNELS

if TYPE_CHECKING:
    from collections.abc import Iterator

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY_MS: Final = 86_400_000
YEAR_DAYS: Final = 365
KINDS: Final = ("order", "view", "refund")
PRICES: Final = ("full", "sale")
# First day of each sale. The last one reaches the year's end, so that bargain hunters are still there then.
SALE_STARTS: Final = (2, 41, 80, 119, 158, 197, 236, 275, 320, 355)
SALE_DAYS: Final = 10
FAITHFUL: Final = 0.85  # probability that an order is placed in the customer's favourite channel

TOPIC: Final = "shop"
CONFIG_TOML: Final = """\
[model]
name = "demo"
segments = 5
seed = 7

[source]
topic = "shop"

[event]
customer = "customer"
time = "time"
id = "id"
type = "kind"
[event.fields]
revenue = "revenue"
channel = "channel"
price = "price"

[features.days_since_order]
aggregate = "days_since"
where = { type = "order" }
transform = "sqrt"
[features.orders]
aggregate = "count"
where = { type = "order" }
half_life_days = 180
transform = "log1p"
[features.spend]
aggregate = "sum"
field = "revenue"
half_life_days = 180
transform = "cbrt"
[features.sale_share]
aggregate = "share"
where = { price = "sale" }
"""


@dataclass(frozen=True)
class Shop:
    """What a history is made from: the same values give the same bytes with the same numpy.

    Attributes:
        seed: of the one random generator.
        customers: how many there are.
        start_ms: the year's first moment, milliseconds since 1970-01-01 UTC; default 2025-01-01.

    """

    seed: int = 7
    customers: int = 3000
    start_ms: int = 1_735_689_600_000

    def __post_init__(self) -> None:
        """Raise ValueError for a shop without customers."""
        if self.customers < 1:
            raise ValueError(f"a shop needs at least one customer, not {self.customers}")


@dataclass(frozen=True, eq=False)
class ShopHistory:
    """One year of events as columns of equal length, in event-time order.

    Attributes:
        customer_id: whose event it is.
        event_id: unique, counting up in event-time order.
        kind: one of `KINDS`.
        time_ms: int64, milliseconds since 1970-01-01 UTC, never falling.
        revenue: float64, rounded to cents; negative for a refund, NaN for a view.
        channel: one of `CHANNELS`.
        price: one of `PRICES`: was it offered at a reduced price?
        behaviour: the hidden truth, for every customer, those of the events and no others.

    """

    customer_id: list[str]
    event_id: list[str]
    kind: list[str]
    time_ms: Ints
    revenue: Floats
    channel: list[str]
    price: list[str]
    behaviour: dict[str, str]

    def __len__(self) -> int:
        """Count the events."""
        return len(self.customer_id)


@dataclass(frozen=True, eq=False)
class _Customers:
    """One entry per customer: index into `BEHAVIOURS`, active from and to (days), basket, favourite."""

    behaviour: Ints
    first: Floats
    last: Floats
    basket: Floats
    favourite: Ints


@dataclass(frozen=True, eq=False)
class _Events:
    """Columns of equal length, as indices and numbers; `day` is fractional, from the year's first moment."""

    customer: Ints
    kind: Ints
    day: Floats
    revenue: Floats
    channel: Ints
    price: Ints


class _Record(msgspec.Struct, omit_defaults=True):
    """An event as the topic carries it; a view has no `revenue`."""

    id: str
    customer: str
    kind: str
    time: str
    channel: str
    price: str
    revenue: float | None = None


def generate(shop: Shop) -> ShopHistory:
    """Simulate one year of the shop."""
    chance = np.random.default_rng(shop.seed)
    customers = _draw_customers(shop, chance)
    orders = _draw_orders(customers, chance)
    events = _concatenate(
        orders, _draw_views(orders, customers, chance), _draw_refunds(orders, customers, chance)
    )
    return _history(shop, customers, events)


def records(history: ShopHistory) -> Iterator[tuple[bytes, bytes, int]]:
    """Give every event as a Kafka record: key (customer, UTF-8), value (JSON), timestamp (event time, ms)."""
    encode = msgspec.json.Encoder().encode
    moments = np.datetime_as_string(history.time_ms.astype("datetime64[ms]"), timezone="UTC").tolist()
    columns = zip(
        history.event_id,
        history.customer_id,
        history.kind,
        moments,
        history.channel,
        history.price,
        history.revenue.tolist(),
        history.time_ms.tolist(),
        strict=True,
    )
    for event_id, customer, kind, moment, channel, price, revenue, time_ms in columns:
        paid = None if kind == "view" else revenue
        yield (
            customer.encode(),
            encode(_Record(event_id, customer, kind, moment, channel, price, paid)),
            time_ms,
        )


def _parameter(name: str, behaviour: Ints) -> Floats:
    """One field of `BEHAVIOURS` as an array over customers, or (n, 2) for a range."""
    table: Floats = np.asarray([getattr(kind, name) for kind in BEHAVIOURS], dtype=np.float64)
    return table[behaviour]


def _draw_customers(shop: Shop, chance: np.random.Generator) -> _Customers:
    edges = np.cumsum([kind.share for kind in BEHAVIOURS])
    # Shares are met to one customer; who is of which kind is shuffled, so that ids give nothing away.
    ranks = (np.arange(shop.customers) + 0.5) / shop.customers * edges[-1]
    behaviour = chance.permutation(np.searchsorted(edges, ranks))
    first = _draw_between(_parameter("first_day", behaviour), chance)
    last = np.minimum(first + _draw_between(_parameter("active_days", behaviour), chance), YEAR_DAYS)
    basket: Floats = _parameter("basket", behaviour) * np.exp(chance.normal(0, 0.2, shop.customers))
    mix = np.cumsum(_parameter("channels", behaviour), axis=1)
    favourite = (chance.random((shop.customers, 1)) > mix[:, :-1]).sum(axis=1)
    return _Customers(behaviour, first, last, basket, favourite)


def _draw_between(ranges: Floats, chance: np.random.Generator) -> Floats:
    """One number from each row's range: (n, 2) to (n,)."""
    return ranges[:, 0] + (ranges[:, 1] - ranges[:, 0]) * chance.random(len(ranges))


def _draw_orders(customers: _Customers, chance: np.random.Generator) -> _Events:
    active_months = (customers.last - customers.first) / 30
    # Customers of one kind differ: a gamma-distributed rate makes the numbers of orders negative binomial.
    zeal = chance.gamma(10, 1 / 10, customers.first.size)
    rate = _parameter("orders_per_month", customers.behaviour) * zeal
    number = np.maximum(chance.poisson(rate * active_months), 1)
    who = np.repeat(np.arange(number.size), number)
    day = _by_daylight(chance.uniform(customers.first[who], customers.last[who]), chance)
    waits = chance.random(who.size) < _parameter("sale_share", customers.behaviour)[who]
    sale_day = _next_sale(day, chance)
    # Nobody comes back for a sale after the time in which they come at all.
    on_sale = waits & (sale_day < np.maximum(customers.last[who], day + SALE_DAYS))
    day = np.minimum(np.where(on_sale, sale_day, day), YEAR_DAYS - 1e-3)
    spread = _parameter("basket_spread", customers.behaviour)[who]
    discount = np.where(on_sale, 0.7, 1.0)
    revenue = np.round(customers.basket[who] * np.exp(chance.normal(0, spread)) * discount, 2)
    elsewhere = chance.random(who.size) > FAITHFUL
    channel = np.where(elsewhere, chance.integers(0, len(CHANNELS), who.size), customers.favourite[who])
    return _Events(who, np.zeros_like(who), day, revenue, channel, on_sale.astype(np.int64))


def _by_daylight(day: Floats, chance: np.random.Generator) -> Floats:
    """Keep the date and draw the time: between 07:00 and 23:00, most around 18:00."""
    return np.floor(day) + chance.triangular(7, 18, 23, day.size) / 24


def _next_sale(day: Floats, chance: np.random.Generator) -> Floats:
    """Move each order into the sale that is on or comes next, or into the year's last one."""
    starts = np.asarray(SALE_STARTS, dtype=np.float64)
    which = np.minimum(np.searchsorted(starts + SALE_DAYS, day), starts.size - 1)
    return _by_daylight(starts[which] + chance.uniform(0, SALE_DAYS, day.size), chance)


def _draw_views(orders: _Events, customers: _Customers, chance: np.random.Generator) -> _Events:
    """Page views in the days before each order, in its channel and at its price; none before the year."""
    number = chance.poisson(_parameter("views_per_order", customers.behaviour)[orders.customer])
    order = np.repeat(np.arange(number.size), number)
    day = orders.day[order] - chance.exponential(0.5, order.size)
    order, day = order[day >= 0], day[day >= 0]
    kind = np.full(order.size, KINDS.index("view"))
    revenue = np.full(order.size, np.nan)
    return _Events(orders.customer[order], kind, day, revenue, orders.channel[order], orders.price[order])


def _draw_refunds(orders: _Events, customers: _Customers, chance: np.random.Generator) -> _Events:
    """Whole orders given back three to twenty days later; none after the year."""
    given_back = (
        chance.random(orders.day.size) < _parameter("refund_share", customers.behaviour)[orders.customer]
    )
    day = orders.day + chance.uniform(3, 20, orders.day.size)
    which = np.flatnonzero(given_back & (day < YEAR_DAYS))
    kind = np.full(which.size, KINDS.index("refund"))
    return _Events(
        orders.customer[which],
        kind,
        day[which],
        -orders.revenue[which],
        orders.channel[which],
        orders.price[which],
    )


def _concatenate(*parts: _Events) -> _Events:
    return _Events(
        customer=np.concatenate([part.customer for part in parts]),
        kind=np.concatenate([part.kind for part in parts]),
        day=np.concatenate([part.day for part in parts]),
        revenue=np.concatenate([part.revenue for part in parts]),
        channel=np.concatenate([part.channel for part in parts]),
        price=np.concatenate([part.price for part in parts]),
    )


def _history(shop: Shop, customers: _Customers, events: _Events) -> ShopHistory:
    """Put events in time order and write indices out as names."""
    time_ms = shop.start_ms + (events.day * DAY_MS).astype(np.int64)
    order = np.argsort(time_ms, kind="stable")
    names = [f"c{number:05d}" for number in range(shop.customers)]
    truth = [BEHAVIOURS[kind].name for kind in customers.behaviour.tolist()]
    return ShopHistory(
        customer_id=[names[row] for row in events.customer[order].tolist()],
        event_id=[f"e{number:07d}" for number in range(order.size)],
        kind=[KINDS[row] for row in events.kind[order].tolist()],
        time_ms=time_ms[order],
        revenue=events.revenue[order],
        channel=[CHANNELS[row] for row in events.channel[order].tolist()],
        price=[PRICES[row] for row in events.price[order].tolist()],
        behaviour=dict(zip(names, truth, strict=True)),
    )
