"""Threads that run a kernel together: parts, barriers, failures, fork, and the end of a team."""

import gc
import itertools
import os
import threading
import time

import numpy as np
import pytest
from plain_kernels import compiled_only

from fastrnn.errors import BackendError
from fastrnn.kernels.cpu.team import (
    _ARRIVED,
    _CALLS,
    _FIRST,
    _LINE,
    cooperative_kernel,
    new_team,
    shared_kernel,
    wait_for_group,
)
from fastrnn.kernels.cpu.thread_pool import Pool

pytestmark = compiled_only


@shared_kernel
def count(visits, ends, lo, hi):
    """Count the visits of each number in lo..hi, and note the end of each part at its beginning."""
    ends[lo] = hi
    for n in range(lo, hi):
        visits[n] += 1


@cooperative_kernel(plan=lambda team, numbers, rounds: 0)
def add_up_the_others(thread, numbers, rounds):
    """Repeatedly replace each thread's number by the sum of all, modulo 1009."""
    for n in range(rounds):
        total = 0
        for other in range(thread.of):
            total += numbers[n % 2, other]
        numbers[1 - n % 2, thread.number] = (total + thread.number) % 1009
        wait_for_group(thread, 0, thread.of)


@cooperative_kernel(plan=lambda team, sizes, met: 0)
def allocate(thread, sizes, met):
    """Allocate memory of another size in each thread, then wait for the others."""
    memory = np.zeros(sizes[thread.number], np.uint8)
    wait_for_group(thread, 0, thread.of)
    met[thread.number] = 1 + memory[0]


def sums(threads, rounds):
    """What `add_up_the_others` computes."""
    numbers = np.arange(threads)
    for _ in range(rounds):
        numbers = (numbers.sum() + np.arange(threads)) % 1009
    return numbers


def check_sums(pool, rounds):
    numbers = np.zeros((2, pool.threads), np.int64)
    numbers[0] = np.arange(pool.threads)
    pool.together(lambda part: add_up_the_others(numbers, rounds))
    np.testing.assert_array_equal(numbers[rounds % 2], sums(pool.threads, rounds))


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
@pytest.mark.parametrize(("lo", "hi"), [(0, 40), (3, 8), (5, 5)])
def test_parts_cover_the_range_once(threads, lo, hi):
    visits, ends = np.zeros(41, np.int64), np.zeros(41, np.int64)
    Pool(threads).together(lambda part: count(visits, ends, lo, hi))
    np.testing.assert_array_equal(visits, [lo <= n < hi for n in range(41)])
    if hi - lo >= threads:
        assert np.count_nonzero(ends) == threads


def test_a_kernel_outside_of_a_pool_is_run_by_its_caller():
    visits, ends = np.zeros(10, np.int64), np.zeros(10, np.int64)
    count(visits, ends, 0, 10)
    assert visits.tolist() == [1] * 10
    assert ends.tolist() == [10] + [0] * 9


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_writes_before_a_barrier_are_read_after_it(threads):
    """Also with more threads than CPUs."""
    check_sums(Pool(threads), 300)


@pytest.mark.parametrize("calls", [1 << 31, 1 << 40])
def test_barriers_work_after_any_number_of_kernels(calls):
    """As after a day of training, in which the threads have waited differently often."""
    pool = Pool(3)
    numbers = pool.team.numbers  # its threads start with the first kernel
    numbers[_CALLS] = calls
    for number in range(3):
        line = _FIRST + number * _LINE
        numbers[line], numbers[line + _ARRIVED] = calls, calls + 1000 * number
    check_sums(pool, 20)
    check_sums(pool, 20)


def test_a_thread_that_fails_is_not_waited_for():
    pool, met = Pool(3), np.zeros(3, np.int64)
    with pytest.raises(MemoryError):
        pool.together(lambda part: allocate(np.array([8, 1 << 60, 8]), met))
    # the team works on, though its threads have waited differently often
    check_sums(pool, 20)
    pool.together(lambda part: allocate(np.array([8, 8, 8]), met))
    assert met.tolist() == [1, 1, 1]


def test_the_caller_may_fail():
    pool, met = Pool(2), np.zeros(2, np.int64)
    with pytest.raises(MemoryError):
        pool.together(lambda part: allocate(np.array([1 << 60, 8]), met))
    check_sums(pool, 20)


def test_an_error_between_kernels_ends_the_session():
    pool = Pool(2)
    with pytest.raises(ZeroDivisionError):
        pool.together(lambda part: 1 // 0)
    visits, ends = np.zeros(10, np.int64), np.zeros(10, np.int64)
    count(visits, ends, 0, 10)  # by the caller alone
    assert np.count_nonzero(ends) == 1
    check_sums(pool, 20)


def test_pools_work_in_several_python_threads():
    failures = []

    def work():
        try:
            for _ in range(5):
                check_sums(Pool(3), 30)
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own():
    pool = Pool(2)
    check_sums(pool, 20)
    child = os.fork()
    if not child:
        try:
            check_sums(pool, 20)
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    check_sums(pool, 20)


def test_threads_end_with_their_pool():
    pool = Pool(4)
    check_sums(pool, 5)
    started = [thread for thread in threading.enumerate() if thread in pool.team._threads]
    assert len(started) == 3
    del pool
    gc.collect()
    deadline = time.monotonic() + 20
    while any(thread.is_alive() for thread in started) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(thread.is_alive() for thread in started)


def test_threads_sleep_when_no_kernel_is_called():
    """Idle threads use no processor time."""
    pool = Pool(3)
    check_sums(pool, 5)
    deadline = time.monotonic() + 120  # a busy machine gives a thread that yields little time
    while any(event.is_set() for event in pool.team._events) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(event.is_set() for event in pool.team._events)
    check_sums(pool, 5)  # and wake up again


def test_missing_threads_are_one_clear_error(monkeypatch):
    """Of the whole pool: none of those that were started stays, and the pool works when the system allows them."""
    pool, start, allowed = Pool(4), threading.Thread.start, 2
    monkeypatch.setattr(threading.Thread, "start", lambda self: start(self) if next(numbers) < allowed else refuse())

    def refuse():
        raise RuntimeError("can't start new thread")

    failed = threading.Event()
    for run in (lambda: check_sums(pool, 5), lambda: pool.each(lambda part: failed.wait(20), failed.set)):
        numbers, before = itertools.count(), threading.active_count()
        with pytest.raises(BackendError, match=r"allows this process 3 of 4 threads; give fewer with --threads$"):
            run()
        assert threading.active_count() <= before + allowed
        visits, ends = np.zeros(10, np.int64), np.zeros(10, np.int64)
        count(visits, ends, 0, 10)  # outside of the pool: by the caller alone
        assert np.count_nonzero(ends) == 1
    numbers = itertools.repeat(0)
    check_sums(pool, 5)


def test_each_thread_has_lines_of_its_own():
    team = new_team(3)
    assert team.ctypes.data % 128 == 0
    assert team.nbytes % 128 == 0
