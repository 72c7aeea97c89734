# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bound on calls that have none."""

from __future__ import annotations

import threading
import warnings

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core import deadline


class _Odd(BaseException):
    """Not even an Exception."""


def test_a_result_comes_back() -> None:
    assert deadline.within(5, lambda: "answer") == "answer"
    assert deadline.within(5, lambda: None) is None


@pytest.mark.parametrize("error", [ValueError("x"), _Odd()])
def test_an_exception_comes_back_as_it_is(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        deadline.within(5, fail)
    assert raised.value is error


def test_a_call_that_hangs_is_left_behind_and_does_not_keep_the_process_alive() -> None:
    release, threads = threading.Event(), []

    def hang() -> None:
        threads.append(threading.current_thread())
        release.wait()

    try:
        with pytest.raises(deadline.TimedOut):
            deadline.within(0.05, hang)
        assert threads[0].daemon
    finally:
        release.set()


def test_warnings_of_the_call_are_not_shown() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        deadline.within(5, lambda: warnings.warn("noise", FutureWarning, stacklevel=1))
    assert shown == []


def test_calls_of_several_threads_leave_the_filters_as_they_were() -> None:
    """Python has one list of them: whoever ends first must not switch on the warnings of the other."""
    began, first_ended = threading.Event(), threading.Event()

    def second() -> None:
        began.set()
        first_ended.wait(30)
        warnings.warn("noise", FutureWarning, stacklevel=1)

    def first() -> None:
        thread.start()
        began.wait(30)

    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        before = warnings.filters
        thread = threading.Thread(target=deadline.within, args=(30, second))
        deadline.within(30, first)
        first_ended.set()
        thread.join(30)
        assert warnings.filters is before
    assert shown == []
