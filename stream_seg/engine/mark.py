"""What is committed with an offset: the batch that led there, and what its committer knew of versions."""

from __future__ import annotations

import re
from typing import NamedTuple

from stream_seg.errors import StateError

_END = ";"
_TEXT = re.compile(rf"(\d+):([0-9a-f]*):(\d+):(\d+):([^{_END}]*)(?:{_END}.*)?", re.DOTALL)
"""It says where it ends: confluent-kafka has been seen to give stray bytes behind what was committed."""


class Mark(NamedTuple):
    """The metadata of a committed offset.

    ``batch`` and ``batch_id`` name the batch (no id: no batch led there); ``adopted`` is the version that the
    partition labels under then, 0 for none; ``known`` the newest version that its owner knew of. A new owner
    must have read both from the models topic before it goes on: an open transaction of somebody else's can
    hide them from it for a while. ``models`` names that topic, and so the model.
    """

    batch: int
    batch_id: str = ""
    adopted: int = 0
    known: int = 0
    models: str = ""

    @property
    def text(self) -> str:
        """The mark as it is committed."""
        return f"{self.batch}:{self.batch_id}:{self.adopted}:{self.known}:{self.models}{_END}"

    @classmethod
    def read(cls, text: str) -> Mark:
        """Read a mark back; ``StateError`` where somebody else has committed."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise StateError(
                "the consumer group has offsets that this program did not commit: give the model a group of "
                "its own (source.group), or reset the model"
            )
        return cls(int(found[1]), found[2], int(found[3]), int(found[4]), found[5])
