"""Calls that may never return are given up on in time."""

from __future__ import annotations

import threading

import pytest

from stream_seg.adapters.watchdog import Watchdog
from stream_seg.errors import ServerUnavailable


def test_a_result_and_an_error_come_through() -> None:
    watchdog = Watchdog("test")
    assert watchdog.run(lambda: 7, 5.0, "counting") == 7
    with pytest.raises(ZeroDivisionError):
        watchdog.run(lambda: 1 // 0, 5.0, "dividing")
    assert watchdog.run(lambda: "still there", 5.0, "asking") == "still there"
    watchdog.close()


def test_a_call_that_takes_too_long_is_given_up_on_and_the_next_is_not_behind_it() -> None:
    watchdog, let_go = Watchdog("test"), threading.Event()
    with pytest.raises(ServerUnavailable, match=r"committing took longer than 0\.05 s"):
        watchdog.run(let_go.wait, 0.05, "committing")
    assert watchdog.run(lambda: "next", 5.0, "going on") == "next"
    let_go.set()
    watchdog.close()


def test_calls_run_in_a_thread_that_does_not_keep_the_process_alive() -> None:
    watchdog = Watchdog("test")
    thread = watchdog.run(threading.current_thread, 5.0, "asking")
    assert thread is not threading.current_thread()
    assert thread.daemon
    watchdog.close()
    thread.join(5)
    assert not thread.is_alive()
