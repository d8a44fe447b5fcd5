"""Laws of the merged order: it is a function of the partitions' events, and so is everything made from it."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_seg.engine.checkpoint import decode_numbers, encode_numbers, encode_rows, restore
from stream_seg.engine.merge import Merge, Stretch
from stream_seg.engine.merged import MergedReplay
from stream_seg.engine.minter import Counted
from stream_seg.engine.plan import Minting, ModelPlan, WarmUp
from stream_seg.engine.records import Origin, encode_labels, encode_transitions
from stream_seg.engine.registry import adoption_record, version_records
from stream_seg.engine.replay import Replay, Step
from stream_seg.engine.version import ModelVersion, Rules
from tests.histories import FEATURES, Event, batch_of, events

PLAN = ModelPlan(
    FEATURES,
    segments=3,
    warm_up=WarmUp(customers=5, events=12),
    minting=Minting(structure_restarts_small=2, seeding_restarts=2, check_events_share=0.5),
)
Partitions = dict[int, list[Event]]


def partitions(most: int = 40) -> st.SearchStrategy[Partitions]:
    return st.lists(events(least=0, most=most), min_size=1, max_size=3).map(
        lambda lists: {
            p: [replace(e, customer=f"{e.customer}{p}") for e in own] for p, own in enumerate(lists)
        }
    )


def heap_order(given_: Partitions) -> list[tuple[int, int]]:
    """(partition, place) by taking the smallest head again and again."""
    heads = [(own[0].time_ms, p, 0) for p, own in given_.items() if own]
    heapq.heapify(heads)
    order = []
    while heads:
        _, p, i = heapq.heappop(heads)
        order.append((p, i))
        if i + 1 < len(given_[p]):
            heapq.heappush(heads, (given_[p][i + 1].time_ms, p, i + 1))
    return order


def stretches(given_: Partitions, data: st.DataObject, tail: int = 5) -> list[Stretch]:
    """Events as they come in any pieces, taken in any pieces."""
    ends = {p: len(own) * 2 + tail for p, own in given_.items()}
    merge, left, found = Merge(ends), dict.fromkeys(given_, 0), []
    while not merge.exhausted:
        stretch = merge.take(data.draw(st.integers(1, 50)))
        if stretch is not None:
            found.append(stretch)
            continue
        p = data.draw(st.sampled_from(sorted(left)))
        begin = left[p]
        count = data.draw(st.integers(1, 30))
        end = min(begin + count, len(given_[p]))
        merge.put(p, batch_of(given_[p][begin:end], begin, end * 2 - 1))
        left[p] = end
        if end == len(given_[p]):
            merge.finish(p)
            del left[p]
    return found


@given(partitions(), st.data())
@settings(max_examples=100, deadline=None)
def test_the_order_is_that_of_the_smallest_heads(given_: Partitions, data: st.DataObject) -> None:
    order: list[tuple[int, int]] = []
    for stretch in stretches(given_, data):
        places = [
            (int(r), p, int(o) // 2)
            for p, b in stretch.batches.items()
            for r, o in zip(stretch.rank[p], b.offset, strict=True)
        ]
        assert sorted(r for r, _, _ in places) == list(range(len(stretch)))
        order += [(p, i) for _, p, i in sorted(places)]
        done = {p: sum(1 for q, _ in order if q == p) for p in given_}
        for p, own in given_.items():
            following = own[done[p]].time_ms if done[p] < len(own) else None
            assert stretch.following[p] == following
            if p in stretch.batches:
                assert stretch.batches[p].next_offset == (
                    done[p] * 2 if done[p] < len(own) else len(own) * 2 + 5
                )
    assert order == heap_order(given_)


@dataclass
class Said:
    """Everything that a replay says, as bytes."""

    labels: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)
    transitions: list[bytes] = field(default_factory=list)
    models: list[tuple[str, bytes]] = field(default_factory=list)

    def step(self, step: Step) -> None:
        origin = Origin("orders", step.state.partition, "replay:x")
        values = encode_labels(step.outcome, origin).values
        rank = range(len(values)) if step.rank is None else step.rank.tolist()
        self.labels.setdefault(step.state.partition, []).extend(zip(rank, values, strict=True))
        self.transitions += encode_transitions(step.outcome, origin, FEATURES).values
        if step.adopted is not None:
            self.models.append(adoption_record(step.state.partition, step.adopted))


def merged_replay(given_: Partitions, plan: ModelPlan, said: Said) -> MergedReplay:
    return MergedReplay(
        plan,
        dict.fromkeys(given_, 0),
        instance="x",
        on_step=said.step,
        on_version=lambda minted: said.models.extend(version_records(minted)),
    )


def gone_on(driver: MergedReplay, given_: Partitions, plan: ModelPlan, said: Said) -> MergedReplay:
    """Another replay that stands where one stands, by way of bytes."""
    current = driver.current
    assert current is not None
    versions = {current.version: ModelVersion.from_json(current.to_json())}
    states = {}
    for p, state in driver.states.items():
        which = state.points()[2]
        blobs = list(zip(which.tolist(), encode_rows(state, which).present(), strict=True))
        numbers = decode_numbers(encode_numbers(state.numbers))
        states[p] = restore(p, FEATURES, numbers, versions[numbers.version], blobs)
    again = merged_replay(given_, plan, said)
    counted = msgspec.msgpack.decode(msgspec.msgpack.encode(driver.minter.counted), type=Counted)
    again.restore(states, versions[current.version], counted)
    return again


def replayed(
    given_: Partitions,
    found: list[Stretch],
    plan: ModelPlan = PLAN,
    interrupted: frozenset[int] = frozenset(),
) -> Said:
    """What a replay says; it is left for another one behind the stretches ``interrupted``."""
    said = Said()
    driver = merged_replay(given_, plan, said)
    for number, stretch in enumerate(found):
        driver.take(stretch)
        if number in interrupted and driver.current is not None:
            driver = gone_on(driver, given_, plan, said)
    driver.end({p: len(own) * 2 + 5 for p, own in given_.items()})
    said.transitions.sort()  # partitions' own order is what topics keep: see the labels
    return said


@given(partitions(), st.sampled_from([None, 5.0]), st.data())
@settings(max_examples=30, deadline=None)
def test_cuts_change_nothing_that_a_replay_says(
    given_: Partitions, forget: float | None, data: st.DataObject
) -> None:
    if not any(given_.values()):
        return
    plan = replace(PLAN, rules=Rules(forget_after_days=forget))
    whole = [Stretch.joined(stretches(given_, data))]
    assert replayed(given_, stretches(given_, data), plan) == replayed(given_, whole, plan)


@given(partitions(), st.sampled_from([None, 5.0]), st.data(), st.frozensets(st.integers(0, 30), min_size=1))
@settings(max_examples=60, deadline=None)
def test_an_interrupted_replay_goes_on_as_if_it_had_not_been(
    given_: Partitions, forget: float | None, data: st.DataObject, interrupted: frozenset[int]
) -> None:
    if not any(given_.values()):
        return
    plan = replace(PLAN, rules=Rules(forget_after_days=forget))
    found = stretches(given_, data)
    whole, again = replayed(given_, found, plan), replayed(given_, found, plan, interrupted)
    for said in (whole, again):  # ranks begin anew with each process
        said.labels = {p: [(0, value) for _, value in own] for p, own in said.labels.items()}
    assert again == whole


@given(events(least=1, most=60), st.sampled_from([None, 5.0]), st.data())
@settings(max_examples=30, deadline=None)
def test_of_one_partition_it_says_what_a_file_s_replay_says(
    own: list[Event], forget: float | None, data: st.DataObject
) -> None:
    plan = replace(PLAN, rules=Rules(forget_after_days=forget))
    merged = replayed({0: own}, stretches({0: own}, data, tail=-1), plan)
    said = Said()
    driver = Replay(
        plan,
        {0: 0},
        instance="x",
        on_step=said.step,
        on_version=lambda minted: said.models.extend(version_records(minted)),
    )
    driver.feed(0, batch_of(own, 0, len(own) * 2 - 1))
    driver.finish()
    assert [value for _, value in merged.labels[0]] == [value for _, value in said.labels[0]]
    assert merged.transitions == sorted(said.transitions)
    versions = [[r for r in run.models if not r[0].startswith("adoption/")] for run in (merged, said)]
    assert versions[0] == versions[1]


@given(partitions(), st.data())
@settings(max_examples=15, deadline=None)
def test_ranks_are_places_in_the_whole_order(given_: Partitions, data: st.DataObject) -> None:
    if not any(given_.values()):
        return
    said = replayed(given_, stretches(given_, data))
    ranks = np.sort(np.concatenate([[r for r, _ in own] for own in said.labels.values()]))
    assert ranks.tolist() == list(range(sum(map(len, given_.values()))))
