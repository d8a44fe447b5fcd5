"""librdkafka's errors in our own terms."""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError, KafkaException

from stream_seg.errors import OwnershipLost, ServerRefused, ServerUnavailable, StateError, StreamSegError

__all__ = ["FINAL", "cause", "is_fenced", "is_lost", "reason", "translated"]

FINAL: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - librdkafka's own errors are named so
        KafkaError._SSL,  # noqa: SLF001
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.ILLEGAL_SASL_STATE,
    }
)
"""What no waiting mends when a connection is begun."""
_FENCED: Final = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
        KafkaError.INVALID_TXN_STATE,
        KafkaError.PRODUCER_FENCED,
    }
)
_LOST: Final = frozenset(
    {
        *_FENCED,
        KafkaError._ASSIGNMENT_LOST,  # noqa: SLF001
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.UNKNOWN_MEMBER_ID,
    }
)
_AWAY: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._DESTROY_BROKER,  # noqa: SLF001 - a broker that came back as another
        KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
        KafkaError._PURGE_INFLIGHT,  # noqa: SLF001
        KafkaError._PURGE_QUEUE,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - what a client that has lost its broker says
        KafkaError._WAIT_COORD,  # noqa: SLF001
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        # A broker that has just been started: the protocol calls these retriable, librdkafka does not say so.
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.CONCURRENT_TRANSACTIONS,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
_SENTENCES: Final[tuple[tuple[frozenset[int], type[StreamSegError], str], ...]] = (
    (
        FINAL
        | {
            KafkaError.CLUSTER_AUTHORIZATION_FAILED,
            KafkaError.GROUP_AUTHORIZATION_FAILED,
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        },
        ServerRefused,
        "{what}: Kafka refuses us the right ({reason}): grant it to this user",
    ),
    (
        frozenset(
            {
                KafkaError.OFFSET_OUT_OF_RANGE,
                KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001
                KafkaError._LOG_TRUNCATION,  # noqa: SLF001
            }
        ),
        StateError,
        "{what} no longer holds the records that come next ({reason}): restore a snapshot or reset the model",
    ),
    (
        frozenset({KafkaError.INVALID_SESSION_TIMEOUT}),
        ServerRefused,
        "{what}: Kafka refuses kafka.session_timeout_ms: see the broker's group.min.session.timeout.ms",
    ),
    (
        frozenset({KafkaError.INCONSISTENT_GROUP_PROTOCOL}),
        ServerRefused,
        "{what}: the group's other members share partitions out otherwise: stop them, or set source.group",
    ),
    (
        frozenset({KafkaError.INVALID_TRANSACTION_TIMEOUT}),
        ServerRefused,
        "{what}: Kafka refuses kafka.transaction_timeout_ms: see the broker's transaction.max.timeout.ms",
    ),
    (
        frozenset(
            {
                KafkaError.INVALID_RECORD,
                KafkaError.INVALID_TIMESTAMP,
                KafkaError.MSG_SIZE_TOO_LARGE,
                KafkaError.POLICY_VIOLATION,
                KafkaError.RECORD_LIST_TOO_LARGE,
            }
        ),
        ServerRefused,
        "{what}: Kafka refuses a record ({reason}): check the topic's max.message.bytes and timestamp limits",
    ),
)


def cause(error: KafkaException | KafkaError) -> KafkaError:
    """Give the error inside an exception."""
    inner = error.args[0] if isinstance(error, KafkaException) else error
    return inner if isinstance(inner, KafkaError) else KafkaError(KafkaError._FAIL, str(inner))  # noqa: SLF001


def is_fenced(error: BaseException) -> bool:
    """Say whether an error means that another producer has our transactional id."""
    if isinstance(error, KafkaException):
        return cause(error).code() in _FENCED
    return error.__cause__ is not None and is_fenced(error.__cause__)


def is_lost(error: KafkaError) -> bool:
    """Say whether an error means that another producer or member has taken over."""
    return error.code() in _LOST


def reason(error: KafkaError) -> str:
    """Give an error's short text."""
    return f"{error.name().lstrip('_')}: {error.str().rstrip('.')[:200]}"


def translated(error: KafkaException | KafkaError, what: str) -> StreamSegError:
    """Make our error of librdkafka's; ``what`` begins the sentence (a topic, a group, the broker)."""
    inner = cause(error)
    code = inner.code()
    for codes, make, sentence in _SENTENCES:
        if code in codes:
            return make(sentence.format(what=what, reason=reason(inner)))
    if is_lost(inner):
        return OwnershipLost(
            f"{what}: another worker has taken over ({reason(inner)}): look at what is committed"
        )
    if code in _AWAY or inner.retriable():
        return ServerUnavailable(f"{what}: Kafka does not answer ({reason(inner)}): wait until it is back")
    return ServerRefused(f"{what}: Kafka says no ({reason(inner)}): look at the broker's log")
