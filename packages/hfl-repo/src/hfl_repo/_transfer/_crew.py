"""Several things at once, on threads that an interrupted process does not wait for.

The standard library's pool joins its threads when the interpreter ends, so Ctrl-C would wait for
gigabytes that are on their way.
"""

from __future__ import annotations

import threading
from typing import Callable, Sequence

__all__ = ["in_parallel"]


def in_parallel(work: Sequence[Callable[[], None]], workers: int, name: str) -> list[Exception]:
    """Do all of it, whatever goes wrong with some.

    Args:
        work: What to do.
        workers: How many at once.
        name: What the threads are called.

    Returns:
        The errors, in the order of the work.

    Raises:
        KeyboardInterrupt: The caller was interrupted; what was not begun will not be.
    """
    left = iter(list(enumerate(work)))
    lock = threading.Lock()
    is_stopped = threading.Event()
    errors: dict[int, Exception] = {}

    def run() -> None:
        while not is_stopped.is_set():
            with lock:
                number, one = next(left, (-1, None))
            if one is None:
                return
            try:
                one()
            except Exception as error:  # noqa: BLE001  # the caller gets it
                errors[number] = error

    threads = [
        threading.Thread(target=run, name=f"{name}-{number}", daemon=True)
        for number in range(min(workers, len(work)))
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    finally:
        is_stopped.set()
    return [errors[number] for number in sorted(errors)]
