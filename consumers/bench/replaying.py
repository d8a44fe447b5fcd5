"""Replay: of a Parquet file, in one process without servers, and of a topic, beside a live worker over it."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from consumers.bench.figures import FileReplay, Run
from consumers.bench.living import live, live_kept
from consumers.bench.processes import Clock, apart
from consumers.bench.warm import compile_kernels
from consumers.bench.watching import Watched, timed
from consumers.replay.driver import driver_of, on_every_core
from consumers.replay.history import run_history
from consumers.replay.options import ReplayOptions
from consumers.replay.run import Outputs, replay_events, replay_model
from stream_seg.adapters.files import FileSource
from stream_seg.adapters.kafka import KafkaClient, connect
from stream_seg.engine.minter import Minter
from stream_seg.engine.moves import Moves

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.bench.stand import Client, Stand
    from consumers.bench.workload import Workload
    from stream_seg.engine.state import State
    from stream_seg.settings import Settings
    from stream_seg.settings.servers import KafkaSettings

__all__ = ["LIVE", "RECORDED", "REPLAY", "file_replay", "topic_replays", "write_parquet"]

LIVE: Final = "live, exactly once"
REPLAY: Final = "replay from the topic"
RECORDED: Final = "replay as recorded"


def write_parquet(workload: Workload, path: Path) -> None:
    """Write a workload's events, a row each."""
    columns = workload.columns()
    pl.DataFrame(
        {
            "customer_id": [f"c{number}" for number in columns.customer.tolist()],
            "order_time": pl.Series(columns.time_ms).cast(pl.Datetime("ms", "UTC")),
            "order_id": [f"o{number}" for number in range(workload.events)],
            "revenue": columns.revenue,
        }
    ).write_parquet(path)


def file_replay(settings: Settings, workload: Workload) -> FileReplay:
    """A replay that keeps nothing, with the time in passes and in minting apart."""
    compile_kernels(settings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.parquet"
        write_parquet(workload, path)
        settings = replace(settings, servers_configured=False)
        outputs = Outputs()
        source = FileSource(path, settings.event, settings.features)
        with (
            on_every_core() as each,
            timed(Moves, "add_pass", _customers) as passes,
            timed(Minter, "first") as seeding,
            timed(Minter, "check") as checks,
        ):
            driver = driver_of(
                settings,
                {0: 0},
                instance="bench",
                on_step=outputs.step,
                on_version=outputs.version,
                each=each,
            )
            began = time.perf_counter()
            replay_events(source, driver, outputs)
            seconds = time.perf_counter() - began
    return FileReplay(
        events=workload.events,
        seconds=seconds,
        pass_rows=sum(call.size for call in passes),
        pass_s=sum(call.wall for call in passes),
        versions=outputs.tally.versions,
        minting_s=sum(call.wall for call in (*seeding, *checks)),
    )


def _customers(moves: Moves, state: State, *_: object) -> int:  # noqa: ARG001 - the method's signature
    return state.rows.residents


def topic_replays(
    stand: Stand, workload: Workload, rounds: int, tell: Callable[[str], None]
) -> dict[str, list[Run]]:
    """Runs of a live worker and of a replay over the same topic in turn, by client; a run each a round."""
    found: dict[str, list[Run]] = {}
    with stand.topic(workload.partitions) as topic:
        tell(f"{workload.kind}: {workload.events:,} events go to a topic")
        stand.feed(workload, topic)
        for number in range(rounds):
            for client in stand.clients:
                for what, run in (
                    (LIVE, apart(live, stand, topic, workload.events, client, mode="exactly_once")),
                    (REPLAY, apart(_topic_replay, stand, topic, workload.events, client)),
                    (RECORDED, apart(_topic_replay, stand, topic, workload.events, client, recorded=True)),
                ):
                    found.setdefault(f"{client}: {what}", []).append(run)
                    head = f"{workload.kind}, round {number + 1} of {rounds}"
                    tell(f"{head}: {client}: {what}: {run.rate:,.0f} events/s")
    return found


def _topic_replay(stand: Stand, topic: str, events: int, client: Client, *, recorded: bool = False) -> Run:
    """Replay a topic as ``stream-seg replay`` does; from the first record read to the last commit.

    As ``recorded`` a worker has labelled all of it before: its adoptions are followed, and none is minted.
    """
    settings, clock, name = stand.model(client, "exactly_once", topic), Clock(), "bench"
    compile_kernels(settings)
    model = settings.model.model_copy(update={"name": replay_model(settings, name)})
    try:
        if recorded:
            live_kept(settings)
        redis_cpu = stand.redis_cpu_s()
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            run_history(settings, ReplayOptions(name, as_recorded=recorded), connecting=_timing(clock))
        redis_cpu = stand.redis_cpu_s() - redis_cpu
    finally:
        stand.clear(replace(settings, model=model))
        if recorded:
            stand.clear(settings)
    return Run(events, clock.seconds, clock.cpu_s, redis_cpu)


def _timing(clock: Clock) -> Callable[[KafkaSettings], KafkaClient]:
    """A client that starts the clock with the first records read and stops it with every commit."""

    def polled(found: object) -> None:
        if found:
            clock.start()

    def connecting(settings: KafkaSettings) -> KafkaClient:
        client = connect(settings)
        history, log = client.history, client.log
        client.history = lambda *args: Watched(history(*args), "poll", polled)  # type: ignore[method-assign]
        client.log = lambda *args, **named: Watched(  # type: ignore[method-assign]
            log(*args, **named), "commit", lambda _: clock.stop()
        )
        return client

    return connecting
