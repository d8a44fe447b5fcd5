"""Opening confluent-kafka's clients: options, a bounded start, and one sentence for whatever goes wrong."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from stream_seg.adapters.confluent.refusals import FINAL, cause, reason
from stream_seg.errors import ConfigurationError, ServerRefused, ServerUnavailable
from stream_seg.settings.servers import KafkaSettings

__all__ = ["open_admin", "open_consumer", "open_producer"]

# A broker that was away is noticed within a second, the client's own default is ten; a partition that it did
# not know while it came back is asked for again within ten seconds, the default is five minutes.
COMMON: Final[Mapping[str, Any]] = {
    "client.id": "stream-seg",
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1000,
    "topic.metadata.refresh.interval.ms": 10_000,
    "allow.auto.create.topics": False,
}
SLICE_SECONDS: Final = 0.2
_PROPERTY: Final = re.compile(r'property:? "([^"]+)"')

_C = TypeVar("_C", Consumer, Producer, AdminClient)


class _Failures:
    """What a client's own threads say went wrong, the last of it."""

    def __init__(self) -> None:
        self.last: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        # That all brokers are down comes after what says why.
        if self.last is None or error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self.last = error


def open_consumer(settings: KafkaSettings, timeout_s: float, own: Mapping[str, object]) -> Consumer:
    """Open a consumer; ``own`` options win over the user's.

    Raises ``ServerUnavailable`` if nothing answers within ``timeout_s`` seconds, ``ServerRefused`` if what
    answers says no, and ``ConfigurationError`` for options that confluent-kafka does not take.
    """
    return _opened(Consumer, settings, timeout_s, own)


def open_producer(settings: KafkaSettings, timeout_s: float, own: Mapping[str, object]) -> Producer:
    """Open a producer; see :func:`open_consumer`."""
    return _opened(Producer, settings, timeout_s, own)


def open_admin(settings: KafkaSettings, timeout_s: float) -> AdminClient:
    """Open an admin client; see :func:`open_consumer`."""
    return _opened(AdminClient, settings, timeout_s, {})


def _quiet() -> logging.Logger:
    """Give a logger that says nothing, unless somebody has set its level."""
    logger = logging.getLogger("confluent_kafka")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL + 1)
    return logger


def _value(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(str(_value(one)) for one in value)
    return value


def _opened(
    kind: Callable[..., _C], settings: KafkaSettings, timeout_s: float, own: Mapping[str, object]
) -> _C:
    failures = _Failures()
    options = {
        **COMMON,
        **{name: _value(value) for name, value in settings.client_options().items()},
        **own,
        "bootstrap.servers": settings.bootstrap_servers,
        "error_cb": failures,
    }
    try:
        client = kind(options, logger=_quiet())
    except (KafkaException, TypeError, ValueError) as error:
        # Without the text of the exception, which may hold the value: no cause is shown either.
        found = _PROPERTY.search(str(error))
        which = f"kafka.options.{found[1]} does" if found else "kafka.options do"
        raise ConfigurationError(
            [f"{which} not work with confluent-kafka: see librdkafka's CONFIGURATION.md for names and values"]
        ) from None
    _wait_started(client, failures, settings, timeout_s)
    return client


def _wait_started(
    client: Consumer | Producer | AdminClient, failures: _Failures, settings: KafkaSettings, timeout_s: float
) -> None:
    """Wait until a broker has answered; a refusal is not waited out."""
    where = settings.bootstrap_servers
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            client.list_topics(topic="__consumer_offsets", timeout=SLICE_SECONDS)
        except KafkaException as error:
            last = failures.last or cause(error)
        else:
            return
        client.poll(0)  # brings the failures
        last = failures.last or last
        if last.code() in FINAL:
            raise ServerRefused(
                f"Kafka at {where} refuses the connection ({reason(last)}): "
                "check security.protocol, sasl.* and ssl.* in [kafka.options]"
            )
        if time.monotonic() > deadline:
            raise ServerUnavailable(
                f"no Kafka answers at {where} within {timeout_s:.3g} s ({reason(last)}): start it, or set "
                "kafka.bootstrap_servers (and security.protocol in [kafka.options], if it wants TLS or SASL)"
            )
