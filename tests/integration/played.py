"""A model that lives through one test after the other: its orders, its workers, and what is done to it."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from redis import Redis

from stream_seg.adapters.kafka import KafkaClient, connect
from stream_seg.adapters.local import LocalServers
from stream_seg.errors import StateError
from stream_seg.keys import Keys
from tests.chaos.crew import Crew, Hand, crew
from tests.chaos.orders import Shop, send
from tests.chaos.scene import Scene
from tests.chaos.worker import Duty, Halt
from tests.contract.kafka_worlds import eventually

SHOP = Shop(customers=60, partitions=2)
BEGINNING, MORE = 160, 20
DAYS_AN_ORDER = 0.05


@dataclass
class Model:
    """A model with its orders so far; ``lost`` are records that its topic does not hold any more."""

    scene: Scene
    crew: Crew
    redis: Any
    sent: int = 0
    lost: dict[int, list[Any]] = field(default_factory=dict)

    @property
    def keys(self) -> Keys:
        """Names of its keys."""
        return Keys(self.scene.model)

    def send(self, count: int = MORE) -> None:
        """More orders."""
        shop = replace(SHOP, first=self.sent, days=count * DAYS_AN_ORDER)
        send(self.scene.bootstrap_servers, self.scene.topic, shop.orders(count))
        self.sent += count

    def hire(self, *halts: Halt, until_end: bool = False) -> Hand:
        """A worker."""
        return self.crew.hire(Duty(self.scene.config, halts=halts, until_end=until_end))

    def run(self) -> list[str]:
        """A worker reads everything, some more orders too; what it said to people.

        Without anything to read it might end before it has been given a partition.
        """
        self.send()
        hand = self.hire(until_end=True)
        assert hand.wait_end() == 0, hand.messages[-5:]
        return hand.notices

    def refused(self) -> str:
        """A worker stops because a person must decide; what it said."""
        self.send()
        hand = self.hire(until_end=True)
        assert hand.wait_end() == StateError.exit_status, hand.messages[-5:]
        return str(hand.messages[-1]["text"])

    def kill_at(self, step: str, count: int) -> None:
        """A worker begins to read and is killed at a step, when it comes there for the ``count``-th time."""
        hand = self.hire(Halt(step, count))
        assert hand.wait_end() == -signal.SIGKILL, hand.messages[-5:]

    def expire(self) -> None:
        """Have Kafka forget the group's offsets, as it does after seven days without members."""
        with closing(connect(self.scene.settings.kafka)) as client:
            eventually(lambda: _deleted(client, self.scene.settings.group))


@contextmanager
def played(servers: LocalServers, folder: Path, **options: Any) -> Iterator[Model]:
    """A model of its own with a topic of two partitions that is still empty; all its workers end with it."""
    name = f"played-{uuid.uuid4().hex[:12]}"
    given = {"warm_up_customers": 20, **options}
    scene = Scene(folder, name, f"{name}-orders", servers.bootstrap_servers, servers.redis_url, **given)
    scene.create(SHOP.partitions)
    with crew() as workers, Redis.from_url(servers.redis_url) as redis:
        yield Model(scene, workers, redis)


def _deleted(client: KafkaClient, group: str) -> bool:
    """Whether the group is gone: a killed worker stays a member until its session times out."""
    try:
        client.topics.delete_group(group)
    except StateError:
        return False
    return True
