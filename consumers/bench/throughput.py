"""Contenders over one topic, one after the other, round after round: so that ratios mean something."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from consumers.bench.copying import copy
from consumers.bench.living import live
from consumers.bench.naive import naive
from consumers.bench.processes import apart

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.bench.figures import Run
    from consumers.bench.stand import Client, Stand
    from consumers.bench.workload import Workload

__all__ = ["NAIVE", "Contender", "contenders", "copy_name", "live_name", "throughput"]

NAIVE: Final = "naive loop"
NAIVE_SHARE: Final = 20
"""The naive loop takes a twentieth of the events: it is that slow."""
_COPIES: Final = {
    "copy": (False, False),
    "copy in transactions": (True, False),
    "copy in transactions, and Redis": (True, True),
}


class Contender(NamedTuple):
    """Somebody who reads events of the topic: its name, what it does, and how many it takes."""

    name: str
    work: Callable[[Stand, str, int], Run]
    events: int


def copy_name(client: Client, what: str) -> str:
    """A copier's name in the results; ``what`` is a key of ``_COPIES``."""
    return f"{client}: {what}"


def live_name(client: Client, mode: str) -> str:
    """A worker's name in the results."""
    return f"{client}: stream-seg live, {mode.replace('_', ' ')}"


def contenders(clients: list[Client], events: int) -> list[Contender]:
    """Everybody, the reference before what is compared with it."""
    found = []
    for client in clients:
        for what, (transactions, hashes) in _COPIES.items():
            work = partial(copy, client=client, transactions=transactions, hashes=hashes)
            found.append(Contender(copy_name(client, what), work, events))
        found += [
            Contender(live_name(client, mode), partial(live, client=client, mode=mode), events)
            for mode in ("at_least_once", "exactly_once")
        ]
    found.append(Contender(NAIVE, naive, max(1, events // NAIVE_SHARE)))
    return found


def throughput(
    stand: Stand, workload: Workload, rounds: int, tell: Callable[[str], None]
) -> dict[str, list[Run]]:
    """Every contender's runs over the workload's events, a run a round; ``tell`` hears of each."""
    everybody = contenders(stand.clients, workload.events)
    found: dict[str, list[Run]] = {contender.name: [] for contender in everybody}
    with stand.topic(workload.partitions) as topic:
        tell(f"{workload.kind}: {workload.events:,} events go to a topic")
        stand.feed(workload, topic)
        for number in range(rounds):
            for contender in everybody:
                run = apart(contender.work, stand, topic, contender.events)
                found[contender.name].append(run)
                head = f"{workload.kind}, round {number + 1} of {rounds}"
                tell(f"{head}: {contender.name}: {run.rate:,.0f} events/s")
    return found
