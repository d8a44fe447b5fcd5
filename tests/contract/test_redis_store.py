"""What only a real Redis can do to us: refuse at start, forget its scripts, be flushed, be killed, hang."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from stream_seg.adapters.local import LocalServer
from stream_seg.adapters.local.process import Program
from stream_seg.adapters.local.redis import find_redis, local_redis
from stream_seg.adapters.redis import RedisStore
from stream_seg.adapters.redis.batches import AHEAD
from stream_seg.adapters.redis.checks import check_information
from stream_seg.errors import (
    OwnershipLost,
    ServerError,
    ServerRefused,
    ServersUnavailable,
    ServerUnavailable,
    UsageError,
)
from tests.contract.store_worlds import TOKEN, Crash, Population, RedisWorld

EMPTY = Population(0)
MANY = {f"customer-{i}": i % 3 for i in range(1300)}
SECRET = "s3cret-w0rd"


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Callable[..., LocalServer]]:
    """Start a Redis that one test has to itself, with an append-only file and more options."""
    try:
        program = find_redis()
    except ServersUnavailable as unavailable:
        pytest.skip(str(unavailable))
    with ExitStack() as stack:

        def start(*arguments: str) -> LocalServer:
            folder = tmp_path / uuid.uuid4().hex[:6]
            plain = local_redis(program, folder, keep=True)
            described = plain._program
            server = LocalServer(
                Program(
                    name=described.name,
                    command=[*described.command, "--appendfsync", "always", *arguments],
                    port=described.port,
                    log=described.log,
                    is_ready=described.is_ready,
                    ready_seconds=described.ready_seconds,
                )
            )
            stack.callback(server.kill)
            server.start()
            return server

        yield start


@contextmanager
def admin(server: LocalServer) -> Iterator[Any]:
    with closing(Redis(host="127.0.0.1", port=server.port, protocol=2)) as client:
        yield client


def url(server: LocalServer, user: str = "", query: str = "") -> str:
    return f"redis://{user}{server.address}/0{query}"


def documented_rights(user: str) -> str:
    """What docs/reference/redis.md says that a user needs for the model "shop"."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "redis.md").read_text(encoding="utf-8")
    found = re.search(rf"ACL SETUSER {user} on >… (.*)$", page, re.MULTILINE)
    assert found is not None
    return found[1]


def connect(address: str, **options: Any) -> RedisStore:
    store = RedisStore.connect(address, "shop", **options)
    store.close()
    return store


def sentence(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text
    assert SECRET not in text
    return text


# At start


def test_an_unreachable_redis_is_named_without_its_password() -> None:
    with pytest.raises(
        ServerUnavailable, match=r"Redis at 127\.0\.0\.1:1 cannot be reached \(.*refused\)"
    ) as caught:
        connect(f"redis://user:{SECRET}@127.0.0.1:1/0")
    sentence(caught.value)


@pytest.mark.parametrize(
    "bad",
    [
        f"http://user:{SECRET}@127.0.0.1:6379",
        f"redis://user:{SECRET}@127.0.0.1:sixthousand/0",
        f"redis://:{SECRET}@",
        f"{SECRET}",
        f"redis://user:{SECRET}@127.0.0.1:6379/0?passphrase={SECRET}",
        f"redis://user:{SECRET}@127.0.0.1:6379/0?socket_timeout={SECRET}",
    ],
)
def test_a_bad_url_is_named_without_its_password(bad: str) -> None:
    with pytest.raises(UsageError, match=r"URL") as caught:
        connect(bad)
    sentence(caught.value)


def test_waiting_ends_when_the_server_is_there(own_redis: Callable[..., LocalServer]) -> None:
    server = own_redis()
    server.kill()
    told: list[str] = []
    starting = threading.Thread(target=server.start)

    def start_it(reason: str) -> None:
        told.append(reason)
        starting.start()

    try:
        connect(url(server), wait_s=30, on_wait=start_it)
    finally:
        starting.join()
    assert len(told) == 1
    assert "cannot be reached" in told[0]


def test_waiting_ends_after_its_time() -> None:
    told: list[str] = []
    with pytest.raises(ServerUnavailable):
        connect("redis://127.0.0.1:1/0", wait_s=0.3, on_wait=told.append)
    assert len(told) == 1


def test_a_wrong_password_is_refused_at_once(own_redis: Callable[..., LocalServer]) -> None:
    server = own_redis()
    with admin(server) as client:
        client.config_set("requirepass", SECRET)
        for user in ("", ":wrong@", f"nobody:{SECRET}@"):
            with pytest.raises(ServerRefused, match="does not accept the user and password") as caught:
                connect(url(server, user), wait_s=30)
            sentence(caught.value)
        connect(url(server, f":{SECRET}@"))


@pytest.mark.parametrize(
    ("rights", "works"),
    [
        (documented_rights("stream-seg"), True),
        ("~* +@read +@scripting +info", False),
        ("~* +@all -info", False),
        ("~* +@all -evalsha", False),
        ("~* +@all -zadd", False),
        ("~seg:shop:* +@all", False),
        ("~seg:{shop:*}:* +@all", False),
    ],
)
def test_missing_rights_are_found_at_start(
    own_redis: Callable[..., LocalServer], rights: str, *, works: bool
) -> None:
    server = own_redis()
    with admin(server) as client:
        client.execute_command("ACL", "SETUSER", "worker", "on", f">{SECRET}", *rights.split())
        address = url(server, f"worker:{SECRET}@")
        if works:
            connect(address)
        else:
            with pytest.raises(ServerRefused, match="does not allow its user the commands or keys") as caught:
                connect(address)
            sentence(caught.value)
        assert client.dbsize() == 0  # trying leaves nothing


def test_a_cluster_is_refused(own_redis: Callable[..., LocalServer]) -> None:
    with pytest.raises(ServerRefused, match="is part of a Cluster"):
        connect(url(own_redis("--cluster-enabled", "yes")))


def test_a_replica_is_refused(own_redis: Callable[..., LocalServer]) -> None:
    server = own_redis()
    with admin(server) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(
            ServerRefused, match="is a replica, which can only be read: use its primary's address"
        ):
            connect(url(server))


@pytest.mark.parametrize(
    ("policy", "maxmemory", "refused"),
    [
        ("allkeys-lru", "100mb", True),
        ("allkeys-random", "100mb", True),
        ("allkeys-lru", "0", False),
        ("volatile-lru", "100mb", False),
        ("noeviction", "100mb", False),
    ],
)
def test_a_redis_that_would_evict_state_is_refused(
    own_redis: Callable[..., LocalServer], policy: str, maxmemory: str, *, refused: bool
) -> None:
    server = own_redis()
    with admin(server) as client:
        client.config_set("maxmemory", maxmemory)
        client.config_set("maxmemory-policy", policy)
    if refused:
        with pytest.raises(ServerRefused, match=rf"maxmemory-policy {policy}"):
            connect(url(server))
    else:
        connect(url(server))


def test_a_full_redis_is_refused(own_redis: Callable[..., LocalServer]) -> None:
    server = own_redis()
    with admin(server) as client:
        client.config_set("maxmemory", "1")
    with pytest.raises(ServerRefused, match="has no memory left"):
        connect(url(server))


def information(**changes: Any) -> dict[str, Any]:
    return {"redis_version": "7.0.0", "cluster_enabled": 0, "role": "master", "maxmemory": 0} | changes


def test_versions_from_7_0_on_will_do() -> None:
    for version in ("7.0.0", "7.2.4", "8.2.3", "10.0.0"):
        check_information(information(redis_version=version), "r:1")
    check_information(information(redis_version="7.2.4", valkey_version="8.0.1"), "r:1")
    for version in ("6.2.14", "5.0.3", ""):
        with pytest.raises(ServerRefused, match=rf"Redis at r:1 has version {version}: .* needs Redis 7\.0"):
            check_information(information(redis_version=version), "r:1")


# Later


@pytest.fixture
def world(redis_url: str, fresh_name: Callable[[str], str]) -> Iterator[RedisWorld]:
    with closing(RedisWorld(redis_url, fresh_name("store"))) as world:
        yield world


def test_an_incomplete_stage_never_counts(world: RedisWorld) -> None:
    # Several calls of a megabyte each.
    big = {f"{i}-{'x' * 4000}": 1 for i in range(1200)}
    _, checkpoint = EMPTY.step(big)
    before = world.contents()
    world.stops.after = 2
    with pytest.raises(Crash):
        world.store.stage([(checkpoint, "b-1", TOKEN)])
    assert world.contents() == before
    with pytest.raises(OwnershipLost, match="not stored any more"):
        world.store.apply([(0, "b-1", TOKEN)])
    after, checkpoint = EMPTY.step({"a": 1})
    world.commit(checkpoint, "b-2")
    assert world.contents().customers == after.public
    assert world.store.load(0).rows == after.rows
    assert not world.raw.exists(f"seg:{{{world.model}:0}}:staged")


def test_an_interrupted_stage_may_be_made_again(world: RedisWorld) -> None:
    after, checkpoint = EMPTY.step({f"{i}-{'x' * 4000}": 1 for i in range(1200)})
    world.stops.after = 3
    with pytest.raises(Crash):
        world.store.stage([(checkpoint, "b-1", TOKEN)])
    world.commit(checkpoint, "b-1")
    assert world.store.load(0).rows == after.rows


@pytest.mark.parametrize("what", ["all of it", "a piece"])
def test_a_stage_begins_again_where_the_server_lost_some_of_it(world: RedisWorld, what: str) -> None:
    after, checkpoint = EMPTY.step({f"{i}-{'x' * 4000}": 1 for i in range(1200)})
    lost: list[int] = []

    def lose(_: str) -> None:
        if not lost:
            staged = f"seg:{{{world.model}:0}}:staged"
            lost.append(world.raw.hdel(staged, "0") if what == "a piece" else world.raw.delete(staged))

    world.store._between = lose
    world.commit(checkpoint, "b-1")
    assert lost == [1]
    assert world.store.load(0).rows == after.rows


def test_no_call_carries_much_more_than_a_megabyte(world: RedisWorld) -> None:
    world.raw.config_resetstat()
    _, checkpoint = EMPTY.step({f"{i}-{'x' * 4000}": 1 for i in range(2000)})
    trips: list[int] = []

    def count(_: str) -> None:
        trips.append(int(world.raw.info("stats")["total_net_input_bytes"]))

    world.store._between = count
    world.store.stage([(checkpoint, "b-1", TOKEN)])
    assert len(trips) > 8
    assert max(after - before for before, after in pairwise(trips)) < AHEAD * 1_200_000


def test_scripts_that_the_server_forgot_are_loaded_again(world: RedisWorld) -> None:
    after, checkpoint = EMPTY.step(MANY)
    world.raw.script_flush()
    world.store.stage([(checkpoint, "b-1", TOKEN)])
    world.store._between = lambda _: world.raw.script_flush()
    world.store.apply([(0, "b-1", TOKEN)])
    assert world.store.load(0).rows == after.rows


def test_what_was_unanswered_on_a_connection_that_broke_is_asked_again(world: RedisWorld) -> None:
    after, checkpoint = EMPTY.step(MANY)
    broken: list[str] = []

    def lose(step: str) -> None:
        broken.append(step)
        world.raw.client_kill_filter(_type="normal", skipme=True)

    world.store._between = lose
    world.commit(checkpoint, "b-1")
    assert broken.count("apply") > 1
    assert world.store.load(0).rows == after.rows
    assert world.contents().customers == after.public


def test_no_reply_is_left_for_the_next_call_to_read(world: RedisWorld) -> None:
    after, checkpoint = EMPTY.step(MANY)
    world.store.stage([(checkpoint, "b-1", TOKEN)])
    world.stops.after = 2  # one more piece is under way
    client = world.store._server.client
    connection = client.connection_pool.get_connection()
    client.connection_pool.release(connection)  # the next call's
    with pytest.raises(Crash):
        world.store.apply([(0, "b-1", TOKEN)])
    assert not connection.is_connected
    world.store.apply([(0, "b-1", TOKEN)])
    assert world.store.load(0).rows == after.rows


def test_a_flushed_redis_is_noticed_at_every_step(world: RedisWorld) -> None:
    _, checkpoint = EMPTY.step(MANY)
    world.store.stage([(checkpoint, "b-1", TOKEN)])
    world.raw.flushall()
    calls: tuple[Callable[[], object], ...] = (
        lambda: world.store.stage([(checkpoint, "b-1", TOKEN)]),
        lambda: world.store.apply([(0, "b-1", TOKEN)]),
        lambda: world.store.own(0, TOKEN, "p"),
    )
    for call in calls:
        with pytest.raises(OwnershipLost):
            call()
    assert world.raw.dbsize() == 0


def test_a_redis_set_back_to_an_older_file_is_noticed(world: RedisWorld) -> None:
    # The token is in the older file, the staged batch is not.
    _, checkpoint = EMPTY.step({"a": 1})
    world.store.stage([(checkpoint, "b-1", TOKEN)])
    private = f"seg:{{{world.model}:0}}:"
    world.raw.delete(private + "pending", private + "staged")
    with pytest.raises(OwnershipLost, match="not stored any more"):
        world.store.apply([(0, "b-1", TOKEN)])


def test_a_redis_killed_between_stage_and_apply_goes_on(own_redis: Callable[..., LocalServer]) -> None:
    server = own_redis()
    with closing(RedisWorld(url(server), "shop")) as world:
        first, checkpoint = EMPTY.step({"a": 1})
        world.commit(checkpoint, "b-1")
        after, checkpoint = first.step(MANY)
        world.store.stage([(checkpoint, "b-2", TOKEN)])

        def kill(_: str) -> None:
            world.store._between = world.stops
            server.kill()
            server.start()

        world.store._between = kill  # once, inside apply
        world.store.apply([(0, "b-2", TOKEN)])
        assert world.store.load(0).rows == after.rows
        assert world.contents().customers == after.public
        assert {s: n for s, n in world.contents().sizes.items() if n} == after.sizes


def test_a_redis_that_is_gone_raises_one_sentence(own_redis: Callable[..., LocalServer]) -> None:
    server = own_redis()
    with closing(RedisWorld(url(server), "shop")) as world:
        _, checkpoint = EMPTY.step({"a-customer-nobody-should-read-in-a-log": 1})
        server.kill()
        calls: tuple[Callable[[], object], ...] = (
            lambda: world.store.stage([(checkpoint, "b-1", TOKEN)]),
            lambda: world.store.apply([(0, "b-1", TOKEN)]),
            lambda: world.store.load(0),
            lambda: world.store.pending(0),
            world.store.reports,
            world.store.horizon,
        )
        for call in calls:
            with pytest.raises(ServerUnavailable, match="cannot be reached") as caught:
                call()
            assert "a-customer" not in sentence(caught.value)


def test_a_redis_that_hangs_is_given_up(own_redis: Callable[..., LocalServer]) -> None:
    server = own_redis()
    store = RedisStore.connect(url(server, query="?socket_timeout=0.2"), "shop")
    store.claim(0, TOKEN)
    server.pause()
    try:
        with pytest.raises(ServerUnavailable, match="did not answer in time"):
            store.claim(0, "token-2")
    finally:
        server.resume()
    assert store.claim(0, "token-3").former == ""
    store.close()


def test_a_redis_that_becomes_a_replica_or_full_says_so(own_redis: Callable[..., LocalServer]) -> None:
    server = own_redis()
    with admin(server) as client, closing(RedisWorld(url(server), "shop")) as world:
        _, checkpoint = EMPTY.step({"a": 1})
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(ServerUnavailable, match=r"\(READONLY\)"):
            world.store.stage([(checkpoint, "b-1", TOKEN)])
        client.execute_command("REPLICAOF", "NO", "ONE")
        client.config_set("maxmemory", "1")
        with pytest.raises(ServerRefused, match="has no memory left"):
            world.store.stage([(checkpoint, "b-1", TOKEN)])
        client.config_set("maxmemory", "0")
        world.commit(checkpoint, "b-1")


def test_a_key_of_another_kind_is_an_error_of_ours(world: RedisWorld) -> None:
    world.raw.set(f"seg:{world.model}:c:a", "not a hash")
    _, checkpoint = EMPTY.step({"a": 1})
    with pytest.raises(ServerError, match=r"refuses a command \(WRONGTYPE\)"):
        world.commit(checkpoint, "b-1")


# Keys


def test_the_keys_are_the_documented_ones(world: RedisWorld) -> None:
    odd = "a b:{c}*🛒"
    world.commit(EMPTY.step({odd: 1})[1], "b-1")
    m = world.model
    assert world.raw.hget(f"seg:{m}:c:{odd}", "segment") == "1"
    assert world.raw.zrange(f"seg:{m}:segments", 0, -1, withscores=True) == [("1", 1.0)]
    assert sorted(world.raw.hkeys(f"seg:{{{m}:0}}:rows:0")) == ["0"]


def test_a_reset_deletes_this_model_s_keys_only(redis_url: str) -> None:
    names = ["shop", "shop2", "shop-2", "shop.replay-x", "a-shop", "replay-x"]
    worlds = {name: RedisWorld(redis_url, name) for name in names}
    try:
        raw = worlds["shop"].raw
        raw.set("seg:{other:shop:0}:x", "1")
        for world in worlds.values():
            world.commit(EMPTY.step(MANY | {"seg:shop:c:x": 1, "shop": 1})[1], "b-1")
            world.store.put_version(1, b"{}", {1: {"name": "one", "status": "active"}}, {"cost": "1"})
        before = {name: world.contents() for name, world in worlds.items()}
        keys = {key for key in raw.keys("*") if key.startswith(("seg:shop:", "seg:{shop:"))}
        assert worlds["shop"].store.reset() == len(keys)
        for name, world in worlds.items():
            if name != "shop":
                assert world.contents() == before[name]
        assert not [key for key in raw.keys("*") if key in keys]
        assert raw.exists("seg:{other:shop:0}:x")
        assert worlds["shop"].store.reset() == 0
    finally:
        for world in worlds.values():
            world.close()


@pytest.mark.parametrize("model", ["a*", "a?", "[ab]", "a\\"])
def test_a_reset_takes_names_literally(redis_url: str, model: str) -> None:
    with closing(RedisWorld(redis_url, "ab")) as other, closing(RedisWorld(redis_url, model)) as odd:
        other.commit(EMPTY.step({"a": 1})[1], "b-1")
        odd.commit(EMPTY.step({"a": 1})[1], "b-1")
        before = other.contents()
        odd.store.reset()
        assert other.contents() == before
        assert not [key for key in odd.raw.keys("*") if key.startswith((f"seg:{model}:", f"seg:{{{model}:"))]
