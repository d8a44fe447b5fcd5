"""Output topics and offsets through kafka-python: in one transaction, or records before offsets."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from stream_seg.adapters.kafka_python.columns import enqueue, wait
from stream_seg.adapters.kafka_python.connection import open_producer
from stream_seg.adapters.kafka_python.membership import GroupToken, commit_offsets
from stream_seg.adapters.kafka_python.refusals import is_fenced, translated
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
# The broker's own bound on a request is 100 MB; dead letters may be as large as the input's largest record.
REQUEST_BYTES: Final = 64 << 20
# The next transaction is refused until the last one's markers are written, which takes some milliseconds:
# with the client's own 100 ms between attempts a transaction takes 113–122 ms, with 3 ms it takes 17–22.
RETRY_BACKOFF_MS: Final = 3
# A broker that is away is waited for by whoever uses the log, not while a failure is handled.
REBUILD_SECONDS: Final = 3.0


def _no_hook(_: str) -> None:
    """Do nothing."""


class _Producing:
    """What both logs share: a producer that is made when it is needed, and again after any failure."""

    beside = True

    def __init__(
        self, settings: KafkaSettings, topic: str, start_timeout_s: float, hooks: Hook | None
    ) -> None:
        self._settings, self._topic, self._start_timeout_s = settings, topic, start_timeout_s
        self._limit_s = settings.transaction_timeout_ms / 1000
        self._hook = hooks or _no_hook
        self._producer: KafkaProducer | None = None
        self._watchdog = Watchdog("stream-seg-commit")

    def _open(self, timeout_s: float) -> KafkaProducer:
        raise NotImplementedError

    def _ready(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = self._open(self._start_timeout_s)
        return self._producer

    def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            discard(producer)

    def _commit_watched(self, transaction: Transaction, commit: Callable[[Transaction, float], None]) -> None:
        """Commit within the time a transaction may take; after any failure the producer is a new one."""
        _check_membership(transaction, self._topic)
        deadline = time.monotonic() + self._limit_s
        try:
            self._ready()
            self._watchdog.run(lambda: commit(transaction, deadline), self._limit_s, "committing to Kafka")
        except kafka_errors.KafkaError as error:
            self._rebuild(error)
            raise translated(error, "committing") from error
        except Exception as error:
            self._rebuild(error)
            raise
        except BaseException:
            self._drop()  # the process ends
            raise

    def _rebuild(self, _: Exception) -> None:
        """Leave the producer behind: what a failed transaction held would leak into its next one."""
        self._drop()

    def close(self) -> None:
        """End the producer."""
        self._drop()
        self._watchdog.close()


class TransactionalLog(_Producing):
    """``Log`` that is exactly once: records and offsets in one Kafka transaction.

    Its producer is begun anew after every failure, which also ends what the former one left open: under the
    same id, unless another has fenced that.
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
        self._commit_watched(transaction, partial(self._transact, ready))

    def _transact(self, ready: Callable[[], object], transaction: Transaction, deadline: float) -> None:
        producer = self._ready()
        self._fill(producer, transaction, deadline, self._hook)
        try:
            ready()
        except Exception:
            producer.abort_transaction()  # raises where another has fenced us: it is not to be fenced in turn
            raise
        self._hook("before_commit")
        producer.commit_transaction()
        self._hook("after_commit")

    def _fill(
        self, producer: KafkaProducer, transaction: Transaction, deadline: float, hook: Hook = _no_hook
    ) -> None:
        """Begin a transaction, and send what belongs into it."""
        producer.begin_transaction()
        hook("before_send")
        send(producer, transaction, deadline)
        hook("after_send")
        if transaction.offsets and transaction.membership is not None:
            token = _token(transaction.membership)
            producer.send_offsets_to_transaction(
                commit_offsets(self._topic, transaction.offsets), token.metadata
            )
            hook("after_send_offsets")

    def fence(self, transactional_id: str, sweep: Transaction | None = None) -> None:
        """Make sure that the producer of that id can commit nothing any more; see ``Log.fence``."""
        if transactional_id == self.transactional_id:
            producer = self._ready()
            if sweep is not None and self._failed:
                try:
                    self._sweep(producer, sweep)
                except Exception as error:
                    self._rebuild(error)
                    raise
                self._failed = False
            return
        producer = open_transactional(
            self._settings, transactional_id, self._start_timeout_s, self._start_timeout_s
        )
        try:
            if sweep is not None:
                self._sweep(producer, sweep)
        finally:
            discard(producer)
        self._lives.forget(transactional_id)

    def _sweep(self, producer: KafkaProducer, sweep: Transaction) -> None:
        deadline = time.monotonic() + self._limit_s

        def abort() -> None:
            self._fill(producer, sweep, deadline)
            producer.abort_transaction()

        try:
            self._watchdog.run(abort, self._limit_s, "aborting a transaction")
        except kafka_errors.KafkaError as error:
            raise translated(error, "aborting a transaction") from error

    def _open(self, timeout_s: float) -> KafkaProducer:
        return open_transactional(self._settings, self.transactional_id, timeout_s, self._start_timeout_s)

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
    beside = False  # offsets are committed by the consumer, which is one thread's at a time
    former_ids: frozenset[str] = frozenset()

    def __init__(
        self, settings: KafkaSettings, *, topic: str, start_timeout_s: float = 10.0, hooks: Hook | None = None
    ) -> None:
        """Describe the producer; it is made with the first commit. ``topic`` is the input's."""
        super().__init__(settings, topic, start_timeout_s, hooks)

    def commit(self, transaction: Transaction, ready: Callable[[], object] = no_wait) -> None:
        """Send, wait for every acknowledgement, commit the offsets; see ``Log.commit``."""
        ready()
        self._commit_watched(transaction, self._acknowledge)

    def _acknowledge(self, transaction: Transaction, deadline: float) -> None:
        self._hook("before_send")
        send(self._ready(), transaction, deadline)
        self._hook("after_send")
        if transaction.offsets and transaction.membership is not None:
            self._hook("before_commit")
            _token(transaction.membership).commit(
                self._topic, transaction.offsets, max(0.1, deadline - time.monotonic())
            )
        self._hook("after_commit")

    def fence(self, transactional_id: str, _: Transaction | None = None) -> None:
        """Make sure that a former owner that used transactions can commit nothing any more."""
        if transactional_id:
            fence(self._settings, transactional_id, self._start_timeout_s)

    def _open(self, timeout_s: float) -> KafkaProducer:
        return open_producer(
            self._settings,
            timeout_s,
            enable_idempotence=True,
            **_tuning(self._settings, self._start_timeout_s),
        )


def send(producer: KafkaProducer, transaction: Transaction, deadline: float) -> None:
    """Send everything and wait until every record is acknowledged; the first failure is raised.

    A commit can return although its coordinator aborted, so each batch's own answer is looked at.
    """
    batches = [
        batch
        for records in transaction.columns
        for batch in enqueue(producer, records, producer.config["batch_size"])
    ]
    futures = [
        producer.send(r.topic, r.value, r.key, list(r.headers), r.partition, r.timestamp_ms)
        for r in transaction.records
    ]
    wait(producer, batches, deadline)
    if futures:
        producer.flush(timeout=max(0.1, deadline - time.monotonic()))
    for future in futures:
        future.get(timeout=max(0.1, deadline - time.monotonic()))


def open_transactional(
    settings: KafkaSettings, transactional_id: str, connect_s: float, begin_s: float
) -> KafkaProducer:
    """Open a producer of that id; whatever another one of it has open is aborted, and it is fenced."""
    producer = open_producer(
        settings,
        connect_s,
        transactional_id=transactional_id,
        transaction_timeout_ms=settings.transaction_timeout_ms,
        **_tuning(settings, begin_s),
    )
    # Fenced in the middle of a transaction, kafka-python takes its id back by itself (KIP-360), and so fences
    # whoever sweeps it. Without that it says what has happened.
    producer._transaction_manager._supports_epoch_bump = lambda: False  # noqa: SLF001
    try:
        producer.init_transactions()
    except kafka_errors.KafkaError as error:
        discard(producer)
        raise translated(error, f"transactional id {transactional_id}") from error
    return producer


def fence(settings: KafkaSettings, transactional_id: str, start_timeout_s: float) -> None:
    """Take a transactional id over and leave it: its producer can commit nothing any more."""
    discard(open_transactional(settings, transactional_id, start_timeout_s, start_timeout_s))


def discard(producer: KafkaProducer) -> None:
    """End a producer without waiting for what it still has to send."""
    producer._sender.force_close()  # noqa: SLF001 - close() alone goes on sending where it cannot flush
    with suppress(kafka_errors.KafkaError):  # "cannot flush" is what is meant
        producer.close(timeout=0)


def _tuning(settings: KafkaSettings, start_timeout_s: float) -> dict[str, Any]:
    """Options that may be set otherwise in ``[kafka.options]``."""
    ours: dict[str, Any] = {
        "batch_size": BATCH_BYTES,
        "max_request_size": REQUEST_BYTES,
        "max_block_ms": max(1, int(start_timeout_s * 1000)),
        "retry_backoff_ms": RETRY_BACKOFF_MS,
        "metrics_enabled": False,
    }
    theirs = settings.options
    return {"linger_ms": 0, **{name: value for name, value in ours.items() if name not in theirs}}


def _token(membership: Membership) -> GroupToken:
    token = membership.token
    if not isinstance(token, GroupToken):
        raise TypeError("the membership is another client's")
    return token


def _check_membership(transaction: Transaction, topic: str) -> None:
    if transaction.offsets and transaction.membership is None:
        raise OwnershipLost(f"the group of {topic} is not stable: nothing may be committed until it is")
