"""What is done to workers, step by step, and always the same: the deterministic part of chaos."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from stream_seg.adapters.redis import RedisStore
from tests.chaos.orders import Shop
from tests.chaos.scene import Scene
from tests.chaos.theatre import Theatre
from tests.chaos.verify import Verdict
from tests.chaos.worker import Duty, Halt

SMALL = Shop(customers=80, partitions=2, days=6)
COUNT = 160


def killed(
    theatre: Theatre, step: str, count: int = 3, *, shop: Shop = SMALL, orders: int = COUNT
) -> Verdict:
    """A worker kills itself at a step; the next one does the rest."""
    scene = theatre.scene(shop.orders(orders), partitions=shop.partitions)
    first = theatre.crew.hire(Duty(scene.config, halts=(Halt(step, count),)))
    assert first.wait_end() == -signal.SIGKILL, first.messages[-5:]
    return theatre.finish(scene)


def killed_in_apply(theatre: Theatre) -> Verdict:
    """A worker kills itself between two pieces of a batch that it applies."""
    shop = Shop(customers=700, partitions=2, days=4)
    scene = theatre.scene([*shop.everyone(), *shop.orders(100)], warm_up_customers=650)
    first = theatre.crew.hire(Duty(scene.config, halts=(Halt("within_apply", 1),)))
    assert first.wait_end() == -signal.SIGKILL, first.messages[-5:]
    return theatre.finish(scene)


def killed_one_after_the_other(theatre: Theatre, steps: Sequence[str]) -> Verdict:
    """Worker after worker kills itself, each at its step, the first one deep in its work."""
    scene = theatre.scene(SMALL.orders(COUNT))
    for step, count in zip(steps, (3, *(1 for _ in steps[1:])), strict=True):
        hand = theatre.crew.hire(Duty(scene.config, halts=(Halt(step, count),)))
        assert hand.wait_end() == -signal.SIGKILL, (step, hand.messages[-5:])
    return theatre.finish(scene)


def zombie(theatre: Theatre, step: str, count: int = 3) -> Verdict:
    """A worker stops at a step for longer than its session, and goes on when another has done its work."""
    early, late = SMALL.orders(COUNT), replace(SMALL, first=COUNT).orders(60)
    scene = theatre.scene(early)
    first = theatre.crew.hire(Duty(scene.config, halts=(Halt(step, count, signal.SIGSTOP),)))
    first.wait_step(step, count)
    second = theatre.crew.hire(Duty(scene.config, tells=frozenset({"after_settle"})))
    second.wait_step("after_settle", SMALL.partitions)  # a version can be minted when no event is left
    second.wait_idle()
    first.go_on()
    theatre.send(scene, late)
    return theatre.drain(scene, [second, first])


def zombie_within_apply(theatre: Theatre) -> Verdict:
    """A worker stops between two pieces of a batch that it applies; another applies the rest."""
    shop = Shop(customers=700, partitions=2, days=4)
    scene = theatre.scene(shop.everyone(), warm_up_customers=650)
    first = theatre.crew.hire(Duty(scene.config, halts=(Halt("within_apply", 1, signal.SIGSTOP),)))
    first.wait_step("within_apply")
    second = theatre.crew.hire(Duty(scene.config, tells=frozenset({"after_settle"})))
    second.wait_step("after_settle", 2)
    first.go_on()
    theatre.send(scene, shop.orders(100))
    return theatre.drain(scene, [second, first])


def open_transaction_of_the_forgotten(theatre: Theatre, mutant: str = "") -> Verdict:
    """A worker stops before it ends a transaction; Redis forgets who it was; it goes on after the take-over.

    Nobody can fence it then: only waiting for the stable offset keeps its labels from coming twice.
    """
    scene = theatre.scene(SMALL.orders(COUNT), transaction_timeout_ms=30_000)
    theatre.catch_up(scene)  # so that the next transaction holds events
    theatre.send(scene, replace(SMALL, first=COUNT).orders(60))
    first = theatre.crew.hire(Duty(scene.config, halts=(Halt("after_send_offsets", 1, signal.SIGSTOP),)))
    first.wait_step("after_send_offsets")
    forget(scene)
    second = theatre.crew.hire(Duty(scene.config, tells=frozenset({"after_fence"}), mutant=mutant))
    second.wait_step("after_fence")
    second.look_for(_committed_events, 15.0 if mutant else 2.0)  # one that does not wait goes on here
    first.go_on()
    second.wait_commits(1)
    return theatre.drain(scene, [first, second])


def zombie_of_the_forgotten(theatre: Theatre, mutant: str = "") -> Verdict:
    """A worker stops before a transaction; Redis forgets who it was, so nobody fences it; it goes on.

    Only the generation in its group metadata keeps its labels out: what it sends is staged already, and
    nothing is open that the next owner would wait for. It has time enough to be committed.
    """
    scene = theatre.scene(SMALL.orders(COUNT), transaction_timeout_ms=30_000)
    theatre.catch_up(scene)
    theatre.send(scene, replace(SMALL, first=COUNT).orders(60))
    halt = Halt("before_send", 1, signal.SIGSTOP, beside="after_stage")
    first = theatre.crew.hire(Duty(scene.config, halts=(halt,), mutant=mutant))
    first.wait_step("before_send")
    forget(scene)
    second = theatre.crew.hire(Duty(scene.config))
    second.wait_commits(1)
    second.wait_idle()
    first.go_on()
    theatre.send(scene, replace(SMALL, first=COUNT + 60).orders(30))
    return theatre.drain(scene, [first, second])


def found_in(scenario: Callable[[Theatre], Verdict], tries: int = 4) -> Callable[[Theatre], Verdict]:
    """A scenario with a planted bug, played until it shows: the step it stops at may hold no event."""

    def play(theatre: Theatre) -> Verdict:
        for _ in range(tries - 1):
            verdict = scenario(theatre)
            if verdict.violations:
                return verdict
        return scenario(theatre)

    return play


def forget(scene: Scene) -> None:
    """Have Redis lose everything of the model."""
    store = RedisStore.connect(scene.redis_url, scene.model)
    try:
        assert store.reset()
    finally:
        store.close()


def _committed_events(message: dict[str, Any]) -> bool:
    return bool(message["what"] == "committed" and message["events"])
