"""Workers as processes of their own, forked from one that has everything imported, and what they tell."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

import psutil

from tests.chaos.worker import Duty, Tell, die_with_parent, work

PATIENCE_S = 60.0
STOPPING_S = 5.0
_POLLING = threading.Lock()
"""Starting a process polls all others; of two threads that poll the same one, one finds no status (255)."""
Message = dict[str, Any]


class Hand:
    """One worker's process. ``messages`` is what it has told so far."""

    def __init__(self, process: Any, pipe: Connection) -> None:
        """Listen to a process that has been started."""
        self.process = process
        self.messages: list[Message] = []
        self._pipe = pipe
        self._news = threading.Condition()
        self._closed = False
        threading.Thread(target=self._listen, daemon=True, name="hand").start()

    def _listen(self) -> None:
        while True:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                break
            with self._news:
                self.messages.append(message)
                self._news.notify_all()
        with self._news:
            self._closed = True
            self._news.notify_all()

    def wait_for(self, wanted: Callable[[Message], bool], timeout_s: float = PATIENCE_S) -> Message:
        """The first message that is wanted; ``AssertionError`` where it does not come."""
        found = self.look_for(wanted, timeout_s)
        assert found is not None, f"did not come; it told: {self.messages[-8:]}"
        return found

    def look_for(self, wanted: Callable[[Message], bool], timeout_s: float) -> Message | None:
        """The first message that is wanted, or ``None`` when the time is up or the process has ended."""
        deadline = time.monotonic() + timeout_s
        seen = 0
        with self._news:
            while True:
                for message in self.messages[seen:]:
                    if wanted(message):
                        return message
                seen = len(self.messages)
                left = deadline - time.monotonic()
                if self._closed or left <= 0:
                    return None
                self._news.wait(left)

    def wait_step(self, step: str, count: int = 1) -> Message:
        """Wait until a step that it tells of has been reached."""
        return self.wait_for(lambda m: m["what"] == "step" and m["step"] == step and m["count"] >= count)

    def wait_commits(self, count: int, *, since: float = 0.0, timeout_s: float = PATIENCE_S) -> Message:
        """Wait for the ``count``-th commit with events after the moment ``since``."""
        left = [count]

        def wanted(message: Message) -> bool:
            left[0] -= message["what"] == "committed" and message["events"] > 0 and message["at"] > since
            return left[0] <= 0

        return self.wait_for(wanted, timeout_s)

    def wait_idle(self, quiet_s: float = 1.0) -> None:
        """Wait until it has committed no event for a while."""
        while self.look_for(self._newer_commit(time.monotonic()), quiet_s) is not None:
            pass

    def _newer_commit(self, since: float) -> Callable[[Message], bool]:
        return lambda m: m["what"] == "committed" and m["events"] > 0 and m["at"] > since

    @property
    def notices(self) -> list[str]:
        """What it said to people."""
        return [m["text"] for m in self.messages if m["what"] == "notice"]

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        with _POLLING:
            return bool(self.process.is_alive())

    def signal(self, number: int) -> None:
        """Send it a signal."""
        if self.is_alive:
            os.kill(self.process.pid, number)

    def stop(self) -> None:
        """Freeze it (SIGSTOP)."""
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on (SIGCONT), once it has stopped: it tells of a step before it stops there."""
        deadline = time.monotonic() + STOPPING_S
        with suppress(psutil.NoSuchProcess):
            while psutil.Process(self.process.pid).status() != psutil.STATUS_STOPPED:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.005)
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.signal(signal.SIGKILL)
        self.wait_end()

    def wait_end(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for its end; its exit status, a signal's number negative."""
        wait([self.process.sentinel], timeout_s)
        self.signal(signal.SIGUSR1)  # one that hangs says where
        with _POLLING:
            status = self.process.exitcode
        assert status is not None, f"it did not end; it told: {self.messages[-8:]}"
        return int(status)

    def dismiss(self, timeout_s: float = PATIENCE_S) -> int:
        """End it in order (SIGTERM), once it can; its exit status."""
        self.look_for(lambda m: m["what"] == "begun", timeout_s)
        self.signal(signal.SIGTERM)
        return self.wait_end(timeout_s)


@dataclass
class Crew:
    """Hires workers; none outlives it."""

    hands: list[Hand] = field(default_factory=list)
    _context: Any = field(default_factory=lambda: multiprocessing.get_context("forkserver"))

    def hire(self, duty: Duty) -> Hand:
        """Start a worker."""
        self._context.set_forkserver_preload(["tests.chaos.warm"])
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_run, args=(duty, theirs), daemon=True)
        with _POLLING:
            process.start()
        theirs.close()
        hand = Hand(process, ours)
        self.hands.append(hand)
        return hand

    def end(self) -> None:
        """End all workers at once."""
        for hand in self.hands:
            hand.kill()


@contextmanager
def crew() -> Iterator[Crew]:
    """A crew for the length of a block."""
    hired = Crew()
    try:
        yield hired
    finally:
        hired.end()


def _run(duty: Duty, pipe: Connection) -> None:
    die_with_parent()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # as the command line has it until work has begun
    lock = threading.Lock()

    def send(message: Message) -> None:
        with lock:  # steps of a commit come from a thread of their own
            pipe.send(message)

    tell: Tell = send
    tell({"what": "begun", "at": time.monotonic()})
    status = work(duty, tell)
    pipe.close()
    os._exit(status)  # as a killed one would: no waiting for clients' threads
