from __future__ import annotations

import threading

import pytest

from hfl_core import in_parallel


def test_all_is_done_whatever_goes_wrong_with_some() -> None:
    done = []

    def work(number: int) -> None:
        if number % 3 == 0:
            raise ValueError(number)
        done.append(number)

    errors = in_parallel([lambda n=number: work(n) for number in range(9)], 4, "test")
    assert [error.args[0] for error in errors] == [0, 3, 6]
    assert sorted(done) == [1, 2, 4, 5, 7, 8]


def test_what_takes_longer_than_it_may_is_not_waited_for() -> None:
    end = threading.Event()
    with pytest.raises(TimeoutError):
        in_parallel([end.wait], 1, "test", seconds=0.01)  # type: ignore[list-item]  # the answer is of no interest
    end.set()
