"""``lookup``, ``segments``, ``status`` and ``explain`` on a real Redis with the contract's keys."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from consumers.cli import run

if TYPE_CHECKING:
    from pathlib import Path

WRITTEN = {
    "segment": "2",
    "name": "recent, frequent",
    "confidence": "0.25",
    "distance": "1.5",
    "runner_up": "4",
    "since": "2011-01-05T10:00:00.000Z",
    "event_time": "2011-12-01T08:26:00.000Z",
    "as_of": "2011-12-02T00:00:00.000Z",
    "events": "34",
    "model_version": "7",
    "partition": "0",
    "f.orders": "34.0",
}
VERSION = {
    "version": 7,
    "as_of": "2011-12-02T00:00:00.000Z",
    "features": [
        {"name": "orders", "transform": "none", "weight": 1.0, "offset": 4.0, "scale": 20.0, "step": 0.0625}
    ],
    "segments": [
        {"id": 2, "name": "recent, frequent", "size": 1, "centroid": [3.0], "born": 1},
        {"id": 4, "name": "lapsed", "size": 1, "centroid": [-0.5], "born": 1},
    ],
    "rules": {"hysteresis": 0.1},
}


@pytest.fixture
def model(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model as a worker leaves it; gives its Redis."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("STREAM_SEG__")]:
        monkeypatch.delenv(name)
    report = {
        "partition": 0,
        "version": 7,
        "clock_ms": 1322870400000,
        "caught_up": True,
        "residents": 2,
        "events": 40,
        "clipped": 0,
        "rejected": 3,
        "worker": "w1",
        "reported_at_ms": round(time.time() * 1000),
        "lag": 0,
        "events_per_second": 12.0,
    }
    segment = {"status": "active", "born": "1"}
    with Redis.from_url(redis_url) as client:
        client.hset("seg:retail:c:17850", mapping=WRITTEN)
        client.hset("seg:retail:c:a: b{é}", mapping=WRITTEN)
        client.hset("seg:retail:s:2", mapping=segment | {"name": "recent, frequent", "f.orders": "64.0"})
        client.hset("seg:retail:s:4", mapping=segment | {"name": "lapsed", "parent": "2", "f.orders": "-6.0"})
        client.zadd("seg:retail:segments", {"2": 1, "4": 3})
        client.set("seg:retail:model:current", "7")
        client.set("seg:retail:model:7", json.dumps(VERSION))
        client.hset("seg:retail:quality", mapping={"silhouette": "0.4"})
        client.hset("seg:retail:meta", mapping={"contract": "1", "topics": "orders", "partitions": "1"})
        client.set("seg:{retail:0}:report", json.dumps(report))
        client.hset("seg:retail.replay-x:c:1", mapping=WRITTEN)
    return redis_url


def answered(arguments: list[str], redis: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    flags = ["--redis-url", redis] + ([] if "--model" in arguments else ["--model", "retail"])
    status = run([arguments[0], *flags, *arguments[1:]])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_lookup_prints_what_any_service_would_read(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = answered(["lookup", "17850", "nobody", "a: b{é}", "--json"], model, capsys)
    first, unknown, strange = json.loads(out)
    assert status == 1
    assert unknown is None
    assert first == {
        "customer_id": "17850",
        "segment": 2,
        "name": "recent, frequent",
        "confidence": 0.25,
        "distance": 1.5,
        "runner_up": 4,
        "since": "2011-01-05T10:00:00.000Z",
        "event_time": "2011-12-01T08:26:00.000Z",
        "as_of": "2011-12-02T00:00:00.000Z",
        "events": 34,
        "model_version": 7,
        "partition": 0,
        "features": {"orders": 34.0},
    }
    assert strange == first | {"customer_id": "a: b{é}"}
    assert err == "stream-seg: 1 of 3 customers are unknown to model retail.\n"


def test_lookup_shows_one_customer_in_lines_and_many_in_a_table(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = answered(["lookup", "17850"], model, capsys)
    assert (status, err) == (0, "")
    assert "segment        2 recent, frequent\n" in out
    status, out, _ = answered(["lookup", "17850", "nobody"], model, capsys)
    assert status == 1
    assert [line.split()[0] for line in out.splitlines()] == ["customer", "17850", "nobody"]


def test_a_replay_s_model_is_read_by_its_name(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = answered(["lookup", "1", "--json", "--model", "retail.replay-x"], model, capsys)
    assert status == 0
    assert json.loads(out)[0]["segment"] == 2


def test_segments_are_a_list_with_their_features(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = answered(["segments", "--json"], model, capsys)
    assert status == 0
    assert json.loads(out) == [
        {
            "segment": 2,
            "name": "recent, frequent",
            "size": 1,
            "share": 0.25,
            "status": "active",
            "parent": None,
            "born": 1,
            "features": {"orders": 64.0},
        },
        {
            "segment": 4,
            "name": "lapsed",
            "size": 3,
            "share": 0.75,
            "status": "active",
            "parent": 2,
            "born": 1,
            "features": {"orders": -6.0},
        },
    ]
    _, out, _ = answered(["segments"], model, capsys)
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["id", "4", "2"]


def test_status_says_how_the_workers_stand(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = answered(["status", "--json"], model, capsys)
    found = json.loads(out)
    assert status == 0
    expected = {"version": 7, "version_age_days": 1.0, "lag": 0, "dead_letters": 3, "events_per_second": 12.0}
    assert found | expected == found
    assert found["workers"] == [{"worker": "w1", "partitions": [0], "silent": False}]
    assert found["quality"] == {"silhouette": 0.4}
    status, out, _ = answered(["status"], model, capsys)
    assert status == 0
    assert "version 7, 1 day of event time old" in out


def test_explain_says_which_features_speak_for_the_segment(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = answered(["explain", "17850", "--json"], model, capsys)
    found = json.loads(out)
    assert status == 0
    assert (found["distance"], found["runner_up_distance"], found["kept"]) == (1.5, 2.0, False)
    (feature,) = found["features"]
    assert (feature["value"], feature["centroid"], feature["runner_up"], feature["says"]) == (
        34.0,
        64.0,
        -6.0,
        1.75,
    )
    status, out, _ = answered(["explain", "17850"], model, capsys)
    assert "the runner-up's, 4 lapsed, at 2" in out


def test_what_is_not_there_is_a_sentence_and_1(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert answered(["explain", "nobody"], model, capsys) == (
        1,
        "",
        "stream-seg: The customer is unknown to model retail.\n",
    )
    for arguments in (["segments", "--json"], ["status"], ["explain", "1"]):
        status, out, err = answered([*arguments, "--model", "other"], model, capsys)
        assert (status, out) == (1, "")
        assert err.startswith("stream-seg: There is no model other in the Redis at redis://")
    status, out, err = answered(["lookup", "1", "2", "--json", "--model", "other"], model, capsys)
    assert (status, json.loads(out)) == (1, [None, None])
    assert "There is no model other" in err


def test_an_unreachable_redis_is_a_sentence_and_3(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert model
    status, out, err = answered(["lookup", "1"], "redis://me:hunter2@127.0.0.1:1", capsys)
    assert (status, out) == (3, "")
    assert err.startswith("stream-seg: ")
    assert len(err.splitlines()) == 1
    assert "hunter2" not in err
