"""``stream-seg replay`` from the topic: all partitions in one merged order, as a model of its own."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from consumers.plan import plan_of
from consumers.replay.bounds import Bounds
from consumers.replay.commits import Commits, Servers
from consumers.replay.course import Course
from consumers.replay.driver import on_every_core
from consumers.replay.extent import (
    EXTENT,
    Extent,
    extent_as_recorded,
    extent_of,
    read_extent,
    same_question,
)
from consumers.replay.merged_export import MergedExport
from consumers.replay.place import go_back, place_of
from consumers.replay.progress import ReplayProgress
from consumers.replay.run import Outputs, replay_model
from consumers.replay.store import replay_meta
from consumers.replay.summary import print_where
from consumers.tables import console
from consumers.threads import switching
from consumers.topics import read_registry, records_of
from stream_seg.adapters.dead_letters import KafkaDeadLetters
from stream_seg.adapters.kafka import connect
from stream_seg.adapters.kafka_topics import DEAD_LETTERS, MODELS
from stream_seg.adapters.redis import RedisStore
from stream_seg.engine.history import History
from stream_seg.engine.merged import MergedReplay, RecordedReplay
from stream_seg.engine.registry import Registry
from stream_seg.errors import ConfigurationError, UsageError
from stream_seg.events.decoder import JsonDecoder

if TYPE_CHECKING:
    from consumers.replay.options import ReplayOptions
    from stream_seg.adapters.kafka import KafkaClient
    from stream_seg.engine.ports import Committed, Record
    from stream_seg.events.batch import Rejected
    from stream_seg.settings import Settings
    from stream_seg.settings.servers import KafkaSettings

__all__ = ["run_history"]

RUNNING_S: Final = 3.0
"""A replay reports every half second; how long one that may be running is watched."""


def run_history(
    settings: Settings,
    options: ReplayOptions,
    connecting: Callable[[KafkaSettings], KafkaClient] = connect,
) -> int:
    """Replay the topic; the exit status. ``connecting`` gives the Kafka client.

    Raises ``UsageError`` for what cannot be replayed so, ``StateError`` where what was committed does not
    come again, and ``ServerError``.
    """
    _check_asked(settings, options)
    model = replay_model(settings, options.name)
    with ExitStack() as stack:
        client = stack.enter_context(closing(connecting(settings.kafka)))
        store = stack.enter_context(closing(RedisStore.connect(settings.redis.url, model)))
        history = stack.enter_context(closing(client.history(settings.topic, model)))
        replay = _Replay(settings, options, model, client, store, history, stack)
        if replay.begins():
            replay.run()
    if options.follow:
        from consumers.live import run_live  # noqa: PLC0415 - only where it is asked for

        return run_live(_followed(settings, model), until_end=False, wait_s=30.0, health_port=None)
    return 0


def _check_asked(settings: Settings, options: ReplayOptions) -> None:
    model = settings.model
    if model.algorithm != "population" or model.distance != "euclidean":
        raise ConfigurationError(
            ["model.algorithm and model.distance but the defaults are for replays of a file: give --source."]
        )
    if options.follow:
        for given, flag in (
            (options.as_recorded, "--as-recorded"),
            (not options.emit, "--no-emit"),
            (options.to is not None, "--to"),
        ):
            if given:
                raise UsageError(
                    f"--follow goes on as a live worker, and {flag} forbids that: leave one out."
                )


def _followed(settings: Settings, model: str) -> Settings:
    """The settings of a live worker that goes on where the replay has ended."""
    return replace(
        settings,
        model=settings.model.model_copy(update={"name": model}),
        source=settings.source.model_copy(update={"group": None}),
    )


@dataclass(slots=True)
class _Replay:
    settings: Settings
    options: ReplayOptions
    model: str
    client: KafkaClient
    store: RedisStore
    history: History
    stack: ExitStack

    @property
    def _run(self) -> str:
        return f"replay:{self.options.name}"

    def begins(self) -> bool:
        """Whether there is something to do: not where the replay has finished and is only to be followed.

        Raises ``UsageError`` where a replay of that name has finished, is running, or was another one.
        """
        again = "give --fresh to delete it and run it again, or another --name"
        name, meta = self.options.name, self.store.meta()
        if self.options.fresh:
            self._fence()
            self.client.topics.remove(self.model, self.model)
            self.store.reset()
            return True
        if not meta:
            return True
        if EXTENT not in meta:
            raise UsageError(f"There is a replay {name} of a file: {again}.")
        extent = read_extent(meta[EXTENT])
        if extent.question != same_question(self.settings, self.options):
            raise UsageError(f"Replay {name} was begun with other settings or flags: {again}.")
        if self._finished(extent):
            if self.options.follow:
                return False
            raise UsageError(f"Replay {name} has finished already: {again}.")
        if self._running():
            raise UsageError(f"Replay {name} is running: wait for it, or give another --name.")
        return True

    def _fence(self) -> None:
        """Make sure that a former process of this name can commit nothing any more."""
        fencing = self.client.log(self.model, "exactly_once", topic=self.settings.topic)
        with closing(fencing):
            fencing.fence(self.model)

    def _finished(self, extent: Extent) -> bool:
        reports = self.store.reports().values()
        if reports and all(report.caught_up for report in reports):
            return True
        committed = {p: self.history.committed(p) for p in extent.spans}
        return any(c is not None and c.next_offset > extent.ends[p] for p, c in committed.items())

    def _running(self) -> bool:
        """Whether somebody reports: nobody else's word is taken for it, since a killed one says nothing."""

        def newest() -> int:
            return max((report.reported_at_ms for report in self.store.reports().values()), default=0)

        before, deadline = newest(), time.monotonic() + RUNNING_S
        if time.time() * 1000 - before > RUNNING_S * 1000:
            return False
        while time.monotonic() < deadline:
            time.sleep(0.1)
            if newest() != before:
                return True
        return False

    def run(self) -> None:
        """From the beginning, or on from the last commit, to the end."""
        settings, options = self.settings, self.options
        decoder = JsonDecoder(settings.event, settings.features)
        registry = read_registry(self.client, settings.model.name) if options.as_recorded else Registry()
        extent = self._extent(decoder, registry)
        log = self.client.log(self.model, "exactly_once", topic=settings.topic)
        self.stack.callback(log.close)
        resume = self._committed(extent)
        outputs = Outputs()
        self.stack.enter_context(switching())
        servers = Servers(
            model=self.model,
            topic=settings.topic,
            run=self._run,
            worker=f"{socket.gethostname()}-{os.getpid()}",
            store=self.store,
            log=log,
            outsider=self.history.outsider,
            dead_letters=_no_letters,
            written=extent.bounds if options.as_recorded else Bounds(),
            emit=options.emit,
            committing=self.stack.enter_context(
                ThreadPoolExecutor(1, thread_name_prefix="stream-seg-committer")
            ).submit,
        )
        commits = Commits(servers, extent.ends, lambda: None, resume)
        commits.begin = partial(self._begin, commits, extent)
        if options.export is not None:
            export = MergedExport(options.export, settings.topic, self._run, servers.written)
            outputs.others.append(self.stack.enter_context(export))
        if resume:
            self._own(commits, extent)
        driver = self._driver(extent, registry, outputs, commits)
        if options.as_recorded:
            self._copy_versions(commits, extent)
        if isinstance(driver, MergedReplay) and options.emit:
            commits.place = partial(place_of, driver)
            if resume and options.export is None:  # or the labels before would be missing
                go_back(driver, commits, read_registry(self.client, self.model))
        course = Course(
            self.history,
            decoder,
            extent,
            driver,
            outputs,
            commits,
            taken=not options.as_recorded,
            going_on={p: found.next_offset for p, found in resume.items()},
        )
        course.run(ReplayProgress(f"replay {options.name}", extent.records), self.model, settings.topic)
        print_where(console(), self.model, options, on_servers=True)

    def _extent(self, decoder: JsonDecoder, registry: Registry) -> Extent:
        meta = self.store.meta()
        if EXTENT in meta:
            return read_extent(meta[EXTENT])
        if not self.options.as_recorded:
            return extent_of(self.settings, self.options, self.history, decoder)
        with closing(self.client.history(self.settings.topic, self.settings.group)) as live:
            found = {p: live.committed(p) for p in range(live.partitions)}
        committed = {p: None if c is None else c.next_offset for p, c in found.items()}
        return extent_as_recorded(self.settings, self.options, self.history, decoder, registry, committed)

    def _committed(self, extent: Extent) -> dict[int, Committed]:
        """What was committed last, of an interrupted replay; whoever may still commit is fenced first."""
        if EXTENT not in self.store.meta():
            return {}
        self._fence()
        found = {p: self.history.committed(p) for p in extent.spans}
        return {p: one for p, one in found.items() if one is not None}

    def _driver(
        self, extent: Extent, registry: Registry, outputs: Outputs, commits: Commits
    ) -> MergedReplay | RecordedReplay:
        outputs.others.append(commits)  # the last: it says that the replay has finished
        if self.options.as_recorded:
            return RecordedReplay(self.settings.features, extent.adoptions(registry), on_step=outputs.step)
        return MergedReplay(
            plan_of(self.settings),
            {p: begin for p, (begin, _) in extent.spans.items()},
            instance=self._run,
            on_step=outputs.step,
            on_version=outputs.version,
            each=self.stack.enter_context(on_every_core()),
        )

    def _begin(self, commits: Commits, extent: Extent) -> None:
        """Make the topics and the keys of a replay that has something to say, and own them."""
        facts = self.client.topics.describe(self.settings.topic)
        instance = self._run
        if self.options.as_recorded and commits.versions:
            instance = commits.versions[max(commits.versions)].instance
        meta = replay_meta(
            self.settings,
            self.settings.topic,
            instance,
            emits=self.options.emit,
            partitions=facts.partitions,
            topic_id=facts.topic_id,
        )
        meta[EXTENT] = extent.text()
        if self.store.put_meta(meta)[EXTENT] != meta[EXTENT]:
            raise UsageError("Another replay of this name has begun: give one of them another --name.")
        self._own(commits, extent)

    def _own(self, commits: Commits, extent: Extent) -> None:
        if self.options.emit:
            prepared = self.client.topics.prepare(self.model, self.settings.topic)
            letters = KafkaDeadLetters(
                f"{self.model}.{DEAD_LETTERS}", self.settings.topic, prepared.dead_letter_bytes
            )
            commits.servers = replace(commits.servers, dead_letters=letters)
        for partition in extent.spans:
            token = secrets.token_hex(16)
            self.store.claim(partition, token)
            self.store.own(partition, token, self.model)
            commits.tokens[partition] = token

    def _copy_versions(self, commits: Commits, extent: Extent) -> None:
        """An as-recorded replay's models topic begins with live's versions, as they are."""
        newest = max((extent.adopted or {}).values())
        registry, own = Registry(), dict[int, list[tuple[str, bytes]]]()
        for fetched in records_of(self.client, f"{self.settings.model.name}.{MODELS}"):
            for key, value in zip(fetched.records.keys, fetched.records.values, strict=True):
                kind, _, number = (key or b"").decode().partition("/")
                if value is not None and kind in {"version", "lineage"} and int(number) <= newest:
                    registry.take([(f"{kind}/{number}", value)])
                    own.setdefault(int(number), []).append((f"{kind}/{number}", value))
        for known in sorted(registry.versions):
            commits.publish(registry.versions[known], own[known])


def _no_letters(partition: int, rejected: Sequence[Rejected]) -> list[Record]:  # noqa: ARG001
    """Before there are topics, and without any: no dead letters."""
    return []
