"""Look-ups, waiting and asynchronous, of what a store has written to a real Redis."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from stream_seg.adapters.local import LocalServer
from stream_seg.adapters.local.redis import find_redis, local_redis
from stream_seg.engine.reports import Report
from stream_seg.engine.state import Position
from stream_seg.errors import (
    ServerRefused,
    ServersUnavailable,
    ServerUnavailable,
    StateError,
    UsageError,
)
from stream_seg.lookup import AsyncSegmentLookup, CustomerSegment, SegmentInfo, SegmentLookup
from tests.contract.store_worlds import TOKEN, Population, RedisWorld

SECRET = "s3cret-w0rd"
Ask = Callable[..., Any]


def page(name: str) -> str:
    return (Path(__file__).parents[2] / "docs" / name).read_text(encoding="utf-8")


def ask_waiting(url: str, model: str, method: str, *arguments: Any, **options: Any) -> Any:
    with SegmentLookup.from_url(url, model=model, **options) as lookup:
        return getattr(lookup, method)(*arguments)


def ask_async(url: str, model: str, method: str, *arguments: Any, **options: Any) -> Any:
    async def run() -> Any:
        async with AsyncSegmentLookup.from_url(url, model=model, **options) as lookup:
            return await getattr(lookup, method)(*arguments)

    return asyncio.run(run())


@pytest.fixture(params=[ask_waiting, ask_async], ids=["waiting", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    ask: Ask = request.param
    return ask


@pytest.fixture
def world(redis_url: str, fresh_name: Callable[[str], str]) -> Iterator[RedisWorld]:
    with closing(RedisWorld(redis_url, fresh_name("lookup"))) as world:
        yield world


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[LocalServer]:
    try:
        server = local_redis(find_redis(), tmp_path, keep=True)
    except ServersUnavailable as unavailable:
        pytest.skip(str(unavailable))
    server.start()
    yield server
    server.kill()


def test_a_customer_is_found_with_the_contract_s_types(world: RedisWorld, redis_url: str, ask: Ask) -> None:
    world.commit(Population(2).step({"a b:{c}🛒": 1})[1], "b-1")
    assert ask(redis_url, world.model, "get", "a b:{c}🛒") == CustomerSegment(
        customer_id="a b:{c}🛒",
        segment=1,
        name="segment-1",
        confidence=0.25,
        distance=0.1,
        runner_up=0,
        since=datetime(2011, 1, 1, tzinfo=UTC),
        event_time=datetime(2011, 2, 1, 10, 0, 0, 123_000, tzinfo=UTC),
        as_of=datetime(2011, 2, 2, tzinfo=UTC),
        events=3,
        model_version=1,
        features={"spend": 12.5},
    )


def test_an_unknown_customer_is_none(world: RedisWorld, redis_url: str, ask: Ask) -> None:
    assert ask(redis_url, world.model, "get", "nobody") is None
    assert ask(redis_url, "no-such-model", "get", "nobody") is None


def test_many_come_in_the_order_asked_for(world: RedisWorld, redis_url: str, ask: Ask) -> None:
    world.commit(Population(0).step({"a": 1, "b": 2})[1], "b-1")
    found = ask(redis_url, world.model, "get_many", ["b", "nobody", "a", "b"])
    assert [customer and customer.segment for customer in found] == [2, None, 1, 2]
    assert ask(redis_url, world.model, "get_many", []) == []
    assert len(ask(redis_url, world.model, "get_many", (c for c in "abc"))) == 3


def test_records_hold_every_field_json_ready(world: RedisWorld, redis_url: str, ask: Ask) -> None:
    world.commit(Population(2).step({"a": 0})[1], "b-1")
    assert ask(redis_url, world.model, "records", ["a", "nobody"]) == [
        {
            "customer_id": "a",
            "segment": 0,
            "name": "segment-0",
            "confidence": None,
            "distance": 0.1,
            "runner_up": None,
            "since": "2011-01-01T00:00:00.000Z",
            "event_time": "2011-02-01T10:00:00.123Z",
            "as_of": "2011-02-02T00:00:00.000Z",
            "events": 3,
            "model_version": 1,
            "partition": 2,
            "features": {"spend": 12.5},
        },
        None,
    ]


@pytest.mark.parametrize("method", ["get", "get_many"])
def test_a_look_up_is_one_round_trip(world: RedisWorld, redis_url: str, method: str) -> None:
    def reads() -> int:
        return int(world.raw.info("stats")["total_reads_processed"])

    with SegmentLookup.from_url(redis_url, model=world.model) as lookup:
        lookup.get("warm-up")  # connects
        between = -reads() + reads()  # the question itself
        before = reads()
        if method == "get":
            lookup.get("a")
        else:
            lookup.get_many([f"customer-{i}" for i in range(10)])
        assert reads() - before - between == 1


def test_segments_come_with_sizes_of_one_moment(world: RedisWorld, redis_url: str, ask: Ask) -> None:
    assert ask(redis_url, world.model, "segments") == []
    world.commit(Population(0).step({"a": 1, "b": 1, "c": 1, "d": 10})[1], "b-1")
    assert ask(redis_url, world.model, "segments") == []  # not published yet
    fields = {"name": "one", "status": "active", "born": "1", "f.spend": "2.5"}
    described = {1: fields, 10: {**fields, "name": "ten", "parent": "1"}, 2: {**fields, "status": "retired"}}
    world.store.put_version(1, b"{}", described, {})
    assert ask(redis_url, world.model, "segments") == [
        SegmentInfo(1, "one", 3, 0.75, "active", None, 1, {"spend": 2.5}),
        SegmentInfo(10, "ten", 1, 0.25, "active", 1, 1, {"spend": 2.5}),
    ]
    assert ask(redis_url, world.model, "segment_records")[1] == {
        "segment": 10,
        "name": "ten",
        "size": 1,
        "share": 0.25,
        "status": "active",
        "parent": 1,
        "born": 1,
        "features": {"spend": 2.5},
    }


def test_versions_are_read_as_published(world: RedisWorld, redis_url: str, ask: Ask) -> None:
    assert ask(redis_url, world.model, "model") is None
    world.store.put_version(1, b'{"version": 1}', {}, {})
    world.store.put_version(2, b'{"version": 2, "a": [0.1]}', {}, {})
    assert ask(redis_url, world.model, "model") == {"version": 2, "a": [0.1]}
    assert ask(redis_url, world.model, "model", 1) == {"version": 1}
    assert ask(redis_url, world.model, "model", 3) is None


def test_status_tells_how_the_model_stands(world: RedisWorld, redis_url: str, ask: Ask) -> None:
    world.commit(Population(0).step({"both": 1})[1], "b-1")
    world.commit(Population(1).step({"both": 1})[1], "o-1")
    world.store.put_version(3, b"{}", {}, {"cost": "0.5", "trend": "down"})
    for partition in (0, 1):
        world.store.put_report(report(partition), TOKEN)
    status = ask(redis_url, world.model, "status")
    assert (status["model"], status["version"]) == (world.model, 3)
    assert status["meta"] == {"partitions": "3", "instance": "i-1"}
    assert status["quality"] == {"cost": 0.5, "trend": "down"}
    assert [p["partition"] for p in status["partitions"]] == [0, 1]
    assert [p["split_customers"] for p in status["partitions"]] == [0, 1]
    assert status["partitions"][0]["position"] == {"next_offset": 7, "batch": 3}
    assert status["partitions"][0]["rejected"] == 4
    assert "total" not in status["partitions"][0]


def report(partition: int) -> Report:
    return Report(
        partition=partition,
        version=1,
        position=Position(7, 3),
        clock_ms=-1,
        next_event_ms=None,
        caught_up=True,
        residents=1,
        events=1,
        rows_passed=0,
        passes=0,
        clipped=0,
        rejected=4,
        count=[1],
        total=[[2]],
        square_high=[[3]],
        square_low=[[4]],
    )


def test_status_of_no_model_is_empty(redis_url: str, ask: Ask) -> None:
    status = ask(redis_url, "no-such-model", "status")
    assert status == {"model": "no-such-model", "meta": {}, "version": None, "quality": {}, "partitions": []}


# When it does not work


def test_an_unreachable_redis_is_one_sentence_without_the_password(ask: Ask) -> None:
    with pytest.raises(ServerUnavailable, match=r"Redis at 127\.0\.0\.1:1 cannot be reached") as caught:
        ask(f"redis://user:{SECRET}@127.0.0.1:1/0", "shop", "get", "a")
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_url_is_a_usage_error_without_the_password(ask: Ask) -> None:
    with pytest.raises(UsageError, match="URL") as caught:
        ask(f"redis://user:{SECRET}@127.0.0.1:sixthousand/0", "shop", "get", "a")
    assert SECRET not in str(caught.value)


def test_a_redis_that_hangs_is_given_up_in_time(own_redis: LocalServer, ask: Ask) -> None:
    own_redis.pause()
    try:
        with pytest.raises(ServerUnavailable, match="did not answer in time"):
            ask(f"redis://{own_redis.address}/0", "shop", "get", "a", timeout_s=0.2)
    finally:
        own_redis.resume()


def test_a_restarted_redis_is_found_again(own_redis: LocalServer) -> None:
    url = f"redis://{own_redis.address}/0"
    with closing(RedisWorld(url, "shop")) as world:
        world.commit(Population(0).step({"a": 1})[1], "b-1")
    with SegmentLookup.from_url(url, model="shop") as lookup:
        assert lookup.get("a") is not None
        own_redis.stop()
        with pytest.raises(ServerUnavailable):
            lookup.get("a")
        own_redis.start()
        assert lookup.get("a") is not None
        own_redis.stop()
        own_redis.start()
        assert lookup.get("a") is not None  # its connection was closed in between


def test_a_reader_needs_no_rights_but_reading(own_redis: LocalServer, ask: Ask) -> None:
    url = f"redis://{own_redis.address}/0"
    with closing(RedisWorld(url, "shop")) as world:
        world.commit(Population(0).step({"a": 1})[1], "b-1")
        world.store.put_version(1, b"{}", {1: {"name": "one", "status": "active"}}, {})
    rights = re.search(r"ACL SETUSER reader on >… (.*)$", page("reference/redis.md"), re.MULTILINE)[1]  # type: ignore[index]
    admin: Any = Redis(host="127.0.0.1", port=own_redis.port)
    with closing(admin):
        admin.execute_command("ACL", "SETUSER", "reader", "on", f">{SECRET}", *rights.split())
    reader = f"redis://reader:{SECRET}@{own_redis.address}/0"
    assert ask(reader, "shop", "get", "a").segment == 1
    assert [s.segment for s in ask(reader, "shop", "segments")] == [1]
    assert ask(reader, "shop", "model") == {}
    with pytest.raises(ServerRefused, match="does not allow its user"):
        ask(reader, "another", "get", "a")
    with pytest.raises(ServerRefused, match="does not accept the user and password"):
        ask(f"redis://reader:wrong-{SECRET}@{own_redis.address}/0", "shop", "get", "a")


def test_a_hash_that_is_not_ours_is_an_error_of_ours(world: RedisWorld, redis_url: str, ask: Ask) -> None:
    world.raw.hset(f"seg:{world.model}:c:a", mapping={"segment": "one"})
    world.raw.hset(f"seg:{world.model}:c:b", mapping={"segment": "1"})
    world.raw.set(f"seg:{world.model}:c:c", "x")
    for customer, error in (("a", StateError), ("b", StateError), ("c", ServerRefused)):
        with pytest.raises(error):
            ask(redis_url, world.model, "get", customer)


def test_options_in_the_url_do_not_change_the_answers(world: RedisWorld, redis_url: str, ask: Ask) -> None:
    world.commit(Population(0).step({"a": 1})[1], "b-1")
    url = f"{redis_url}?decode_responses=True&protocol=3"
    assert ask(url, world.model, "get", "a").segment == 1


def test_the_how_to_s_examples_run(redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    examples = re.findall(
        r"^```python\n(.*?)^```$", page("how-to/look-up-segments.md"), re.MULTILINE | re.DOTALL
    )
    with closing(RedisWorld(redis_url, "shop")) as world:
        world.commit(Population(0).step({"c1200": 1, "c1081": 1})[1], "b-1")
        world.store.put_version(12, b"{}", {1: {"name": "one", "status": "active"}}, {})
    names: dict[str, Any] = {}
    for example in (examples[0], examples[2]):
        exec(example.replace("redis://127.0.0.1:6379/0", redis_url), names)  # noqa: S102 - our own page
    names["lookup"].close()
    assert capsys.readouterr().out.splitlines() == [
        "1 segment-1 0.25 12.5",
        "segment-1",
        "segment-1",
        "None",
        "1 one 2 100% {}",
    ]


def test_many_threads_share_one_lookup(world: RedisWorld, redis_url: str) -> None:
    world.commit(Population(0).step({f"c-{i}": i % 4 for i in range(100)})[1], "b-1")
    together = threading.Barrier(60)

    def look(i: int) -> int:
        together.wait(30)
        found = lookup.get(f"c-{i}")
        assert found is not None
        return found.segment

    with (
        SegmentLookup.from_url(redis_url, model=world.model, timeout_s=10) as lookup,
        ThreadPoolExecutor(60) as pool,
    ):
        assert list(pool.map(look, range(60))) == [i % 4 for i in range(60)]


def test_many_tasks_share_one_lookup(world: RedisWorld, redis_url: str) -> None:
    world.commit(Population(0).step({f"c-{i}": i % 4 for i in range(100)})[1], "b-1")

    async def run() -> list[int]:
        async with AsyncSegmentLookup.from_url(redis_url, model=world.model, timeout_s=10) as lookup:
            found = await asyncio.gather(*(lookup.get(f"c-{i % 100}") for i in range(500)))
        return [customer.segment for customer in found if customer is not None]

    assert asyncio.run(run()) == [i % 100 % 4 for i in range(500)]
