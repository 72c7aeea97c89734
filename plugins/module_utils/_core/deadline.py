# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""A bound on calls into libraries that have none of their own, or not a reliable one."""

from __future__ import annotations

import contextlib
import queue
import threading
import typing as t
import warnings

_Result = t.TypeVar("_Result")


class TimedOut(Exception):
    """The bound was reached first."""


class _Warnings:
    """Python has one list of filters for all threads: the first call sets it aside, and the last one puts it back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._aside = contextlib.ExitStack()

    @contextlib.contextmanager
    def off(self) -> t.Iterator[None]:
        with self._lock:
            if self._calls == 0:
                self._aside.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            self._calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                if self._calls == 0:
                    self._aside.close()


_warnings = _Warnings()


def within(seconds: float, call: t.Callable[[], _Result]) -> _Result:
    """The call's result or exception, or TimedOut. A call that is stuck is left behind in its daemon thread.

    Python warnings of the library are not shown: they would end up in the module's output.
    """
    answers: queue.Queue[tuple[bool, t.Any]] = queue.Queue()

    def work() -> None:
        try:
            answers.put((True, call()))
        except BaseException as error:  # handed to the caller
            answers.put((False, error))

    with _warnings.off():
        threading.Thread(target=work, daemon=True).start()
        try:
            succeeded, value = answers.get(timeout=seconds)
        except queue.Empty:
            raise TimedOut from None
    if not succeeded:
        raise value
    return t.cast(_Result, value)
