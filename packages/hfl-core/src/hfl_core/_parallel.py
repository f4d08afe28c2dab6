"""Several things at once, on threads that an interrupted process does not wait for.

The standard library's pool joins its threads when the interpreter ends, so Ctrl-C would wait for
gigabytes that are on their way.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Callable, Sequence


def in_parallel(
    work: Sequence[Callable[[], None]],
    workers: int,
    name: str,
    *,
    seconds: float | None = None,
) -> list[Exception]:
    """Do all of it, whatever goes wrong with some.

    The caller does it when no thread can be started, because the interpreter is ending.

    Args:
        work: What to do.
        workers: How many at once.
        name: What the threads are called.
        seconds: How long it is waited for; None for as long as it takes.

    Returns:
        The errors, in the order of the work.

    Raises:
        TimeoutError: It was not done in time. What a thread is stuck in ends with the process.
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
    try:
        with contextlib.suppress(RuntimeError):
            for thread in threads:
                thread.start()
        if not any(thread.ident for thread in threads):
            run()
        until = None if seconds is None else time.monotonic() + seconds
        for thread in (each for each in threads if each.ident):
            thread.join(None if until is None else max(0.0, until - time.monotonic()))
            if thread.is_alive():
                raise TimeoutError
    finally:
        is_stopped.set()
    return [errors[number] for number in sorted(errors)]
