"""The threads of a process that computes while it waits for servers."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["switching"]

SWITCH_S: Final = 0.0002
"""How long a thread that has a server's answer waits for one that computes (Python: 5 ms)."""


@contextmanager
def switching() -> Iterator[None]:
    """Have threads take turns every ``SWITCH_S`` (docs/decisions/0023)."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
