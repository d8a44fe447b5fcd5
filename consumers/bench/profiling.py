"""Where a microsecond goes: a live worker's threads part by part, and what Redis does meanwhile."""

from __future__ import annotations

from contextlib import ExitStack, closing
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

from redis import Redis

from consumers.bench.figures import Share
from consumers.bench.living import labelled
from consumers.bench.warm import compile_kernels
from consumers.bench.watching import Call, timed
from stream_seg.adapters.redis import RedisStore, batches
from stream_seg.engine import partition
from stream_seg.engine.committer import Committer
from stream_seg.engine.minter import Minter
from stream_seg.engine.partition import LivePartition
from stream_seg.engine.reporting import Reporter
from stream_seg.events.decoder import JsonDecoder

if TYPE_CHECKING:
    from consumers.bench.figures import Profile
    from consumers.bench.stand import Client, Stand

__all__ = ["OTHERS", "profile"]

OTHERS: Final = "the clients' own threads, and what is left"
_COMMITTER: Final = "committer: "
_PARTS: Final[tuple[tuple[str, object, str], ...]] = (
    ("poll, joining the group included", None, "source.poll"),
    ("decode", JsonDecoder, "decode"),
    ("queue", LivePartition, "feed"),
    ("step: rows, update, label, passes", partition, "step"),
    ("rows to store", partition, "checkpoint"),
    ("label and transition records", Committer, "_columns"),
    ("report, and its sample", Reporter, "drawn"),
    ("minter: check the model", Minter, "check"),
    (f"{_COMMITTER}pack", batches, "stage_calls"),
    (f"{_COMMITTER}stage", batches, "stage"),
    (f"{_COMMITTER}produce", None, "sending.send"),
    (f"{_COMMITTER}transaction, produce apart", None, "log._transact"),
    (f"{_COMMITTER}apply", RedisStore, "apply"),
    (f"{_COMMITTER}report", RedisStore, "put_report"),
)
"""What, and the class or module and the name in it; those of a client's adapter are found by ``_owner``."""
_ADAPTERS: Final = {
    "source.poll": {"kafka-python": "source.KafkaPythonSource", "confluent": "source.ConfluentSource"},
    "sending.send": {"kafka-python": "log", "confluent": "sending.Deliveries"},
    "log._transact": {"kafka-python": "log.TransactionalLog", "confluent": "log.TransactionalLog"},
}


def profile(stand: Stand, topic: str, events: int, client: Client) -> Profile:
    """Label all ``events`` of ``topic`` as a new model, exactly once; where the time went.

    Gives µs an event: of each part of the worker the processor time of its thread and the wall time, and of
    each command of Redis its own time. For a process that does nothing else.
    """
    settings = stand.model(client, "exactly_once", topic)
    compile_kernels(settings)
    found: dict[str, list[Call]] = {}
    with ExitStack() as stack, closing(Redis.from_url(stand.redis_url)) as redis:
        for what, owner, name in _PARTS:
            owner_, attribute = (owner, name) if owner is not None else _owner(client, name)
            found[what] = stack.enter_context(timed(owner_, attribute))
        redis.config_resetstat()
        run = labelled(stand, settings, events)
        commands = cast("dict[str, dict[str, Any]]", redis.info("commandstats"))
    micro = 1e6 / events
    parts = {
        what: Share(sum(call.cpu for call in calls) * micro, sum(call.wall for call in calls) * micro)
        for what, calls in found.items()
    }
    whole, send = parts[f"{_COMMITTER}transaction, produce apart"], parts[f"{_COMMITTER}produce"]
    parts[f"{_COMMITTER}transaction, produce apart"] = Share(whole.cpu - send.cpu, whole.wall - send.wall)
    known = sum(share.cpu for share in parts.values())
    parts[OTHERS] = Share(run.cpu_s * micro - known, 0.0)
    parts["all"] = Share(run.cpu_s * micro, run.seconds * micro)
    used = {
        name.removeprefix("cmdstat_"): Share(float(own["usec"]) / events, float(own["calls"]) / events)
        for name, own in commands.items()
    }
    return {"worker": parts, "redis": used}


def _owner(client: Client, name: str) -> tuple[object, str]:
    """The class or module of a client's adapter, and the name of what is timed in it."""
    package = f"stream_seg.adapters.{client.replace('-', '_')}"
    module, _, owner = _ADAPTERS[name][client].partition(".")
    found: object = import_module(f"{package}.{module}")
    return (getattr(found, owner) if owner else found), name.partition(".")[2]
