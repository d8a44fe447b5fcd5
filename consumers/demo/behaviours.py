"""The five ways in which the simulated shop's customers behave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CHANNELS: Final = ("web", "app", "store")


@dataclass(frozen=True)
class Behaviour:
    """One kind of customer: how many there are, when they come, and what they do when they come.

    Ranges are drawn from uniformly, once per customer. Days count from the first day of the shop's year.

    Attributes:
        name: the label that the demo tries to recover.
        share: part of all customers, in [0, 1].
        first_day: range of the day from which the customer comes.
        active_days: range of how many days after that it goes on coming, at most to the year's end.
        orders_per_month: mean rate while active; everyone orders at least once.
        basket: median revenue of an order at full price.
        basket_spread: standard deviation of log(revenue) within one customer.
        sale_share: probability that an order waits for a sale.
        views_per_order: mean number of page views in the days before an order.
        refund_share: probability that an order is given back.
        channels: probabilities of `CHANNELS` as the customer's favourite.

    """

    name: str
    share: float
    first_day: tuple[float, float]
    active_days: tuple[float, float]
    orders_per_month: float
    basket: float
    basket_spread: float
    sale_share: float
    views_per_order: float
    refund_share: float
    channels: tuple[float, float, float]


BEHAVIOURS: Final = (
    Behaviour(
        name="loyal",
        share=0.24,
        first_day=(0, 120),
        active_days=(365, 365),
        orders_per_month=2.2,
        basket=45,
        basket_spread=0.4,
        sale_share=0.08,
        views_per_order=1.2,
        refund_share=0.04,
        channels=(0.2, 0.7, 0.1),
    ),
    Behaviour(
        name="bargain hunter",
        share=0.20,
        first_day=(0, 120),
        active_days=(365, 365),
        orders_per_month=1.3,
        basket=38,
        basket_spread=0.4,
        sale_share=0.92,
        views_per_order=2.5,
        refund_share=0.10,
        channels=(0.8, 0.15, 0.05),
    ),
    Behaviour(
        name="one-off",
        share=0.30,
        first_day=(0, 300),
        active_days=(0, 0),
        orders_per_month=0,
        basket=40,
        basket_spread=0.5,
        sale_share=0.1,
        views_per_order=2.5,
        refund_share=0.05,
        channels=(0.7, 0.1, 0.2),
    ),
    Behaviour(
        name="VIP",
        share=0.05,
        first_day=(0, 60),
        active_days=(365, 365),
        orders_per_month=3.5,
        basket=320,
        basket_spread=0.5,
        sale_share=0.03,
        views_per_order=1.2,
        refund_share=0.05,
        channels=(0.1, 0.5, 0.4),
    ),
    Behaviour(
        name="stopped coming",
        share=0.21,
        first_day=(0, 60),
        active_days=(90, 170),
        orders_per_month=2.2,
        basket=45,
        basket_spread=0.4,
        sale_share=0.1,
        views_per_order=1.2,
        refund_share=0.07,
        channels=(0.3, 0.6, 0.1),
    ),
)
