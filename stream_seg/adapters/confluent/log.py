"""Output topics and offsets through confluent-kafka: in one transaction, or records before offsets."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import KafkaException, Producer

from stream_seg.adapters.confluent.connection import open_producer
from stream_seg.adapters.confluent.membership import GroupToken, commit_offsets
from stream_seg.adapters.confluent.refusals import cause, is_fenced, translated
from stream_seg.adapters.confluent.sending import Deliveries
from stream_seg.adapters.lives import Lives
from stream_seg.adapters.watchdog import Watchdog
from stream_seg.engine.ports import Membership, Transaction, no_wait
from stream_seg.errors import OwnershipLost, StreamSegError
from stream_seg.settings.servers import KafkaSettings

__all__ = ["AtLeastOnceLog", "Hook", "TransactionalLog"]

Hook = Callable[[str], None]
"""Called at named steps of a commit: ``before_send``, ``after_send``, ``after_send_offsets``,
``before_commit``, ``after_commit``. Tests stop or kill there."""

BATCH_BYTES: Final = 256 << 10
REQUEST_BYTES: Final = 64 << 20
QUEUE_RECORDS: Final = 1_000_000
QUEUE_KBYTES: Final = 1 << 20
# As with kafka-python: transactions take 17–22 ms instead of 113–122.
RETRY_BACKOFF_MS: Final = 3
SLICE_SECONDS: Final = 1.0
# A broker that is away is waited for by whoever uses the log, not while a failure is handled.
REBUILD_SECONDS: Final = 3.0


def _no_hook(_: str) -> None:
    """Do nothing."""


class _Producing:
    """What both logs share: a producer that is made when it is needed, and again after it was dropped."""

    beside = True

    def __init__(
        self, settings: KafkaSettings, topic: str, start_timeout_s: float, hooks: Hook | None
    ) -> None:
        self._settings, self._topic, self._start_timeout_s = settings, topic, start_timeout_s
        self._limit_s = settings.transaction_timeout_ms / 1000
        self._hook = hooks or _no_hook
        self._producer: Producer | None = None
        self._deliveries = Deliveries()
        self._watchdog = Watchdog("stream-seg-commit")

    def _open(self, timeout_s: float) -> Producer:
        raise NotImplementedError

    def _ready(self) -> Producer:
        if self._producer is None:
            self._producer = self._open(self._start_timeout_s)
        return self._producer

    def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._deliveries = Deliveries()  # what is told of the old one does not concern the next
            producer.purge()

    def close(self) -> None:
        """End the producer."""
        self._drop()
        self._watchdog.close()


class TransactionalLog(_Producing):
    """``Log`` that is exactly once: records and offsets in one Kafka transaction.

    A failure that only needs the transaction aborted leaves the producer in use; after any other it is begun
    anew, which also ends what the former one left open: under the same id, unless another has fenced that.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        transactional_id: str,
        *,
        topic: str,
        start_timeout_s: float = 10.0,
        hooks: Hook | None = None,
    ) -> None:
        """Describe the producer of that id; it is made with the first commit. ``topic`` is the input's."""
        super().__init__(settings, topic, start_timeout_s, hooks)
        self._lives = Lives(transactional_id)
        self._failed = False

    @property
    def transactional_id(self) -> str:
        """The id in use; see ``Log``."""
        return self._lives.current

    @property
    def former_ids(self) -> frozenset[str]:
        """Those that others have fenced; see ``Log``."""
        return self._lives.former

    def commit(self, transaction: Transaction, ready: Callable[[], object] = no_wait) -> None:
        """All or nothing; see ``Log.commit``."""
        _check_membership(transaction, self._topic)
        deadline = time.monotonic() + self._limit_s
        producer, deliveries = self._ready(), self._deliveries
        try:
            refused = self._watchdog.run(
                lambda: self._transact(producer, deliveries, transaction, ready, deadline),
                self._limit_s + SLICE_SECONDS,
                "committing to Kafka",
            )
        except KafkaException as error:
            self._recover(error, deadline)
            raise translated(error, "committing") from error
        except Exception as error:
            self._rebuild(error)
            raise
        if refused is not None:
            raise refused

    def _transact(
        self,
        producer: Producer,
        deliveries: Deliveries,
        transaction: Transaction,
        ready: Callable[[], object],
        deadline: float,
    ) -> Exception | None:
        """Commit, or abort and return why it is not ready."""
        self._fill(producer, deliveries, transaction, deadline, self._hook)
        try:
            ready()
        except Exception as error:  # noqa: BLE001 - raised by whoever called, if another has not fenced us
            _retried(lambda: producer.abort_transaction(SLICE_SECONDS), deadline)
            return error
        self._hook("before_commit")
        # A commit that times out has an unknown outcome, and only calling it again is valid.
        _retried(lambda: producer.commit_transaction(SLICE_SECONDS), deadline)
        self._hook("after_commit")
        return None

    def _fill(
        self,
        producer: Producer,
        deliveries: Deliveries,
        transaction: Transaction,
        deadline: float,
        hook: Hook = _no_hook,
    ) -> None:
        """Begin a transaction, and send what belongs into it."""
        producer.begin_transaction()
        hook("before_send")
        deliveries.send(producer, transaction, deadline)
        hook("after_send")
        if transaction.offsets and transaction.membership is not None:
            metadata = _token(transaction.membership).metadata
            offsets = commit_offsets(self._topic, transaction.offsets)
            _retried(lambda: producer.send_offsets_to_transaction(offsets, metadata, SLICE_SECONDS), deadline)
            hook("after_send_offsets")

    def _recover(self, error: KafkaException, deadline: float) -> None:
        """Abort and keep the producer where that is enough, begin it anew where it is not."""
        producer, inner = self._producer, cause(error)
        self._failed = True
        if producer is None or inner.fatal() or not inner.txn_requires_abort():
            self._rebuild(error)
            return
        try:
            producer.purge()
            _retried(lambda: producer.abort_transaction(SLICE_SECONDS), deadline)
        except KafkaException as failure:
            self._rebuild(failure)

    def fence(self, transactional_id: str, sweep: Transaction | None = None) -> None:
        """Make sure that the producer of that id can commit nothing any more; see ``Log.fence``."""
        if transactional_id == self.transactional_id:
            producer = self._ready()
            if sweep is not None and self._failed:
                try:
                    self._sweep(producer, self._deliveries, sweep)
                except Exception as error:
                    self._rebuild(error)
                    raise
                self._failed = False
            return
        deliveries = Deliveries()
        producer = _open_transactional(self._settings, transactional_id, self._start_timeout_s, deliveries)
        if sweep is not None:
            self._sweep(producer, deliveries, sweep)
        self._lives.forget(transactional_id)

    def _sweep(self, producer: Producer, deliveries: Deliveries, sweep: Transaction) -> None:
        deadline = time.monotonic() + self._limit_s

        def abort() -> None:
            self._fill(producer, deliveries, sweep, deadline)
            _retried(lambda: producer.abort_transaction(SLICE_SECONDS), deadline)

        try:
            self._watchdog.run(abort, self._limit_s + SLICE_SECONDS, "aborting a transaction")
        except KafkaException as error:
            raise translated(error, "aborting a transaction") from error

    def _open(self, timeout_s: float) -> Producer:
        return _open_transactional(self._settings, self.transactional_id, timeout_s, self._deliveries)

    def _rebuild(self, error: Exception) -> None:
        self._drop()
        if is_fenced(error):  # whoever did it has ended what was open, and may be sweeping yet
            self._lives.end()
            self._failed = False
            return
        self._failed = True
        # At once, since it ends the transaction left open: until then nobody can read the stable offset.
        # Where it cannot be, the next commit or fence tries again and says why.
        with suppress(StreamSegError):
            self._producer = self._open(min(REBUILD_SECONDS, self._start_timeout_s))


class AtLeastOnceLog(_Producing):
    """``Log`` that is at least once: records acknowledged, then offsets committed as a group member."""

    transactional_id = ""
    former_ids: frozenset[str] = frozenset()

    def __init__(
        self, settings: KafkaSettings, *, topic: str, start_timeout_s: float = 10.0, hooks: Hook | None = None
    ) -> None:
        """Describe the producer; it is made with the first commit. ``topic`` is the input's."""
        super().__init__(settings, topic, start_timeout_s, hooks)

    def commit(self, transaction: Transaction, ready: Callable[[], object] = no_wait) -> None:
        """Send, wait for every acknowledgement, commit the offsets; see ``Log.commit``."""
        _check_membership(transaction, self._topic)
        ready()
        deadline = time.monotonic() + self._limit_s
        try:
            self._hook("before_send")
            self._deliveries.send(self._ready(), transaction, deadline)
            self._hook("after_send")
            if transaction.offsets and transaction.membership is not None:
                self._hook("before_commit")
                token = _token(transaction.membership)
                _retried(lambda: token.commit(self._topic, transaction.offsets), deadline)
            self._hook("after_commit")
        except KafkaException as error:
            self._drop()
            raise translated(error, "committing") from error
        except Exception:
            self._drop()
            raise

    def fence(self, transactional_id: str, _: Transaction | None = None) -> None:
        """Make sure that a former owner that used transactions can commit nothing any more."""
        if transactional_id:
            _open_transactional(self._settings, transactional_id, self._start_timeout_s)

    def _open(self, timeout_s: float) -> Producer:
        options = _tuning(self._settings, self._deliveries)
        return open_producer(self._settings, timeout_s, {**options, "enable.idempotence": True})


def _retried(call: Callable[[], object], deadline: float) -> None:
    """Call again as long as the error says that this is what to do."""
    while True:
        try:
            call()
        except KafkaException as error:
            if not cause(error).retriable() or time.monotonic() > deadline:
                raise
        else:
            return


def _open_transactional(
    settings: KafkaSettings,
    transactional_id: str,
    start_timeout_s: float,
    deliveries: Deliveries | None = None,
) -> Producer:
    """Open a producer of that id; whatever another one of it has open is aborted, and it is fenced."""
    deadline = time.monotonic() + start_timeout_s
    producer = open_producer(
        settings,
        start_timeout_s,
        {
            **_tuning(settings, deliveries or Deliveries()),
            "transactional.id": transactional_id,
            "transaction.timeout.ms": settings.transaction_timeout_ms,
        },
    )
    try:
        _retried(lambda: producer.init_transactions(SLICE_SECONDS), deadline)
    except KafkaException as error:
        raise translated(error, f"transactional id {transactional_id}") from error
    return producer


def _tuning(settings: KafkaSettings, deliveries: Deliveries) -> dict[str, Any]:
    """Options that may be set otherwise in ``[kafka.options]``, and how undelivered records are told of."""
    ours: dict[str, Any] = {
        "batch.size": BATCH_BYTES,
        "message.max.bytes": REQUEST_BYTES,
        "queue.buffering.max.messages": QUEUE_RECORDS,
        "queue.buffering.max.kbytes": QUEUE_KBYTES,
        "retry.backoff.ms": RETRY_BACKOFF_MS,
        "retry.backoff.max.ms": RETRY_BACKOFF_MS,
    }
    theirs = settings.options
    kept = {name: value for name, value in ours.items() if name not in theirs}
    return {**kept, "delivery.report.only.error": True, "on_delivery": deliveries}


def _token(membership: Membership) -> GroupToken:
    token = membership.token
    if not isinstance(token, GroupToken):
        raise TypeError("the membership is another client's")
    return token


def _check_membership(transaction: Transaction, topic: str) -> None:
    if transaction.offsets and transaction.membership is None:
        raise OwnershipLost(f"the group of {topic} is not stable: nothing may be committed until it is")
