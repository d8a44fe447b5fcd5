"""Laws of the merged order: it is a function of the partitions' events, and so is everything made from it."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_seg.engine.merge import Merge, Stretch
from stream_seg.engine.merged import MergedReplay
from stream_seg.engine.plan import Minting, ModelPlan, WarmUp
from stream_seg.engine.records import Origin, encode_labels, encode_transitions
from stream_seg.engine.registry import adoption_record, version_records
from stream_seg.engine.replay import Replay, Step
from stream_seg.engine.version import Rules
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


def replayed(given_: Partitions, found: list[Stretch], plan: ModelPlan = PLAN) -> Said:
    said = Said()
    driver = MergedReplay(
        plan,
        dict.fromkeys(given_, 0),
        instance="x",
        on_step=said.step,
        on_version=lambda minted: said.models.extend(version_records(minted)),
    )
    for stretch in found:
        driver.take(stretch)
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
