"""Flags that commands share: the configuration file, and settings that win over it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import click

from stream_seg.errors import ConfigurationError

if TYPE_CHECKING:
    from stream_seg.settings import Need, Settings

__all__ = [
    "BATCHING",
    "KAFKA",
    "MODEL",
    "READING",
    "REDIS",
    "SNAPSHOT",
    "SNAPSHOT_DIR",
    "SNAPSHOT_KEEP",
    "SOURCE",
    "WARM_UP",
    "Flag",
    "with_settings",
]

DEFAULT_CONFIG = Path("stream-seg.toml")
_REPLAY_MODEL = re.compile(r"(?P<model>[A-Za-z0-9-]+)(?P<replay>\.replay-[A-Za-z0-9-]{1,100})")

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag that sets the key ``path`` of the configuration."""

    name: str
    path: str
    kind: click.ParamType[Any]
    text: str


MODEL_NAME = Flag("--model", "model.name", click.STRING, "The model's name.")
MODEL = (
    MODEL_NAME,
    Flag("--segments", "model.segments", click.INT, "How many segments."),
    Flag("--seed", "model.seed", click.INT, "Seed of all chance."),
    Flag(
        "--hysteresis", "model.hysteresis", click.FLOAT, "How much nearer a new centre must be (0.1: 10 %)."
    ),
    Flag("--forget-after-days", "model.forget_after_days", click.FLOAT, "Forget customers silent that long."),
    Flag("--names", "model.names", click.STRING, '"auto" or "plain".'),
    Flag("--algorithm", "model.algorithm", click.STRING, '"population" or "river:…".'),
    Flag("--distance", "model.distance", click.STRING, '"euclidean", "manhattan", "chebyshev" or "cosine".'),
)
WARM_UP = (
    Flag("--warm-up-customers", "warm_up.customers", click.INT, "Customers before the first version."),
    Flag("--warm-up-events", "warm_up.events", click.INT, "Events before the first version."),
)
TOPIC = Flag("--topic", "source.topic", click.STRING, "The input topic.")
GROUP = Flag("--group", "source.group", click.STRING, "The consumer group; by default the model's name.")
MAX_AHEAD = Flag(
    "--max-ahead", "source.max_ahead", click.STRING, 'How far events may be ahead, such as "1d".'
)
SOURCE = (
    TOPIC,
    GROUP,
    Flag("--start", "source.start", click.STRING, '"earliest" or "latest".'),
    Flag("--key", "source.key", click.STRING, '"customer" or "unchecked".'),
    MAX_AHEAD,
)
KAFKA = (
    Flag("--bootstrap-servers", "kafka.bootstrap_servers", click.STRING, "Kafka's brokers, host:port."),
    Flag("--client", "kafka.client", click.STRING, '"kafka-python" or "confluent".'),
)
TIMEOUTS = (
    Flag("--session-timeout-ms", "kafka.session_timeout_ms", click.INT, "When a silent worker is given up."),
    Flag(
        "--transaction-timeout-ms",
        "kafka.transaction_timeout_ms",
        click.INT,
        "When a transaction is aborted.",
    ),
)
REDIS = (Flag("--redis-url", "redis.url", click.STRING, "Where Redis is."),)
BATCHING = (
    Flag("--delivery", "delivery.mode", click.STRING, '"exactly_once" or "at_least_once".'),
    Flag("--max-latency-ms", "delivery.max_latency_ms", click.INT, "How long events are gathered at most."),
)
SNAPSHOT = (
    Flag(
        "--snapshot-every-minutes",
        "snapshot.every_minutes",
        click.FLOAT,
        "How often to snapshot; 0 is never.",
    ),
    Flag("--snapshot-dir", "snapshot.dir", click.STRING, "The snapshots' folder."),
    Flag("--snapshot-keep", "snapshot.keep", click.INT, "How many snapshots are kept."),
)
SNAPSHOT_DIR = Flag("--dir", "snapshot.dir", click.STRING, "The snapshots' folder.")
SNAPSHOT_KEEP = Flag("--keep", "snapshot.keep", click.INT, "How many snapshots are kept.")
READING = (MODEL_NAME, *REDIS)


def with_settings(
    *flags: Flag,
    needs: tuple[Need, ...] = ("event", "features"),
    replays: bool = False,
    fixed: Mapping[str, str] = MappingProxyType({}),
) -> Callable[[Callable[Concatenate[Settings, P], int]], Callable[..., int]]:
    """Give a command ``--config`` and ``flags``, and call it with the settings they and the environment make.

    ``needs`` is ``load_settings``'s. With ``replays`` the model may also be a replay's, ``<m>.replay-<N>``.
    ``fixed`` keys have these values whatever the file says.
    """

    def decorate(function: Callable[Concatenate[Settings, P], int]) -> Callable[..., int]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> int:  # noqa: ANN401 - click's own
            given = {**{flag.path: kwargs.pop(_parameter(flag)) for flag in flags}, **fixed}
            return function(_loaded(kwargs.pop("config"), given, needs, replays=replays), *args, **kwargs)

        for flag in reversed(flags):
            wrapped = click.option(flag.name, _parameter(flag), type=flag.kind, help=flag.text)(wrapped)
        return click.option("--config", type=click.Path(path_type=Path), help="The configuration file.")(
            wrapped
        )

    return decorate


def _parameter(flag: Flag) -> str:
    return flag.path.replace(".", "__")


def _loaded(
    config: Path | None, given: dict[str, Any], needs: tuple[Need, ...], *, replays: bool
) -> Settings:
    from stream_seg.settings import load_settings  # noqa: PLC0415 - help must not wait for it

    path = config or click.get_current_context().obj
    if path is None and DEFAULT_CONFIG.exists():
        path = DEFAULT_CONFIG
    name = given.get("model.name")
    replay = _REPLAY_MODEL.fullmatch(name) if replays and name else None
    if replay:
        given = {**given, "model.name": replay["model"]}
    try:
        settings = load_settings(path, overrides=given, needs=needs)
    except ConfigurationError as error:
        if path is not None:
            raise
        there_is_none = f"There is no {DEFAULT_CONFIG} here: write one, or name another with --config."
        raise ConfigurationError([*error.problems, there_is_none]) from error
    if not replay:
        return settings
    whole = settings.model.model_copy(update={"name": f"{settings.model.name}{replay['replay']}"})
    return replace(settings, model=whole)
