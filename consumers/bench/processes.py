"""Contenders run in processes of their own, so that none inherits another's heap, threads or caches."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from threading import Event

__all__ = ["Clock", "apart", "beside"]

P = ParamSpec("P")
T = TypeVar("T")
LIMIT_S: Final = 3600.0
_SPAWN: Final = multiprocessing.get_context("spawn")


def apart(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do ``work`` in a new process and return its result; what it raises is raised here."""
    with ProcessPoolExecutor(max_workers=1, mp_context=_SPAWN) as pool:
        return pool.submit(work, *args, **kwargs).result(LIMIT_S)


@contextmanager
def beside(work: Callable[..., T], *args: object) -> Iterator[tuple[Future[T], Event]]:
    """Do ``work(*args, stop)`` in a new process meanwhile; its event ``stop`` is set at the end."""
    with _SPAWN.Manager() as manager, ProcessPoolExecutor(max_workers=1, mp_context=_SPAWN) as pool:
        stop = manager.Event()
        future = pool.submit(work, *args, stop)
        try:
            yield future, stop
        finally:
            stop.set()


class Clock:
    """Wall and processor time from ``start`` to ``stop``; starting again does nothing."""

    def __init__(self) -> None:
        """Not started yet."""
        self._began: tuple[float, float] | None = None
        self.seconds = self.cpu_s = 0.0

    def start(self) -> None:
        """Begin, the first time."""
        if self._began is None:
            self._began = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """Note the time since the start."""
        if self._began is not None:
            self.seconds, self.cpu_s = (
                time.perf_counter() - self._began[0],
                time.process_time() - self._began[1],
            )
