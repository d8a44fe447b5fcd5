"""The pages on Redis and look-ups say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from stream_seg.keys import BLOCK_ROWS, Keys
from stream_seg.lookup.results import CustomerSegment, SegmentInfo, customer_record, segment_record

DOCS = Path(__file__).parents[2] / "docs"
REDIS = (DOCS / "reference" / "redis.md").read_text(encoding="utf-8")
HOW_TO = (DOCS / "how-to" / "look-up-segments.md").read_text(encoding="utf-8")


def block(kind: str) -> dict[bytes, bytes]:
    """The fields of the one example of a kind of hash."""
    (text,) = re.findall(rf"^```text {kind}\n(.*?)^```$", REDIS, re.MULTILINE | re.DOTALL)
    pairs = [line.partition(" ") for line in text.splitlines()]
    return {field.encode(): value.encode() for field, _, value in pairs}


def test_the_customer_is_one_that_can_be_read() -> None:
    record = customer_record("c1200", block("customer"))
    assert record is not None
    customer = CustomerSegment.from_record(record)
    assert (customer.segment, customer.runner_up, customer.events) == (5, 7, 13)
    assert set(customer.features) == {"days_since_order", "orders", "spend", "app_share"}
    described = set(re.findall(r"`(\w+)`", section("A customer")))
    assert set(record) - {"customer_id", "features"} <= described


def test_the_segment_is_one_that_can_be_read() -> None:
    record = segment_record(5, 102, 300, block("segment"))
    assert record is not None
    assert SegmentInfo.from_record(record).name == "high-value, low app share"
    assert record["share"] == float(block("segment")[b"share"])
    described = set(re.findall(r"`(\w+)`", section("A segment")))
    assert set(record) - {"segment", "features"} <= described


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", REDIS, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_all_keys_are_described_and_no_others() -> None:
    keys = Keys("<m>")
    code = {
        keys.customer("<customer>"),
        f"{keys.segment_hashes}<segment>",
        keys.segments,
        keys.current,
        keys.version(1).replace("1", "<v>"),
        keys.quality,
        keys.meta,
        keys.owner("<p>"),
        keys.position("<p>"),
        keys.pending("<p>"),
        keys.staged("<p>"),
        keys.rows("<p>") + "<block>",
        keys.frozen("<p>") + "…",
        keys.split("<p>"),
        keys.report("<p>"),
        keys.sample("<p>"),
        keys.horizon,
        keys.place(0).replace("place:0", "place:<n>"),
    }
    described = set(re.findall(r"^\| `(seg:[^`]*)` \|", REDIS, re.MULTILINE)) - {"seg:{<m>:<partition>}:…"}
    assert described == code
    assert f"{BLOCK_ROWS:,} in a block" in REDIS


def test_the_page_s_meta_says_how_many_partitions() -> None:
    assert {b"contract", b"instance", b"features", b"topics", b"created", b"partitions"} == set(block("meta"))


def test_the_how_to_s_asynchronous_example_is_python() -> None:
    examples = re.findall(r"^```python\n(.*?)^```$", HOW_TO, re.MULTILINE | re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        compile(example, "look-up-segments.md", "exec")
    assert "async with AsyncSegmentLookup.from_url(" in examples[1]
