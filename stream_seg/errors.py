"""Every error stream-seg raises on purpose, with the exit status the command line gives it.

    StreamSegError
    ├── UsageError                  2  wrong usage
    │   └── ConfigurationError      2  every problem of a configuration at once
    ├── NotFoundError               1  an unknown customer, model or run
    ├── ServerError                 3  a server cannot be reached or refuses us
    │   ├── ServerUnavailable       3  it does not answer (waiting may help)
    │   ├── ServerRefused           3  it answers, and says no
    │   └── ServersUnavailable      3  our own test servers cannot be had on this machine
    ├── StateError                  4  stored state and topic disagree; a person must decide
    │   └── DamagedState            4  stored bytes are not what was written; a take-over rebuilds them
    ├── OwnershipLost               –  another worker owns the partition now; take over again and look
    └── DecodeError                 –  one record that cannot be an event; goes to the dead letters

A message is one sentence and says what to do next; it never holds a secret or a customer id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

__all__ = [
    "ConfigurationError",
    "DamagedState",
    "DecodeError",
    "NotFoundError",
    "OwnershipLost",
    "ServerError",
    "ServerRefused",
    "ServerUnavailable",
    "ServersUnavailable",
    "StateError",
    "StreamSegError",
    "UsageError",
]


class StreamSegError(Exception):
    """Base of all errors raised on purpose; ``exit_status`` is the command line's."""

    exit_status: ClassVar[int] = 1


class UsageError(StreamSegError):
    """Wrong usage: an argument or a combination of arguments that cannot be served."""

    exit_status = 2


class ConfigurationError(UsageError):
    """A configuration with one or more problems, all of them named."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep every problem, one sentence each."""
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class NotFoundError(StreamSegError):
    """Something asked for by name is not there."""

    exit_status = 1


class ServerError(StreamSegError):
    """A server cannot be reached or refuses us."""

    exit_status = 3


class ServerUnavailable(ServerError):
    """A server does not answer; it may come back."""


class ServerRefused(ServerError):
    """A server answers and says no: wrong credentials, missing rights, a setting that loses data."""


class ServersUnavailable(ServerError):
    """The local Kafka or Redis cannot be had on this machine."""


class StateError(StreamSegError):
    """Stored state and topic disagree, and a person must decide."""

    exit_status = 4


class DamagedState(StateError):
    """Stored bytes are not what was written: a checksum fails, or a part is missing.

    A worker that takes the partition over rebuilds it from a snapshot or the topic.
    """


class OwnershipLost(StreamSegError):
    """The partition has another owner now: drop its state and take it over again before going on."""


class DecodeError(StreamSegError):
    """One record cannot be an event.

    ``stage`` is where it failed (``key``, ``json``, ``event``, ``time``), ``path`` the field concerned or
    ``""``, ``reason`` one sentence without the value.
    """

    def __init__(self, stage: str, path: str, reason: str) -> None:
        """Keep the three parts; the position is added by who knows it."""
        self.stage, self.path, self.reason = stage, path, reason
        super().__init__(f"{path}: {reason}" if path else reason)
