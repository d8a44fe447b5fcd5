"""What is done to workers, step by step, and always the same: the deterministic part of chaos."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stream_seg.adapters.redis import RedisStore
from tests.chaos.crew import Crew, Hand
from tests.chaos.orders import Order, Shop, send
from tests.chaos.scene import Scene
from tests.chaos.verify import Verdict, verify
from tests.chaos.worker import Duty, Halt

SMALL = Shop(customers=80, partitions=2, days=12)
COUNT = 240
SESSION_S = 3.0


@dataclass(frozen=True)
class Theatre:
    """Servers, a folder, and workers to hire; ``name`` makes names that nobody else has."""

    crew: Crew
    folder: Path
    bootstrap_servers: str
    redis_url: str
    name: Callable[[str], str]

    def scene(self, orders: Sequence[Order], *, partitions: int = SMALL.partitions, **options: Any) -> Scene:
        """A model of its own, its topic filled with ``orders``."""
        name = self.name("chaos")
        given = {"bootstrap_servers": self.bootstrap_servers, "redis_url": self.redis_url, **options}
        scene = Scene(self.folder, name, f"{name}-orders", **given)
        scene.create(partitions)
        send(scene.bootstrap_servers, scene.topic, orders)
        return scene

    def finish(self, scene: Scene) -> Verdict:
        """Have a worker do what is left, and judge."""
        hand = self.crew.hire(Duty(scene.config, until_end=True))
        assert hand.wait_end() == 0, hand.messages[-5:]
        return verify(scene.settings)


def killed(theatre: Theatre, step: str, count: int = 3, *, shop: Shop = SMALL, orders: int = COUNT) -> Verdict:
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
    second = theatre.crew.hire(Duty(scene.config))
    second.wait_commits(1)
    second.wait_idle()
    first.go_on()
    send(scene.bootstrap_servers, scene.topic, late)
    return _drained(theatre, scene, [second, first])


def zombie_within_apply(theatre: Theatre) -> Verdict:
    """A worker stops between two pieces of a batch that it applies; another applies the rest."""
    shop = Shop(customers=700, partitions=2, days=4)
    scene = theatre.scene(shop.everyone(), warm_up_customers=650)
    first = theatre.crew.hire(Duty(scene.config, halts=(Halt("within_apply", 1, signal.SIGSTOP),)))
    first.wait_step("within_apply")
    second = theatre.crew.hire(Duty(scene.config, tells=frozenset({"after_settle"})))
    second.wait_step("after_settle", 2)
    first.go_on()
    send(scene.bootstrap_servers, scene.topic, shop.orders(100))
    return _drained(theatre, scene, [second, first])


def open_transaction_of_the_forgotten(theatre: Theatre, mutant: str = "") -> Verdict:
    """A worker stops before it ends a transaction; Redis forgets who it was; it goes on after the take-over.

    Nobody can fence it then: only waiting for the stable offset keeps its labels from coming twice.
    """
    scene = theatre.scene(SMALL.orders(COUNT), transaction_timeout_ms=30_000)
    first = theatre.crew.hire(Duty(scene.config, halts=(Halt("after_send_offsets", 5, signal.SIGSTOP),)))
    first.wait_step("after_send_offsets", 5)
    forget(scene)
    second = theatre.crew.hire(Duty(scene.config, tells=frozenset({"after_fence"}), mutant=mutant))
    second.wait_step("after_fence")
    second.look_for(_committed_events, 2.0)  # one that does not wait goes on here
    first.go_on()
    second.wait_commits(1)
    return _drained(theatre, scene, [first, second])


def zombie_with_a_new_producer(theatre: Theatre, mutant: str = "") -> Verdict:
    """A worker stops before its first transaction, so that its producer, begun later, is fenced by nobody.

    Only the generation in its group metadata keeps its labels out.
    """
    scene = theatre.scene(SMALL.orders(COUNT))
    assert not theatre.finish(scene).violations
    send(scene.bootstrap_servers, scene.topic, replace(SMALL, first=COUNT).orders(60))
    halt = Halt("after_stage", 1, signal.SIGSTOP)
    first = theatre.crew.hire(Duty(scene.config, halts=(halt,), mutant=mutant))
    first.wait_step("after_stage")
    second = theatre.crew.hire(Duty(scene.config))
    second.wait_commits(1)
    second.wait_idle()
    first.go_on()
    send(scene.bootstrap_servers, scene.topic, replace(SMALL, first=COUNT + 60).orders(30))
    return _drained(theatre, scene, [first, second])


def forget(scene: Scene) -> None:
    """Have Redis lose everything of the model."""
    store = RedisStore.connect(scene.redis_url, scene.model)
    try:
        assert store.reset()
    finally:
        store.close()


def _committed_events(message: dict[str, Any]) -> bool:
    return bool(message["what"] == "committed" and message["events"])


def _drained(theatre: Theatre, scene: Scene, hands: Sequence[Hand]) -> Verdict:
    """Have a worker do what is left, while those that are there go in order, and judge."""
    hands[0].wait_idle()
    for hand in hands:
        assert hand.dismiss() == 0, hand.messages[-5:]
    return theatre.finish(scene)
