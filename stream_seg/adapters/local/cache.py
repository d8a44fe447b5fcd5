"""The folder where downloads and prepared files are kept from one start to the next."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream_seg.errors import ServersUnavailable, UsageError

__all__ = ["cache_folder", "exclusive", "locked"]


def cache_folder() -> Path:
    """Return this user's cache folder of stream-seg, made if it was not there.

    ``XDG_CACHE_HOME`` counts where it is set. Raises :class:`~stream_seg.errors.ServersUnavailable` if it
    cannot be made.
    """
    home = os.environ.get("XDG_CACHE_HOME")
    if home:
        base = Path(home)
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path.home() / ".cache"
    folder = base / "stream-seg"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServersUnavailable(
            f"the local servers keep Kafka in {folder}, which cannot be made: set XDG_CACHE_HOME"
        ) from error
    return folder


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock of ``file`` against other processes, waiting for it; it ends with this process."""
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold ``folder`` alone; raises :class:`~stream_seg.errors.UsageError` if another process has it."""
    with (folder / "lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"{folder} is in use by other local servers: stop them, or name another folder"
            ) from error
        yield
