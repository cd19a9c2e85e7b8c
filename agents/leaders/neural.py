"""What the gradient leaders do in games of vectors that are not linear-quadratic.

The commitment is a network and the critics are (``stackelberg_games.representations.regressions``); the estimator is that of
finite games in its score form,

    direct    sum_t gL^t AL_t d log f_t
    response  (1/tau) sum_t u_t AF_t d log f_t,   u_{t+1} = gF w_t,   w_t = u_t + gL^t B_t.

Not leaders by themselves: ``bchg``, ``policy_gradient`` and ``bi_actor_critic`` play as these where
the game asks for it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from torch import Tensor

from stackelberg_games.agents.leaders.by_game import ByGame
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.networks import first_network, log_prob
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.hypergradient import coefficients
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.leader import GradientLeader
from stackelberg_games.representations.regressions import Estimation, NeuralEstimator
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


def needs_networks(view: LeaderView, hidden: tuple[int, ...] = ()) -> bool:
    """Whether neither the form for finite games nor that for linear-quadratic ones fits.

    Args:
        view: of the game.
        hidden: where all spaces are flat Boxes without bounds, hidden layers ask for this form.
    """
    if view.lever is not None:
        return False
    spaces = (view.state_space, view.leader_action_space, view.follower_action_space)
    if all(isinstance(space, gymnasium.spaces.Discrete) for space in spaces):
        return False
    unbounded = all(
        isinstance(space, gymnasium.spaces.Box) and not (space.bounded_below.any() or space.bounded_above.any())
        for space in spaces[1:]
    )
    linear = unbounded and isinstance(view.state_space, gymnasium.spaces.Box)
    return bool(hidden) or not linear


@dataclass
class ByNetworks(ByGame):
    """Gives a gradient leader of finite games its neural form; goes before its class.

    Args:
        smoothing: in games of vectors that are not linear-quadratic, see ``Estimation``.
        critic_steps: there too; ``Estimation.steps``.
    """

    memory: float = 0.8
    smoothing: float = 0.95
    critic_steps: int = 40

    def __post_init__(self) -> None:
        super().__post_init__()
        self.estimation = Estimation(self.memory, self.smoothing, self.critic_steps)

    @abstractmethod
    def neural_form(self) -> NeuralDirect:
        """The form with this leader's settings."""

    def other_form(self, view: LeaderView) -> GradientLeader | None:
        """The neural form where no other fits; leaders with further forms extend this."""
        if not needs_networks(view, self.hidden):
            return None
        if self.information > Information.TRAJECTORIES:
            raise UnsupportedGameError(
                f"{type(self).__name__} with information {self.information.name}: in games of vectors it learns from "
                'trajectories; set reads="none"'
            )
        return self.neural_form()


@dataclass
class NeuralDirect(GradientLeader):
    """The direct term alone; class TRAJECTORIES.

    Args:
        learning_rate, actor_steps: see ``GradientLeader``.
        hidden: widths of the commitment's hidden layers; empty for one linear in the state.
        estimation: how the critics are fitted.
    """

    estimation: Estimation = field(default_factory=Estimation)

    @property
    def information(self) -> Information:
        """TRAJECTORIES."""
        return Information.TRAJECTORIES

    @property
    def temperature(self) -> float | None:
        """The follower's, where the estimator is to fit it."""
        return None

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``.

        Raises:
            UnsupportedGameError: the leader configures the game, or a space is neither a flat Box nor Discrete.
        """
        if view.lever is not None:
            raise UnsupportedGameError("the neural form does not configure games")
        super().begin(view, seed=seed, commitment=commitment)
        self.estimator = NeuralEstimator(view, self.estimation, self.temperature, seed)

    def first_commitment(self, view: LeaderView, seed: int) -> Commitment:
        """The uniform policy, or the middle of the range with some noise, as a network."""
        return first_network(view, self.hidden, seed)

    def observe(self, evidence: Evidence) -> None:
        """Fit the critics, and weigh log f at the stages of the batch."""
        self.estimator.observe(evidence.require_trajectories())
        self.weights = torch.from_numpy(self.stage_weights(evidence))

    def stage_weights(self, evidence: Evidence) -> FloatArray:
        """Weights of log f, ``[N, T]``; zero in the padding."""
        batch = evidence.require_trajectories()
        advantage = self.estimator.critics().leader_advantage
        return self.view.leader_discount ** np.arange(batch.stages) * advantage * batch.mask

    def surrogate(self, evidence: Evidence) -> Tensor:
        """See ``GradientLeader``."""
        batch = evidence.require_trajectories()
        mask = batch.mask
        scores = log_prob(self.commitment, batch.states[:, :-1][mask], batch.leader_actions[mask])
        return (self.weights[torch.tensor(mask)] * scores).sum() / batch.episodes

    def state_dict(self) -> dict[str, Any]:
        """Commitment, optimiser, networks and the data they are fitted to."""
        return {**super().state_dict(), "estimator": self.estimator.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        self.estimator.load_state_dict(state["estimator"])


@dataclass
class NeuralCovariance(NeuralDirect):
    """Both terms; class TRAJECTORIES with the follower's rewards and its temperature.

    Args:
        learning_rate, actor_steps, hidden, estimation: see ``NeuralDirect``.
        trace_decay, centre: see ``hypergradient.influence``.
    """

    trace_decay: float = 1.0
    centre: bool = True

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True

    @property
    def temperature(self) -> float | None:
        """As the leader was told."""
        return self.view.temperature

    def stage_weights(self, evidence: Evidence) -> FloatArray:
        """Direct and response weights of log f, ``[N, T]``."""
        batch = evidence.require_trajectories()
        assert self.view.temperature is not None
        weights = coefficients(
            batch,
            self.estimator.critics(),
            leader_discount=self.view.leader_discount,
            follower_discount=self.view.follower_discount,
            temperature=self.view.temperature,
            follower_sees_action=self.view.follower_sees_action,
            trace_decay=self.trace_decay,
            centre=self.centre and batch.episodes > 1,
        )
        return weights.direct_policy + weights.response_policy
