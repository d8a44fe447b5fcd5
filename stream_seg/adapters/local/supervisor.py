"""Runs one server and ends it when the process that asked for it is gone, however that one died.

Run by path, not imported: ``python supervisor.py [--remove DIR] -- COMMAND…``. Standard library only, because
it starts without site-packages to be quick.

Standard input is a pipe whose other end only the asking process holds. A line on it names a signal for the
server (``TERM``, ``KILL``, ``STOP``, ``CONT``) and is answered on standard output when the signal is sent;
its end means that the asking process is gone. The first line on standard output is the server's process id.
The exit status is the server's (128 + n if signal n ended it).
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1
TICK_SECONDS = 1.0
GRACE_SECONDS = 10.0


def kill_with_parent() -> Callable[[], None] | None:
    """Return what a child runs before exec so that Linux kills it should this supervisor be killed."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wake_pipe() -> int:
    """Return a descriptor that becomes readable with every SIGCHLD and every request to end."""
    read_end, write_end = os.pipe()
    for end in (read_end, write_end):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(write_end)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return read_end


class Supervisor:
    """One server, the pipe to its owner, and the folder to remove with an orphan (or none)."""

    def __init__(self, command: list[str], remove: Path | None) -> None:
        """Start the server and tell its process id."""
        self.owner = os.getppid()
        self.remove = remove
        self.ending = False
        self.wake = wake_pipe()
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            signal.signal(getattr(signal, name), self.on_end)
        self.server = subprocess.Popen(  # noqa: S603 - the command comes from our own adapter
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            stderr=sys.stderr,
            preexec_fn=kill_with_parent(),  # noqa: PLW1509 - this process has one thread
        )
        self.say(str(self.server.pid))

    def on_end(self, *_: object) -> None:
        """Note that this supervisor itself was asked to end."""
        self.ending = True

    def say(self, line: str) -> None:
        """Write one line to the owner; an owner that is gone shows at the other pipe."""
        try:
            os.write(1, f"{line}\n".encode())
        except BrokenPipeError:
            self.ending = True

    def run(self) -> int:
        """Pass signals on until the server ends or the owner is gone; return the exit status."""
        while self.server.poll() is None:
            ready, _, _ = select.select([0, self.wake], [], [], TICK_SECONDS)
            if self.wake in ready:
                os.read(self.wake, 4096)
            if 0 in ready:
                self.obey(os.read(0, 4096))
            # A child that the owner forked may still hold the pipe open: so look at the parent as well.
            if self.ending or os.getppid() != self.owner:
                self.end_orphan()
        status = self.server.returncode
        return status if status >= 0 else 128 - status

    def obey(self, request: bytes) -> None:
        """Send the named signals; no bytes at all mean that the owner is gone."""
        if not request:
            self.ending = True
        for name in request.decode().split():
            self.server.send_signal(getattr(signal, f"SIG{name}"))
            self.say(name)

    def end_orphan(self) -> None:
        """End a server that nobody owns any more, cleanly where its data is kept."""
        self.server.send_signal(signal.SIGCONT)
        if self.remove is None:
            self.server.terminate()
            try:
                self.server.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self.server.kill()
        else:
            self.server.kill()
        self.server.wait()
        if self.remove is not None:
            shutil.rmtree(self.remove, ignore_errors=True)
            try:
                self.remove.parent.rmdir()
            except OSError:
                return  # the other server's folder is still in it; its supervisor removes both


def main(arguments: list[str]) -> int:
    """Run the command after ``--``."""
    split = arguments.index("--")
    options, command = arguments[:split], arguments[split + 1 :]
    remove = Path(options[1]) if options[:1] == ["--remove"] else None
    return Supervisor(command, remove).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
