"""Chaos for a given time: random faults of all kinds while orders come, and a table of what they did.

``make chaos ARGS="--seconds 600 --seed 1"``; ``python -m tests.chaos.run --help`` says what else. Between any
two faults events are committed. The time is spent in rounds, each with a model of its own; at the end of each
the workers drain, and everything in Kafka and Redis is compared with what is derived from the input again.
Ends with status 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from unittest.mock import patch

from kafka.errors import KafkaError

from stream_seg.adapters.local import LocalServers, kafka, local_servers
from stream_seg.adapters.local.settings import KAFKA_JARS, KAFKA_VERSION
from stream_seg.errors import StreamSegError
from tests.chaos.crew import crew
from tests.chaos.faults import FAULTS, NoCommit, World
from tests.chaos.orders import Order, Sender, Shop
from tests.chaos.scene import Scene
from tests.chaos.verify import Verdict, verify
from tests.chaos.worker import Duty

ORDERS_PER_SECOND = 40
ORDERS_PER_DAY = 40
PORTION_S = 0.2
"""Orders are sent so often."""
BROKER = "4.1.1"
"""Later ones lose, when they are killed, what they have committed (decision 0018)."""


@dataclass(frozen=True)
class Wanted:
    """What was asked for."""

    seconds: float
    seed: int
    client: str
    workers: int
    partitions: int
    round_seconds: float
    kafka: str


@dataclass
class Tally:
    """What was done and what came of it: fault → seconds until events were committed again."""

    recovered: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in FAULTS})
    verdicts: list[Verdict] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        """How many there were."""
        return sum(len(seconds) for seconds in self.recovered.values())


class Feeder:
    """Sends orders at a steady pace until it is told to stop, whatever becomes of the broker."""

    def __init__(self, scene: Scene, seed: int, partitions: int) -> None:
        """Prepare the orders of a shop whose customers change with time."""
        self._scene = scene
        self._shop = Shop(seed=seed, customers=300, partitions=partitions)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self.sent = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End when everything has been acknowledged."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with Sender(self._scene.bootstrap_servers, self._scene.topic) as sender:
            while not self._stop.wait(PORTION_S):
                portion = self._portion()
                while not self._sent(sender, portion):
                    time.sleep(PORTION_S)

    def _portion(self) -> list[Order]:
        count = round(ORDERS_PER_SECOND * PORTION_S)
        shop = Shop(
            self._shop.seed, self._shop.customers, self._shop.partitions, count / ORDERS_PER_DAY, self.sent
        )
        self.sent += count
        return shop.orders(count)

    def _sent(self, sender: Sender, portion: Sequence[Order]) -> bool:
        try:
            sender.send(portion)
        except KafkaError:
            return False
        return True


@contextmanager
def world_of(
    servers: LocalServers, folder: Path, wanted: Wanted, number: int
) -> Iterator[tuple[World, Feeder]]:
    """A model of its own, its workers and its orders."""
    name = f"chaos-{wanted.seed}-{number}"
    scene = Scene(folder, name, f"{name}-orders", servers.bootstrap_servers, servers.redis_url, wanted.client)
    scene.create(wanted.partitions)
    random = Random(f"{wanted.seed}/{number}")  # noqa: S311 - the same faults for the same seed
    with crew() as hired:
        files = folder / "servers" / "redis" / "appendonlydir"
        world = World(servers, scene, hired, wanted.workers, folder, files, random)
        feeder = Feeder(scene, wanted.seed * 1000 + number, wanted.partitions)
        feeder.start()
        world.fill()
        yield world, feeder
        hired.end()


def play_round(servers: LocalServers, folder: Path, wanted: Wanted, number: int, tally: Tally) -> None:
    """Attack one model for a while, let it drain, and judge."""
    with world_of(servers, folder, wanted, number) as (world, feeder):
        ends = time.monotonic() + wanted.round_seconds
        world.wait_commit(0.0)
        bag: list[str] = []
        while time.monotonic() < ends:
            if not bag:
                bag = world.random.sample(list(FAULTS), len(FAULTS))
            kind = bag.pop()
            try:
                attack(world, kind, tally)
            except (NoCommit, AssertionError) as error:
                tally.problems.append(f"round {number}, {kind}: {error}")
                break
        feeder.stop()
        tally.problems += [f"round {number}: {one['kind']}: {one['text']}" for one in world.errors()]
        try:
            tally.verdicts.append(judge(world))
            say(f"round {number}: {tally.verdicts[-1]}")
        except StreamSegError as error:
            tally.problems.append(f"round {number} cannot be derived again: {error}")
        told = [
            {**message, "worker": n} for n, hand in enumerate(world.crew.hands) for message in hand.messages
        ]
        (folder / f"told-{number}.json").write_text(json.dumps(told, indent=0))


def attack(world: World, kind: str, tally: Tally) -> None:
    """One fault, and the wait for the next commit."""
    world.fill()
    began = time.monotonic()
    FAULTS[kind](world)
    done = time.monotonic()
    seconds = world.wait_commit(done)
    tally.recovered[kind].append(seconds)
    say(f"  {kind}: {done - began:.1f} s, events committed again after {seconds:.1f} s")


def judge(world: World) -> Verdict:
    """Drain the workers, have one read to the end, and compare everything."""
    for hand in world.hands:
        hand.signal(signal.SIGCONT)
    ended = [hand.dismiss() for hand in world.hands if hand.is_alive]
    last = world.crew.hire(Duty(world.scene.config, until_end=True))
    status = last.wait_end(180.0)
    verdict = verify(world.scene.settings)
    verdict.expect(not any(ended), f"workers ended with status {ended} when they were told to")
    verdict.expect(status == 0, f"the last worker ended with status {status}: {last.messages[-1:]}")
    return verdict


def table(wanted: Wanted, tally: Tally, seconds: float) -> str:
    """What was done, as Markdown."""
    head = (
        f"{wanted.client}, seed {wanted.seed}, {wanted.workers} workers over {wanted.partitions} partitions, "
        f"Kafka {wanted.kafka}, {seconds:.0f} s, {tally.faults} faults:"
    )
    lines = [
        head,
        "",
        "| fault | times | seconds to the next commit: median | worst |",
        "|---|---:|---:|---:|",
    ]
    for kind, took in tally.recovered.items():
        if took:
            lines.append(f"| {kind} | {len(took)} | {statistics.median(took):.1f} | {max(took):.1f} |")
    verdicts = tally.verdicts
    total = {
        name: sum(getattr(v, name) for v in verdicts)
        for name in ("accepted", "labels", "transitions", "versions", "missing", "doubled", "wrong")
    }
    violations = sum(len(v.violations) for v in verdicts) + len(tally.problems)
    lines += [
        "",
        "| events | labels | transitions | versions | missing | doubled | wrong | violations of any kind |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
        "| " + " | ".join(f"{count:,}" for count in (*total.values(), violations)) + " |",
    ]
    return "\n".join(lines)


def say(text: str) -> None:
    """Tell a person."""
    print(text, flush=True)  # noqa: T201 - that is what it does


def read(arguments: Sequence[str]) -> Wanted:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120.0, help="how long in all")
    parser.add_argument("--seed", type=int, default=1, help="the same faults for the same seed")
    parser.add_argument("--client", choices=("kafka-python", "confluent"), default="kafka-python")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--round-seconds", type=float, default=150.0)
    parser.add_argument("--kafka", default=BROKER, metavar="VERSION", help=f"of the broker ({BROKER})")
    return Wanted(**vars(parser.parse_args(arguments)))


@contextmanager
def servers_with(version: str, folder: Path) -> Iterator[LocalServers]:
    """Servers of our own, the broker of another version than the one that is tested else."""
    jars = KAFKA_JARS.replace(KAFKA_VERSION, version)
    with (
        patch.multiple(kafka, KAFKA_VERSION=version, KAFKA_JARS=jars),
        local_servers(folder, report=say) as servers,
    ):
        yield servers


def main(arguments: Sequence[str]) -> int:
    """Run for the time that was asked for; the exit status."""
    wanted = read(arguments)
    tally, began = Tally(), time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="stream-seg-chaos-"))
    try:
        with servers_with(wanted.kafka, folder / "servers") as servers:
            number = 0
            while time.monotonic() - began < wanted.seconds:
                number += 1
                play_round(servers, folder, wanted, number, tally)
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        return 130
    except Exception:
        say(f"the servers' files and what the workers told are kept in {folder}")
        raise
    say("\n" + table(wanted, tally, time.monotonic() - began))
    wrong = [*tally.problems, *(text for verdict in tally.verdicts for text in verdict.violations)]
    for text in wrong:
        say(f"- {text}")
    if wrong:
        say(f"the servers' files and what the workers told are kept in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
