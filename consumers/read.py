"""``stream-seg lookup``, ``segments``, ``status`` and ``explain``: what Redis says, for people or as JSON."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from consumers.explanation import explain as explained
from consumers.shown import print_customer, print_customers, print_explanation, print_segments, print_status
from consumers.standing import standing
from consumers.tables import console, print_json
from stream_seg.errors import NotFoundError, UsageError
from stream_seg.lookup import SegmentLookup

if TYPE_CHECKING:
    from stream_seg.settings import Settings

__all__ = ["explain", "lookup", "segments", "status"]

TIMEOUT_S: Final = 5.0


def lookup(settings: Settings, customers: Sequence[str], *, as_json: bool) -> int:
    """Print customers' segments; the status is 1 where a customer is unknown."""
    _check_ids(customers)
    with _opened(settings) as reader:
        records = reader.records(customers)
        known = any(records) or _has_model(reader)
    if as_json:
        print_json(records)
    elif len(customers) == 1 and records[0] is not None:
        print_customer(console(), records[0])
    else:
        print_customers(console(), customers, records)
    if not known:
        raise _no_model(settings)
    unknown = records.count(None)
    if unknown:
        _say(f"{unknown} of {len(records)} customers are unknown to model {settings.model.name}.")
    return 1 if unknown else 0


def segments(settings: Settings, *, as_json: bool) -> int:
    """Print the segments: by id as JSON, largest first and without empty retired ones for people."""
    with _opened(settings) as reader:
        records = reader.segment_records()
        quality = reader.status()["quality"]
        if not records and not _has_model(reader):
            raise _no_model(settings)
    if as_json:
        print_json(records)
    elif records:
        print_segments(console(), records, quality)
    else:
        _say("There are no segments yet: the model is warming up.")
    return 0


def status(settings: Settings, *, as_json: bool) -> int:
    """Print how the model stands, as its workers last reported."""
    with _opened(settings) as reader:
        found, version = reader.status(), reader.model()
        if not found["meta"]:
            raise _no_model(settings)
    record = standing(found, version, dt.datetime.now(dt.UTC))
    if as_json:
        print_json(record)
    else:
        print_status(console(), record)
    return 0


def explain(settings: Settings, customer: str, *, as_json: bool) -> int:
    """Print why a customer is where it is; the status is 1 where it is unknown."""
    _check_ids([customer])
    with _opened(settings) as reader:
        (record,) = reader.records([customer])
        if record is None:
            if not _has_model(reader):
                raise _no_model(settings)
            raise NotFoundError(f"The customer is unknown to model {settings.model.name}.")
        version = reader.model(record["model_version"])
    if version is None:
        raise NotFoundError(
            f"Version {record['model_version']} of the model is not in Redis: look again in a moment."
        )
    features = settings.feature_set.features if settings.feature_set is not None else ()
    explanation = explained(record, version, {feature.name: feature.default for feature in features})
    if as_json:
        print_json(explanation.record())
    else:
        print_explanation(console(), explanation)
    return 0


@contextmanager
def _opened(settings: Settings) -> Iterator[SegmentLookup]:
    with SegmentLookup.from_url(settings.redis.url, settings.model.name, timeout_s=TIMEOUT_S) as reader:
        yield reader


def _check_ids(customers: Sequence[str]) -> None:
    try:
        "".join(customers).encode()
    except UnicodeEncodeError as error:
        raise UsageError("A customer's id is text in UTF-8.") from error


def _has_model(reader: SegmentLookup) -> bool:
    return reader.model() is not None or bool(reader.status()["meta"])


def _no_model(settings: Settings) -> NotFoundError:
    return NotFoundError(
        f"There is no model {settings.model.name} in the Redis at {settings.redis.safe_url}: "
        "start stream-seg live, or name another with --model or --redis-url."
    )


def _say(sentence: str) -> None:
    sys.stderr.write(f"stream-seg: {sentence}\n")
