"""What ``model_based`` does where the leader configures linear dynamics: fit what is hidden, climb the rest exactly.

Least squares on the observed stages gives B, A at one configuration and the noise; the lever carries
A to every other configuration. Both rewards, less the leader's own cost, are fitted as quadratic
forms. The response of the fitted game and how it moves with the configuration come from the soft
Riccati equation.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.gaussian import box_sizes
from stackelberg_games.errors import InformationError, InvalidArgumentError, SolverError, UnsupportedGameError
from stackelberg_games.kinds.linear_lever import ConfiguredLinear, LinearObjective, linear_lever
from stackelberg_games.kinds.riccati import Plant, soft_riccati
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.leader import GradientLeader
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.rules.commitment import Commitment, assign, flatten
from stackelberg_games.rules.view import LeaderView


@dataclass
class ConfiguredLinearModel(GradientLeader):
    """Plans in the fitted game; class TRAJECTORIES.

    Args:
        learning_rate: of Adam on the fitted objective, > 0.
        actor_steps: ascent steps for each batch, >= 1.
        hidden: no effect here.
        starts: random starts of a first planning from which the best end is taken, >= 0.
        reach: deviation of their parameters.
    """

    learning_rate: float = 0.1
    actor_steps: int = 20
    starts: int = 0
    reach: float = 2.0

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.starts < 0 or not self.reach >= 0:
            raise InvalidArgumentError(f"{self}: expected starts, reach >= 0")

    @property
    def information(self) -> Information:
        """TRAJECTORIES with the follower's rewards."""
        return Information.TRAJECTORIES

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``.

        Raises:
            UnsupportedGameError: the leader does not configure linear dynamics.
        """
        self.lever = linear_lever(view.lever, self)
        super().begin(view, seed=seed, commitment=commitment)
        configuration = self.commitment.configuration()
        if configuration is None or view.horizon is None:
            raise UnsupportedGameError("model_based needs a configuration and a horizon")
        self.reference = configuration.detach().clone()
        self.random = generator(seed, 8)
        states, _, replies = box_sizes(view)
        joint = states + replies
        pairs = joint * (joint + 1) // 2
        self.sums = {
            "joint": np.zeros((joint, joint)),
            "next": np.zeros((joint, states)),
            "square": np.zeros((states, states)),
            "pairs": np.zeros((pairs, pairs)),
            "rewards": np.zeros((pairs, 2)),
            "start": np.zeros((states, states)),
            "counts": np.zeros(2),
        }

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Fit, then climb the fitted objective."""
        self.observe(evidence)
        first = self.sums["counts"][0] == evidence.require_trajectories().transitions
        objective = self._fitted()
        here = flatten(self.commitment)
        begins = [here, *(self._drawn(len(here)) for _ in range(self.starts if first else 0))]
        ends = [self._climb(objective, begin) for begin in begins]
        value, best = max(ends, key=lambda end: end[0])
        assign(self.commitment, best)
        return {"fitted_value": value}

    def _drawn(self, size: int) -> Tensor:
        return torch.from_numpy(self.random.normal(scale=self.reach, size=size))

    def observe(self, evidence: Evidence) -> None:
        """Add a batch to the sums of the least-squares problems."""
        batch = evidence.require_trajectories()
        if batch.follower_rewards is None:
            raise InformationError("model_based needs the follower's rewards in its trajectories")
        configuration = self.commitment.configuration()
        assert configuration is not None
        states, following = (torch.tensor(batch.states[:, part][batch.mask]) for part in (slice(-1), slice(1, None)))
        with torch.no_grad():
            carried = (following - self.lever.shift(configuration, self.reference, states)).numpy()
            cost = float(self.lever.cost(configuration))
        joint = np.concatenate([states.numpy(), batch.follower_actions[batch.mask]], axis=1)
        rows, columns = np.triu_indices(joint.shape[1])
        pairs = joint[:, rows] * joint[:, columns]
        rewards = np.stack([batch.leader_rewards[batch.mask] + cost, batch.follower_rewards[batch.mask]], axis=1)
        start = batch.states[:, 0]
        added = {
            "joint": joint.T @ joint,
            "next": joint.T @ carried,
            "square": carried.T @ carried,
            "pairs": pairs.T @ pairs,
            "rewards": pairs.T @ rewards,
            "start": start.T @ start,
            "counts": np.array([len(joint), len(start)]),
        }
        self.sums = {name: self.sums[name] + part for name, part in added.items()}

    def surrogate(self, evidence: Evidence) -> Tensor:
        """The leader's objective in the fitted game."""
        value: Tensor = self._fitted()(self.commitment.configuration())
        return value

    def _fitted(self) -> Any:
        """The objective of the fitted game as a function of the configuration."""
        sums, (stages, episodes) = self.sums, self.sums["counts"]
        size = len(sums["start"])
        weights = np.linalg.lstsq(sums["joint"], sums["next"], rcond=None)[0]
        residual = sums["square"] - weights.T @ sums["next"]
        forms = np.linalg.lstsq(sums["pairs"], sums["rewards"], rcond=None)[0]
        leader, follower = (_form(-column, len(sums["joint"])) for column in forms.T)
        idle = torch.zeros(size, 1, dtype=torch.float64)
        drift, push = torch.from_numpy(weights[:size].T.copy()), torch.from_numpy(weights[size:].T.copy())
        noise = torch.from_numpy(0.5 * (residual + residual.T) / stages)
        plant = Plant(drift, push, idle, noise, follower[:size, :size], follower[size:, size:])
        start = torch.from_numpy(sums["start"] / episodes)
        assert self.view.horizon is not None
        objective = LinearObjective(
            leader[:size, :size], leader[size:, size:], start, self.view.leader_discount, self.view.horizon
        )

        def value(configuration: Tensor) -> Tensor:
            assert self.view.temperature is not None
            identity = torch.eye(size, dtype=torch.float64)
            moved = plant._replace(state=drift + self.lever.shift(configuration, self.reference, identity).T)
            answer = soft_riccati(
                moved, ConfiguredLinear.idle(size), self.view.follower_discount, self.view.temperature
            )
            return objective(moved, answer, self.lever.cost(configuration))

        return value

    def _climb(self, objective: Any, begin: Tensor) -> tuple[float, Tensor]:
        """Adam from a start; the best value on the way and where it was."""
        commitment = copy.deepcopy(self.commitment)
        assign(commitment, begin)
        optimizer = torch.optim.Adam(commitment.parameters(), lr=self.learning_rate, maximize=True, foreach=False)
        best, value = begin, -np.inf
        for _ in range(self.actor_steps + 1):
            optimizer.zero_grad()
            try:
                reached = objective(commitment.configuration())
            except SolverError:  # the fitted follower has no stable response here; keep what was found before
                break
            if float(reached.detach()) > value:
                best, value = flatten(commitment), float(reached.detach())
            reached.backward()
            optimizer.step()
        return value, best

    def state_dict(self) -> dict[str, Any]:
        """Commitment, sums and the random state."""
        kept = {"sums": dict(self.sums), "reference": self.reference.numpy()}
        return {**super().state_dict(), **kept, "random": self.random.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        self.sums = {name: np.array(part) for name, part in state["sums"].items()}
        self.reference = torch.from_numpy(np.array(state["reference"]))
        self.random.bit_generator.state = state["random"]


def _form(column: FloatArray, size: int) -> Tensor:
    """The symmetric matrix of a quadratic form from its coefficients over pairs of coordinates."""
    matrix = np.zeros((size, size))
    matrix[np.triu_indices(size)] = column
    return torch.from_numpy(0.5 * (matrix + matrix.T))
