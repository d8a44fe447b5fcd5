"""What happens to the group: workers come and go, partitions stay empty or get everything, offsets expire."""

from __future__ import annotations

import time
from dataclasses import replace

from kafka.admin import KafkaAdminClient

from tests.chaos.crew import Hand
from tests.chaos.orders import Shop, cut, send_in_transactions
from tests.chaos.scenarios import COUNT, SMALL, forget
from tests.chaos.theatre import Theatre
from tests.chaos.verify import Verdict
from tests.chaos.worker import Duty

WIDE = replace(SMALL, partitions=4)
EAGER = 'partition_assignment_strategy = "range"'


def coming_and_going(theatre: Theatre, options: str = "") -> Verdict:
    """Workers join one another over four partitions and leave again, while orders come."""
    scene = theatre.scene(WIDE.orders(COUNT), partitions=4, kafka_options=options)
    first = theatre.crew.hire(Duty(scene.config))
    first.wait_commits(1)
    second = theatre.crew.hire(Duty(scene.config, tells=frozenset({"after_settle"})))
    second.wait_step("after_settle")  # or the first might have taken all that comes
    theatre.send(scene, replace(WIDE, first=COUNT).orders(60))
    second.wait_commits(1)
    since = time.monotonic()
    status = first.dismiss()
    theatre.send(scene, replace(WIDE, first=COUNT + 60).orders(60))
    second.wait_commits(1, since=since)
    third = theatre.crew.hire(Duty(scene.config, tells=frozenset({"after_settle"})))
    third.wait_step("after_settle")
    theatre.send(scene, replace(WIDE, first=COUNT + 120).orders(60))
    third.wait_commits(1)
    verdict = theatre.drain(scene, [third, second])
    verdict.expect(status == 0, f"the first worker ended with status {status}")
    return verdict


def joined_in_warm_up(theatre: Theatre) -> Verdict:
    """A second worker comes when the first one has read ahead; warm-up ends with both."""
    scene = theatre.scene(WIDE.orders(30), partitions=4, warm_up_customers=60, warm_up_idle_s=60.0)
    first = theatre.crew.hire(Duty(scene.config, tells=frozenset({"after_settle"})))
    first.wait_step("after_settle", 4)
    second = theatre.crew.hire(Duty(scene.config, tells=frozenset({"after_settle"})))
    second.wait_step("after_settle", 2)
    theatre.send(scene, Shop(seed=3, customers=80, partitions=4, days=2).everyone())
    for hand in (first, second):
        hand.wait_commits(1)
    theatre.send(scene, replace(WIDE, first=COUNT).orders(COUNT))
    return theatre.drain(scene, [first, second])


def transactions_in_the_input(theatre: Theatre) -> Verdict:
    """Orders come in transactions, some aborted, the last one too: the end is reached all the same."""
    scene = theatre.scene([])
    parts = list(cut(SMALL.orders(COUNT), 8))
    abort = [False, True, False, False, True, False, False, True]
    send_in_transactions(scene.bootstrap_servers, scene.topic, parts, abort=abort)
    verdict = theatre.finish(scene)
    verdict.expect(
        0 < verdict.accepted < COUNT, f"{verdict.accepted} events of {COUNT} records are committed"
    )
    return verdict


def all_on_one_partition(theatre: Theatre) -> Verdict:
    """One partition gets every order; the others adopt, report and never hold anything up."""
    scene = theatre.scene(replace(SMALL, partitions=1).orders(COUNT), partitions=3)
    hands = [theatre.crew.hire(Duty(scene.config)) for _ in range(2)]
    _first_of(hands)
    verdict = theatre.drain(scene, hands)
    verdict.expect(
        verdict.adoptions >= 3 * (verdict.versions - 1),
        f"{verdict.adoptions} adoptions of {verdict.versions} versions",
    )
    return verdict


def expired_offsets(theatre: Theatre, *, flushed: bool = False) -> Verdict:
    """The group's offsets are gone, as after seven days without members; Redis too, if asked for."""
    scene = theatre.scene(SMALL.orders(COUNT))
    theatre.catch_up(scene)
    if flushed:
        forget(scene)
    admin = KafkaAdminClient(bootstrap_servers=scene.bootstrap_servers)
    try:
        admin.delete_groups([scene.settings.group])
    finally:
        admin.close()
    theatre.send(scene, replace(SMALL, first=COUNT).orders(60))
    return theatre.finish(scene)


def _first_of(hands: list[Hand]) -> None:
    """Wait until any of them has committed events."""
    deadline = time.monotonic() + 60.0
    while not any(m["what"] == "committed" and m["events"] for hand in hands for m in hand.messages):
        assert time.monotonic() < deadline, [hand.messages[-2:] for hand in hands]
        hands[0].look_for(lambda m: bool(m["what"] == "committed" and m["events"]), 0.2)
