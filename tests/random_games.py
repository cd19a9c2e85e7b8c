"""Small random games with a commitment each, varied in every respect, for randomised tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.mlp import MLPPolicy
from stackelberg_games.commitments.tabular import DiscretePolicy, TabularPolicy
from stackelberg_games.envs import random_game_v0
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.rules.commitment import Commitment, assign, flatten

HYPERGRADIENT_GAMES = 54


@dataclass(frozen=True)
class Case:
    """A game, a commitment in it, a follower's temperature, and how long to sample episodes."""

    index: int
    game: TabularGame
    commitment: Commitment
    temperature: float
    stages: int

    @property
    def arrays(self) -> Arrays:
        with torch.no_grad():
            return Arrays.of(self.game, self.game.model(self.commitment))

    def objective(self) -> float:
        with torch.no_grad():
            return float(exact.leader_objective(self.game, self.commitment, self.temperature))

    def gradient(self) -> FloatArray:
        """The exact hypergradient, flat."""
        return gradient(self.commitment, exact.leader_objective(self.game, self.commitment, self.temperature))


def case(index: int) -> Case:
    """Game number ``index``: each trait cycles with its own period, everything else is drawn."""
    draws = np.random.default_rng([7, index])
    size = (index // 2) % 4
    leader_actions = 1 if size and index % 5 == 1 else int(draws.integers(2, 4))
    states = int(draws.integers(2, 6))
    horizon = None if index % 3 == 0 else int(draws.integers(1, 15))
    game = random_game_v0.game(
        states,
        leader_actions,
        int(draws.integers(2, 4)),
        transitions={
            "branching": int(draws.integers(1, states + 1)),
            "terminal_states": int(index % 2 and states > 2),
        },
        seed=index,
        leader_discount=1.0 if index % 7 == 1 and horizon else draws.uniform(0.3, 0.9),
        follower_discount=0.0 if index % 10 == 9 else draws.uniform(0.3, 0.9),
        horizon=horizon,
        follower_sees_action=index % 4 != 3,
        configuration_size=size,
    )
    commitment = _commitment(game, index, size, draws)
    return Case(index, game, commitment, draws.uniform(0.2, 1.0), horizon or 12)


def _commitment(game: TabularGame, index: int, size: int, draws: np.random.Generator) -> Commitment:
    policy: DiscretePolicy | None = TabularPolicy(game, draws.normal(size=(game.states, game.leader_actions)))
    if index % 5 == 4:
        policy = MLPPolicy(game, (4,), seed=index)
        assign(policy, torch.tensor(draws.normal(size=len(flatten(policy)))))
    if not size:
        assert policy is not None
        return policy
    if game.leader_actions == 1:
        policy = None
    transform = torch.tanh if index % 2 else None
    return Configuration(0.5 * draws.normal(size=size), transform, policy, game.states)


def gradient(commitment: Commitment, value: torch.Tensor) -> FloatArray:
    """Gradient of a scalar with respect to all parameters, flat; zeros where one has no effect."""
    found = torch.autograd.grad(value, list(commitment.parameters()), retain_graph=True, materialize_grads=True)
    return torch.cat([part.ravel() for part in found]).numpy()


def finite_differences(commitment: Commitment, value: Callable[[], float], width: float = 1e-4) -> FloatArray:
    """Central differences of fourth order of ``value()`` in the commitment's parameters."""
    origin = flatten(commitment)

    def shifted(index: int, steps: int) -> float:
        moved = origin.clone()
        moved[index] += steps * width
        assign(commitment, moved)
        return value()

    slopes = [
        (8 * (shifted(k, 1) - shifted(k, -1)) - (shifted(k, 2) - shifted(k, -2))) / (12 * width)
        for k in range(len(origin))
    ]
    assign(commitment, origin)
    return np.array(slopes)
