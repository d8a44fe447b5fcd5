"""What is done to Redis while workers run: flushed, killed, set back to old files."""

from __future__ import annotations

import signal
import time
from dataclasses import replace

from tests.chaos.crew import Hand
from tests.chaos.orders import BROKEN, DAY_MS, START_MS, Order, Shop
from tests.chaos.scenarios import COUNT, SMALL
from tests.chaos.theatre import Theatre
from tests.chaos.verify import Verdict, verify
from tests.chaos.worker import Duty, Halt

CROWD = Shop(customers=700, partitions=2, days=4)
PATIENCE_S = 30.0


def flushed_while_running(theatre: Theatre) -> Verdict:
    """Redis forgets everything, twice, while two workers share the partitions."""
    redis = theatre.own_redis()
    shop = replace(SMALL, partitions=4)
    scene = theatre.scene(shop.orders(COUNT), partitions=4, redis_url=redis.url)
    hands = [theatre.crew.hire(Duty(scene.config)) for _ in range(2)]
    for hand in hands:
        hand.wait_commits(1)
    for first in (COUNT, COUNT + 40):
        flushed = time.monotonic()
        redis.flush()
        theatre.send(scene, replace(shop, first=first).orders(40))
        for hand in hands:
            _wait_restored(hand, flushed)
    return theatre.drain(scene, hands)


def flushed_in_warm_up(theatre: Theatre) -> Verdict:
    """Redis forgets everything while dead letters have been committed, but no event yet."""
    redis = theatre.own_redis()
    broken = [Order(p, b"c1", BROKEN, START_MS) for p in range(2) for _ in range(3)]
    scene = theatre.scene([*broken, *SMALL.orders(5)], redis_url=redis.url)
    hand = theatre.crew.hire(Duty(scene.config, tells=frozenset({"after_apply"})))
    hand.wait_step("after_apply")
    redis.flush()
    theatre.send(scene, replace(SMALL, first=5).orders(COUNT))
    return theatre.drain(scene, [hand])


def killed_with_aof(theatre: Theatre) -> Verdict:
    """Redis is killed and started again with its append-only file, again and again."""
    redis = theatre.own_redis()
    scene = theatre.scene(SMALL.orders(COUNT), redis_url=redis.url)
    hand = theatre.crew.hire(Duty(scene.config))
    for first in (0, COUNT, COUNT + 60):
        since = time.monotonic()
        if first:
            theatre.send(scene, replace(SMALL, first=first).orders(60))
        hand.wait_commits(1, since=since)
        redis.kill()
        redis.start()
    return theatre.drain(scene, [hand])


def one_adoption_lost(theatre: Theatre) -> Verdict:
    """Redis is set back so far that it lacks one adoption that Kafka has, and nothing else."""
    redis = theatre.own_redis()
    scene = theatre.scene(SMALL.orders(COUNT), redis_url=redis.url)
    minted = ("after_mint", 3)
    halts = (Halt(*minted, signal.SIGSTOP), Halt("after_apply", 1, signal.SIGSTOP, after=minted))
    hand = theatre.crew.hire(Duty(scene.config, halts=halts))
    hand.wait_step("after_mint")
    before = redis.copy()
    hand.go_on()
    hand.wait_step("after_apply")
    back = time.monotonic()
    redis.set_back(before)
    hand.go_on()
    _wait_restored(hand, back)
    return theatre.drain(scene, [hand])


def set_back_while_idle(theatre: Theatre) -> Verdict:
    """Redis is set back when no event comes any more; the worker finds out by itself."""
    redis = theatre.own_redis()
    scene = theatre.scene(SMALL.orders(COUNT), redis_url=redis.url)
    theatre.catch_up(scene)
    before = redis.copy()
    hand = theatre.crew.hire(Duty(scene.config))
    theatre.send(scene, replace(SMALL, first=COUNT).orders(40))
    hand.wait_commits(1)
    hand.wait_idle()
    back = time.monotonic()
    redis.set_back(before)
    _wait_restored(hand, back)
    status = hand.dismiss()
    verdict = verify(scene.settings)  # nobody else has mended anything
    verdict.expect(status == 0, f"the worker ended with status {status}")
    return verdict


def set_back_into_an_apply(theatre: Theatre) -> Verdict:
    """Redis is set back to the middle of applying a batch, while Kafka has gone on."""
    redis = theatre.own_redis()
    scene = theatre.scene(CROWD.everyone(), redis_url=redis.url, warm_up_customers=650)
    halt = Halt("within_apply", 1, signal.SIGSTOP)
    hand = theatre.crew.hire(Duty(scene.config, halts=(halt,)))
    hand.wait_step("within_apply")
    middle = redis.copy()
    hand.go_on()
    theatre.send(scene, CROWD.orders(400))
    hand.wait_commits(3, since=time.monotonic())
    back = time.monotonic()
    redis.set_back(middle)
    _wait_restored(hand, back)
    return theatre.drain(scene, [hand])


def killed_while_rebuilding(theatre: Theatre) -> Verdict:
    """Redis forgets everything, and one worker after the other is killed while it rebuilds."""
    redis = theatre.own_redis()
    scene = theatre.scene(SMALL.orders(COUNT), redis_url=redis.url)
    theatre.catch_up(scene)
    redis.flush()
    for step in ("after_discard", "after_restage"):
        hand = theatre.crew.hire(Duty(scene.config, halts=(Halt(step),)))
        assert hand.wait_end() == -signal.SIGKILL, hand.messages[-5:]
    theatre.send(scene, replace(SMALL, first=COUNT).orders(40))
    return theatre.finish(scene)


def forgotten_after_expiry(theatre: Theatre) -> Verdict:
    """The days go by without an order: passes forget customers, whose keys go, also after a set-back."""
    redis = theatre.own_redis()
    scene = theatre.scene(SMALL.orders(COUNT), redis_url=redis.url)
    theatre.catch_up(scene)
    before = redis.copy()
    hand = theatre.crew.hire(Duty(scene.config))
    shop = Shop(seed=2, customers=30, partitions=2, days=6)
    later = [order for order in shop.orders(COUNT) if order.value != BROKEN]
    theatre.send(scene, [_moved(order, 20 * DAY_MS) for order in later])
    hand.wait_commits(1)
    hand.wait_idle()
    back = time.monotonic()
    redis.set_back(before)
    _wait_restored(hand, back)
    return theatre.drain(scene, [hand])


def _moved(order: Order, ahead_ms: int) -> Order:
    """An order, later."""
    text = order.value.replace(b'"at": %d' % order.time_ms, b'"at": %d' % (order.time_ms + ahead_ms))
    return Order(order.partition, order.key, text, order.time_ms + ahead_ms)


def _wait_restored(hand: Hand, since: float) -> None:
    """Wait until a worker has found out that Redis has lost data, and has put it back."""
    hand.wait_for(
        lambda m: bool(m["what"] == "notice" and "lost data" in m["text"] and m["at"] > since), PATIENCE_S
    )
    hand.wait_idle()
