"""``KafkaClient`` on kafka-python."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from stream_seg.adapters.kafka_python.admin import KafkaPythonAdmin, answers
from stream_seg.adapters.kafka_python.history import KafkaPythonHistory
from stream_seg.adapters.kafka_python.log import AtLeastOnceLog, TransactionalLog
from stream_seg.adapters.kafka_python.models import KafkaPythonModels
from stream_seg.adapters.kafka_python.source import KafkaPythonSource
from stream_seg.adapters.kafka_topics import Topics
from stream_seg.engine.ports import Log
from stream_seg.settings.servers import KafkaSettings

if TYPE_CHECKING:
    from stream_seg.adapters.kafka import Hooks, Mode

__all__ = ["KafkaPythonClient"]


class KafkaPythonClient:
    """See :class:`~stream_seg.adapters.kafka.KafkaClient`."""

    def __init__(self, settings: KafkaSettings, start_timeout_s: float) -> None:
        """Describe the connections; each is opened when it is needed."""
        self._settings, self._start_timeout_s = settings, start_timeout_s
        self.topics = Topics(KafkaPythonAdmin(settings, start_timeout_s=start_timeout_s))

    def source(self, topic: str, group: str) -> KafkaPythonSource:
        """Read a topic as a member of a group."""
        return KafkaPythonSource(
            self._settings,
            topic,
            group,
            count_partitions=partial(self.topics.partitions, topic),
            start_timeout_s=self._start_timeout_s,
        )

    def log(self, transactional_id: str, mode: Mode, *, topic: str, hooks: Hooks | None = None) -> Log:
        """Write records and commit the offsets of the input ``topic``."""
        wait_s = self._start_timeout_s
        if mode == "at_least_once":
            return AtLeastOnceLog(self._settings, topic=topic, start_timeout_s=wait_s, hooks=hooks)
        return TransactionalLog(
            self._settings, transactional_id, topic=topic, start_timeout_s=wait_s, hooks=hooks
        )

    def models(self, topic: str) -> KafkaPythonModels:
        """Read a models topic."""
        return KafkaPythonModels(self._settings, topic, start_timeout_s=self._start_timeout_s)

    def history(self, topic: str, group: str | None = None) -> KafkaPythonHistory:
        """Read a topic from outside its groups."""
        partitions = self.topics.partitions(topic)
        return KafkaPythonHistory(self._settings, topic, group, partitions, self._start_timeout_s)

    def available(self, timeout_s: float = 1.0) -> bool:
        """Say whether a broker answers."""
        return answers(self._settings, timeout_s)

    def close(self) -> None:
        """End the admin connection."""
        self.topics.close()
