"""``stream-seg reset``: everything a model has stored, gone."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

import click

from stream_seg.adapters.kafka import connect
from stream_seg.adapters.redis import RedisStore
from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from stream_seg.settings import Settings

__all__ = ["run_reset"]


def run_reset(settings: Settings, *, yes: bool) -> int:
    """Delete the model's output topics, its group's offsets and its keys, in that order; exit status 0.

    Asks first, unless ``yes``. Raises ``UsageError`` where there is nobody to ask, ``StateError`` while a
    worker is running, and ``ServerError``. Repeating it after a failure goes on where it failed.
    """
    model, group = settings.model.name, settings.group
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("reset asks before it deletes, and there is no terminal to ask on: give --yes")
        question = f"Delete topics {model}.*, the offsets of group {group} and keys seg:{model}:* for good?"
        if not click.confirm(question, err=True):
            return 0
    with (
        closing(connect(settings.kafka)) as client,
        closing(RedisStore.connect(settings.redis.url, model)) as store,
    ):
        client.topics.remove(model, group)
        keys = store.reset()
    click.echo(f"model {model} is gone: its topics, the offsets of group {group}, and {keys:,} keys")
    return 0
