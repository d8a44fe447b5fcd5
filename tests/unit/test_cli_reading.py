"""What the reading commands work out: why a customer is where it is, and how a model stands."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from consumers.explanation import explain
from consumers.shown import print_customers, print_explanation, print_status
from consumers.standing import standing
from consumers.tables import bar, duration, number, safe
from stream_seg.errors import StateError

Record = dict[str, Any]


def version(*centroids: tuple[float, ...], transform: str = "none") -> Record:
    return {
        "version": 3,
        "as_of": "1970-01-01T00:00:00.000Z",
        "features": [
            {"name": f"x{i}", "transform": transform, "weight": 2.0, "offset": 1.0, "scale": 4.0, "step": 0.5}
            for i in range(len(centroids[0]))
        ],
        "segments": [
            {"id": 10 + i, "name": f"n{i}", "size": 1, "centroid": list(centroid), "born": 1}
            for i, centroid in enumerate(centroids)
        ],
        "rules": {"hysteresis": 0.1},
    }


def customer(segment: int, runner_up: int | None, **features: float) -> Record:
    return {
        "customer_id": "17850",
        "segment": segment,
        "name": "n",
        "runner_up": runner_up,
        "confidence": 0.5,
        "as_of": "2011-12-09T12:50:00.000Z",
        "model_version": 3,
        "features": features,
    }


def test_a_feature_says_what_it_adds_to_the_difference_of_squared_distances() -> None:
    # scaled = (value − 1) ÷ 4 × 2: 7 → 3, 1 → 0
    found = explain(customer(10, 11, x0=7.0, x1=1.0), version((1.0, 0.0), (5.0, 3.0)), {})
    first, second = found.features
    assert (first.says, second.says) == (0.0, 9.0)
    assert (first.deviations, second.deviations) == (2.0, 0.0)
    assert (first.centroid, first.runner_up) == (3.0, 11.0)
    assert found.distance == 2.0
    assert found.runner_up_distance == pytest.approx(13**0.5)
    assert not found.kept


def test_a_nearer_runner_up_means_that_hysteresis_keeps_the_customer() -> None:
    found = explain(customer(10, 11, x0=7.0), version((1.0,), (4.5,)), {})
    assert found.kept
    assert found.runner_up_distance == 1.5


def test_an_absent_feature_counts_as_its_default() -> None:
    found = explain(customer(10, None), version((1.0,)), {"x0": 3.0})
    (feature,) = found.features
    assert (feature.value, feature.deviations, feature.says) == (None, 0.0, None)
    assert found.runner_up_distance is None


def test_a_segment_that_the_version_does_not_hold_is_said_to_be_wrong() -> None:
    with pytest.raises(StateError, match="does not hold the customer's segment"):
        explain(customer(99, None, x0=1.0), version((1.0,)), {})


@given(
    st.sampled_from(["none", "log1p", "sqrt", "cbrt"]),
    st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=4),
    st.floats(-3, 3),
    st.floats(-3, 3),
)
def test_what_features_say_adds_up_to_the_distances(
    transform: str, values: list[float], first: float, second: float
) -> None:
    model = version((first,) * len(values), (second,) * len(values), transform=transform)
    found = explain(customer(10, 11, **{f"x{i}": v for i, v in enumerate(values)}), model, {})
    assert found.runner_up_distance is not None
    total = sum(feature.says or 0.0 for feature in found.features)
    assert found.runner_up_distance**2 - found.distance**2 == pytest.approx(total, rel=1e-9, abs=1e-6)
    assert json.loads(json.dumps(found.record()))["features"][0]["feature"] == "x0"


@given(st.sampled_from(["none", "log1p", "sqrt", "cbrt"]), st.floats(-1e4, 1e4))
def test_a_centroid_in_its_own_unit_transforms_back_to_itself(transform: str, value: float) -> None:
    """A customer that stands on the centroid, told in its own unit, is at distance 0."""
    model = version((0.7,), transform=transform)
    centroid = explain(customer(10, None, x0=value), model, {}).features[0].centroid
    assert explain(customer(10, None, x0=centroid), model, {}).distance == pytest.approx(0, abs=1e-9)


NOW = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def report(partition: int, **changed: Any) -> Record:
    return {
        "partition": partition,
        "version": 3,
        "clock_ms": 86_400_000 * (partition + 1),
        "caught_up": True,
        "residents": 10,
        "events": 100,
        "clipped": 0,
        "rejected": 1,
        "worker": "w1",
        "reported_at_ms": round(NOW.timestamp() * 1000) - 2000,
        "lag": 5,
        "events_per_second": 2.5,
        "split_customers": 0,
    } | changed


def status(*reports: Record, **changed: Any) -> Record:
    meta = {"topics": "orders", "created": "2019-12-31T00:00:00.000Z"}
    return {
        "model": "retail",
        "meta": meta,
        "version": 3,
        "quality": {},
        "partitions": list(reports),
    } | changed


def test_partitions_add_up() -> None:
    found = standing(status(report(0), report(1, worker="w2")), version((1.0,)), NOW)
    assert found["customers"] == 20
    assert found["events"] == 200
    assert found["lag"] == 10
    assert found["dead_letters"] == 2
    assert found["events_per_second"] == 5.0
    assert found["version_age_days"] == 2.0
    assert [worker["worker"] for worker in found["workers"]] == ["w1", "w2"]
    assert found["partitions"][0]["event_time"] == "1970-01-02T00:00:00.000Z"
    assert found["partitions"][0]["reported_seconds_ago"] == pytest.approx(2.0)


def test_a_silent_worker_has_no_rate() -> None:
    old = report(1, worker="w2", reported_at_ms=round(NOW.timestamp() * 1000) - 61_000)
    found = standing(status(report(0), old), version((1.0,)), NOW)
    assert found["events_per_second"] == 2.5
    assert [worker["silent"] for worker in found["workers"]] == [False, True]


def test_a_lag_that_is_not_known_is_none() -> None:
    assert standing(status(report(0), report(1, lag=None)), None, NOW)["lag"] is None
    assert standing(status(), None, NOW)["lag"] is None


def shown(show: Any, *values: Any) -> str:
    out = io.StringIO()
    show(Console(file=out, width=200, highlight=False, markup=False), *values)
    return out.getvalue()


def test_people_are_told_how_it_stands() -> None:
    text = shown(
        print_status, standing(status(report(0), report(1, reported_at_ms=-1)), version((1.0,)), NOW)
    )
    assert "model retail on topic orders: version 3, 2 days of event time old" in text
    assert "20 customers, 200 events, lag 10 records" in text
    assert "never" in text
    warming = shown(print_status, standing(status(report(0, version=0), version=None), None, NOW))
    assert "warming up" in warming


def test_people_are_told_why() -> None:
    text = shown(print_explanation, explain(customer(10, 11, x0=7.0), version((1.0,), (4.5,)), {}))
    assert "Customer 17850 is in segment 10 n under version 3" in text
    assert "not by the 10.0% that a change of segment needs" in text
    only = shown(print_explanation, explain(customer(10, None, x0=7.0), version((1.0,)), {}))
    assert "It is the only segment." in only


def test_an_id_cannot_steer_a_terminal() -> None:
    text = shown(print_customers, ["\x1b[2Jgone", "[bold]a[/]"], [None, None])
    assert "\x1b" not in text
    assert "\\x1b[2Jgone" in text
    assert "[bold]a[/]" in text


@given(st.text())
def test_what_is_shown_is_printable(text: str) -> None:
    assert safe(text).isprintable()


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (3, "3"), (12345, "12,345"), (0.123456, "0.1235"), (1234.5, "1,234"), (0.0, "0")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0 seconds"), (1, "1 second"), (119, "1 minute"), (7200, "2 hours"), (1e6, "11 days")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(-1, 2))
def test_a_bar_fits(part: float) -> None:
    assert len(bar(part, width=5)) <= 5
