"""Kafka by whichever client the settings name: the one place that knows which."""

from __future__ import annotations

from typing import Literal, Protocol

from stream_seg.adapters.kafka_topics import Topics
from stream_seg.engine.history import History
from stream_seg.engine.ports import Log, Models, Source
from stream_seg.settings.servers import KafkaSettings

__all__ = ["KafkaClient", "Mode", "connect"]

Mode = Literal["exactly_once", "at_least_once"]


class Hooks(Protocol):
    """Called at named steps of a commit; tests stop or kill there."""

    def __call__(self, step: str, /) -> None:
        """``before_send``, ``after_send``, ``after_send_offsets``, ``before_commit`` or ``after_commit``."""


class KafkaClient(Protocol):
    """Everything a worker needs of Kafka. Nothing is connected before it is needed.

    What opens a connection raises ``ServerUnavailable`` if nothing answers for ``start_timeout_s``,
    ``ServerRefused`` if the broker says no, and ``ConfigurationError`` for options that the client does not
    take.
    """

    topics: Topics

    def source(self, topic: str, group: str) -> Source:
        """Read a topic as a member of a group; ``TopicMissing`` where it does not exist."""

    def log(self, transactional_id: str, mode: Mode, *, topic: str, hooks: Hooks | None = None) -> Log:
        """Write records and commit the offsets of the input ``topic``."""

    def models(self, topic: str) -> Models:
        """Read a models topic."""

    def history(self, topic: str, group: str | None = None) -> History:
        """Read a topic from outside its groups; ``TopicMissing`` where it does not exist.

        ``group`` is the one whose offsets are asked for and committed.
        """

    def available(self, timeout_s: float = 1.0) -> bool:
        """Say whether a broker answers; ``ServerRefused`` where it does and says no."""

    def close(self) -> None:
        """End what the bundle itself has open; sources, logs and models are closed by whoever made them."""


def connect(settings: KafkaSettings, *, start_timeout_s: float = 10.0) -> KafkaClient:
    """Give the client that ``settings.client`` names; the ``confluent`` one needs its extra.

    ``start_timeout_s`` is how long opening a connection may take.
    """
    if settings.client == "confluent":
        from stream_seg.adapters.confluent.client import ConfluentClient  # noqa: PLC0415 - an extra

        return ConfluentClient(settings, start_timeout_s)
    from stream_seg.adapters.kafka_python.bundle import KafkaPythonClient  # noqa: PLC0415 - only where it is used

    return KafkaPythonClient(settings, start_timeout_s)
