"""Seeing others at work: how long their calls take, and what comes of them."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Call", "Watched", "timed"]


class Call(NamedTuple):
    """One call: processor time of its thread and wall time in seconds, and the ``size`` of its arguments."""

    cpu: float
    wall: float
    size: int


@contextmanager
def timed(owner: object, name: str, size: Callable[..., int] = lambda *_, **__: 0) -> Iterator[list[Call]]:
    """Every call of ``name``, of a class or a module, meanwhile; ``size`` is taken before each.

    For a process that does nothing else.
    """
    plain, calls = getattr(owner, name), list[Call]()

    @wraps(plain)
    def watched(*args: object, **named: object) -> object:
        before = size(*args, **named)
        cpu, wall = time.thread_time(), time.perf_counter()
        try:
            return plain(*args, **named)
        finally:
            calls.append(Call(time.thread_time() - cpu, time.perf_counter() - wall, before))

    setattr(owner, name, watched)
    try:
        yield calls
    finally:
        setattr(owner, name, plain)


class Watched:
    """Somebody who is seen at work: after each call of ``name``, ``told`` hears what came of it."""

    def __init__(self, who: object, name: str, told: Callable[[Any], None]) -> None:
        """Everything but ``name`` is left as it is."""
        self._who, self._name, self._told = who, name, told

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - everything that it has
        """What ``who`` has of that name."""
        found = getattr(self._who, name)
        if name != self._name:
            return found

        def call(*args: object, **named: object) -> object:
            result = found(*args, **named)
            self._told(result)
            return result

        return call
