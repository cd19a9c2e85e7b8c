"""Playing many matches: in this process, in worker processes, or on a Ray cluster.

A worker gets matches (plain data, a few kilobytes each; see ``Playable``), one at a time or several short ones, and sends back
their ``Outcome`` (as little); nothing else travels. Outcomes arrive in whatever order they finish.

One contract for all backends: a match that fails is an outcome. One whose worker dies while it is played, or
that does not end long after its time, is played once more, alone; if that happens again, it has failed. Nothing
that a match does stops the others, except in this process, where what ends the process ends the run; the next run
then plays that match in a process of its own. Whatever way a run ends, its workers end with it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from typing import Any, Literal, Protocol, Self, TypeVar

from stackelberg_games import checks
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.progress import progress_of
from stackelberg_games.tournaments.match import Outcome


class Playable(Protocol):
    """What can be played here: a ``Match``, or anything else with a key and an outcome."""

    @property
    def key(self) -> str:
        """Tells it from every other one."""

    def play(self, timeout: float | None = None) -> Outcome:
        """Play it; never raises."""


class Pool(Protocol):
    """Workers that play matches."""

    broken: bool
    """Whether the death of a worker took the others along, so that it plays no more."""

    def submit(self, matches: Sequence[Playable], timeout: float | None) -> Any:
        """Hand out matches, to be played one after another; the task that is returned can be a key."""

    def wait(self, tasks: Sequence[Any], seconds: float | None) -> Collection[Any]:
        """The tasks that are done, at least one of them; none after so many seconds."""

    def outcomes(self, task: Any) -> list[Outcome] | Outcome | None:
        """What came of a task that is done: outcomes of its first matches, the others were not begun.

        One outcome stands for a task that could not be sent or read; None for one whose worker died or was killed.
        """

    def kill(self) -> None:
        """Give up every task that is not done."""


class Place(Protocol):
    """Where pools of workers can be had, between entering and leaving it."""

    workers: int

    def pool(self, workers: int) -> AbstractContextManager[Pool]:
        """A pool of so many workers; leaving it ends them."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


P = TypeVar("P", bound=Playable)
Backend = Literal["processes", "ray", "serial"]
MAX_SECONDS = 1e9
"""Longest time limit; more overflows the clocks of some platforms."""
PATIENCE_SECONDS = 30
"""How long after its time a match may still end by itself; then its worker is taken for stopped or stuck."""
AHEAD = 2
"""Tasks that are handed out at a time, for each worker."""
MOST = 32
"""Matches in a task, where they are so short that a worker ends it in time."""
GROUP_SECONDS = 0.1
"""How long a match that a worker has finished waits for others, to be kept together with them."""
DIED = "the worker process died, or did not end in time, while playing this match; so it did when it played it alone"


def play_and_keep(
    matches: Sequence[P],
    keep: Callable[[Sequence[tuple[str, Outcome]]], object],
    *,
    what: str,
    total: int,
    progress: bool | None,
    **how: Any,
) -> None:
    """Play matches, keep what is finished, and then show how far it is.

    Args:
        matches: to play; whatever else there is was finished before.
        keep: is called with the keys and the outcomes of those that finished since the last call; none counts as done before.
        what: is counted, for the progress.
        total: how many there are with those that were finished before.
        progress: see ``progress_of``.
        how: see ``play_all``.
    """
    failed, count = 0, total - len(matches)
    with progress_of(what, total, progress) as advance, closing(play_all(matches, **how)) as played:
        for group in played:
            keep([(match.key, outcome) for match, outcome in group])
            failed += sum(outcome.status == "failed" for _, outcome in group)
            count += len(group)
            advance(count, f"{failed} failed" if failed else "")


def play_all(
    matches: Sequence[P],
    *,
    backend: Backend = "processes",
    workers: int = 1,
    timeout: float | None = None,
    address: str | None = None,
    begin: Callable[[str], object] = str,
    alone: str = "",
) -> Generator[list[tuple[P, Outcome]], None, None]:
    """Play matches and yield those that have finished, with their outcomes; each at most ``GROUP_SECONDS`` later.

    Args:
        matches: to play.
        backend: ``"serial"`` in this process; ``"processes"`` on this machine (with one worker:
            in this process); ``"ray"`` on a cluster.
        workers: how many matches at the same time; -1 for one on every core.
        timeout: seconds of wall time for each match.
        address: of the Ray cluster; a local one is started if not given.
        begin: is called with the key of a match that this process is about to play.
        alone: key of one that this process does not play, since it ended an earlier one.

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
        from stackelberg_games.tournaments.ray_cluster import RayCluster

        return _elsewhere(RayCluster(address, workers), matches, timeout)
    if backend == "serial" or workers == 1:
        return _here(matches, timeout, begin, alone)
    return _elsewhere(_processes(workers), matches, timeout)


def _processes(workers: int) -> Place:
    from stackelberg_games.tournaments.worker_processes import WorkerProcesses

    return WorkerProcesses(workers)


def _here(
    matches: Sequence[P], timeout: float | None, begin: Callable[[str], object], alone: str
) -> Generator[list[tuple[P, Outcome]], None, None]:
    for match in matches:
        if match.key == alone:
            yield from _elsewhere(_processes(1), [match], timeout)
        else:
            begin(match.key)
            yield [(match, match.play(timeout))]


def _elsewhere(
    place: Place, matches: Iterable[P], timeout: float | None
) -> Generator[list[tuple[P, Outcome]], None, None]:
    """All matches; those whose worker died once more, each alone in a pool."""
    waiting = deque(matches)
    with place:
        while waiting:
            suspects: list[P] = []
            for group in _together(place.pool(place.workers), waiting, AHEAD * place.workers, timeout):
                suspects += [match for match, outcome in group if outcome is None]
                if finished := [(match, outcome) for match, outcome in group if outcome is not None]:
                    yield finished
            alone = deque(suspects)
            while alone:  # one at a time; another pool where one of them ends it
                for group in _together(place.pool(1), alone, 1, timeout, most=1):
                    yield [(match, outcome or Outcome("failed", error=DIED)) for match, outcome in group]


def _together(
    opened: AbstractContextManager[Pool], waiting: deque[P], ahead: int, timeout: float | None, most: int = MOST
) -> Iterator[list[tuple[P, Outcome | None]]]:
    """Matches in one pool, until there are no more or it is broken; None for those that were lost with a worker."""
    patience = None if timeout is None else timeout + PATIENCE_SECONDS
    playing: dict[Any, list[P]] = {}
    size = 1
    finished: list[tuple[P, Outcome | None]] = []
    due = 0.0
    with opened as pool:
        while True:
            while waiting and len(playing) < ahead and not pool.broken:
                handed = [waiting.popleft() for _ in range(min(size, len(waiting)))]
                playing[pool.submit(handed, timeout)] = handed
            left = due - time.monotonic()
            if finished and (left <= 0 or not playing):
                yield finished
                finished = []
            if not playing:
                return
            done = pool.wait(list(playing), left if finished else patience)
            if not done and not finished:
                pool.kill()
                done = list(playing)
            if not finished:
                due = time.monotonic() + GROUP_SECONDS
            for task in done:
                handed, found = playing.pop(task), pool.outcomes(task)
                if isinstance(found, list):
                    finished += zip(handed, found, strict=False)
                    waiting.extendleft(reversed(handed[len(found) :]))
                    size = min(2 * len(found), most) if len(found) == len(handed) else len(found)
                else:  # where one of several could not be read, each is tried by itself
                    finished += [(match, found if len(handed) == 1 else None) for match in handed]
