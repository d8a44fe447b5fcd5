"""How long things take: fail-over, an end in order, transactions, a backfill.

``python -m tests.chaos.figures [--client confluent] [--repeat 10]`` starts servers of its own and prints a
table. Session time-out 3 s, transaction time-out 4 s; ``--stock`` takes the defaults (10 s and 60 s).
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from stream_seg.adapters.kafka import connect
from stream_seg.adapters.local import local_servers
from stream_seg.engine.mark import Mark
from stream_seg.engine.ports import Committed, Membership, Records, Transaction
from tests.chaos.orders import Sender, Shop
from tests.chaos.scene import Scene
from tests.chaos.theatre import Theatre, theatre
from tests.chaos.worker import Duty, Halt

STOCK = {"session_timeout_ms": 10_000, "transaction_timeout_ms": 60_000}
YEAR = Shop(seed=5, customers=1000, partitions=4, days=365)
YEAR_ORDERS = 3650


@contextmanager
def orders_coming(scene: Scene, shop: Shop) -> Iterator[None]:
    """Orders at a steady pace for the length of a block."""
    stop = threading.Event()

    def run() -> None:
        first = 0
        with Sender(scene.bootstrap_servers, scene.topic) as sender:
            while not stop.wait(0.05):
                sender.send(Shop(shop.seed, shop.customers, shop.partitions, 0.05, first).orders(2))
                first += 2

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def fail_over(stage: Theatre, options: dict[str, int | str], *halts: Halt) -> float:
    """Seconds from one worker's SIGKILL to the first commit with events of the one that stood by."""
    shop = Shop(customers=60, partitions=1, days=3)
    scene = stage.scene(shop.orders(80), partitions=1, **options)
    first = stage.crew.hire(Duty(scene.config, halts=halts))
    first.wait_for(lambda m: m["what"] == "running")
    with orders_coming(scene, shop):
        if not halts:
            first.wait_commits(3)
        second = stage.crew.hire(Duty(scene.config))
        second.wait_for(lambda m: m["what"] == "running")
        if halts:
            first.wait_end()
            killed = float(first.messages[-1]["at"])
        else:
            time.sleep(1.5)  # the second one joins
            killed = time.monotonic()
            first.kill()
        return float(second.wait_commits(1, since=killed)["at"]) - killed


def drain(stage: Theatre, options: dict[str, int | str]) -> float:
    """Seconds from SIGTERM to the end of a worker in the middle of its work."""
    shop = Shop(customers=60, partitions=4, days=3)
    scene = stage.scene(shop.orders(80), partitions=4, **options)
    hand = stage.crew.hire(Duty(scene.config))
    with orders_coming(scene, shop):
        hand.wait_commits(5)
        began = time.monotonic()
        if hand.dismiss():
            raise RuntimeError(f"it ended in an error: {hand.messages[-1]}")
        return time.monotonic() - began


def transactions(stage: Theatre, options: dict[str, int | str], count: int) -> list[float]:
    """Seconds of each of ``count`` transactions of one label and one offset, back to back."""
    scene = stage.scene([], partitions=1, **options)
    settings = scene.settings
    with closing(connect(settings.kafka)) as client:
        client.topics.prepare(scene.model, scene.topic)
        source = client.source(scene.topic, settings.group)
        log = client.log("figures", "exactly_once", topic=scene.topic)
        with closing(log), closing(source):
            taken = []
            for i in range(count):
                membership: Membership | None = None
                while membership is None:
                    membership = source.poll(0.0).membership
                label = Records(f"{scene.model}.labels", 0, [b"c1"], [b"x" * 300], [1_700_000_000_000 + i])
                mark = Mark(i, "ab", 1, 1, f"{scene.model}.models")
                offsets = {0: Committed(i, mark.text)}
                began = time.perf_counter()
                log.commit(Transaction([label], [], offsets, membership))
                taken.append(time.perf_counter() - began)
            return taken


def backfill(stage: Theatre, options: dict[str, int | str]) -> float:
    """Seconds in which one worker takes a year of daily orders over four partitions."""
    scene = stage.scene(YEAR.orders(YEAR_ORDERS), partitions=4, **options)
    hand = stage.crew.hire(Duty(scene.config, until_end=True))
    running = float(hand.wait_for(lambda m: m["what"] == "running")["at"])
    if hand.wait_end(600.0):
        raise RuntimeError(f"it ended in an error: {hand.messages[-1]}")
    return float(hand.messages[-1]["at"]) - running


def row(what: str, seconds: Sequence[float]) -> str:
    """A row of the table, in seconds."""
    return f"| {what} | {len(seconds)} | {statistics.median(seconds):.3f} | {max(seconds):.3f} |"


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--client", choices=("kafka-python", "confluent"), default="kafka-python")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--stock", action="store_true", help="the settings' default time-outs")
    given = parser.parse_args(arguments)
    options: dict[str, int | str] = {"client": given.client, **(STOCK if given.stock else {})}
    rows = [
        f"| {given.client}{', stock' if given.stock else ''}, seconds | times | median | worst |",
        "|---|---:|---:|---:|",
    ]
    with (
        tempfile.TemporaryDirectory(prefix="stream-seg-figures-") as folder,
        local_servers() as servers,
        theatre(Path(folder), servers.bootstrap_servers) as stage,
    ):
        fail_over(stage, options)  # warms the broker up
        times = range(given.repeat)
        rows.append(row("SIGKILL to the other's next commit", [fail_over(stage, options) for _ in times]))
        halt = Halt("after_send_offsets", 6, signal.SIGKILL)
        rows.append(
            row("the same, with a transaction open", [fail_over(stage, options, halt) for _ in times])
        )
        rows.append(row("SIGTERM to the end", [drain(stage, options) for _ in times]))
        rows.append(row("a transaction, back to back", transactions(stage, options, 300)[20:]))
        rows.append(row("a year of daily orders", [backfill(stage, options)]))
    print("\n".join(rows))  # noqa: T201 - that is what it does
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
