from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from services.tts.engines.library_thread import LibraryThread


@pytest.fixture
def library_thread() -> Iterator[LibraryThread[int]]:
    thread: LibraryThread[int] = LibraryThread(name="test")
    yield thread
    thread.close()


def test_all_jobs_run_on_the_one_thread(library_thread: LibraryThread[int]) -> None:
    def where(emit: Callable[[int], bool]) -> None:
        emit(threading.get_ident())

    (first,) = library_thread.stream(where)
    (second,) = library_thread.stream(where)
    assert first == second != threading.get_ident()


def test_a_job_never_waits_for_its_reader(library_thread: LibraryThread[int]) -> None:
    def many(emit: Callable[[int], bool]) -> None:
        for number in range(10_000):
            emit(number)

    slow = library_thread.stream(many)
    assert next(slow) == 0
    # A second job runs to its end while the first one's items wait.
    assert sum(1 for _ in library_thread.stream(many)) == 10_000
    assert sum(1 for _ in slow) == 9_999


def test_what_a_job_raises_comes_out_after_its_items(library_thread: LibraryThread[int]) -> None:
    def fail(emit: Callable[[int], bool]) -> None:
        emit(1)
        raise ValueError("broken")

    items = library_thread.stream(fail)
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_leaving_makes_the_job_stop(library_thread: LibraryThread[int]) -> None:
    left = threading.Event()
    answers: list[bool] = []

    def two(emit: Callable[[int], bool]) -> None:
        answers.append(emit(1))
        left.wait(10)
        answers.append(emit(2))

    with closing(library_thread.stream(two)) as items:  # type: ignore[type-var]
        next(items)
    left.set()
    assert list(library_thread.stream(lambda emit: None)) == []
    assert answers == [True, False]


def test_a_closed_thread_takes_no_jobs() -> None:
    thread: LibraryThread[int] = LibraryThread(name="test")
    thread.close()
    with pytest.raises(RuntimeError, match="closed"):
        next(thread.stream(lambda emit: None))
