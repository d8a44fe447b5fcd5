"""Comparing two runs: hand-made ones, whose numbers can be worked out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consumers.compare_measures import DAY_MS, compared
from consumers.compare_page import page
from consumers.compare_runs import Labels, Run, load_run
from stream_seg.errors import ConfigurationError, UsageError


def version(centres: list[list[float]], *, transform: str = "none") -> dict[str, Any]:
    return {
        "version": 3,
        "features": [
            {"name": name, "transform": transform, "weight": 1.0, "offset": 0.0, "scale": 1.0}
            for name in ("spend", "orders")
        ],
        "segments": [
            {"id": i, "name": f"<{'abc'[i]}>", "centroid": centre} for i, centre in enumerate(centres)
        ],
        "retired": [],
    }


def labels(events: int = 24, *, days: float = 12.0, segments: int = 2) -> Labels:
    time_ms = np.linspace(0, days * DAY_MS, events).astype(np.int64)
    return Labels(
        event=[f"e{i}" for i in range(events)],
        time_ms=time_ms,
        segment=(np.arange(events) % segments).astype(np.int32),
        moved=np.arange(events) % 4 == 0,
        version=np.ones(events, dtype=np.int32),
    )


def two_runs() -> tuple[Run, Run]:
    """Four customers on a square; A tells them apart by spend, B by orders, and knows a fifth."""
    values = np.array([[0.0, 0.0], [0.0, 2.0], [4.0, 0.0], [4.0, 2.0]])
    a = Run(
        "a",
        version([[0.0, 1.0], [4.0, 1.0]]),
        list("wxyz"),
        np.array([0, 0, 1, 1], np.int32),
        values,
        labels(),
    )
    more = np.vstack([values, [9.0, 9.0]])
    b = Run(
        "b",
        version([[2.0, 0.0], [2.0, 2.0]]),
        [*"wxyz", "~"],
        np.array([0, 1, 0, 1, 1], np.int32),
        more,
        labels(),
    )
    return a, b


def test_numbers_are_those_worked_out_by_hand() -> None:
    found = compared(*two_runs())
    assert found["customers"] == {"both": 4, "only_a": 0, "only_b": 1}
    assert found["migration"] == {"from": [0, 1], "to": [0, 1], "customers": [[1, 1], [1, 1]]}
    # z-scores: spend ±1, orders ±1; each run explains one of the two features wholly
    assert found["cost"]["a"]["within_segments"] == pytest.approx(1.0)
    assert found["cost"]["a"]["nearest_centroid"] == pytest.approx(1.0)
    assert found["cost"]["b"]["within_segments"] == pytest.approx(1.0)
    assert found["agreement"]["ari"] == pytest.approx(-0.5)
    assert found["differ"]["customers"] == 2
    assert found["differ"]["features"] == {"spend": pytest.approx(0.5), "orders": pytest.approx(0.5)}
    assert {one["customer_id"] for one in found["differ"]["most"]} == {"x", "y"} or {
        one["customer_id"] for one in found["differ"]["most"]
    } == {"w", "z"}


def test_a_run_agrees_with_itself() -> None:
    a, _ = two_runs()
    found = compared(a, replace(a, name="again"))
    assert found["agreement"] == {"ari": 1.0, "ami": 1.0}
    assert found["differ"]["customers"] == 0
    assert [part["ari"] for part in found["stability"]] == [1.0] * 12
    assert sum(part["a"]["events"] for part in found["stability"]) == 24


def test_runs_over_different_ranges_are_refused() -> None:
    a, b = two_runs()
    with pytest.raises(
        UsageError, match="a is about 1970-01-01 to 1970-01-13 and b about 1970-01-01 to 1970-01-21"
    ):
        compared(a, replace(b, labels=labels(days=20.0)))
    assert compared(a, replace(b, labels=None))["stability"][0]["b"] is None


def test_runs_without_anything_in_common_are_refused() -> None:
    a, b = two_runs()
    with pytest.raises(UsageError, match="no customer in common"):
        compared(a, replace(b, customers=list("mnopq")))
    with pytest.raises(UsageError, match="no feature in common"):
        compared(a, replace(b, version=version([[2.0, 0.0], [2.0, 2.0]], transform="log1p")))


def test_the_page_asks_nothing_of_the_network_and_escapes_names() -> None:
    text = page(compared(*two_runs()))
    assert text.count("<svg") == 5
    assert not re.search(r"https?:|<script|src=|url\(|@import", text)
    assert "&lt;a&gt;" in text
    assert "<a>" not in text


def test_what_can_be_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no export: customers\.parquet is missing"):
        load_run(None, str(tmp_path))
    with pytest.raises(UsageError, match="neither a folder nor the name of a run"):
        load_run(None, "some name")
    with pytest.raises(ConfigurationError, match="is no folder"):
        load_run(None, "spring")
