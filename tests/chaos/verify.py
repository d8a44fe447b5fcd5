"""Whether Kafka and Redis tell the same, right story, once everything has been committed and applied.

Everything is read back with clients of its own and derived again from the input topic and the recorded
adoptions. ``python -m tests.chaos.verify stream-seg.toml`` looks at a model that is there.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis

from stream_seg.adapters.redis import RedisStore
from stream_seg.engine.registry import Registry
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.records import Decoded
from stream_seg.settings import Settings, load_settings
from tests.chaos.derive import Derived, derive
from tests.chaos.read import Reader, raw


@dataclass
class Verdict:
    """What was found; ``violations`` holds a sentence for each kind of thing that is wrong."""

    accepted: int = 0
    rejected: int = 0
    labels: int = 0
    transitions: int = 0
    versions: int = 0
    adoptions: int = 0
    customers: int = 0
    missing: int = 0
    doubled: int = 0
    wrong: int = 0
    violations: list[str] = field(default_factory=list)

    def expect(self, fine: object, sentence: str) -> None:
        """Note a violation unless ``fine``."""
        if not fine:
            self.violations.append(sentence)

    def __str__(self) -> str:
        """One line for people, and one for each violation."""
        counts = (
            f"{self.accepted} events, {self.labels} labels, {self.transitions} transitions, {self.rejected} "
            f"dead letters, {self.versions} versions, {self.adoptions} adoptions, "
            f"{self.customers} customers; {self.missing} missing, {self.doubled} doubled, {self.wrong} wrong"
        )
        return "\n".join([counts, *self.violations])


def verify(
    settings: Settings, *, allow_unread: bool = False, lost: Mapping[int, Sequence[Any]] | None = None
) -> Verdict:
    """Compare what a model's topics and keys hold with what they should.

    With ``allow_unread`` events that no label was committed for yet may stand at the end of a partition.
    ``lost`` are records that the input topic does not hold any more.
    """
    model, topic, partitions = settings.model.name, settings.topic, _partitions(settings)
    names = {part: f"{model}.{part}" for part in ("labels", "transitions", "dead-letters")}
    with closing(Reader(settings.kafka.bootstrap_servers, settings.group)) as reader:
        ends = reader.committed(topic, partitions)
        read = reader.topics(
            {topic: partitions, f"{model}.models": 1, **dict.fromkeys(names.values(), partitions)}
        )
    verdict, registry = Verdict(), Registry()
    models = read[f"{model}.models"][0]
    registry.take((r.key.decode(), r.value) for r in models)
    decoder = JsonDecoder(settings.event, settings.features)
    inputs = {}
    for p, held in read[topic].items():
        rows = [*(lost or {}).get(p, ()), *held]
        taken = [r for r in rows if r.offset < (ends[p] or 0)] if allow_unread else rows
        inputs[p] = decoder.decode(raw(taken, single=partitions == 1, end=ends[p] or 0))
    derived = derive(settings.features, topic, registry, inputs)
    verdict.versions, verdict.adoptions = len(registry.versions), len(registry.adoptions)
    verdict.accepted = sum(len(d.offsets) for d in derived.values())
    _versions(verdict, models, partitions)
    for p, one in derived.items():
        labels = [r.value for r in read[names["labels"]][p]]
        transitions = [r.value for r in read[names["transitions"]][p]]
        _labels(verdict, p, one, labels)
        _transitions(verdict, p, one, transitions)
        _chain(verdict, p, labels, transitions)
    _dead_letters(verdict, read[names["dead-letters"]], inputs)
    _redis(verdict, settings, registry, derived, ends)
    return verdict


def _partitions(settings: Settings) -> int:
    with Redis.from_url(settings.redis.url, decode_responses=True) as client:
        return int(client.hget(f"seg:{settings.model.name}:meta", "partitions") or 0)


def _versions(verdict: Verdict, models: Iterable[Any], partitions: int) -> None:
    """No version or adoption was ever committed twice: an old owner cannot mint."""
    models = list(models)
    keys = Counter(r.key.decode() for r in models)
    for key, count in keys.items():
        both = [r for r in models if r.key.decode() == key]
        alike = "alike" if len({r.value for r in both}) == 1 else "different"
        verdict.expect(
            count == 1, f"{key} was committed {count} times, {alike}, at {[r.offset for r in both]}"
        )
    numbers = sorted(int(key.partition("/")[2]) for key in keys if key.startswith("version/"))
    verdict.expect(numbers == list(range(1, len(numbers) + 1)), f"versions are not 1, 2, 3, …: {numbers}")
    lineages = sum(key.startswith("lineage/") for key in keys)
    verdict.expect(lineages == len(numbers), f"{len(numbers)} versions have {lineages} lineage records")
    beyond = [key for key in keys if key.startswith("adoption/") and int(key.split("/")[1]) >= partitions]
    verdict.expect(not beyond, f"adoptions of partitions that do not exist: {beyond}")


def _labels(verdict: Verdict, partition: int, derived: Derived, recorded: list[bytes]) -> None:
    verdict.labels += len(recorded)
    offsets = Counter(json.loads(value)["source"]["offset"] for value in recorded)
    expected = set(derived.offsets)
    missing, strange = expected - set(offsets), set(offsets) - expected
    doubled = sum(count - 1 for count in offsets.values())
    verdict.missing += len(missing)
    verdict.doubled += doubled
    where = f"partition {partition}"
    verdict.expect(
        not missing, f"{where}: {len(missing)} events without label, the first at {min(missing, default=0)}"
    )
    verdict.expect(not doubled, f"{where}: {doubled} labels too many")
    verdict.expect(not strange, f"{where}: {len(strange)} labels of records that are no events")
    if missing or doubled or strange:
        return
    wrong = [(a, b) for a, b in zip(recorded, derived.labels, strict=False) if a != b]
    verdict.wrong += len(wrong)
    verdict.expect(not wrong, f"{where}: {len(wrong)} labels differ, the first: {wrong[:1]}")
    verdict.expect(
        len(recorded) == len(derived.labels),
        f"{where}: {len(recorded)} labels, derived {len(derived.labels)}",
    )


def _transitions(verdict: Verdict, partition: int, derived: Derived, recorded: list[bytes]) -> None:
    verdict.transitions += len(recorded)
    if recorded == derived.transitions:
        return
    too_many, too_few = Counter(recorded), Counter(derived.transitions)
    too_many, too_few = too_many - too_few, too_few - too_many
    verdict.wrong += max(too_many.total(), too_few.total())
    verdict.expect(
        False,
        f"partition {partition}: of {len(recorded)} transitions {too_many.total()} should not be there, "
        f"{too_few.total()} are not: {[*too_many][:1]} {[*too_few][:1]}",
    )


def _chain(verdict: Verdict, partition: int, labels: list[bytes], transitions: list[bytes]) -> None:
    """Every label's ``previous_segment`` is where its customer was after all that came before."""
    # A pass or an adoption with next unread offset n comes before the event at n; behaviour repeats a label.
    moves = [json.loads(value) for value in transitions]
    story = [
        (m["source"]["offset"], 0, m["customer_id"], m["from"], m["to"])
        for m in moves
        if m["cause"] != "behaviour"
    ]
    for value in labels:
        label = json.loads(value)
        customer, before, after = label["customer_id"], label["previous_segment"], label["segment"]
        story.append((label["source"]["offset"], 1, customer, before, after))
    segment: dict[str, int | None] = {}
    broken = 0
    for _, _, customer, before, after in sorted(story, key=lambda entry: entry[:2]):
        broken += segment.get(customer) != before
        segment[customer] = after
    verdict.expect(not broken, f"partition {partition}: {broken} breaks in the chain of previous segments")


def _dead_letters(verdict: Verdict, read: dict[int, list[Any]], inputs: dict[int, Decoded]) -> None:
    for p, records in read.items():
        offsets = Counter(int(dict(r.headers)["offset"]) for r in records)
        expected = Counter(one.offset for one in inputs[p].rejected)
        verdict.rejected += offsets.total()
        verdict.expect(
            offsets == expected,
            f"partition {p}: {offsets.total()} dead letters for {expected.total()} records that are none",
        )


def _redis(
    verdict: Verdict,
    settings: Settings,
    registry: Registry,
    derived: dict[int, Derived],
    ends: dict[int, int | None],
) -> None:
    model = settings.model.name
    shown: dict[str, dict[str, str]] = {}
    store = RedisStore.connect(settings.redis.url, model)
    try:
        for p, one in derived.items():
            _rows(verdict, store, registry, one, ends[p])
    finally:
        store.close()
    for one in derived.values():
        for row in one.rows(registry):
            shown[row.customer] = dict(zip(row.fields[::2], row.fields[1::2], strict=True))
    with Redis.from_url(settings.redis.url, decode_responses=True) as client:
        _public(verdict, client, model, shown)
        newest = 0 if registry.newest is None else registry.newest.version
        current = client.get(f"seg:{model}:model:current")
        verdict.expect(current == str(newest), f"Redis shows version {current}, the newest is {newest}")


def _rows(
    verdict: Verdict, store: RedisStore, registry: Registry, derived: Derived, committed: int | None
) -> None:
    partition = derived.state.partition
    where = f"partition {partition}"
    pending = store.pending(partition)
    verdict.expect(pending is None, f"{where}: a batch is still pending: {pending}")
    stored = store.load(partition)
    if stored is None:
        verdict.expect(not derived.offsets, f"{where}: nothing is stored")
        return
    expected = {row.row: row.blob for row in derived.rows(registry)}
    found = dict(stored.rows)
    differ = [row for row in expected.keys() & found.keys() if expected[row] != found[row]]
    verdict.wrong += len(differ)
    verdict.expect(
        not differ, f"{where}: {len(differ)} of {len(expected)} rows differ from those derived again"
    )
    verdict.expect(
        expected.keys() == found.keys(),
        f"{where}: {len(found.keys() - expected.keys())} rows too many, "
        f"{len(expected.keys() - found.keys())} missing",
    )
    position = stored.numbers.position
    verdict.expect(
        position.next_offset == committed, f"{where}: stored at {position.next_offset}, committed {committed}"
    )
    ours, theirs = _comparable(stored.numbers), _comparable(derived.state.numbers)
    verdict.expect(ours == theirs, f"{where}: numbers differ: {ours} against {theirs}")


def _comparable(numbers: Any) -> dict[str, Any]:
    """Partition numbers that depend on the history alone: batch cuts show in the position."""
    return {name: getattr(numbers, name) for name in numbers.__struct_fields__ if name != "position"}


def _public(verdict: Verdict, client: Any, model: str, expected: dict[str, dict[str, str]]) -> None:
    prefix = f"seg:{model}:c:"
    keys = list(client.scan_iter(f"{prefix}*", count=1000))
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.hgetall(key)
    found = {key.removeprefix(prefix): fields for key, fields in zip(keys, pipeline.execute(), strict=True)}
    verdict.customers = len(found)
    verdict.expect(
        found.keys() == expected.keys(),
        f"{len(found.keys() - expected.keys())} public customers too many, "
        f"{len(expected.keys() - found.keys())} missing",
    )
    differ = [c for c in found.keys() & expected.keys() if found[c] != expected[c]]
    verdict.wrong += len(differ)
    example = f"{found[differ[0]]} against {expected[differ[0]]}" if differ else ""
    verdict.expect(not differ, f"{len(differ)} public customers differ from what they should be: {example}")
    counted = Counter(fields["segment"] for fields in found.values())
    sizes = {s: int(size) for s, size in client.zrange(f"seg:{model}:segments", 0, -1, withscores=True)}
    nonzero = {segment: size for segment, size in sizes.items() if size}
    verdict.expect(nonzero == dict(counted), f"segment sizes are {nonzero}, customers count {dict(counted)}")
    for segment, size in sizes.items():
        field_ = client.hget(f"seg:{model}:s:{segment}", "size")
        verdict.expect(
            field_ == str(size), f"segment {segment} has size {field_} in its hash and {size} in the set"
        )


if __name__ == "__main__":
    found = verify(load_settings(Path(sys.argv[1])))
    print(found)  # noqa: T201 - a program of its own
    sys.exit(bool(found.violations))
