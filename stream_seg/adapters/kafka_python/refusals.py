"""kafka-python's errors in our own terms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kafka import errors as kafka_errors

from stream_seg.errors import OwnershipLost, ServerRefused, ServerUnavailable, StateError, StreamSegError

__all__ = ["is_fenced", "is_lost", "reason", "translated"]

_FENCED: Final = (
    kafka_errors.InvalidProducerEpochError,
    kafka_errors.InvalidProducerIdMappingError,
    kafka_errors.InvalidTxnStateError,
    kafka_errors.ProducerFencedError,
)
_LOST: Final = (
    *_FENCED,
    kafka_errors.CommitFailedError,
    kafka_errors.FencedInstanceIdError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.TransactionAbortedError,
    kafka_errors.UnknownMemberIdError,
)
# The state machine of a fenced producer says so.
_FENCED_TEXT: Final = "Invalid transition"
_SENTENCES: Final[tuple[tuple[tuple[type[Exception], ...], type[StreamSegError], str], ...]] = (
    (
        (kafka_errors.AuthorizationError, kafka_errors.SaslAuthenticationFailedError),
        ServerRefused,
        "{what}: Kafka refuses us the right ({reason}): grant it to this user",
    ),
    (
        (kafka_errors.OffsetOutOfRangeError, kafka_errors.LogTruncationError),
        StateError,
        "{what} no longer holds the records that come next ({reason}): restore a snapshot or reset the model",
    ),
    (
        (kafka_errors.InvalidSessionTimeoutError,),
        ServerRefused,
        "{what}: Kafka refuses kafka.session_timeout_ms: see the broker's group.min.session.timeout.ms",
    ),
    (
        (kafka_errors.InconsistentGroupProtocolError,),
        ServerRefused,
        "{what}: the group's other members share partitions out otherwise: stop them, or set source.group",
    ),
    (
        (kafka_errors.InvalidTransactionTimeoutError,),
        ServerRefused,
        "{what}: Kafka refuses kafka.transaction_timeout_ms: see the broker's transaction.max.timeout.ms",
    ),
    (
        (
            kafka_errors.MessageSizeTooLargeError,
            kafka_errors.RecordListTooLargeError,
            kafka_errors.InvalidRecordError,
            kafka_errors.InvalidTimestampError,
            kafka_errors.PolicyViolationError,
        ),
        ServerRefused,
        "{what}: Kafka refuses a record ({reason}): check the topic's max.message.bytes and timestamp limits",
    ),
)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Give an error, the errors among its arguments and its causes."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [argument for argument in one.args if isinstance(argument, BaseException)]
        waiting += [one.__cause__, one.__context__]


def is_fenced(error: BaseException) -> bool:
    """Say whether an error means that another producer has our transactional id."""
    return _is_one_of(error, _FENCED)


def is_lost(error: BaseException) -> bool:
    """Say whether an error means that another producer or member has taken over."""
    return _is_one_of(error, _LOST)


def _is_one_of(error: BaseException, kinds: tuple[type[Exception], ...]) -> bool:
    """Say whether an error comes of one of ``kinds``; the client wraps them into a plain one's text."""
    texts = (_FENCED_TEXT, *(kind.__name__ for kind in kinds))
    return any(
        isinstance(one, kinds)
        or (type(one) is kafka_errors.KafkaError and any(text in str(one) for text in texts))
        for one in chain(error)
    )


def reason(error: BaseException) -> str:
    """Give an error's short text: its class where it says nothing else."""
    name = type(error).__name__.removesuffix("Error")
    text = str(error).strip().rstrip(".").splitlines()
    return f"{name}: {text[0][:200]}" if text and text[0] != type(error).__name__ else name


def translated(error: BaseException, what: str) -> StreamSegError:
    """Make our error of kafka-python's; ``what`` begins the sentence (a topic, a group, the broker)."""
    if isinstance(error, StreamSegError):
        return error
    for one in chain(error):
        for kinds, make, sentence in _SENTENCES:
            if isinstance(one, kinds):
                return make(sentence.format(what=what, reason=reason(one)))
    if is_lost(error):
        return OwnershipLost(
            f"{what}: another worker has taken over ({reason(error)}): look at what is committed"
        )
    # Without a leader, as in a restart, the broker to ask is an unknown one.
    if isinstance(error, kafka_errors.RetriableError | kafka_errors.UnknownBrokerIdError | OSError):
        return ServerUnavailable(f"{what}: Kafka does not answer ({reason(error)}): wait until it is back")
    return ServerRefused(f"{what}: Kafka says no ({reason(error)}): look at the broker's log")
