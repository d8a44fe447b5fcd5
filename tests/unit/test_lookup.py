"""The look-up's core without a server: what it asks, how it reads answers, and what it imports."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from stream_seg.errors import StateError
from stream_seg.lookup import AsyncSegmentLookup, CustomerSegment, SegmentInfo, SegmentLookup
from stream_seg.lookup.plans import Plans

HASH = {
    b"segment": b"3",
    b"name": "häufig, neu".encode(),
    b"confidence": b"0.5",
    b"distance": b"1e-05",
    b"runner_up": b"12",
    b"since": b"2011-01-01T00:00:00.000Z",
    b"event_time": b"2011-12-09T12:50:00.001Z",
    b"as_of": b"2011-12-09T12:50:00.001Z",
    b"events": b"7",
    b"model_version": b"2",
    b"partition": b"1",
    b"f.days_since_order": b"0.0",
    b"f.f.odd": b"-1.5",
    b"something_new": b"42",
}


def answered(plan: Generator[list[Any], list[Any], Any], *rounds: list[Any]) -> Any:
    """The result of a plan that gets these replies, one list a round trip."""
    next(plan)
    for replies in rounds[:-1]:
        plan.send(replies)
    with pytest.raises(StopIteration) as stopped:
        plan.send(rounds[-1])
    return stopped.value.value


def test_a_look_up_asks_for_the_customer_s_hash() -> None:
    assert next(Plans("retail").customers(["17850", "a:b {c}"])) == [
        ("HGETALL", "seg:retail:c:17850"),
        ("HGETALL", "seg:retail:c:a:b {c}"),
    ]


def test_a_hash_becomes_a_customer_segment() -> None:
    found = answered(Plans("m").customer("17850"), [HASH])
    assert found == CustomerSegment(
        customer_id="17850",
        segment=3,
        name="häufig, neu",
        confidence=0.5,
        distance=1e-05,
        runner_up=12,
        since=datetime(2011, 1, 1, tzinfo=UTC),
        event_time=datetime(2011, 12, 9, 12, 50, 0, 1000, tzinfo=UTC),
        as_of=datetime(2011, 12, 9, 12, 50, 0, 1000, tzinfo=UTC),
        events=7,
        model_version=2,
        features={"days_since_order": 0.0, "f.odd": -1.5},
    )


def test_a_result_is_frozen_hashable_and_a_dictionary_if_wanted() -> None:
    found = answered(Plans("m").customer("17850"), [HASH])
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.segment = 4
    assert hash(found) == hash(answered(Plans("m").customer("17850"), [HASH]))
    assert dataclasses.asdict(found)["features"] == {"days_since_order": 0.0, "f.odd": -1.5}


def test_the_fields_are_the_contract_s() -> None:
    contract = (
        "customer_id segment name confidence distance runner_up since event_time as_of events model_version"
    )
    names = [field.name for field in dataclasses.fields(CustomerSegment)]
    assert names == [*contract.split(), "features"]


@pytest.mark.parametrize("absent", [b"confidence", b"runner_up"])
def test_one_segment_alone_has_no_confidence_and_no_runner_up(absent: bytes) -> None:
    fields = {name: value for name, value in HASH.items() if name != absent}
    found = answered(Plans("m").customer("a"), [fields])
    assert getattr(found, absent.decode()) is None


@pytest.mark.parametrize("broken", [b"segment", b"distance", b"since", b"events", b"model_version", b"name"])
def test_a_hash_with_a_field_missing_or_broken_is_reported(broken: bytes) -> None:
    fields = {name: value for name, value in HASH.items() if name != broken}
    with pytest.raises(StateError, match="look whether another program writes"):
        _sent(Plans("m").customer("a-secret-customer"), fields)
    if broken != b"name":
        with pytest.raises(StateError) as caught:
            _sent(Plans("m").customer("a-secret-customer"), fields | {broken: b"\xff-broken"})
        assert "a-secret-customer" not in str(caught.value)


def _sent(plan: Generator[list[Any], list[Any], Any], fields: dict[bytes, bytes]) -> None:
    next(plan)
    plan.send([fields])


def test_an_id_is_text() -> None:
    for asked in (17850, None, b"17850"):
        with pytest.raises(TypeError, match="a customer's id is text"):
            next(Plans("m").customer(asked))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="several ids"):
        next(Plans("m").customers("17850"))


def test_both_clients_offer_the_same() -> None:
    def methods(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert methods(SegmentLookup) == methods(AsyncSegmentLookup)


def test_segments_sizes_come_from_the_sorted_set() -> None:
    fields = {b"name": b"one", b"status": b"active", b"size": b"999", b"share": b"9", b"born": b"1"}
    found = answered(Plans("m").segments(), [[b"7", b"3", b"2", b"1"]], [fields, fields])
    assert found == [
        SegmentInfo(2, "one", 1, 0.25, "active", None, 1, {}),
        SegmentInfo(7, "one", 3, 0.75, "active", None, 1, {}),
    ]


BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root in sys.stdlib_module_names or root in {"redis", "stream_seg"}:
            return None
        raise ModuleNotFoundError(f"{name} is not installed here", name=name)

sys.meta_path.insert(0, Blocker())
import stream_seg.lookup
from stream_seg.lookup import AsyncSegmentLookup, SegmentLookup
SegmentLookup.from_url("redis://127.0.0.1:1", model="m").close()
"""


def test_redis_py_is_all_a_look_up_needs() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
