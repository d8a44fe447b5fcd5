"""Where scenarios are played: servers, workers, and a judge."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from stream_seg.adapters.local.process import LocalServer
from stream_seg.adapters.local.redis import find_redis, local_redis
from tests.chaos.crew import Crew, Hand, crew
from tests.chaos.orders import Order, send
from tests.chaos.scene import Scene
from tests.chaos.verify import Verdict, verify
from tests.chaos.worker import Duty


@dataclass(frozen=True)
class OwnRedis:
    """A Redis with an append-only file that one scenario has to itself."""

    server: LocalServer
    folder: Path

    @property
    def url(self) -> str:
        """Its URL."""
        return f"redis://{self.server.address}/0"

    def flush(self) -> None:
        """Have it lose everything."""
        with Redis.from_url(self.url) as client:
            client.flushall()

    def copy(self) -> Path:
        """Copy its files as they are now; nothing should be written meanwhile."""
        copy = self.folder / f"copy-{len(list(self.folder.glob('copy-*')))}"
        shutil.copytree(self.folder / "appendonlydir", copy)
        return copy

    def kill(self) -> None:
        """Kill it (SIGKILL)."""
        self.server.kill()

    def start(self) -> None:
        """Start it again."""
        self.server.start()

    def set_back(self, copy: Path) -> None:
        """Kill it, put old files in place, and start it again."""
        self.kill()
        shutil.rmtree(self.folder / "appendonlydir")
        shutil.copytree(copy, self.folder / "appendonlydir")
        self.start()


@dataclass(frozen=True)
class Theatre:
    """Servers, a folder, and workers to hire."""

    crew: Crew
    folder: Path
    bootstrap_servers: str
    redis_url: str
    stack: ExitStack

    def scene(self, orders: Sequence[Order], *, partitions: int = 2, **options: Any) -> Scene:
        """A model of its own, its topic filled with ``orders``."""
        name = f"chaos-{uuid.uuid4().hex[:8]}"
        given = {"bootstrap_servers": self.bootstrap_servers, "redis_url": self.redis_url, **options}
        scene = Scene(self.folder, name, f"{name}-orders", **given)
        scene.create(partitions)
        self.send(scene, orders)
        return scene

    def send(self, scene: Scene, orders: Sequence[Order]) -> None:
        """More orders for a scene's topic."""
        send(scene.bootstrap_servers, scene.topic, orders)

    def own_redis(self) -> OwnRedis:
        """A Redis for one scenario."""
        folder = self.folder / f"redis-{uuid.uuid4().hex[:8]}"
        server = local_redis(find_redis(), folder, keep=True)
        self.stack.callback(server.kill)
        server.start()
        return OwnRedis(server, folder)

    def catch_up(self, scene: Scene) -> None:
        """Have a worker take what is there, the adoption of the last version included, and go."""
        hand = self.crew.hire(Duty(scene.config))
        hand.wait_commits(1)
        hand.wait_idle()
        assert hand.dismiss() == 0, hand.messages[-5:]

    def finish(self, scene: Scene) -> Verdict:
        """Have a worker do what is left, and judge."""
        hand = self.crew.hire(Duty(scene.config, until_end=True))
        status = hand.wait_end()
        verdict = verify(scene.settings)
        verdict.expect(status == 0, f"the last worker ended with status {status}: {hand.messages[-1:]}")
        return verdict

    def drain(self, scene: Scene, hands: Sequence[Hand]) -> Verdict:
        """Let workers that are there finish and go in order, and judge."""
        hands[0].wait_idle()
        ended = [(hand.dismiss(), hand) for hand in hands]
        verdict = self.finish(scene)
        for status, hand in ended:
            verdict.expect(status == 0, f"a worker ended with status {status}: {hand.messages[-1:]}")
        return verdict


Scenario = Callable[[Theatre], Verdict]


class Verdicts:
    """Verdicts on scenarios that are played beside each other, begun before anyone asks."""

    def __init__(self, theatre: Theatre, scenarios: Mapping[str, Scenario], pool: Executor) -> None:
        """Begin to play ``scenarios``."""
        self._theatre = theatre
        self._scenarios = scenarios
        self._begun: dict[str, Future[Verdict]] = {
            name: pool.submit(play, theatre) for name, play in scenarios.items()
        }

    def of(self, scenario: str) -> Verdict:
        """Wait for a scenario's verdict; one that is asked for again (a test tried again) is played again."""
        begun = self._begun.pop(scenario, None)
        return self._scenarios[scenario](self._theatre) if begun is None else begun.result()


@contextmanager
def theatre(folder: Path, bootstrap_servers: str) -> Iterator[Theatre]:
    """A theatre with a Redis of its own; everything ends with the block."""
    with ExitStack() as stack:
        redis = local_redis(find_redis(), folder / "redis", keep=True)
        stack.callback(redis.kill)
        redis.start()
        hired = stack.enter_context(crew())
        yield Theatre(hired, folder, bootstrap_servers, f"redis://{redis.address}/0", stack)
