"""A Ray cluster, as a place for pools of workers, which import this package from their own installation."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Any, Self

from stackelberg_games.errors import MissingExtraError
from stackelberg_games.tournaments.match import Outcome, traceback_text
from stackelberg_games.tournaments.worker_processes import ONE_THREAD, play_bounded


class RayCluster:
    """A cluster; one on this machine is started, and ended, where there is none.

    Args:
        address: of a running one, or ``"auto"``.
        workers: matches at the same time; -1 for one on every core of the cluster.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, address: str | None, workers: int) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("ray", "ray") from error
        self._ray: Any = ray
        self.address, self.workers, self._started = address, workers, False

    def __enter__(self) -> Self:
        if not self._ray.is_initialized():
            cores = None if self.address else (os.cpu_count() if self.workers == -1 else self.workers)
            dashboard = None if self.address else False
            self._started = True
            self._ray.init(
                address=self.address,
                num_cpus=cores,
                include_dashboard=dashboard,
                runtime_env={"env_vars": ONE_THREAD},
            )
        if self.workers == -1:
            self.workers = int(self._ray.cluster_resources()["CPU"])
        return self

    def __exit__(self, *_: object) -> None:
        if self._started:
            self._ray.shutdown()

    def pool(self, workers: int) -> _Pool:
        """See ``runner.Place``; how many tasks are handed out bounds the workers."""
        return _Pool(self._ray)


class _Pool:
    """See ``runner.Pool``: every task has a worker process of its own at the time, and takes no other along."""

    broken = False

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._play = ray.remote(num_cpus=1, max_retries=0)(play_bounded)
        self._open: set[Any] = set()

    def submit(self, matches: Sequence[Any], timeout: float | None) -> Any:
        task = self._play.remote(matches, timeout)
        self._open.add(task)
        return task

    def wait(self, tasks: Sequence[Any], seconds: float | None) -> Collection[Any]:
        done: list[Any] = self._ray.wait(tasks, num_returns=1, timeout=seconds)[0]
        return done

    def outcomes(self, task: Any) -> list[Outcome] | Outcome | None:
        self._open.discard(task)
        try:
            outcomes: list[Outcome] = self._ray.get(task, timeout=0)
        except self._ray.exceptions.RayTaskError:  # it could not be read there
            return Outcome("failed", error=traceback_text())
        except self._ray.exceptions.RayError:
            return None
        return outcomes

    def kill(self) -> None:
        for task in self._open:
            self._ray.cancel(task, force=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
