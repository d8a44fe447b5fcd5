"""What the bench ran on, for people who compare figures."""

from __future__ import annotations

import os
import platform
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from redis import Redis

__all__ = ["machine"]

_PACKAGES: Final = (
    "stream-seg",
    "kafka-python",
    "confluent-kafka",
    "redis",
    "msgspec",
    "numba",
    "numpy",
    "river",
)


def machine(redis_url: str | None) -> dict[str, str]:
    """Processor, memory, versions; of Redis where there is one."""
    found = {"processor": _processor(), "cores": str(os.cpu_count()), "memory": _memory()}
    found["system"] = f"{platform.system()} {platform.release()}"
    found["Python"] = platform.python_version()
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if redis_url is not None:
        with closing(Redis.from_url(redis_url)) as redis:
            found["Redis server"] = str(redis.info("server")["redis_version"])
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, OSError):
        return "unknown"
