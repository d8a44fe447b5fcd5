"""Times as text, as every record and key has them."""

from __future__ import annotations

import datetime as dt

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from stream_seg.engine.moments import milliseconds, moment, rfc3339

LATEST_MS = 4_102_444_799_999
times = st.integers(0, LATEST_MS)


@given(st.lists(times, max_size=20))
@example([0, 86_399_999, 86_400_000, 951_782_400_000, LATEST_MS])
def test_many_times_are_written_as_the_calendar_has_them(found: list[int]) -> None:
    by_calendar = [
        dt.datetime.fromtimestamp(time_ms // 1000, dt.UTC).replace(microsecond=time_ms % 1000 * 1000)
        for time_ms in found
    ]
    expected = [t.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode() for t in by_calendar]
    assert rfc3339(np.array(found, dtype=np.int64)).present() == expected


@given(times)
def test_one_time_is_written_and_read_back(time_ms: int) -> None:
    assert [moment(time_ms).encode()] == rfc3339(np.array([time_ms])).present()
    assert milliseconds(moment(time_ms)) == time_ms
