"""Playing many matches: in this process, in worker processes, or on a Ray cluster.

A worker gets a match (plain data, a few kilobytes; see ``Playable``) and sends back its ``Outcome`` (as little);
nothing else travels. Outcomes arrive in whatever order they finish.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar

from joblib import Parallel, delayed, parallel_config, register_parallel_backend
from joblib.externals.loky.process_executor import BrokenProcessPool

from stackelberg_games import checks
from stackelberg_games.errors import InvalidArgumentError, MissingExtraError
from stackelberg_games.tournaments.match import Outcome


class Playable(Protocol):
    """What can be played here: a ``Match``, or anything else with a key and an outcome."""

    @property
    def key(self) -> str:
        """Tells it from every other one."""

    def play(self, timeout: float | None = None) -> Outcome:
        """Play it; never raises."""


P = TypeVar("P", bound=Playable)
Backend = Literal["processes", "ray", "serial"]
_RAY = "stackelberg-ray"
MAX_SECONDS = 1e9
"""Longest time limit; more overflows the clocks of some platforms."""
IDLE_SECONDS = 30
"""Workers without a match end after so long; also those whose driver was killed."""


def play_all(
    matches: Sequence[P],
    *,
    backend: Backend = "processes",
    workers: int = 1,
    timeout: float | None = None,
    address: str | None = None,
) -> Iterator[tuple[P, Outcome]]:
    """Play matches and yield each with its outcome as soon as it is finished.

    Args:
        matches: to play.
        backend: ``"serial"`` in this process; ``"processes"`` on this machine (with one worker:
            in this process); ``"ray"`` on a cluster.
        workers: how many matches at the same time; -1 for one on every core.
        timeout: seconds of wall time for each match.
        address: of the Ray cluster; a local one is started if not given.

    Raises:
        InvalidArgumentError: the backend is unknown or ``workers`` is 0.
        MissingExtraError: Ray is not installed.
    """
    checks.choice("backend", backend, ("serial", "processes", "ray"))
    workers = checks.integer("workers", workers, -1)
    if workers == 0:
        raise InvalidArgumentError("workers=0: expected an integer >= 1, or -1 for one on every core")
    timeout = None if timeout is None else checks.number("timeout", timeout, above=0, high=MAX_SECONDS)
    if address is not None:
        checks.text("address", address)
    if backend == "ray":
        return _on_ray(matches, workers, timeout, address)
    if backend == "serial" or workers == 1:
        return (_play(match, timeout) for match in matches)
    return _in_processes(matches, workers, timeout)


def _play(match: P, timeout: float | None) -> tuple[P, Outcome]:
    return match, match.play(timeout)


def _in_processes(matches: Sequence[P], workers: int, timeout: float | None) -> Iterator[tuple[P, Outcome]]:
    """Processes that each use one thread; survives the sudden death of any of them."""
    waiting = {match.key: match for match in matches}
    while waiting:
        handed_out: list[P] = []
        try:
            for match, outcome in _pool(_noted(waiting.values(), handed_out), workers, timeout):
                del waiting[match.key]
                yield match, outcome
        except BrokenProcessPool:
            for match in [match for match in handed_out if match.key in waiting]:
                yield _play_alone(match, timeout)
                del waiting[match.key]


def _play_alone(match: P, timeout: float | None) -> tuple[P, Outcome]:
    """A match that may have killed its worker, in a process of its own."""
    try:
        return next(_pool([match], 2, timeout))  # two workers: with one, joblib would play it here
    except BrokenProcessPool as error:
        return match, Outcome("failed", error=f"the worker process died while playing this match: {error}")


def _pool(matches: Iterable[P], workers: int, timeout: float | None) -> Iterator[tuple[P, Outcome]]:
    with parallel_config("loky", inner_max_num_threads=1, idle_worker_timeout=IDLE_SECONDS):
        tasks = (delayed(_play)(match, timeout) for match in matches)
        pool = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
        yield from pool(tasks)


def _noted(matches: Iterable[P], handed_out: list[P]) -> Iterator[P]:
    for match in list(matches):
        handed_out.append(match)
        yield match


def _on_ray(
    matches: Sequence[P], workers: int, timeout: float | None, address: str | None
) -> Iterator[tuple[P, Outcome]]:
    """Ray's own joblib backend; workers import this package from their own installation."""
    ray = _start_ray(address, workers)
    count = int(ray.cluster_resources()["CPU"]) if workers == -1 else workers
    with parallel_config(_RAY):
        pool = Parallel(n_jobs=count, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
        yield from pool(delayed(_play)(match, timeout) for match in matches)


def _start_ray(address: str | None, workers: int) -> Any:
    try:
        import ray
        from ray.util.joblib.ray_backend import RayBackend
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error

    class StreamingRayBackend(RayBackend):  # type: ignore[misc]
        """Hands out results as they come, which its pool does and its base class does not say."""

        supports_return_generator = True

    register_parallel_backend(_RAY, StreamingRayBackend)
    if not ray.is_initialized():
        threads = {"env_vars": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}}
        cores = None if address else (os.cpu_count() if workers == -1 else workers)
        ray.init(address=address, num_cpus=cores, include_dashboard=None if address else False, runtime_env=threads)
    return ray


@contextmanager
def progress_bar(done: int, total: int, progress: bool | None) -> Iterator[Callable[[Outcome], None]]:
    """Progress over all matches, with an estimate of the time left; shown on terminals unless told."""
    if not (sys.stderr.isatty() if progress is None else progress):
        yield lambda outcome: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("matches{task.fields[failed]}"))
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *times, console=Console(stderr=True)) as bar:
        task = bar.add_task("playing", total=total, completed=done, failed="")
        failures = 0

        def advance(outcome: Outcome) -> None:
            nonlocal failures
            failures += outcome.status == "failed"
            bar.update(task, advance=1, failed=f", {failures} failed" if failures else "")

        yield advance
