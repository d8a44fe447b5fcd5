"""The local servers are real, come back with their data, and never outlive who asked for them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import redis
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from redis import Redis

from stream_seg.adapters.local import LocalServer, LocalServers, local_servers
from stream_seg.adapters.local.redis import find_redis, local_redis
from stream_seg.adapters.local.settings import OLDEST_REDIS
from stream_seg.errors import ServerUnavailable, UsageError

pytestmark = pytest.mark.timeout(180)

OWNER = """
import json, os, sys, threading
from stream_seg.adapters.local import local_servers

with local_servers() as servers:
    if "fork" in sys.argv and os.fork() == 0:
        threading.Event().wait(60)
        os._exit(0)
    pids = [servers.kafka.pid, servers.redis.pid]
    print(json.dumps({"pids": pids, "folder": str(servers.kafka.log.parent.parent)}), flush=True)
    threading.Event().wait()
"""


@contextmanager
def owner(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], list[int], Path]]:
    """Another Python process that has servers: the process, its servers' ids, their folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, *arguments], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        yield process, said["pids"], Path(said["folder"])
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def wait_until(what: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def gone(pid: int) -> bool:
    """Whether no process has this id (one that waits for its parent to look is gone)."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def produce(servers: LocalServers, topic: str, value: bytes) -> None:
    """Write one record and wait for its acknowledgement."""
    producer = KafkaProducer(bootstrap_servers=servers.bootstrap_servers)
    try:
        producer.send(topic, value).get(timeout=20)
    finally:
        producer.close()


def consume(servers: LocalServers, topic: str) -> list[bytes]:
    """All that the topic's first partition holds."""
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=servers.bootstrap_servers)
    try:
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        values: list[bytes] = []
        deadline = time.monotonic() + 20
        while consumer.position(partition) < end and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=500).values():
                values += [record.value for record in records]
        return values
    finally:
        consumer.close()


def test_a_record_goes_through_kafka(servers: LocalServers, fresh_name: Callable[[str], str]) -> None:
    topic = fresh_name("orders")
    admin = KafkaAdminClient(bootstrap_servers=servers.bootstrap_servers)
    admin.create_topics([NewTopic(topic, num_partitions=4, replication_factor=1)])
    admin.close()
    produce(servers, topic, b"one order")
    partitions = KafkaConsumer(bootstrap_servers=servers.bootstrap_servers)
    try:
        assert partitions.partitions_for_topic(topic) == {0, 1, 2, 3}
        ends = partitions.end_offsets([TopicPartition(topic, p) for p in range(4)])
    finally:
        partitions.close()
    assert sum(ends.values()) == 1


def test_redis_answers_with_a_version_that_the_contract_allows(redis_url: str) -> None:
    with Redis.from_url(redis_url, decode_responses=True) as client:
        assert client.ping()
        assert client.dbsize() == 0
        version = client.info("server")["redis_version"]
        assert tuple(int(part) for part in version.split(".")) >= OLDEST_REDIS
        # What nothing may fail on in production must be there here: scripts and functions.
        assert client.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, "k", "v")
        assert client.get("k") == "v"


@pytest.mark.parametrize("take_away", [LocalServer.stop, LocalServer.kill], ids=["stopped", "killed"])
def test_servers_come_back_on_their_ports_with_their_data(
    take_away: Callable[[LocalServer], None],
    private_servers: Callable[[], LocalServers],
    fresh_name: Callable[[str], str],
) -> None:
    servers = private_servers()
    topic = fresh_name("kept")
    produce(servers, topic, b"before")
    with Redis.from_url(servers.redis_url) as client:
        client.set("key", "before")
    for server in (servers.kafka, servers.redis):
        take_away(server)
        assert not server.is_running
        assert server.pid is None
    with Redis.from_url(servers.redis_url) as client, pytest.raises(redis.exceptions.ConnectionError):
        client.ping()
    for server in (servers.kafka, servers.redis):
        server.start()
    produce(servers, topic, b"after")
    assert consume(servers, topic) == [b"before", b"after"]
    with Redis.from_url(servers.redis_url) as client:
        assert client.get("key") == b"before"


@pytest.mark.usefixtures("servers")  # skips where they cannot be had
def test_a_directory_keeps_data_from_one_time_to_the_next(tmp_path: Path) -> None:
    with local_servers(tmp_path / "kept") as first:
        produce(first, "kept", b"record")
        with Redis.from_url(first.redis_url) as client:
            client.set("key", "value")
        with pytest.raises(UsageError, match="in use"), local_servers(tmp_path / "kept"):
            pass
    with local_servers(tmp_path / "kept") as second:
        assert consume(second, "kept") == [b"record"]
        with Redis.from_url(second.redis_url) as client:
            assert client.get("key") == b"value"


def test_a_paused_server_does_not_answer_until_resumed(private_servers: Callable[[], LocalServers]) -> None:
    servers = private_servers()
    with Redis.from_url(servers.redis_url, socket_timeout=0.5, retry=None) as client:
        servers.redis.pause()
        with pytest.raises(redis.exceptions.TimeoutError):
            client.ping()
        assert servers.redis.is_running
        servers.redis.resume()
        assert client.ping()


@pytest.mark.usefixtures("servers")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_behind_however_the_owner_ends(ending: signal.Signals) -> None:
    with owner() as (process, pids, folder):
        parents = [psutil.Process(pid).ppid() for pid in pids]
        assert not any(gone(pid) for pid in pids)
        process.send_signal(ending)
        assert process.wait(30) != 0
        assert wait_until(lambda: all(gone(pid) for pid in [*pids, *parents]))
        assert wait_until(lambda: not folder.exists())


@pytest.mark.usefixtures("servers")
def test_a_child_forked_by_the_owner_does_not_keep_servers_alive() -> None:
    with owner("fork") as (process, pids, folder):
        process.kill()
        assert wait_until(lambda: all(gone(pid) for pid in pids))
        assert wait_until(lambda: not folder.exists())


@pytest.mark.usefixtures("servers")
def test_nothing_is_left_behind_by_an_exception() -> None:
    running: list[LocalServers] = []

    def fail() -> None:
        with local_servers() as servers:
            running.append(servers)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    (servers,) = running
    assert not servers.kafka.is_running
    assert not servers.redis.is_running
    assert not servers.kafka.log.parent.parent.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a child with its parent")
def test_a_server_does_not_outlive_its_killed_supervisor(private_servers: Callable[[], LocalServers]) -> None:
    redis_server = private_servers().redis
    pid = redis_server.pid
    assert pid is not None
    supervisor = psutil.Process(pid).parent()
    assert supervisor is not None
    supervisor.kill()
    assert wait_until(lambda: gone(pid))
    assert wait_until(lambda: not redis_server.is_running)
    redis_server.start()
    assert redis_server.is_running


def test_a_server_that_does_not_come_up_shows_the_end_of_its_log(
    servers: LocalServers, tmp_path: Path
) -> None:
    server = local_redis(find_redis(), tmp_path, keep=True)
    (tmp_path / "appendonlydir").write_text("a file where Redis wants a folder")
    with pytest.raises(ServerUnavailable, match=r"(?s)local Redis at .* it last wrote:.*append") as failure:
        server.start()
    assert "Kafka" not in str(failure.value)
    assert not server.is_running
    assert servers.redis.is_running


def test_starting_and_ending_twice_does_no_harm(private_servers: Callable[[], LocalServers]) -> None:
    server = private_servers().redis
    pid = server.pid
    server.start()
    assert server.pid == pid
    for _ in range(2):
        server.stop()
    server.kill()
    assert not server.is_running
