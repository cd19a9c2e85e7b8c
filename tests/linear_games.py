"""Random stable linear-quadratic games for tests."""

from __future__ import annotations

import numpy as np

from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.kinds.linear_quadratic import Cost, Dynamics, LinearGaussianGame
from stackelberg_games.kinds.moments import Bump


def linear_game(seed: int, horizon: int | None = 12) -> tuple[LinearGaussianGame, LinearGaussianPolicy]:
    """A stable game of up to three states and two actions each, and a commitment to it."""
    random = np.random.default_rng(seed)
    n, m, k = (int(random.integers(1, top)) for top in (4, 3, 3))
    drift = random.normal(size=(n, n))
    drift *= 0.9 / np.abs(np.linalg.eigvals(drift)).max()
    root, control, precision = random.normal(size=(n, n)), random.normal(size=(m, m)), random.normal(size=(n, n))
    game = LinearGaussianGame(
        Dynamics(
            drift,
            random.normal(size=(n, m)),
            random.normal(size=(n, k)),
            random.normal(size=n),
            0.3 * random.normal(size=(n, n)),
            0.2 * random.normal(size=(n, n)),
        ),
        Cost(root @ root.T, control @ control.T + 0.3 * np.eye(m), float(random.choice([0.0, 0.3]))),
        Bump(2.0, random.normal(size=n), precision @ precision.T),
        horizon=horizon,
    )
    policy = LinearGaussianPolicy(
        game, 0.2 * random.normal(size=(k, n)), 0.3 * np.eye(k) + 0.1 * random.normal(size=(k, k))
    )
    return game, policy
