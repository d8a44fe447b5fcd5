"""Trying again what a server could not do at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

from stream_seg.errors import ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["again"]

T = TypeVar("T")

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0


def again(attempt: Callable[[], T], seconds: float) -> T:
    """Give what ``attempt`` gives, trying again while it raises ``ServerUnavailable``, for some seconds."""
    deadline, pause = time.monotonic() + seconds, FIRST_PAUSE_S
    while True:
        try:
            return attempt()
        except ServerUnavailable:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
        time.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE_S)
