"""Laws of the one-process driver: how the history is cut into batches changes nothing that it says."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from stream_seg.engine.minter import Minted
from stream_seg.engine.plan import Minting, ModelPlan, WarmUp
from stream_seg.engine.records import Origin, encode_labels, encode_transitions
from stream_seg.engine.registry import adoption_record, version_records
from stream_seg.engine.replay import Replay, Step
from tests.histories import FEATURES, Event, batch_of, events

PLAN = ModelPlan(
    features=FEATURES,
    segments=3,
    warm_up=WarmUp(customers=4, events=12),
    minting=Minting(structure_restarts_small=2, seeding_restarts=2),
)

MergedOrder = list[tuple[int, Event]]


class Said:
    """Everything a replay says, for each topic in order, as the bytes that would go out."""

    def __init__(self) -> None:
        self.topics: dict[str, list[tuple[str, bytes]]] = {"labels": [], "transitions": [], "models": []}
        self.events = 0

    def step(self, step: Step) -> None:
        origin = Origin("orders", step.state.partition, "replay:r")
        labels = encode_labels(step.outcome, origin).values
        self.events += len(labels)
        self.topics["labels"] += [("", value) for value in labels]
        moves = encode_transitions(step.outcome, origin, FEATURES).values
        self.topics["transitions"] += [("", value) for value in moves]
        if step.adopted is not None:
            self.topics["models"].append(adoption_record(step.state.partition, step.adopted))

    def version(self, minted: Minted) -> None:
        self.topics["models"] += version_records(minted)


def replayed(order: MergedOrder, cuts: set[int], read_ahead: bool) -> Said:  # noqa: FBT001
    """The history in its merged order, cut at ``cuts`` and wherever the partition changes.

    With ``read_ahead`` a batch has read all up to the partition's next event, else up to its own last.
    """
    said = Said()
    partitions = sorted({partition for partition, _ in order}) or [0]
    replay = Replay(
        PLAN, dict.fromkeys(partitions, 0), instance="i", on_step=said.step, on_version=said.version
    )
    taken = dict.fromkeys(partitions, 0)
    pieces = [(place in cuts, partition, event) for place, (partition, event) in enumerate(order)]
    number = 0
    numbered: list[tuple[int, int, Event]] = []
    for cut, partition, event in pieces:
        number += cut or bool(numbered and numbered[-1][1] != partition)
        numbered.append((number, partition, event))
    for (_, partition), group in groupby(numbered, key=lambda piece: piece[:2]):
        piece = [event for _, _, event in group]
        first = taken[partition]
        taken[partition] += len(piece)
        end = 2 * taken[partition] - (0 if read_ahead else 1)
        replay.feed(partition, batch_of(piece, first, end))
    replay.finish()
    assert said.events == len(order)
    return said


@st.composite
def merged_orders(draw: st.DrawFn) -> MergedOrder:
    found = draw(events(least=5, most=80))
    partitions = draw(st.lists(st.integers(0, 1), min_size=len(found), max_size=len(found)))
    several = draw(st.booleans())
    return [(partition if several else 0, event) for partition, event in zip(partitions, found, strict=True)]


@settings(deadline=None, max_examples=40)
@given(merged_orders(), st.sets(st.integers(0, 80), max_size=20), st.booleans())
def test_batches_change_nothing(order: MergedOrder, cuts: set[int], read_ahead: bool) -> None:  # noqa: FBT001
    assert replayed(order, cuts, read_ahead).topics == replayed(order, set(), read_ahead=True).topics


@settings(deadline=None, max_examples=15)
@given(merged_orders())
def test_event_by_event_is_the_same_as_all_at_once(order: MergedOrder) -> None:
    alone = set(range(len(order)))
    assert replayed(order, alone, read_ahead=False).topics == replayed(order, set(), read_ahead=True).topics
