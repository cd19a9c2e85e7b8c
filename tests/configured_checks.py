"""Checks that every configurable game passes: exact gradients and sampled steps."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import chi2

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.rules.commitment import assign, flatten
from tests.random_games import gradient


def value(game: Game, commitment: Configuration, temperature: float) -> float:
    return float(exact.leader_objective(game, commitment, temperature).detach())


def slopes(
    game: Game, commitment: Configuration, temperature: float, width: float = 1e-3, seed: int = 0
) -> tuple[float, float]:
    """Slope along a random direction: of the exact hypergradient, and by fourth-order differences."""
    found = gradient(commitment, exact.leader_objective(game, commitment, temperature))
    origin = flatten(commitment)
    direction = torch.from_numpy(generator(seed, 9).normal(size=len(origin)))

    def at(steps: int) -> float:
        assign(commitment, origin + steps * width * direction)
        return value(game, commitment, temperature)

    numeric = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * width)
    assign(commitment, origin)
    return float(found @ direction.numpy()), numeric


def steps_fit(game: ConfigurableGame, commitment: Configuration, episodes: int = 400, stages: int = 60) -> float:
    """Chi-squared p-value of sampled successors against the configured model, cells of 5 or more expected."""
    batch = sg.rollout(game, commitment, sg.TabularResponse.uniform(game), episodes=episodes, seed=5, stages=stages)
    shape = game.transition.shape
    counts = np.zeros(shape)
    mask = batch.mask
    cell = (batch.states[:, :-1], batch.leader_actions, batch.follower_actions, batch.states[:, 1:])
    np.add.at(counts, tuple(part[mask] for part in cell), 1)
    model = game.tables(commitment.configuration()).transition.detach().numpy()
    assert not counts[model == 0].any()
    expected = counts.sum(axis=-1, keepdims=True) * model
    kept = expected >= 5
    seen, hoped = np.where(kept, counts, 0), np.where(kept, expected, 0)
    rest_seen, rest_hoped = (np.where(kept, 0, table).sum(axis=-1) for table in (counts, expected))
    pooled = rest_hoped >= 5
    statistic = ((seen - hoped)[kept] ** 2 / hoped[kept]).sum()
    statistic += ((rest_seen - rest_hoped)[pooled] ** 2 / rest_hoped[pooled]).sum()
    categories = kept.sum(axis=-1) + pooled
    degrees = int((categories - 1)[(categories > 1) & ((rest_hoped == 0) | pooled)].sum())
    degrees += int(categories[(rest_hoped > 0) & ~pooled].sum())
    assert degrees > 20
    return float(chi2.sf(statistic, degrees))
