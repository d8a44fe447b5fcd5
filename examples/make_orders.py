# ruff: noqa: INP001, S311, T201 - a script beside its data; made-up orders need no secrets
"""Write ``orders.csv``: a year of made-up orders of a small shop, the same ones every time.

``python examples/make_orders.py examples/orders.csv``. The 300 customers are of five kinds, which the file
does not say: regulars, big spenders, app shoppers, some who buy once, and some who stop coming.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

SEED = 7
OPENED = datetime(2024, 1, 1)  # noqa: DTZ001 - times without a zone are UTC by the configuration's default
YEAR_DAYS = 366


class Kind(NamedTuple):
    """How one kind behaves: days between orders, revenue of one, share through the app, day of the last."""

    customers: int
    gap_days: float
    revenue: float
    app_share: float
    last_day: float


KINDS = {
    "regular": Kind(80, 21.0, 40.0, 0.2, YEAR_DAYS),
    "big": Kind(25, 30.0, 400.0, 0.1, YEAR_DAYS),
    "app": Kind(70, 35.0, 25.0, 0.95, YEAR_DAYS),
    "once": Kind(65, 100_000.0, 35.0, 0.4, YEAR_DAYS),
    "gone": Kind(60, 18.0, 50.0, 0.3, 150.0),
}


class Order(NamedTuple):
    """One row."""

    invoice_date: datetime
    customer_id: str
    channel: str
    revenue: float


def orders_of(customer: str, kind: Kind, chance: random.Random) -> Iterator[Order]:
    """One customer's orders: exponential gaps, log-normal revenue."""
    day = chance.random() * min(kind.last_day, YEAR_DAYS) * 0.5
    while day < kind.last_day:
        moment = OPENED + timedelta(seconds=int(day * 86_400))
        channel = "app" if chance.random() < kind.app_share else "web"
        yield Order(moment, customer, channel, round(kind.revenue * chance.lognormvariate(0.0, 0.4), 2))
        day += 0.5 + chance.expovariate(1.0 / kind.gap_days)


def orders() -> list[Order]:
    """All orders in the order of their times."""
    chance = random.Random(SEED)
    kinds = [kind for kind in KINDS.values() for _ in range(kind.customers)]
    chance.shuffle(kinds)
    found = [
        order for number, kind in enumerate(kinds, 1001) for order in orders_of(f"c{number}", kind, chance)
    ]
    return sorted(found)


def write(path: Path) -> int:
    """Write the file; returns the number of orders."""
    found = orders()
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["invoice", "customer_id", "invoice_date", "channel", "revenue"])
        for number, order in enumerate(found, 1):
            date = order.invoice_date.isoformat(sep=" ")
            rows.writerow([f"i{number:05}", order.customer_id, date, order.channel, f"{order.revenue:.2f}"])
    return len(found)


if __name__ == "__main__":
    print(f"{write(Path(sys.argv[1]))} orders")
