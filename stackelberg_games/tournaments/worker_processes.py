"""Worker processes on this machine, by loky: they survive each other's death, and none survives this process."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import BrokenExecutor, Future
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, Self

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.backend import get_context
from joblib.externals.loky.process_executor import ShutdownExecutorError

from stackelberg_games.tournaments.match import Outcome, traceback_text

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""For the environment of a worker."""
GRACE_SECONDS = 10
"""How long after its time a match may still raise; then its worker ends, whatever code it is in."""
TASK_SECONDS = 0.05
"""How long after the beginning of a task a worker begins another match of it."""
_LOOK_SECONDS = 0.5


class WorkerProcesses:
    """This machine, as a place for pools of workers.

    Args:
        workers: -1 for one on every core.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers if workers > 0 else os.cpu_count() or 1

    def pool(self, workers: int) -> _Pool:
        """See ``runner.Place``."""
        return _Pool(workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Pool:
    """See ``runner.Pool``."""

    def __init__(self, workers: int) -> None:
        self.broken = False
        self._done: SimpleQueue[Future[list[Outcome]]] = SimpleQueue()
        self._executor = ProcessPoolExecutor(
            workers, context=get_context("loky"), env=ONE_THREAD, initializer=_prepare, initargs=(os.getpid(),)
        )

    def submit(self, matches: Sequence[Any], timeout: float | None) -> Future[list[Outcome]]:
        try:
            task: Future[list[Outcome]] = self._executor.submit(play_bounded, matches, timeout)
        except BrokenExecutor as error:
            task = Future()
            task.set_exception(error)
        task.add_done_callback(self._done.put)
        return task

    def wait(self, tasks: Sequence[Future[list[Outcome]]], seconds: float | None) -> Collection[Future[list[Outcome]]]:
        try:
            done = [self._done.get(timeout=None if seconds is None else max(0.0, seconds))]
        except Empty:
            return []
        while not self._done.empty():
            done.append(self._done.get())
        return done

    def outcomes(self, task: Future[list[Outcome]]) -> list[Outcome] | Outcome | None:
        try:
            return task.result()
        except (BrokenExecutor, ShutdownExecutorError):
            self.broken = True
            return None
        except Exception:  # noqa: BLE001 it could not be sent, or not be read there
            return Outcome("failed", error=traceback_text())

    def kill(self) -> None:
        self.broken = True
        self._executor.shutdown(wait=True, kill_workers=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._executor.shutdown(wait=True, kill_workers=kind is not None)


def play_bounded(matches: Sequence[Any], timeout: float | None) -> list[Outcome]:
    """Play in a worker; the first match, and more of them as long as all are short."""
    begun = time.monotonic()
    outcomes = [_play_one(matches[0], timeout)]
    for match in matches[1:]:
        if time.monotonic() - begun > TASK_SECONDS:
            break
        outcomes.append(_play_one(match, timeout))
    return outcomes


def _play_one(match: Any, timeout: float | None) -> Outcome:
    """Play a match; the worker ends if it does not, even in code that Python cannot interrupt."""
    if timeout is not None:
        faulthandler.dump_traceback_later(timeout + GRACE_SECONDS, exit=True, file=sys.__stderr__ or 2)
    try:
        outcome: Outcome = match.play(timeout)
    finally:
        faulthandler.cancel_dump_traceback_later()
    _keep_libraries()
    return outcome


@cache
def _keep_libraries() -> None:
    """Once, when a first match has loaded them: the pool collects garbage every second, a quarter of it spent on them."""
    gc.collect()
    gc.freeze()


def _prepare(driver: int) -> None:
    """What a worker does first: it leaves Ctrl-C to the driver, and watches whether that lives."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        threading.Thread(target=_end_with, args=(driver,), name="end-with-driver", daemon=True).start()


def _end_with(driver: int) -> None:
    while os.getppid() == driver:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)
