"""What a replay of a topic takes: offsets and event times, fixed when it begins and kept to go on with."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from consumers.plan import plan_of
from consumers.replay.bounds import Bounds
from consumers.replay.options import EventTime
from stream_seg.engine.derive import recorded_adoptions
from stream_seg.engine.history import Reading
from stream_seg.engine.moments import moment
from stream_seg.errors import NotFoundError, StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from consumers.replay.options import ReplayOptions
    from stream_seg.engine.history import History
    from stream_seg.engine.outcome import Adoption
    from stream_seg.engine.registry import Registry
    from stream_seg.events.decoder import JsonDecoder
    from stream_seg.events.records import Decoded
    from stream_seg.settings import Settings

__all__ = ["EXTENT", "Extent", "extent_as_recorded", "extent_of", "read_extent", "same_question"]

EXTENT: Final = "replay"
"""The field of ``seg:<m>:meta`` that holds it."""


class Extent(msgspec.Struct, frozen=True):
    """``spans`` are each partition's first offset and the one it ends at.

    ``from_ms`` and ``to_ms`` event times; ``adopted`` the newest version of each partition that an
    as-recorded replay follows (``None``: it mints for itself); ``question`` names what was asked, and with
    which settings.
    """

    spans: dict[int, tuple[int, int]]
    from_ms: int | None
    to_ms: int | None
    adopted: dict[int, int] | None
    question: str

    @property
    def bounds(self) -> Bounds:
        """The event times taken (as recorded: written)."""
        return Bounds(self.from_ms, self.to_ms)

    @property
    def ends(self) -> dict[int, int]:
        """Where each partition ends."""
        return {p: end for p, (_, end) in self.spans.items()}

    @property
    def records(self) -> int:
        """How many offsets there are to read."""
        return sum(end - begin for begin, end in self.spans.values())

    def adoptions(self, registry: Registry) -> dict[int, list[Adoption]]:
        """The adoptions that an as-recorded replay follows."""
        newest = self.adopted or {}
        return {
            p: [a for a in recorded_adoptions(registry, p, end) if a.version.version <= newest[p]]
            for p, (_, end) in self.spans.items()
        }

    def text(self) -> str:
        """Give it as it is stored."""
        return msgspec.json.encode(self).decode()


def read_extent(text: str) -> Extent:
    """Read a stored one back."""
    try:
        return msgspec.json.decode(text, type=Extent)
    except msgspec.DecodeError as error:
        raise StateError(f"what the replay takes cannot be read ({error}): give --fresh") from error


def same_question(settings: Settings, options: ReplayOptions) -> str:
    """16 hexadecimal digits that name what is asked: a replay goes on only with the same."""
    asked = (
        settings.topic,
        settings.model_hash,
        options.from_,
        options.to,
        options.as_recorded,
        options.emit,
    )
    own = "" if options.as_recorded else repr(plan_of(settings))
    return hashlib.sha256(f"{asked!r}{own}".encode()).hexdigest()[:16]


def extent_of(settings: Settings, options: ReplayOptions, history: History, decoder: JsonDecoder) -> Extent:
    """What a replay that mints for itself takes: all that the topic holds now, inside the bounds.

    Raises ``UsageError`` for an empty range, and for a topic that no longer reaches back, unless a gap is
    allowed.
    """
    everyone = list(range(history.partitions))
    begins, ends = history.begins(everyone), history.ends(everyone)
    spans = {p: (begins[p], ends[p]) for p in everyone}
    bounds = _bounds(options, history, decoder, spans)
    if not options.allow_gap:
        _check_reach(history, decoder, spans, bounds)
    return Extent(spans, bounds.from_ms, bounds.to_ms, None, same_question(settings, options))


def extent_as_recorded(
    settings: Settings,
    options: ReplayOptions,
    history: History,
    decoder: JsonDecoder,
    registry: Registry,
    committed: Mapping[int, int | None],
) -> Extent:
    """What a replay as recorded takes: each partition from its first adoption to live's committed offset."""
    begins = history.begins(list(range(history.partitions)))
    spans: dict[int, tuple[int, int]] = {}
    adopted: dict[int, int] = {}
    for p, end in committed.items():
        adoptions = [] if end is None else recorded_adoptions(registry, p, end)
        if end is None or not adoptions:
            continue
        first = adoptions[0].next_offset
        if begins[p] > first:
            raise UsageError(
                f"live's labels of partition {p} begin at offset {first}, and topic {history.topic} at "
                f"{begins[p]}: what retention has deleted cannot be derived again; leave --as-recorded out"
            )
        spans[p], adopted[p] = (first, end), adoptions[-1].version.version
    if not spans:
        raise NotFoundError(
            f"model {settings.model.name} has labelled nothing yet: there is nothing recorded to follow"
        )
    bounds = _bounds(options, history, decoder, spans)
    return Extent(spans, bounds.from_ms, bounds.to_ms, adopted, same_question(settings, options))


def _bounds(
    options: ReplayOptions, history: History, decoder: JsonDecoder, spans: Mapping[int, tuple[int, int]]
) -> Bounds:
    """The event times asked for; durations count back from the newest event, which is then looked for."""
    asked = [time for time in (options.from_, options.to) if time is not None]
    if any(time.at_ms is None for time in asked):
        newest = max(
            (int(d.events.time_ms.max()) for d in _decoded(history, decoder, spans) if len(d.events)),
            default=None,
        )
        if newest is None:
            raise UsageError(
                f"topic {history.topic} has no usable event from which --from and --to could count back."
            )
        options = replace(options, from_=_resolved(options.from_, newest), to=_resolved(options.to, newest))
    return Bounds.of(options, ())


def _resolved(time: EventTime | None, newest_ms: int) -> EventTime | None:
    return None if time is None else EventTime(at_ms=time.resolved_ms(newest_ms))


def _decoded(
    history: History, decoder: JsonDecoder, spans: Mapping[int, tuple[int, int]]
) -> Iterator[Decoded]:
    reading = Reading(history, spans)
    while reading.left:
        for fetched in reading.poll():
            yield decoder.decode(fetched.records)


def _check_reach(
    history: History, decoder: JsonDecoder, spans: Mapping[int, tuple[int, int]], bounds: Bounds
) -> None:
    """``UsageError`` where what is asked for has been deleted from the front of a partition."""
    firsts = []
    for p, (begin, end) in spans.items():
        if begin == 0:
            continue
        decoded = _decoded(history, decoder, {p: (begin, end)})
        firsts += [next((int(d.events.time_ms[0]) for d in decoded if len(d.events)), None)]
    begins = max((first for first in firsts if first is not None), default=None)
    if not firsts or (begins is not None and bounds.from_ms is not None and bounds.from_ms >= begins):
        return
    asked = "the beginning" if bounds.from_ms is None else _day(bounds.from_ms)
    now = "empty by now" if begins is None else f"beginning at {_day(begins)}"
    raise UsageError(
        f"Asked from {asked}, and topic {history.topic} is {now}, the rest having been deleted: give a later "
        "--from, or --allow-gap to replay what is left."
    )


def _day(time_ms: int) -> str:
    text = moment(time_ms)
    return text[:10] if text.endswith("T00:00:00.000Z") else text
