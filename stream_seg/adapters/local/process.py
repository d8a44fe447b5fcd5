"""One server process with its supervisor: start, stop, kill, pause, resume, on the same port and data."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Final

from stream_seg.adapters.local import supervisor
from stream_seg.adapters.local.settings import HOST
from stream_seg.errors import ServerUnavailable, StreamSegError

__all__ = ["LocalServer", "PortTaken", "Program", "free_port"]

POLL_SECONDS: Final = 0.03
STOP_SECONDS: Final = 20.0
LOG_LINES: Final = 15
# Below the range that systems take outgoing connections' ports from: so a port stays free while its server
# is down.
PORT_RANGE: Final = range(15_000, 32_000)
TAKEN: Final = "address already in use"


class PortTaken(ServerUnavailable):
    """Somebody else took the port between the choice and the start."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and how to tell that it serves.

    ``is_ready`` is given the server's process id and asks the server itself by its protocol; it returns
    ``False`` or raises :class:`OSError` while there is no answer. ``removable`` is the folder to remove if
    the server is orphaned, ``None`` where data is kept.
    """

    name: str
    command: Sequence[str]
    port: int
    log: Path
    is_ready: Callable[[int], bool]
    ready_seconds: float
    removable: Path | None = None


def free_port(preferred: int | None = None) -> int:
    """Return a port of this machine that nothing listens on, ``preferred`` if it is one."""
    candidates = SystemRandom().sample(PORT_RANGE, 100)
    for port in [preferred, *candidates] if preferred else candidates:
        with socket.socket() as probe:
            # As servers do: a port whose old connections merely linger can be listened on.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise StreamSegError(
        f"no free port on {HOST} between {PORT_RANGE.start} and {PORT_RANGE.stop}: stop some servers first"
    )


class LocalServer:
    """A server of ours that can be taken away and brought back."""

    def __init__(self, program: Program) -> None:
        """Describe the server; :meth:`start` or :meth:`launch` runs it."""
        self._program = program
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None

    @property
    def name(self) -> str:
        """The server's name for people."""
        return self._program.name

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{HOST}:{self._program.port}"

    @property
    def port(self) -> int:
        """The port it listens on, the same after every start."""
        return self._program.port

    @property
    def log(self) -> Path:
        """The file it writes its log to, in its own folder."""
        return self._program.log

    @property
    def pid(self) -> int | None:
        """The server's process id, ``None`` while it is down."""
        return self._pid if self.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether its process exists (a paused one does)."""
        return self._supervisor is not None and self._supervisor.poll() is None

    def start(self) -> None:
        """Start it and wait until it serves; nothing happens if it runs already.

        Raises :class:`~stream_seg.errors.ServerUnavailable` with the end of its log if it does not come up.
        """
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Start its process without waiting until it serves."""
        if self.is_running:
            return
        self._gone(STOP_SECONDS)  # lets go of one that ended by itself
        program = self._program
        program.log.parent.mkdir(parents=True, exist_ok=True)
        remove = ["--remove", str(program.removable)] if program.removable else []
        with program.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own supervisor and the server's own command
                [sys.executable, "-I", "-S", supervisor.__file__, *remove, "--", *program.command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # a terminal's Ctrl-C reaches us first, and we end it in order
            )
        self._supervisor = process
        self._pid = int(self._answer() or -1)

    def wait_ready(self) -> None:
        """Wait until it serves; see :meth:`start`."""
        deadline = time.monotonic() + self._program.ready_seconds
        while self._supervisor is not None and time.monotonic() < deadline:
            if not self.is_running:
                raise self._failure("ended at once")
            with suppress(OSError):  # not listening yet
                if self._program.is_ready(self._pid or -1) and self.is_running:
                    return
            time.sleep(POLL_SECONDS)
        self.kill()
        raise self._failure(f"did not answer within {self._program.ready_seconds:.0f} s")

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End it in order (SIGTERM), by force after ``seconds``; nothing happens if it is down."""
        self._signal("CONT", "TERM")
        if not self._gone(seconds):
            self.kill()

    def kill(self) -> None:
        """End it by force (SIGKILL) and return when it is gone."""
        self._signal("KILL")
        if not self._gone(STOP_SECONDS):
            raise StreamSegError(f"{self.name} (process {self._pid}) outlives SIGKILL: look at it with ps")

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and get no answers."""
        self._signal("STOP")

    def resume(self) -> None:
        """Let a frozen server go on (SIGCONT)."""
        self._signal("CONT")

    def log_tail(self, lines: int = LOG_LINES) -> str:
        """Return the last lines the server wrote."""
        try:
            text = self._program.log.read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _signal(self, *names: str) -> None:
        """Have the supervisor send signals, and wait until they are sent."""
        process = self._supervisor
        if process is None or process.stdin is None:
            return
        for name in names:
            try:
                process.stdin.write(f"{name}\n".encode())
                process.stdin.flush()
            except BrokenPipeError:
                return  # the server and its supervisor have ended
            self._answer()

    def _answer(self) -> bytes:
        """Read one line of the supervisor, empty if it has ended."""
        process = self._supervisor
        return process.stdout.readline() if process is not None and process.stdout is not None else b""

    def _gone(self, seconds: float) -> bool:
        """Wait for the end, and say whether it came."""
        process = self._supervisor
        if process is None:
            return True
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # a signal that came too late may still be in the buffer
                    pipe.close()
        self._supervisor = None
        return True

    def _failure(self, what: str) -> ServerUnavailable:
        """Make the error for a server that did not come up."""
        tail = self.log_tail()
        self._gone(STOP_SECONDS)
        kind = PortTaken if TAKEN in tail.lower() else ServerUnavailable
        return kind(f"the local {self.name} at {self.address} {what}; it last wrote:\n{tail or '(nothing)'}")
