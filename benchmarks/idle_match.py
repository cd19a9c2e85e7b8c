"""A match that does nothing; in a module of its own, so that its name travels to workers, as a match's does, and not its code."""

from __future__ import annotations

import numpy as np

from stackelberg_games.tournaments.evaluation import Evaluation
from stackelberg_games.tournaments.match import BEST, OWN, Match, Outcome


class Idle(Match):
    """A match that does nothing but has an outcome of the usual size."""

    def play(self, timeout: float | None = None) -> Outcome:
        """The same outcome every time."""
        return made_up(self.seed)


def made_up(seed: int) -> Outcome:
    """An outcome of the usual size: three measurements and a curve of 40 points."""
    draws = np.random.default_rng(seed)
    rows = tuple(Evaluation(name, float(draws.normal()), 1.0, 0.1) for name in (BEST, OWN))
    curve = (tuple(range(1000, 41_000, 1000)), tuple(draws.normal(size=40).tolist()))
    return Outcome("done", "RETURNS", rows, curve, 40_000, 0, cpu_seconds=0.2, wall_seconds=0.2)
