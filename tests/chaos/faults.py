"""Random faults, each followed by the time until events are committed again."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from redis import Redis

from stream_seg.adapters.local import LocalServers
from tests.chaos.crew import Crew, Hand, Message
from tests.chaos.scene import Scene
from tests.chaos.worker import Duty, Halt

COMMIT_STEPS = (
    "before_stage",
    "after_stage",
    "before_send",
    "after_send",
    "after_send_offsets",
    "before_commit",
    "after_commit",
    "after_apply",
    "before_mint",
    "after_mint",
)
TAKE_OVER_STEPS = ("after_claim", "after_fence", "after_committed", "after_settle")
REBUILD_STEPS = ("after_discard", "after_restage")
SESSION_S = 3.0
HALT_PATIENCE_S = 6.0
COMMIT_PATIENCE_S = 90.0


class NoCommit(Exception):
    """Nothing was committed for too long after a fault."""


@dataclass
class World:
    """One model under attack: its servers, its workers, and where old files of Redis are kept."""

    servers: LocalServers
    scene: Scene
    crew: Crew
    wanted: int
    folder: Path
    redis_files: Path
    random: Random
    hands: list[Hand] = field(default_factory=list)
    copy: Path | None = None

    def hire(self, *halts: Halt) -> Hand:
        """Add a worker."""
        hand = self.crew.hire(Duty(self.scene.config, halts=halts, wait_s=120.0))
        self.hands.append(hand)
        return hand

    def fill(self) -> None:
        """Let go of workers that have ended, and hire until there are as many as wanted."""
        self.hands = [hand for hand in self.hands if hand.is_alive]
        while len(self.hands) < self.wanted:
            self.hire()

    def any(self) -> Hand:
        """A worker by chance."""
        return self.random.choice(self.hands)

    def errors(self) -> list[Message]:
        """Errors that workers ended with."""
        return [m for hand in self.crew.hands for m in hand.messages if m["what"] == "error"]

    def wait_commit(self, since: float) -> float:
        """Wait until events have been committed after ``since``; the seconds that took."""
        deadline = time.monotonic() + COMMIT_PATIENCE_S
        while time.monotonic() < deadline:
            self.fill()
            for hand in self.hands:
                for message in reversed(list(hand.messages)):
                    if message["at"] <= since:
                        break
                    if message["what"] == "committed" and message["events"]:
                        return float(message["at"]) - since
            time.sleep(0.02)
        for hand in self.hands:
            hand.signal(signal.SIGCONT)
            hand.signal(signal.SIGUSR1)  # asks each where it is
        told = [hand.messages[-2:] for hand in self.hands]
        raise NoCommit(f"nothing was committed within {COMMIT_PATIENCE_S:.0f} s; workers told {told}")


Fault = Callable[[World], None]


def kill_worker(world: World) -> None:
    """A worker is killed."""
    world.any().kill()


def kill_all_workers(world: World) -> None:
    """All workers are killed at once."""
    for hand in world.hands:
        hand.kill()


def drain_worker(world: World) -> None:
    """A worker is told to end (SIGTERM), and does so in order."""
    status = world.any().dismiss()
    if status:
        raise AssertionError(f"a worker ended with status {status}")


def one_more_worker(world: World) -> None:
    """Another worker joins, and one of those that were there leaves in order."""
    leaving = world.any()
    joining = world.hire()
    joining.look_for(lambda m: m["what"] == "committed", SESSION_S)
    leaving.dismiss()


def freeze_briefly(world: World) -> None:
    """A worker is stopped for less than its session, and goes on."""
    hand = world.any()
    hand.stop()
    time.sleep(world.random.uniform(0.1, 0.6 * SESSION_S))
    hand.go_on()


def freeze_long(world: World) -> None:
    """A worker is stopped for longer than its session, and goes on as a zombie."""
    hand = world.any()
    hand.stop()
    time.sleep(SESSION_S * world.random.uniform(1.1, 1.8))
    hand.go_on()


def kill_at_step(world: World) -> None:
    """A worker kills itself at a named step."""
    _halt(world, signal.SIGKILL)


def zombie_at_step(world: World) -> None:
    """A worker stops at a named step for longer than its session, and goes on as a zombie."""
    hand = _halt(world, signal.SIGSTOP)
    if hand is not None:
        time.sleep(SESSION_S * world.random.uniform(1.1, 1.8))
        hand.go_on()


def _halt(world: World, number: int) -> Hand | None:
    """Have a new worker halt at a step; ``None`` where it does not come so far."""
    steps = world.random.choice((COMMIT_STEPS, COMMIT_STEPS, TAKE_OVER_STEPS, REBUILD_STEPS))
    count = world.random.choice((1, 2, 3, 5)) if steps is COMMIT_STEPS else 1
    leaving = world.any()
    hand = world.hire(Halt(world.random.choice(steps), count, number))
    if world.random.random() < 0.5:
        leaving.kill()
    else:
        leaving.dismiss()
    if steps is REBUILD_STEPS:
        flush_redis(world)
    return hand if _halted(hand) else None


def _halted(hand: Hand) -> bool:
    """Whether it comes to its step; one that does not could still come, and stop, later: it is killed."""
    found = hand.look_for(lambda m: m["what"] == "step", HALT_PATIENCE_S) is not None
    if not found:
        hand.kill()
    return found


def flush_redis(world: World) -> None:
    """Redis forgets everything."""
    with Redis.from_url(world.servers.redis_url) as client:
        client.flushall()


def flush_and_kill(world: World) -> None:
    """Redis forgets everything in the moment in which a worker is killed at a named step."""
    step, count = world.random.choice(COMMIT_STEPS), world.random.choice((1, 2, 4))
    hand = world.hire(Halt(step, count, signal.SIGSTOP))
    halted = _halted(hand)
    flush_redis(world)
    if not halted or world.random.random() < 0.5:
        hand.kill()
    else:
        time.sleep(SESSION_S * 1.2)
        hand.go_on()


def kill_redis(world: World) -> None:
    """Redis is killed, and started again with its append-only file."""
    world.servers.redis.kill()
    time.sleep(world.random.choice((0.0, 0.0, 0.5, 2.0)))
    world.servers.redis.start()


def set_redis_back(world: World) -> None:
    """Redis is killed, and started again with files that are some seconds old."""
    copy = world.folder / f"redis-copy-{time.monotonic_ns()}"
    for hand in world.hands:  # a copy of files that are being written may be of no moment at all
        hand.stop()
    shutil.copytree(world.redis_files, copy)
    for hand in world.hands:
        hand.go_on()
    time.sleep(world.random.choice((0.05, 0.2, 1.0, 3.0)))
    world.servers.redis.kill()
    shutil.rmtree(world.redis_files)
    copy.rename(world.redis_files)
    world.servers.redis.start()


def freeze_redis(world: World) -> None:
    """Redis does not answer for a while."""
    world.servers.redis.pause()
    time.sleep(world.random.choice((0.3, 2.0, 7.0)))
    world.servers.redis.resume()


def kill_kafka(world: World) -> None:
    """The broker is killed and started again."""
    world.servers.kafka.kill()
    world.servers.kafka.start()


def restart_kafka(world: World) -> None:
    """The broker ends in order (SIGTERM) and is started again."""
    world.servers.kafka.stop()
    world.servers.kafka.start()


def freeze_kafka(world: World) -> None:
    """The broker does not answer for a while."""
    world.servers.kafka.pause()
    time.sleep(world.random.choice((0.5, 2.0, 5.0)))
    world.servers.kafka.resume()


FAULTS: dict[str, Fault] = {
    "worker killed": kill_worker,
    "all workers killed": kill_all_workers,
    "worker killed at a named step": kill_at_step,
    "worker stopped for less than its session": freeze_briefly,
    "worker stopped for longer than its session": freeze_long,
    "worker stopped at a named step for longer": zombie_at_step,
    "worker drained (SIGTERM)": drain_worker,
    "worker joins, another leaves": one_more_worker,
    "Redis flushed": flush_redis,
    "Redis flushed, worker at a named step": flush_and_kill,
    "Redis killed, append-only file": kill_redis,
    "Redis set back to old files": set_redis_back,
    "Redis frozen": freeze_redis,
    "broker killed": kill_kafka,
    "broker restarted (SIGTERM)": restart_kafka,
    "broker frozen": freeze_kafka,
}
