"""Opening kafka-python's clients: options, a bounded start, and one sentence for whatever goes wrong."""

from __future__ import annotations

import difflib
import logging
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from socket import socket
from typing import Any, Final, TypeVar
from weakref import WeakSet

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from stream_seg.adapters.kafka_python.refusals import reason, translated
from stream_seg.errors import ConfigurationError, ServerRefused, ServerUnavailable, StreamSegError
from stream_seg.settings.servers import KafkaSettings

__all__ = ["open_admin", "open_consumer", "open_producer", "quiet"]

CLIENT_ID: Final = "stream-seg"
ASSIGNORS: Final = {
    assignor.name: assignor
    for assignor in (
        CooperativeStickyAssignor,
        StickyPartitionAssignor,
        RangePartitionAssignor,
        RoundRobinPartitionAssignor,
    )
}
# A broker that was away is noticed within a second; the clients' own default is half a minute.
COMMON: Final[Mapping[str, Any]] = {
    "client_id": CLIENT_ID,
    "proxy_url": "direct://",
    "reconnect_backoff_max_ms": 1000,
}
_REFUSED = (
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.IllegalSaslStateError,
    kafka_errors.AuthorizationError,
    ssl.SSLError,
)

_C = TypeVar("_C")


def quiet() -> None:
    """Keep kafka-python's log off the terminal, unless somebody has set its logger's level."""
    logger = logging.getLogger("kafka")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL + 1)


def open_consumer(settings: KafkaSettings, timeout_s: float, **own: object) -> KafkaConsumer:
    """Open a consumer; ``own`` options win over the user's.

    Raises ``ServerUnavailable`` if nothing answers within ``timeout_s`` seconds, ``ServerRefused`` if what
    answers says no, and ``ConfigurationError`` for options that kafka-python does not take.
    """
    options = _options(settings, KafkaConsumer.DEFAULT_CONFIG, own)
    strategy = options.get("partition_assignment_strategy")
    if strategy is not None:
        options["partition_assignment_strategy"] = _assignors(strategy)
    return _opened(KafkaConsumer, settings, options, timeout_s)


def open_producer(settings: KafkaSettings, timeout_s: float, **own: object) -> KafkaProducer:
    """Open a producer; see :func:`open_consumer`."""
    return _opened(KafkaProducer, settings, _options(settings, KafkaProducer.DEFAULT_CONFIG, own), timeout_s)


def open_admin(settings: KafkaSettings, timeout_s: float, **own: object) -> KafkaAdminClient:
    """Open an admin client; see :func:`open_consumer`."""
    options = _options(settings, KafkaAdminClient.DEFAULT_CONFIG, own)
    return _opened(KafkaAdminClient, settings, options, timeout_s)


def _options(settings: KafkaSettings, known: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Our defaults, the user's options that this kind of client knows, and what must be as it is."""
    given = settings.client_options()
    everything = {
        *KafkaConsumer.DEFAULT_CONFIG,
        *KafkaProducer.DEFAULT_CONFIG,
        *KafkaAdminClient.DEFAULT_CONFIG,
    }
    problems = []
    for name in given:
        if name not in everything:
            near = difflib.get_close_matches(name, everything, 1)
            hint = f": did you mean {near[0]}?" if near else ": see its documentation for the names"
            problems.append(f"kafka.options.{name} is no option of kafka-python{hint}")
    if problems:
        raise ConfigurationError(problems)
    theirs = {name: value for name, value in given.items() if name in known}
    return {**COMMON, **theirs, **own, "bootstrap_servers": settings.servers}


def _assignors(strategy: object) -> list[object]:
    names = list(strategy) if isinstance(strategy, list) else [strategy]
    unknown = [name for name in names if name not in ASSIGNORS]
    if unknown:
        allowed = ", ".join(f'"{name}"' for name in ASSIGNORS)
        raise ConfigurationError(
            [f"kafka.options.partition_assignment_strategy must be of {allowed}, not {unknown[0]}"]
        )
    return [ASSIGNORS[name] for name in names]


class _Net(NetworkSelector):  # type: ignore[misc] # kafka-python has no types
    """The event loop, with the sockets that were opened in it."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.sockets: WeakSet[socket] = WeakSet()


class _Direct(KafkaNetSocket):  # type: ignore[misc] # kafka-python has no types
    """A plain connection whose socket is closed where it fails; the base leaves that to the collector."""

    SCHEMES = ("direct",)

    async def sock_connect(self, net: _Net, sock: socket, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as the base has it
        """Connect as the base does."""
        net.sockets.add(sock)
        try:
            return await super().sock_connect(net, sock, *arguments, **options)
        except BaseException:
            sock.close()
            raise


def _heard_out(
    receive: Callable[[], tuple[bytes, Exception | None]],
) -> Callable[[], tuple[bytes, Exception | None]]:
    """Have what came before the end of a connection read before its end is.

    The base drops it: and so a broker's word that the password is wrong, after which it hangs up.
    """
    ended: list[Exception] = []

    def received() -> tuple[bytes, Exception | None]:
        if ended:
            return b"", ended.pop()
        data, error = receive()
        if data and error is not None:
            ended.append(error)
            return data, None
        return data, error

    return received


class _Manager(KafkaConnectionManager):  # type: ignore[misc] # kafka-python has no types
    """Connections that remember why the last one failed, and stop trying where that is final."""

    failure: BaseException | None = None

    def get_connection(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as the base has it
        """Give a connection as the base does, watching its start."""
        connection = super().get_connection(*arguments, **options)
        connection.init_future.add_errback(self._note)
        return connection

    async def _build_transport(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as the base has it
        """Connect as the base does, and hear out a broker that hangs up."""
        transport = await super()._build_transport(*arguments, **options)
        transport._sock_recv = _heard_out(transport._sock_recv)  # noqa: SLF001
        return transport

    def _note(self, error: BaseException) -> None:
        self.failure = error
        if not self.bootstrapped and is_final(error):
            self.closed = True  # ends the attempts to start; the base would repeat them until the time is up
            self._bootstrap_wakeup.notify()


class _Client(KafkaNetClient):  # type: ignore[misc] # kafka-python has no types
    """The network client, except that it never has a broker create a topic."""

    def __init__(self, made: list[_Client], **options: object) -> None:
        """Leave itself in ``made``, so that a start that fails can be cleaned up and explained."""
        net = _Net(**options)
        super().__init__(net=net, manager=_Manager(net, **options), **options)
        self.cluster.config["allow_auto_create_topics"] = False  # the client's own option does not reach it
        made.append(self)

    def close(self, node_id: object = None) -> None:
        """Close as the base does, which can miss a connection that is just being made."""
        super().close(node_id=node_id)
        for sock in list(self._net.sockets) if node_id is None else []:
            sock.close()


def is_final(error: BaseException) -> bool:
    """Say whether a failed start is a refusal, which no waiting mends."""
    return isinstance(error, _REFUSED) or "Handshake failed" in str(error)


def _opened(
    kind: Callable[..., _C], settings: KafkaSettings, options: dict[str, Any], timeout_s: float
) -> _C:
    quiet()
    made: list[_Client] = []
    where = settings.bootstrap_servers
    try:
        return kind(
            **options, bootstrap_timeout_ms=max(1, int(timeout_s * 1000)), kafka_client=partial(_Client, made)
        )
    except kafka_errors.KafkaConfigurationError as error:
        _discard(made)
        raise ConfigurationError([f"kafka.options: kafka-python says: {error}"]) from error
    except kafka_errors.KafkaError as error:
        failure = made[0]._manager.failure if made else None  # noqa: SLF001 - our own subclass
        _discard(made)
        raise _no_start(where, timeout_s, failure or error) from error
    except (AssertionError, OSError, TypeError, ValueError) as error:  # files and values of the options
        _discard(made)
        raise ConfigurationError(
            [f"kafka.options do not work: {reason(error)}; check ssl_* and sasl_*"]
        ) from error


def _no_start(where: str, timeout_s: float, failure: BaseException) -> StreamSegError:
    if is_final(failure):
        return ServerRefused(
            f"Kafka at {where} refuses the connection ({reason(failure)}): "
            "check security_protocol, sasl_* and ssl_* in [kafka.options]"
        )
    if not isinstance(failure, kafka_errors.RetriableError | OSError):
        return translated(failure, f"Kafka at {where}")
    return ServerUnavailable(
        f"no Kafka answers at {where} within {timeout_s:.3g} s ({reason(failure)}): start it, or set "
        "kafka.bootstrap_servers (and security_protocol in [kafka.options], where it wants TLS or SASL)"
    )


def _discard(made: list[_Client]) -> None:
    for client in made:
        client.close()
