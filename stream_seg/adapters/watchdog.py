"""Calls that may never return, made with a time limit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from stream_seg.errors import ServerUnavailable

__all__ = ["Watchdog"]

_T = TypeVar("_T")


class _Call(Generic[_T]):
    """One call and what came of it."""

    def __init__(self, function: Callable[[], _T]) -> None:
        self._function = function
        self._done = threading.Event()
        self._result: _T
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._error = error
        self._done.set()

    def wait(self, timeout_s: float) -> bool:
        return self._done.wait(timeout_s)

    def result(self) -> _T:
        if self._error is not None:
            raise self._error
        return self._result


class Watchdog:
    """Runs calls in a thread of its own, one at a time, and gives up on one that takes too long.

    kafka-python's ``commit_transaction``, ``abort_transaction`` and ``send_offsets_to_transaction`` have no
    time-out, and librdkafka's ``send_offsets_to_transaction`` can hang for ever whatever its time-out
    (librdkafka issue 5511, and seen here after a broker was killed). A call given up on is left behind in its
    thread, which does not keep the process alive; whatever it works with must not be used again.
    """

    def __init__(self, name: str) -> None:
        """Name the thread; it starts with the first call."""
        self._name = name
        self._calls: SimpleQueue[_Call[object] | None] | None = None

    def run(self, function: Callable[[], _T], timeout_s: float, what: str) -> _T:
        """Call ``function``; ``ServerUnavailable`` (``what`` took too long) after ``timeout_s`` seconds."""
        if self._calls is None:
            self._calls = SimpleQueue()
            threading.Thread(target=_serve, args=(self._calls,), name=self._name, daemon=True).start()
        call = _Call(function)
        self._calls.put(call)  # type: ignore[arg-type] # its result is read here only
        if not call.wait(timeout_s):
            self.close()
            raise ServerUnavailable(
                f"{what} took longer than {timeout_s:.3g} s: Kafka does not answer, wait for it"
            )
        return call.result()

    def close(self) -> None:
        """End the thread once the call it is in returns."""
        if self._calls is not None:
            self._calls.put(None)
            self._calls = None


def _serve(calls: SimpleQueue[_Call[object] | None]) -> None:
    while (call := calls.get()) is not None:
        call.run()
