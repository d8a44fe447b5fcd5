"""How far a partition's labels have gone out, read through either client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from stream_seg.adapters.outputs import FIRST_WINDOW, LastLabels
from stream_seg.engine.ports import Emitted
from stream_seg.errors import StateError
from tests.contract.kafka_worlds import CLIENTS, World, joined, kafka_world


@pytest.fixture(params=CLIENTS)
def world(
    request: pytest.FixtureRequest, bootstrap_servers: str, fresh_name: Callable[[str], str]
) -> Iterator[World]:
    with kafka_world(bootstrap_servers, request.param, fresh_name) as opened:
        yield opened


def label(offset: int, version: int = 1) -> bytes:
    return json.dumps(
        {"source": {"topic": "in", "partition": 0, "offset": offset}, "model_version": version}
    ).encode()


def test_the_last_label_of_a_partition(world: World) -> None:
    topic = world.topic(2)
    labels = LastLabels(world.client, topic)
    assert labels.last(0) is None
    world.produce(topic, 0, [label(3), label(7, 2)])
    world.produce(topic, 1, [label(40)])
    assert labels.last(0) == Emitted(8, 2)
    assert labels.last(1) == Emitted(41, 1)


def test_labels_of_an_aborted_transaction_have_not_gone_out(world: World) -> None:
    topic = world.topic()
    world.produce(topic, 0, [label(3)])
    world.abort(topic, 0, [label(offset) for offset in range(4, 4 + 2 * FIRST_WINDOW)])
    assert LastLabels(world.client, topic).last(0) == Emitted(4, 1)


def test_a_label_sent_again_does_not_hide_later_ones(world: World) -> None:
    topic = world.topic()
    world.produce(topic, 0, [label(3), label(4), label(5), label(3)])
    assert LastLabels(world.client, topic).last(0) == Emitted(6, 1)


def test_a_record_that_is_no_label_is_somebody_elses(world: World) -> None:
    topic = world.topic()
    world.produce(topic, 0, [b"hello"])
    with pytest.raises(StateError, match="holds a record that is no label"):
        LastLabels(world.client, topic).last(0)


def test_members_of_a_group_are_counted(world: World) -> None:
    topic, group = world.topic(2), world.fresh("group")
    assert world.client.topics.members(group) == 0
    source = world.source(topic, group)
    joined(source, 2)
    assert world.client.topics.members(group) == 1
    with pytest.raises(StateError, match="still has members"):
        world.client.topics.delete_group(group)
