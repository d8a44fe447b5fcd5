"""The memory of a process that holds a population."""

from __future__ import annotations

import ctypes
from typing import Final

__all__ = ["give_memory_back"]

MAPPED_BYTES: Final = 4 << 20
"""An array of so many bytes or more is mapped by itself, and gone once it is freed."""
KEPT_BYTES: Final = 16 << 20
"""Freed memory that is kept at the heap's end: batch after batch needs it again."""
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def give_memory_back() -> None:
    """Have glibc give freed memory back to the system; of another C library nothing is asked.

    By itself it raises both bounds with every large array that is freed, up to 32 and 64 MB: what a pass over
    a million rows needs for a moment would stay, a hundred bytes a customer.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
