"""Code is read whatever other threads read meanwhile."""

from __future__ import annotations

import ast
import gc
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evolve import syntax
from evolve.syntax import SPURIOUS, TRIES, parsed, undisturbed

SECONDS = 5.0
FAULTY = sys.version_info < (3, 11, 8) or (3, 12) <= sys.version_info < (3, 12, 2)


class Slow:
    """Garbage that lets other threads in while it is collected."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        time.sleep(0)


@pytest.fixture
def much_garbage() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(50)
    yield
    gc.set_threshold(*before)


def in_two_threads(read) -> list[BaseException]:
    """Reads one text in two threads, at two depths of the stack, for some seconds or until a read fails."""
    text, end, faults = Path(syntax.__file__).read_text(), time.monotonic() + SECONDS, list[BaseException]()

    def work(depth: int) -> None:
        if depth:
            work(depth - 1)
        while not depth and time.monotonic() < end and not faults:
            Slow()
            try:
                read(text)
            except SystemError as fault:
                faults.append(fault)

    threads = [threading.Thread(target=work, args=(depth,)) for depth in (0, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def test_two_threads_read_without_a_fault(much_garbage):
    assert in_two_threads(parsed) == []


def test_the_fault_is_there_where_nothing_is_read_again(much_garbage):
    """So that the test above can fail; later versions of Python count for each thread alone."""
    assert bool(in_two_threads(ast.parse)) is FAULTY


def test_work_is_done_again_until_nothing_disturbs_it():
    tries: list[int] = []

    @undisturbed
    def work() -> str:
        tries.append(1)
        if len(tries) < TRIES:
            raise SystemError(f"{SPURIOUS} (before=1, after=2)")
        return "done"

    assert work() == "done" and len(tries) == TRIES


@pytest.mark.parametrize("words", [f"{SPURIOUS} (before=1, after=2)", "another"])
def test_a_fault_that_stays_is_raised(words):
    @undisturbed
    def work() -> None:
        raise SystemError(words)

    with pytest.raises(SystemError, match=words[:10]):
        work()


def test_what_is_no_python_is_still_refused():
    with pytest.raises(SyntaxError):
        parsed("x = (")
