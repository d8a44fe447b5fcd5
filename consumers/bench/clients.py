"""Reading and writing records with either client, as plainly as its documentation does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stream_seg.settings.servers import KafkaSettings

__all__ = ["BATCH_BYTES", "RETRY_BACKOFF_MS", "TIMEOUT_S", "Read", "Reader", "Writer", "reader", "writer"]

RETRY_BACKOFF_MS: Final = 3
"""As in our own adapters: a transaction takes 20 ms instead of 120."""
BATCH_BYTES: Final = 256 << 10
TIMEOUT_S: Final = 10.0


class Read(NamedTuple):
    """A record as it was read."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    timestamp_ms: int


class Reader(Protocol):
    """A member of a group of its own, from the beginning, read committed."""

    topic: str

    def read(self, most: int, wait_s: float) -> Sequence[Read]:
        """The next records, up to ``most``, or what has come after ``wait_s``."""

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit next offsets by partition."""

    def metadata(self) -> object:
        """What a transaction needs of the group."""

    def close(self) -> None:
        """Leave the group."""


class Writer(Protocol):
    """A producer; a transactional one has its records between ``begin`` and ``commit``."""

    def begin(self) -> None:
        """Begin a transaction."""

    def send(self, topic: str, key: bytes, value: bytes, partition: int, timestamp_ms: int) -> None:
        """Send without waiting."""

    def flush(self) -> None:
        """Wait until everything is acknowledged; raises what was not."""

    def commit(self, reader: Reader, offsets: Mapping[int, int]) -> None:
        """Commit the transaction, and ``reader``'s next offsets by partition with it."""

    def close(self) -> None:
        """End."""


def reader(settings: KafkaSettings, topic: str, group: str) -> Reader:
    """Read a topic with the client that the settings name."""
    if settings.client == "confluent":
        from consumers.bench.client_confluent import ConfluentReader  # noqa: PLC0415 - an extra

        return ConfluentReader(settings, topic, group)
    from consumers.bench.client_kafka_python import KafkaPythonReader  # noqa: PLC0415

    return KafkaPythonReader(settings, topic, group)


def writer(settings: KafkaSettings, transactional_id: str | None) -> Writer:
    """Write with the client that the settings name, in transactions if there is an id."""
    if settings.client == "confluent":
        from consumers.bench.client_confluent import ConfluentWriter  # noqa: PLC0415 - an extra

        return ConfluentWriter(settings, transactional_id)
    from consumers.bench.client_kafka_python import KafkaPythonWriter  # noqa: PLC0415

    return KafkaPythonWriter(settings, transactional_id)
