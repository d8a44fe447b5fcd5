"""What Kafka or Redis lost or damaged is found and rebuilt: no label too many, none missing, no row wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from stream_seg.adapters.local import LocalServers
from tests.chaos.scenarios import forget
from tests.chaos.verify import verify
from tests.integration.played import BEGINNING, MORE, SHOP, Model, played

Harm = Callable[[Model], object]


@pytest.fixture(scope="module")
def model(servers: LocalServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """A model that has read everything so far, for one test after the other to harm."""
    with played(servers, tmp_path_factory.mktemp("lost")) as one:
        one.send(BEGINNING)
        one.run()
        yield one


def rebuilt(model: Model, harm: Harm) -> list[str]:
    """Harm the model, let a worker go on, and see that everything is as it should be."""
    harm(model)
    said = model.run()
    assert not (found := verify(model.scene.settings)).violations, found
    return said


def flip(model: Model, key: str, field: str | bytes, bit: int) -> None:
    """Flip one bit of what is stored in a hash's field."""
    stored = bytearray(model.redis.hget(key, field))
    place = bit % (8 * len(stored))
    stored[place // 8] ^= 1 << (place % 8)
    model.redis.hset(key, field, bytes(stored))


def a_row(model: Model) -> tuple[str, bytes]:
    """The block and the number of a stored row."""
    block = f"{model.keys.rows(0)}0"
    return block, sorted(model.redis.hkeys(block), key=int)[7]


def leave_staged(model: Model, step: str) -> list[str]:
    """Leave a batch with rows that is staged and not applied; the keys of its pieces."""
    for count in range(1, 9):  # the first ones may be adoptions
        model.send()
        model.kill_at(step, count)
        staged = [model.keys.staged(p) for p in range(SHOP.partitions)]
        if pieces := [key for key in staged if model.redis.hexists(key, "0")]:
            return pieces
    raise AssertionError("no batch had rows")


def damage_what_is_staged(model: Model) -> None:
    for key in leave_staged(model, "after_commit"):
        model.redis.hset(key, "0", b"\xc1")  # no MessagePack begins so


DAMAGE: dict[str, Harm] = {
    "a bit of a row": lambda m: flip(m, *a_row(m), 301),
    "a bit of a customer's id": lambda m: flip(m, *a_row(m), -3),
    "a row is gone": lambda m: m.redis.hdel(*a_row(m)),
    "a row's number": lambda m: m.redis.hset(a_row(m)[0], "x7", b"?"),
    "a block of rows is gone": lambda m: m.redis.delete(a_row(m)[0]),
    "a bit of the numbers": lambda m: flip(m, m.keys.position(0), "numbers", 222),
    "the position's offset": lambda m: m.redis.hset(m.keys.position(0), "next_offset", 1),
    "what is staged": damage_what_is_staged,
}


@pytest.mark.parametrize("harm", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found_and_the_partition_rebuilt(model: Model, harm: Harm) -> None:
    said = rebuilt(model, harm)
    assert any("damaged" in text or "missing" in text for text in said), said


def test_a_partition_whose_position_is_gone_is_rebuilt(model: Model) -> None:
    said = rebuilt(model, lambda m: m.redis.delete(m.keys.position(1)))
    assert any("had lost data of partition 1" in text for text in said)


def expire_and_forget(model: Model) -> None:
    model.expire()
    forget(model.scene)


def expire_with_a_committed_batch_staged(model: Model) -> None:
    leave_staged(model, "after_commit")
    model.expire()


def expire_with_an_uncommitted_batch_staged(model: Model) -> None:
    leave_staged(model, "after_stage")
    model.expire()


def expire_with_an_adoption_staged(model: Model) -> None:
    """The first thing a worker commits after another's end is the version that was minted last."""
    model.send(4 * MORE)
    model.kill_at("after_mint", 1)
    model.kill_at("after_commit", 1)
    staged = model.redis.hmget(model.keys.pending(0), "start_offset", "end_offset")
    assert staged[0] is not None
    assert staged[0] == staged[1]
    model.expire()


EXPIRED: dict[str, Harm] = {
    "all is stored": Model.expire,
    "a committed batch is staged": expire_with_a_committed_batch_staged,
    "a committed adoption is staged": expire_with_an_adoption_staged,
    "a batch is staged that was not committed": expire_with_an_uncommitted_batch_staged,
    "Redis has lost everything too": expire_and_forget,
}


@pytest.mark.parametrize("harm", EXPIRED.values(), ids=EXPIRED)
def test_the_last_label_stands_in_for_an_offset_that_has_expired(model: Model, harm: Harm) -> None:
    said = rebuilt(model, harm)
    assert sum("its last label stands in for it" in text for text in said) == SHOP.partitions, said
