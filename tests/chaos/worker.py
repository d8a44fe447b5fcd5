"""A live worker that stops or kills itself at a named step of the protocol.

``python -m tests.chaos.worker --config stream-seg.toml --kill-at after_stage:3`` runs one from the shell;
:mod:`tests.chaos.crew` forks many from a process that has everything imported.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consumers.live import live_worker, stopped_by_signals
from stream_seg.engine.edges import Progress
from stream_seg.engine.minter import Minted
from stream_seg.engine.partition import Work
from stream_seg.errors import StreamSegError
from stream_seg.settings import load_settings
from tests.chaos.mutants import connecting

Tell = Callable[[dict[str, Any]], None]
_PR_SET_PDEATHSIG = 1
BESIDE_S = 10.0


@dataclass(frozen=True)
class Halt:
    """Send ``signal`` to oneself when ``step`` is reached for the ``count``-th time.

    With ``after`` counting begins when that step has been reached for the so-manieth time; with ``beside``
    it waits until another thread has reached that step.
    """

    step: str
    count: int = 1
    signal: int = signal.SIGKILL
    after: tuple[str, int] | None = None
    beside: str = ""


@dataclass(frozen=True)
class Duty:
    """What a worker is to do; ``tells`` names steps it reports each time."""

    config: Path
    halts: tuple[Halt, ...] = ()
    tells: frozenset[str] = frozenset()
    until_end: bool = False
    wait_s: float = 30.0
    mutant: str = ""


@dataclass
class Steps:
    """Counts the steps of the protocol, tells of those asked for, and halts where that is due."""

    duty: Duty
    tell: Tell
    seen: Counter[str] = field(default_factory=Counter)
    before: dict[Halt, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, step: str) -> None:
        """Take note of a step, in whatever thread it happens."""
        with self.lock:
            self.seen[step] += 1
            count = self.seen[step]
            for halt in self.duty.halts:
                if halt.after == (step, count):
                    self.before[halt] = self.seen[halt.step]
        halts = [h for h in self.duty.halts if h.step == step and self._is_due(h, count)]
        deadline = time.monotonic() + BESIDE_S
        while any(h.beside and not self.seen[h.beside] for h in halts) and time.monotonic() < deadline:
            time.sleep(0.001)
        if halts or step in self.duty.tells:
            self.tell({"what": "step", "step": step, "count": count})
        for halt in halts:
            os.kill(os.getpid(), halt.signal)

    def _is_due(self, halt: Halt, count: int) -> bool:
        if halt.after is None:
            return count == halt.count
        return halt in self.before and count == self.before[halt] + halt.count


@dataclass
class Witness:
    """An ``Observer`` that tells everything."""

    tell: Tell

    def notice(self, text: str) -> None:
        """Tell a sentence."""
        self.tell({"what": "notice", "text": text})

    def committed(self, progress: Progress, work: list[Work]) -> None:
        """Tell what was committed."""
        events = sum(0 if w.outcome.events is None else len(w.outcome.events) for w in work)
        self.tell(
            {"what": "committed", "events": events, "total": progress.events, "version": progress.version}
        )

    def minted(self, minted: Minted) -> None:
        """Tell of a version."""
        self.tell({"what": "minted", "version": minted.version.version})


def work(duty: Duty, tell: Tell) -> int:
    """Run a worker until it is told to stop, has reached the end, or halts itself; the exit status."""

    def stamped(message: dict[str, Any]) -> None:
        tell({**message, "at": time.monotonic()})

    settings = load_settings(duty.config, environ={})
    steps = Steps(duty, stamped)
    signal.signal(signal.SIGTERM, _interrupt)  # as the command line does it
    faulthandler.register(signal.SIGUSR1)  # a worker that hangs can be asked where
    try:
        with (
            live_worker(
                settings,
                Witness(stamped),
                until_end=duty.until_end,
                wait_s=duty.wait_s,
                hook=steps,
                connecting=connecting(duty.mutant),
            ) as worker,
            stopped_by_signals(worker.stop),
        ):
            stamped({"what": "running"})
            worker.run()
            stamped({"what": "drained"})
    except StreamSegError as error:
        stamped({"what": "error", "kind": type(error).__name__, "text": str(error)})
        return error.exit_status
    except KeyboardInterrupt:
        return 0
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def die_with_parent() -> None:
    """Have the kernel end this process, stopped or not, when its parent ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(arguments: Sequence[str]) -> int:
    """Run one from the shell; it tells in lines of JSON on standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    for name in ("stop", "kill"):
        parser.add_argument(f"--{name}-at", action="append", default=[], metavar="STEP[:N]")
    parser.add_argument("--tell", action="append", default=[], metavar="STEP")
    parser.add_argument("--until-end", action="store_true")
    parser.add_argument("--mutant", default="")
    given = parser.parse_args(arguments)
    halts = [_halt(text, signal.SIGSTOP) for text in given.stop_at]
    halts += [_halt(text, signal.SIGKILL) for text in given.kill_at]
    duty = Duty(
        given.config, tuple(halts), frozenset(given.tell), until_end=given.until_end, mutant=given.mutant
    )
    return work(duty, lambda message: print(json.dumps(message), flush=True))  # noqa: T201 - that is what it does


def _halt(text: str, number: int) -> Halt:
    step, _, count = text.partition(":")
    return Halt(step, int(count or 1), number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
