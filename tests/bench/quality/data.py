"""The data sets of the quality table: events in order of time, and features decayed and plain."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from stream_seg.events.batch import EventBatch
from stream_seg.features.spec import Feature, FeatureSet
from tests.population import Population, batch_of, events_of

DATA = Path("../shared/data")
Style = Literal["decayed", "plain"]
STYLES: tuple[Style, ...] = ("decayed", "plain")
DAY_MS = 86_400_000


@dataclass(frozen=True)
class DataSet:
    """``events`` in order of event time under the features of a style."""

    name: str
    events: EventBatch
    features: FeatureSet


class MissingDataError(Exception):
    """A file of real data is not where it should be."""


def orders(style: Style) -> tuple[FeatureSet, int]:
    """Recency, frequency and money, and the number of features."""
    half_life = 180 if style == "decayed" else None
    features = (
        Feature("days_since_order", "days_since", transform="log1p"),
        Feature("orders", "count", half_life_days=half_life, transform="log1p"),
        Feature("spend", "sum", field="revenue", half_life_days=half_life, transform="log1p"),
    )
    return FeatureSet(features), len(features)


def retail(style: Style, _: int, __: int) -> DataSet:
    """Online Retail: an order is one invoice of one customer with positive revenue."""
    lines = pl.read_parquet(located("online_retail.parquet"))
    invoices = (
        lines.filter(pl.col("customer_id").is_not_null())
        .filter(pl.col("quantity") > 0)
        .with_columns((pl.col("quantity") * pl.col("unit_price")).alias("revenue"))
        .group_by("invoice", "customer_id")
        .agg(pl.col("revenue").sum(), pl.col("invoice_date").min())
        .filter(pl.col("revenue") > 0)
        .sort("invoice_date", "invoice")
    )
    features, d = orders(style)
    n = len(invoices)
    events = EventBatch(
        customers=[str(c) for c in invoices["customer_id"].to_list()],
        time_ms=invoices["invoice_date"].dt.epoch("ms").to_numpy().astype(np.int64),
        offset=np.arange(n, dtype=np.int64),
        ids=[None] * n,
        types=[None] * n,
        numbers=invoices["revenue"].to_numpy().astype(np.float64)[:, None].copy(),
        tokens=np.zeros((n, 0), dtype=np.uint64),
        matches=np.ones((n, d), dtype=np.bool_),
        next_offset=n,
    )
    return DataSet("Online Retail", events, features)


def eshop(style: Style, _: int, __: int) -> DataSet:
    """E-shop clicks, sessions as customers; a session begins at a time of its day drawn by its hash."""
    clicks = pl.read_parquet(located("eshop_clickstream.parquet"))
    half_life = 30 if style == "decayed" else None
    features = FeatureSet(
        (
            Feature("days_since_click", "days_since", transform="log1p"),
            Feature("clicks", "count", half_life_days=half_life, transform="log1p"),
            Feature("price", "mean", field="price", half_life_days=half_life),
            Feature("sale_share", "share", where=(("category", (4,)),), half_life_days=half_life),
        )
    )
    day = pl.date(pl.col("year"), pl.col("month"), pl.col("day")).cast(pl.Datetime("ms")).dt.epoch("ms")
    clicks = clicks.with_columns(day.alias("day_ms"))
    sessions = clicks["session_id"].to_list()
    begin = np.array([zlib.crc32(str(s).encode()) % (DAY_MS - 6 * 3_600_000) for s in sessions], np.int64)
    time_ms = clicks["day_ms"].to_numpy() + begin + 30_000 * clicks["order"].to_numpy().astype(np.int64)
    order = np.argsort(time_ms, kind="stable")
    n = len(order)
    matches = np.ones((n, 4), dtype=np.bool_)
    matches[:, 3] = (clicks["category"].to_numpy() == 4)[order]
    events = EventBatch(
        customers=[str(sessions[i]) for i in order.tolist()],
        time_ms=time_ms[order].astype(np.int64),
        offset=np.arange(n, dtype=np.int64),
        ids=[None] * n,
        types=[None] * n,
        numbers=clicks["price"].to_numpy().astype(np.float64)[order][:, None].copy(),
        tokens=np.zeros((n, 0), dtype=np.uint64),
        matches=matches,
        next_offset=n,
    )
    return DataSet("e-shop clicks", events, features)


def synthetic(style: Style, customers: int, seed: int) -> DataSet:
    """A population that drifts, 0.1 % VIPs in it."""
    features, d = orders(style)
    events = events_of(Population(customers=customers, seed=seed))
    return DataSet(f"synthetic {customers:,}", batch_of(events, slice(None), d, 0), features)


def growing(style: Style, customers: int, seed: int) -> DataSet:
    """A population that grows fifteenfold in a week."""
    features, d = orders(style)
    events = events_of(Population(customers=customers, days=8.0, fold=15.0, seed=seed))
    return DataSet("fifteenfold in a week", batch_of(events, slice(None), d, 0), features)


SETS: dict[str, Callable[[Style, int, int], DataSet]] = {
    "retail": retail,
    "eshop": eshop,
    "synthetic": synthetic,
    "growing": growing,
}


def located(name: str) -> Path:
    """The path of a file of real data; ``MissingDataError`` where it is not there."""
    path = DATA / name
    if not path.is_file():
        raise MissingDataError(f"{name} is not in {DATA}")
    return path
