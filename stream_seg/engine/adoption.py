"""When a partition takes a version over, and what its clock then says.

One rule for every driver (design §4.3).
"""

from __future__ import annotations

from typing import Literal

from stream_seg.engine.outcome import Adoption
from stream_seg.engine.state import UNKNOWN, State
from stream_seg.engine.version import ModelVersion

NextEvent = int | None | Literal["unknown"]
"""Event time of a partition's next unread event in ms.

``None``: there is none; ``"unknown"``: it has not been fetched.
"""


def adoption(state: State, version: ModelVersion, next_event_ms: NextEvent) -> Adoption:
    """The adoption of ``version`` by a partition as it stands.

    Its clock moves up to the version's ``as_of_ms`` if the next unread event is not before that or there is
    none; not if it is unknown, and never with a partition's first version.
    """
    clock = state.numbers.clock_ms
    first = state.version is None or clock == UNKNOWN
    if (
        not first
        and next_event_ms != "unknown"
        and (next_event_ms is None or next_event_ms >= version.as_of_ms)
    ):
        clock = max(clock, version.as_of_ms)
    return Adoption(version, state.numbers.position.next_offset, clock)
