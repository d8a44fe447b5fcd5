"""One way to compile a numeric kernel: cached, without the GIL, with plain IEEE arithmetic.

No ``fastmath`` and no parallel reductions: the order of the additions is the order of the source, so the
same build on the same processor family gives the same bits. (A cached kernel is recompiled when its own file
changes, not when a kernel that it calls does: after editing one, delete ``__pycache__/*.nb?``.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

__all__ = ["kernel"]

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile ``function`` with numba; its Python type is kept for the type checker."""
    return cast("F", numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """Compile a small ``function`` into each kernel that calls it.

    A call with arrays costs more than a few operations do.
    """
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")(function)
    return cast("F", compiled)
