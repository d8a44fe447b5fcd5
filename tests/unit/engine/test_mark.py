"""The metadata of a committed offset, and what may stand behind it."""

from __future__ import annotations

from typing import Any

import pytest

from stream_seg.engine.mark import Mark
from stream_seg.errors import StateError

MARK = Mark(12, "00ff00ff00ff00ff", 3, 4, "retail.replay-five.models")


@pytest.mark.parametrize("stray", ["", "models", ":1;2", "\n\x00", "\ufffd\ufffdx"])
def test_a_mark_ends_where_it_says(stray: str) -> None:
    assert Mark.read(MARK.text + stray) == MARK


def test_a_mark_without_an_end_is_one_of_an_earlier_build() -> None:
    assert Mark.read("12:00ff00ff00ff00ff:3:4:retail.replay-five.models") == MARK


@pytest.mark.parametrize("text", ["", "somebody else's", "12:xyz:3:4:models;", "1:2:3"])
def test_what_is_no_mark_is_refused(text: str) -> None:
    with pytest.raises(StateError, match="did not commit"):
        Mark.read(text)


def test_stray_bytes_behind_what_confluent_gives_are_passed_over() -> None:
    membership = pytest.importorskip("stream_seg.adapters.confluent.membership")

    class Found:
        offset = 7

        @property
        def metadata(self) -> str:
            return (MARK.text.encode() + b"\xa6\x01").decode()

    found: Any = membership.committed_of(Found())
    assert found.next_offset == 7
    assert Mark.read(found.metadata) == MARK
