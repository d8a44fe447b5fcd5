"""The live worker: one member of the consumer group, driving ``step`` over the partitions it owns.

Each round polls, decodes, steps, and has committed what all partitions have, as one batch each, while the
next round goes on. Kafka's committed offset is the decision record: after any exception the states concerned,
up to two batches ahead of it, are thrown away and their partitions taken over again, by looking at what is
committed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from itertools import accumulate

from stream_seg.engine.committer import Committer, OutputTopics
from stream_seg.engine.edges import Observer, Options, Ports, Progress, no_hook
from stream_seg.engine.horizon import Horizon
from stream_seg.engine.livemint import LiveMinter
from stream_seg.engine.mark import Mark
from stream_seg.engine.minter import Minted
from stream_seg.engine.minter_duty import MinterDuty
from stream_seg.engine.partition import BATCH_EVENTS, LivePartition, Work
from stream_seg.engine.plan import ModelPlan
from stream_seg.engine.ports import Membership, Polled
from stream_seg.engine.registry import Registry
from stream_seg.engine.reporting import Reporter
from stream_seg.engine.state import Position
from stream_seg.engine.takeover import ModelsBehind, TakeOver
from stream_seg.engine.version import ModelVersion
from stream_seg.errors import DamagedState, OwnershipLost, ServerUnavailable, StateError, StreamSegError

IDLE_POLL_S = 0.05
RETRY_FIRST_S, RETRY_MOST_S = 0.2, 2.0
LOOK_EVERY_S = 1.0
"""A store that was set back is found out within this time where no event comes."""


class Worker:
    """Runs until told to ``stop``.

    ``hook`` is called with the name of each step of the protocol (tests stop there).
    """

    def __init__(
        self,
        plan: ModelPlan,
        instance: str,
        topics: OutputTopics,
        ports: Ports,
        options: Options,
        observer: Observer,
        hook: Callable[[str], None] = no_hook,
    ) -> None:
        """Make a worker that owns nothing yet.

        ``instance`` names the model's life where no version does yet.
        """
        self.plan, self.ports, self.options, self.observer = plan, ports, options, observer
        self.progress = Progress()
        self.registry = Registry()
        self.owned: dict[int, LivePartition] = {}
        self._hook = hook
        self._committer = Committer(
            topics,
            plan.features,
            self.registry,
            ports.source,
            ports.store,
            ports.log,
            ports.dead_letters,
            hook,
            ports.committing,
            ports.storing,
            self._committed,
            self._minted,
        )
        self._reporter = Reporter(plan, ports.store, options.worker, options.partitions, ports.now_s)
        minter = LiveMinter(plan, instance, options.patience, options.until_end)
        self._duty = MinterDuty(minter, self._reporter, self._committer, self.registry, ports, observer)
        self._horizon = Horizon(options.horizon_days, options.horizon_patience_s, ports.now_s())
        self._membership: Membership | None = None
        self._waiting: set[int] = set()
        self._retry_s, self._retry_at = RETRY_FIRST_S, 0.0
        self._stopping = self._finished = False
        self._down = ""
        self._behind_since: float | None = None
        self._looked_at = 0.0
        self._ends: dict[int, int] = {}
        self._applied: dict[int, Position] = {}
        self._drained, self._committed_at, self._adopted = False, 0.0, False

    def stop(self) -> None:
        """Finish the round, give the partitions back, and end."""
        self._stopping = True

    @property
    def ready(self) -> bool:
        """Whether the worker is in the group and every partition it has been given is served."""
        return self._membership is not None and not self._waiting and not self._down

    def run(self) -> None:
        """Run until stopped, or until the end where that was asked for. Raises what a person must decide."""
        if self.options.until_end:
            self._ends = self.ports.source.ends(range(self.options.partitions))
        try:
            while not self._stopping and not self._finished:
                self._round()
        except BaseException:
            self.owned.clear()  # what was committed last is not known: the next owner is to fence us and look
            raise
        finally:
            self._leave()

    # -- a round ------------------------------------------------------------------------------------------

    def _round(self) -> None:
        polled = self._poll()
        self._membership = polled.membership
        for partition in polled.lost:
            self.owned.pop(partition, None)
        self._waiting = (self._waiting | polled.gained) & polled.assigned
        try:
            self._committer.settle(wait=False)
            for partition, records in polled.records.items():
                if partition in self.owned:
                    self.owned[partition].feed(self.ports.decoder.decode(records))
            self._take_over()
            self._work()
            self._snapshot()
            self._is_up()
            self._finished = (
                bool(self._ends) and self._everything_committed() and self._duty.at_rest(self.owned)
            )
        except ServerUnavailable as error:
            self._drop_all(str(error))
        except (OwnershipLost, DamagedState):
            self._drop_all("")

    def _poll(self) -> Polled:
        waiting = any(not p.queue.empty and p.scratch is None for p in self.owned.values())
        busy = bool(self._behind()) or (waiting and not self._gathering())
        resting = {p for p, owned in self.owned.items() if owned.full}
        self.ports.source.pause(frozenset(resting | self._waiting))
        return self.ports.source.poll(0.0 if busy else IDLE_POLL_S, on_lost=self._on_revoke)

    def _work(self) -> None:
        membership = self._membership
        if membership is None or not self.owned:
            return
        self._look_at_ends()
        self._look_at_store()
        if self.registry.newest is None:
            self._commit([w for p in self.owned.values() if (w := p.take_rejected())])
            self._report_all()
            self._duty.warm_up(self.owned, membership)
            return
        work = self._adopt(self.registry.newest)
        self._adopted = bool(work)
        if not work:
            if self._gathering() and not self._behind():
                return
            work = self._take()
        self._commit(work)
        self._report_all()
        self._duty.mint(self.owned, membership)
        self._reporter.refresh_sizes()

    def _take(self) -> list[Work]:
        """The next events of every partition."""
        limit = self._horizon.limit_ms(self._duty.earliest_unread(self.owned), self.ports.now_s())
        work = [w for p in self.owned.values() if (w := p.take(limit) or p.skip())]
        self._committed_at = self.ports.now_s() if work else self._committed_at
        self._drained = not self._events_wait() or (self._drained and bool(self._behind()))
        return work

    def _events_wait(self) -> bool:
        return any(not p.queue.empty for p in self.owned.values())

    def _gathering(self) -> bool:
        """Whether waiting events should wait for more: in step with the stream, few, and none for long.

        The first event after a pause goes at once; then a batch is committed every ``max_latency_s``, or
        when it is full.
        """
        waiting = sum(p.queue.events for p in self.owned.values())
        if not self._drained or self._ends or not 0 < waiting < BATCH_EVENTS:
            return False
        return self.ports.now_s() - self._committed_at < self.options.max_latency_s

    def _look_at_ends(self) -> None:
        """Learn how far the topic reaches, for partitions that may have read all of it."""
        due = [
            p
            for p in self.owned.values()
            if (p.queue.empty or p.scratch is not None) and (p.end is None or self._reporter.due(p.number))
        ]
        if due:
            ends = self.ports.source.ends([p.number for p in due])
            for owned in due:
                owned.end = ends[owned.number]
                owned.read_up = self.ports.source.read_up(owned.number)

    def _look_at_store(self) -> None:
        """See now and then that the store stands where we left it: an idle partition would not notice."""
        if self.ports.now_s() - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = self.ports.now_s()
        if not self._are_stored({p: self._applied[p] for p in self.owned}):
            raise OwnershipLost("the store has lost data: take the partitions over again")

    def _are_stored(self, reached: dict[int, Position]) -> bool:
        """Whether the store stands at these positions, or further on."""
        stored = self.ports.store.positions(list(reached))
        return all(here.batch <= stored.get(p, Position()).batch for p, here in reached.items())

    def _behind(self) -> list[LivePartition]:
        """Partitions that have not adopted the newest version yet."""
        newest = self.registry.newest
        return [p for p in self.owned.values() if newest and p.numbers.version < newest.version]

    def _adopt(self, newest: ModelVersion) -> list[Work]:
        """Have partitions adopt the newest version, all at once in a backfill.

        An adoption is a pass, and what it moves is a transaction, for which events wait. In step with the
        stream, so many residents as ``adopted_rows`` therefore, but one partition at least, those first that
        are furthest behind; then the events that wait have their turn.
        """
        behind = sorted(self._behind(), key=lambda p: p.numbers.version)
        if self._drained and self._adopted and self._events_wait():
            return []
        residents = list(accumulate(p.state.rows.residents for p in behind))
        most = self.options.adopted_rows if self._drained else math.inf
        return [p.adopt(newest) for i, p in enumerate(behind) if not i or residents[i] <= most]

    def _commit(self, work: list[Work]) -> None:
        if not work:
            return
        tokens = {w.partition: self.owned[w.partition].token for w in work}
        reports = [self._reporter.drawn(self.owned[p], token) for p, token in tokens.items()]
        self._committer.commit(work, tokens, self._membership, then=lambda: self._reporter.put(reports))

    def _committed(self, work: list[Work]) -> None:
        self._reporter.sizes_dirty = True
        progress = self.progress
        for w in work:
            self._applied[w.partition] = w.outcome.end
            progress.events += 0 if w.outcome.events is None else len(w.outcome.events)
            progress.transitions += len(w.outcome.transitions)
            progress.rejected += len(w.rejected)
            progress.clock_ms = max(progress.clock_ms, w.checkpoint.numbers.clock_ms)
            if w.outcome.version is not None:
                progress.version = max(progress.version, w.outcome.version.version)
        if self._ends:
            left = (self._ends[p.number] - p.numbers.position.next_offset for p in self.owned.values())
            progress.remaining = sum(max(n, 0) for n in left)
        self.observer.committed(progress, work)

    def _minted(self, minted: Minted) -> None:
        self._duty.committed(minted)

    def _report_all(self) -> None:
        for owned in self.owned.values():
            self._reporter.report(owned)

    def _snapshot(self) -> None:
        """Have what is owned copied, if that is due, as it is committed."""
        snapshots, owned = self.ports.snapshots, list(self.owned.values())
        if not owned or self._waiting or self.registry.newest is None:
            return
        if snapshots.due(self.ports.now_s()):
            self._committer.settle()
            self._duty.follow()  # an open transaction of somebody else's can hide what we have adopted
            if all((p.number, p.numbers.version) in self.registry.adoptions for p in owned):
                snapshots.save([p.state for p in owned], self.registry, self.ports.now_s())

    def _everything_committed(self) -> bool:
        """Whether the group has committed all that there was to the end, and the store shows it.

        With the newest version adopted: somebody who is gone may have left it to us.
        """
        if (
            self._waiting
            or self._behind()
            or any(p.numbers.position.next_offset < self._ends[p.number] for p in self.owned.values())
        ):
            return False
        self._committer.settle()
        reached = {p.number: p.numbers.position for p in self.owned.values()}
        adopted = [p.numbers.version for p in self.owned.values()]
        known = self.registry.known  # a version may have come behind what was committed last
        for partition in self._ends.keys() - self.owned.keys():
            committed = self.ports.source.committed(partition)
            if committed is None or committed.next_offset < self._ends[partition]:
                return False
            mark = Mark.read(committed.metadata)
            reached[partition] = Position(committed.next_offset, mark.batch)
            adopted.append(mark.adopted)
            known = max(known, mark.known)
        return min(adopted) >= known and self._are_stored(reached)

    # -- coming and going ---------------------------------------------------------------------------------

    def _take_over(self) -> None:
        if not self._waiting or self._membership is None or self.ports.now_s() < self._retry_at:
            return
        if max(self._waiting) >= self.options.partitions:
            raise StateError(
                f"topic {self.ports.source.topic} has more partitions than the {self.options.partitions} of "
                "this model, which moves customers: replay it as a model of its own, or reset this one"
            )
        self._committer.settle()
        self._committer.taken_over()
        taker = self._taker(self._membership)
        try:
            for owned in taker.take(sorted(self._waiting)):
                self._waiting.discard(owned.number)
                self.owned[owned.number] = owned
                self._applied[owned.number] = owned.numbers.position
                self._reporter.report(owned, force=True)
        except ModelsBehind as error:
            self._behind_since = self._behind_since or self.ports.now_s()
            if self.ports.now_s() - self._behind_since > self.options.models_patience_s:
                raise StateError(f"{error}: it has lost records; restore it, or reset the model") from error
            raise
        self._behind_since = None
        self._duty.resume(self.owned, lost_data=taker.lost_data)

    def _taker(self, membership: Membership) -> TakeOver:
        self.ports.store.put_meta(self.options.meta)  # it is gone where Redis has lost everything
        return TakeOver(
            plan=self.plan,
            source=self.ports.source,
            partitions=self.options.partitions,
            log=self.ports.log,
            store=self.ports.store,
            decode=self.ports.decoder.decode,
            registry=self.registry,
            membership=membership,
            sweep=self._committer.sweep,
            start=self.options.start,
            follow=self._duty.follow,
            poll=self._poll_taking_over,
            hook=self._hook,
            models=self._committer.topics.models,
            outputs=self.ports.outputs,
            snapshots=self.ports.snapshots,
            notice=self.observer.notice,
        )

    def _poll_taking_over(self, timeout_s: float) -> Polled:
        """Poll in the middle of a take-over, which ends where the group moves on meanwhile."""
        polled = self.ports.source.poll(timeout_s, on_lost=self._on_revoke)
        self._waiting |= polled.gained
        for partition in polled.lost:
            self.owned.pop(partition, None)
        if polled.lost or polled.membership is None:
            raise OwnershipLost("the group was rebalanced during a take-over")
        return polled

    def _on_revoke(self, partitions: frozenset[int]) -> None:
        """Leave partitions cleanly.

        What was made has been committed, only the producer's id remains to be cleared.
        """
        leaving = [self.owned.pop(p) for p in partitions if p in self.owned]
        self._committer.rest()
        try:
            for owned in leaving:
                self._release(owned)
        except ServerUnavailable as error:
            self.observer.notice(f"partitions were not left cleanly ({error}); the next worker sees to it")

    def _release(self, owned: LivePartition) -> None:
        with suppress(OwnershipLost):  # somebody has it already
            self.ports.store.release(owned.number, owned.token)

    def _leave(self) -> None:
        try:
            self._committer.settle()
        except StreamSegError as error:
            self.owned.clear()  # not given back: the next owner is to fence us and look
            self.observer.notice(
                f"what became of the last commit is not known ({error}); the next worker looks"
            )
        try:
            for owned in self.owned.values():
                self._release(owned)
            self._reporter.refresh_sizes(force=True)
        except ServerUnavailable as error:
            self.observer.notice(f"partitions were not left cleanly ({error}); the next worker sees to it")
        self.owned.clear()

    def _drop_all(self, why: str) -> None:
        """Throw every state away and take the partitions over again, after a pause that grows."""
        self._waiting |= set(self.owned)
        self.owned.clear()
        self._retry_at = self.ports.now_s() + self._retry_s
        self._retry_s = min(self._retry_s * 2, RETRY_MOST_S)
        if why and not self._down:
            self.observer.notice(f"{why}; waiting for it to come back")
        self._down = self._down or why

    def _is_up(self) -> None:
        if self._waiting or not self.owned:
            return
        self._retry_s = RETRY_FIRST_S
        if self._down:
            self._down = ""
            self.observer.notice("the servers answer again; going on")
