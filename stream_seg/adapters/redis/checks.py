"""What is looked at before a Redis is trusted with state: each thing it may lack is one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stream_seg.adapters.redis.server import Server
from stream_seg.errors import ServerRefused
from stream_seg.keys import Keys

__all__ = ["check_information", "check_server"]

OLDEST: Final = (7, 0)
"""The oldest Redis the contract names."""


def check_server(server: Server, keys: Keys) -> None:
    """Check kind, version, memory policy and rights of a server.

    Raises :class:`~stream_seg.errors.ServerRefused` with what to change, and ``ServerUnavailable`` where
    there is no answer.
    """
    with server.our_errors:
        information = server.client.info()
    check_information(information, server.address)
    server.call("rights", [keys.public + "rights", keys.private(0) + "rights"], [])


def check_information(information: Mapping[str, Any], address: str) -> None:
    """Check what a server says of itself (``INFO``)."""
    where = f"Redis at {address}"
    version = str(information.get("redis_version", ""))
    if "valkey_version" not in information and _numbers(version) < OLDEST:
        raise ServerRefused(f"{where} has version {version}: stream-seg needs Redis 7.0 or newer, or Valkey")
    if _flag(information, "cluster_enabled"):
        raise ServerRefused(
            f"{where} is part of a Cluster, where one script cannot guard all of a model's keys: "
            "use a server without cluster mode"
        )
    if information.get("role") != "master":
        raise ServerRefused(f"{where} is a replica, which can only be read: use its primary's address")
    policy = str(information.get("maxmemory_policy", ""))
    if _flag(information, "maxmemory") and policy.startswith("allkeys-"):
        raise ServerRefused(
            f"{where} may throw stored state away (maxmemory-policy {policy}): "
            "set maxmemory-policy noeviction"
        )


def _flag(information: Mapping[str, Any], name: str) -> bool:
    return int(information.get(name, 0)) != 0


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
