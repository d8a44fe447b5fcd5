"""The group membership that a commit names, as confluent-kafka has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream_seg.engine.ports import Committed
from stream_seg.errors import OwnershipLost

__all__ = ["GroupToken", "commit_offsets", "committed_of", "generation_of"]

# librdkafka writes the group metadata as "CGMDv2:", the generation (int32, little endian), group and member.
GENERATION: Final = slice(7, 11)


class GroupToken:
    """What confluent-kafka needs to commit as the member that a ``Membership`` tells of."""

    def __init__(self, metadata: bytes, consumer: Consumer) -> None:
        """Keep the snapshot and the consumer it is of."""
        self.metadata = metadata
        self._consumer = consumer

    def renew(self) -> None:
        """Take the membership as it is now, where it is one.

        A cooperative revoke comes when the group has its new generation already, but before anybody else is
        given what is revoked: the last commit must name the new one.
        """
        metadata = self._consumer.consumer_group_metadata()
        if generation_of(metadata) > 0:
            self.metadata = metadata

    def commit(self, topic: str, offsets: Mapping[int, Committed]) -> None:
        """Commit offsets without a transaction; the broker refuses them from a member that is out.

        Raises ``OwnershipLost`` where the membership is not that of the snapshot any more.
        """
        if self._consumer.consumer_group_metadata() != self.metadata:
            raise OwnershipLost(
                f"the group of {topic} has changed since the last poll: take the partitions over again"
            )
        for done in self._consumer.commit(offsets=commit_offsets(topic, offsets), asynchronous=False):
            if done.error is not None:
                raise KafkaException(done.error)


def generation_of(metadata: bytes) -> int:
    """Read the generation; −1 without membership, which the broker would not fence."""
    return int.from_bytes(bytes(metadata)[GENERATION], "little", signed=True)


def commit_offsets(topic: str, offsets: Mapping[int, Committed]) -> list[TopicPartition]:
    """Give offsets as confluent-kafka takes them."""
    return [
        TopicPartition(topic, partition, committed.next_offset, committed.metadata)
        for partition, committed in offsets.items()
    ]


def committed_of(found: TopicPartition) -> Committed | None:
    """What a broker has said is committed; ``None`` where nothing is.

    Stray bytes behind the metadata, which the client has been seen to give, need not be text.
    """
    if found.offset < 0:
        return None
    try:
        metadata = found.metadata or ""
    except UnicodeDecodeError as error:
        metadata = error.object.decode("utf-8", "replace")
    return Committed(found.offset, metadata)
