"""One run of a reproduction: a leader in a setting with a seed, kept on disk as it goes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stackelberg_games._version import __version__
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.exact.objective import leader_objective
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning import restored
from stackelberg_games.learning.experiment import Experiment
from stackelberg_games.learning.follower import Follower
from stackelberg_games.learning.leader import Leader
from stackelberg_games.numerics import checkpoint
from stackelberg_games.numerics.threads import single_threaded
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.tournaments.contestant import canonical
from stackelberg_games.tournaments.evaluation import true_temperature
from stackelberg_games.tournaments.match import Outcome, deadline, traceback_text

CURVE = "curve.bin"
CHECKPOINTS = 10
"""How often a run is stored on its way; a killed one continues from the last."""


@dataclass(frozen=True)
class Trial:
    """A run before it is played; see ``tournaments.runner.Playable``.

    Attributes:
        setting, leader: labels in the study.
        seed: of the run.
        sections: of its experiment.
        budget: transitions the leader may play.
        points: measurements on the way.
        discount: of the measured return; the game's own if None.
        folder: of all runs of the reproduction.
    """

    setting: str
    leader: str
    seed: int
    sections: Mapping[str, Mapping[str, Any]]
    budget: int
    points: int
    discount: float | None
    folder: str

    @property
    def key(self) -> str:
        """Hash of everything but the folder."""
        facts = {name: value for name, value in asdict(self).items() if name != "folder"}
        return _hash({**facts, "version": __version__})

    @property
    def place(self) -> Path:
        """Where the run is kept; a longer budget continues a shorter one."""
        facts = [__version__, dict(self.sections), self.seed, self.discount]
        return Path(self.folder) / "runs" / _hash(facts)

    def play(self, timeout: float | None = None) -> Outcome:
        """Run it; an exception becomes an outcome with status ``"failed"``."""
        cpu, wall = time.process_time(), time.perf_counter()
        facts: dict[str, Any]
        try:
            with single_threaded(), deadline(timeout):
                facts = self._train()
        except (Exception, SystemExit):  # noqa: BLE001 a failed run must stop no other
            facts = {"status": "failed", "error": traceback_text()}
        return Outcome(**facts, cpu_seconds=time.process_time() - cpu, wall_seconds=time.perf_counter() - wall)

    def _train(self) -> dict[str, Any]:
        experiment = Experiment(self.sections)
        game, leader, follower = experiment.build()
        curve = _Curve(self, game, follower)
        curve.begin(leader)
        loop = experiment.sections["training"]
        batch = int(loop.get("episodes", 3)) * int(loop.get("stages") or game.stages())
        updates = self.budget // batch
        if updates < 1:
            raise InvalidArgumentError(
                f"{self.leader} in {self.setting}: {self.budget} transitions are less than a batch of {batch}; "
                "raise the fraction"
            )
        run = experiment.run(
            seed=self.seed,
            iterations=self.budget,
            budget=self.budget,
            evaluate_every=0,
            directory=self.place,
            checkpoint_every=max(1, updates // CHECKPOINTS),
            callbacks=[curve],
            progress=False,
        )
        spent = int(run.history[-1]["transitions"])
        curve.finish(spent, run.commitment)
        return {
            "status": "done",
            "information": leader.division.name,
            "curve": curve.upto(self.budget),
            "transitions": spent,
            "follower_transitions": int(run.history[-1]["follower_transitions"]),
        }


class _Curve:
    """Callback that measures the recommendation against the exact response, and keeps what it measured."""

    def __init__(self, trial: Trial, game: Game, follower: Follower) -> None:
        self.trial, self.game = trial, game
        temperature = true_temperature(follower)
        if not temperature:
            raise InvalidArgumentError(f"{trial.setting}: a reproduction needs a follower with a temperature > 0")
        self.temperature = temperature
        self.file = trial.place / CURVE
        self.step = trial.budget / trial.points
        self.points: list[tuple[int, float]] = []
        if self.file.exists():
            stored = checkpoint.load(self.file)
            restored.check(str(self.file), stored, [], [(0, 0.0)])
            self.points = [(spent, value) for spent, value in stored]

    def begin(self, leader: Leader) -> None:
        """The value before anything is played."""
        if not self.points:
            leader.begin(self.game.view(self.temperature), seed=self.trial.seed)
            self._add(0, leader.recommendation)

    def __call__(self, record: Mapping[str, float], leader: Leader) -> None:
        """Measure where the next point is due; a resumed run plays again what came after its checkpoint."""
        spent = int(record["transitions"])
        self.points = [point for point in self.points if point[0] < spent]
        if spent - self.points[-1][0] >= self.step * (1 - 1e-9):
            self._add(spent, leader.recommendation)

    def finish(self, spent: int, commitment: Commitment) -> None:
        """Measure what the run ends with."""
        if self.points[-1][0] < spent:
            self._add(spent, commitment)

    def upto(self, budget: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Transitions and values within a budget."""
        points = [point for point in self.points if point[0] <= budget]
        return tuple(spent for spent, _ in points), tuple(value for _, value in points)

    def _add(self, spent: int, commitment: Commitment) -> None:
        value = leader_objective(self.game, commitment, self.temperature, discount=self.trial.discount)
        self.points.append((spent, float(value.detach())))
        self.file.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.save(self.file, self.points)


def _hash(facts: Any) -> str:
    return hashlib.sha256(canonical(facts).encode()).hexdigest()[:32]
