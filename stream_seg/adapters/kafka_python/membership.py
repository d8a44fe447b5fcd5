"""The group membership that a commit names, as kafka-python has it."""

from __future__ import annotations

from collections.abc import Mapping

from kafka import KafkaConsumer
from kafka.structs import ConsumerGroupMetadata, MemberState, OffsetAndMetadata, TopicPartition

from stream_seg.engine.ports import Committed
from stream_seg.errors import OwnershipLost

__all__ = ["GroupToken", "commit_offsets", "is_member"]


class GroupToken:
    """What kafka-python needs to commit as the member that a ``Membership`` tells of."""

    def __init__(self, metadata: ConsumerGroupMetadata, consumer: KafkaConsumer) -> None:
        """Keep the snapshot and the consumer it is of."""
        self.metadata = metadata
        self._consumer = consumer

    def renew(self) -> None:
        """Take the membership as it is now, where it is one.

        A cooperative revoke comes when the group has its new generation already, but before anybody else is
        given what is revoked: the last commit must name the new one.
        """
        metadata = self._consumer.group_metadata()
        if is_member(metadata):
            self.metadata = metadata

    def commit(self, topic: str, offsets: Mapping[int, Committed], timeout_s: float) -> None:
        """Commit offsets without a transaction; the broker refuses them from a member that is out.

        Raises ``OwnershipLost`` where the membership is not that of the snapshot any more.
        """
        if self._consumer.group_metadata()[:3] != self.metadata[:3]:
            raise OwnershipLost(
                f"the group of {topic} has changed since the last poll: take the partitions over again"
            )
        self._consumer.commit(commit_offsets(topic, offsets), timeout_ms=int(timeout_s * 1000))


def is_member(metadata: ConsumerGroupMetadata) -> bool:
    """Say whether metadata are of a stable member; the broker would not fence generation −1."""
    return metadata.state == MemberState.STABLE and metadata.generation_id > 0 and bool(metadata.member_id)


def commit_offsets(topic: str, offsets: Mapping[int, Committed]) -> dict[TopicPartition, OffsetAndMetadata]:
    """Give offsets as kafka-python takes them."""
    return {
        TopicPartition(topic, partition): OffsetAndMetadata(committed.next_offset, committed.metadata, -1)
        for partition, committed in offsets.items()
    }
