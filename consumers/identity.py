"""Which model this is, and whether what is stored is of the same one."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from stream_seg.engine.registry import Registry
from stream_seg.engine.version import CONTRACT_VERSION
from stream_seg.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stream_seg.adapters.kafka_topics import TopicFacts
    from stream_seg.adapters.redis import RedisStore
    from stream_seg.engine.ports import Models
    from stream_seg.settings import Settings

__all__ = ["Identity", "check_contract", "check_stored", "identify"]

CONTRACT: Final = str(CONTRACT_VERSION)


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a model the one that is stored: its hash, its topic and that topic's id and partitions.

    ``instance`` names its life: from its beginning to a reset.
    """

    model: str
    instance: str
    model_hash: str
    topic: str
    topic_id: str
    partitions: int
    features: str

    def meta(self, now: dt.datetime) -> dict[str, str]:
        """The fields of ``seg:<m>:meta``."""
        return {
            "contract": CONTRACT,
            "instance": self.instance,
            "features": self.features,
            "topics": self.topic,
            "created": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "model_hash": self.model_hash,
            "topic_id": self.topic_id,
            "partitions": str(self.partitions),
        }

    @property
    def _replay(self) -> str:
        return (
            "replay the topic as a model of its own, or delete this one with "
            f"stream-seg reset --model {self.model}"
        )

    def check(self, stored: Mapping[str, str]) -> None:
        """``StateError`` where what is stored is another model's, with what to do."""
        check_contract(self.model, stored)
        if stored.get("topics") != self.topic:
            raise StateError(
                f"model {self.model} reads topic {stored.get('topics')}, not {self.topic}: give the model of "
                f"this configuration another name, or {self._replay}"
            )
        self.check_definition(stored)
        if stored.get("topic_id") != self.topic_id:
            raise StateError(f"topic {self.topic} has been deleted and made anew: {self._replay}")
        if stored.get("instance") != self.instance:
            raise StateError(
                f"Redis holds another life of model {self.model} than its models topic: restore a snapshot "
                f"with stream-seg restore, or delete both with stream-seg reset --model {self.model}"
            )

    def check_definition(self, stored: Mapping[str, str]) -> None:
        """``StateError`` where it was made with other settings, or of another number of partitions."""
        if stored.get("model_hash") != self.model_hash:
            raise StateError(
                f"model {self.model} was made with other [features], [event], key, max_ahead or format: "
                f"{self._replay}"
            )
        if stored.get("partitions") != str(self.partitions):
            raise StateError(
                f"topic {self.topic} had {stored.get('partitions')} partitions and has {self.partitions}, so "
                f"customers would move: {self._replay}"
            )


def check_contract(model: str, stored: Mapping[str, str]) -> None:
    """``StateError`` where what is stored follows a contract that this program does not know."""
    contract = stored.get("contract", CONTRACT)
    if not contract.isdecimal() or int(contract) > CONTRACT_VERSION:
        raise StateError(
            f"model {model} was written under contract {contract}, this program knows {CONTRACT}: "
            "upgrade stream-seg"
        )


def check_stored(settings: Settings, topic: TopicFacts, store: RedisStore) -> None:
    """``StateError`` where what Redis holds is not this model's; to be known before topics are looked at."""
    stored = store.meta()
    if stored:
        _identity(settings, topic.topic_id, topic.partitions, stored.get("instance", "")).check(stored)


def _identity(settings: Settings, topic_id: str, partitions: int, instance: str) -> Identity:
    return Identity(
        model=settings.model.name,
        instance=instance,
        model_hash=settings.model_hash,
        topic=settings.topic,
        topic_id=topic_id,
        partitions=partitions,
        features=",".join(settings.features.names),
    )


def identify(
    settings: Settings, topic_id: str, partitions: int, models: Models, store: RedisStore
) -> tuple[Identity, dict[str, str]]:
    """The model's identity and its meta hash, which is written where there is none.

    Raises ``StateError`` where what is stored is not this model's; nothing is written then.
    """
    # Redis first: what it shows of the model was in the models topic before.
    model, stored, current = settings.model.name, store.meta(), store.current()
    registry = Registry()
    registry.take(models.read())
    newest = registry.newest
    instance = registry.instance or stored.get("instance") or secrets.token_hex(8)
    identity = _identity(settings, topic_id, partitions, instance)
    if newest is not None and newest.features_hash != settings.features.hash:
        raise StateError(
            f"topic {model}.models holds versions of other [features]: give the model of this configuration "
            "another name, or replay the topic as a model of its own"
        )
    if stored:
        identity.check(stored)
    if newest is None and current is not None:
        raise StateError(
            f"Redis holds version {current} of model {model} and topic {model}.models none: restore a "
            f"snapshot with stream-seg restore, or delete what is left with stream-seg reset --model {model}"
        )
    stored = store.put_meta(identity.meta(dt.datetime.now(dt.UTC)))
    if registry.instance is None:  # another worker may have been quicker
        identity = replace(identity, instance=stored["instance"])
    identity.check(stored)
    return identity, stored
