"""The spin barrier inside kernels."""

from functools import partial

import numpy as np
import pytest

from fastrnn.kernels.cpu.barrier import BARRIER, abort, barriers, wait
from fastrnn.kernels.cpu.jit import kernel
from fastrnn.kernels.cpu.thread_pool import Part, Pool

pytestmark = pytest.mark.skipif(not BARRIER, reason="threads cannot give way to others here")


@kernel
def add_up_the_others(numbers, counts, number, rounds):
    """Repeatedly replace each thread's number by the sum of all, modulo 1009."""
    threads = numbers.shape[1]
    for n in range(rounds):
        total = 0
        for other in range(threads):
            total += numbers[n % 2, other]
        numbers[1 - n % 2, number] = (total + number) % 1009
        wait(counts, number)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_writes_before_the_barrier_are_read_after_it(threads):
    """Also with more threads than CPUs."""
    rounds = 2000
    numbers, counts = np.zeros((2, threads), np.int64), barriers(threads)
    numbers[0] = np.arange(threads)
    expected = numbers[0].copy()
    for _ in range(rounds):
        expected = (expected.sum() + np.arange(threads)) % 1009

    def work(part: Part, numbers: np.ndarray, counts: np.ndarray) -> None:
        add_up_the_others(numbers, counts, part.number, rounds)

    Pool(threads).each(partial(work, numbers=numbers, counts=counts))
    np.testing.assert_array_equal(numbers[rounds % 2], expected)


def test_threads_do_not_wait_for_a_failed_thread():
    numbers, counts = np.zeros((2, 3), np.int64), barriers(3)

    def work(part: Part) -> None:
        if part.number == 1:
            raise MemoryError
        add_up_the_others(numbers, counts, part.number, 50)

    with pytest.raises(MemoryError):
        Pool(3).each(work, lambda: abort(counts))
