"""Model-based hypergradient: estimate the game from trajectories, then differentiate the estimate exactly.

Gradient ascent alone finds the nearest local optimum. Before it the leader can explore with random
commitments and then plan on its estimate from several starts, for which it anneals what it is free
to imagine: the follower's temperature (from ``heat`` times the true one), and the cost of its own
configuration (from ``cold_share`` of it).
"""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium

from stackelberg_games.agents.leaders.by_game import ByGame
from stackelberg_games.agents.leaders.model_based_configured_linear import ConfiguredLinearModel
from stackelberg_games.agents.leaders.model_based_finite import FiniteModel
from stackelberg_games.agents.leaders.model_based_linear import LinearModel
from stackelberg_games.agents.leaders.unrewarded import Unrewarded
from stackelberg_games.learning.leader import GradientLeader
from stackelberg_games.rules.view import LeaderView


@dataclass
class ModelBased(Unrewarded, ByGame, FiniteModel):
    """Exact hypergradient of an estimated game; class TRAJECTORIES.

    Linear-quadratic games are fitted by least squares (``LinearModel``), also where the leader
    configures their dynamics (``ConfiguredLinearModel``).

    Args:
        learning_rate, actor_steps, hidden, memory, spread, ramp: see ``PolicyGradient``.
        explore: first commitments, drawn at random with deviation ``reach``.
        reach: see ``explore``; also of the starts of planning.
        starts: starts of every planning; 0 climbs with every batch instead.
        steps: ascent steps from each start.
        heat: factor on the temperature, >= 1, with which every other start begins.
        replan: commitments after which it plans again; in between it plays what planning found, the
            best ends in turn, so that it learns where they lead. 0 plans once.
        cold_share: share of its own cost with which starts begin, in [0, 1].
        hold: batches for which it plays a commitment before the next, where it plans.
        belief: transitions that it takes the follower to plan with: those ``"played"``, or
            ``"estimated"`` from the follower's behaviour too (see ``configurable.belief``): then it plans
            under both, and the replies seen judge.
        planning_rate, planning_steps: learning rate and ascent steps for each batch in linear-quadratic
            games, where ``starts`` and ``reach`` are those of a configuration and no other setting counts.
        follower_rewards: ``"observed"``, or ``"unobserved"``: inferred from the follower's actions
            (``Unrewarded``) where the leader acts at every stage.
    """

    planning_rate: float = 0.1
    planning_steps: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        LinearModel(self.planning_rate, self.planning_steps)  # refuses what is out of range

    def other_form(self, view: LeaderView) -> GradientLeader | None:
        """Least squares where all spaces are Boxes."""
        if not isinstance(view.state_space, gymnasium.spaces.Box):
            return None
        if view.lever is None:
            return LinearModel(self.planning_rate, self.planning_steps)
        return ConfiguredLinearModel(self.planning_rate, self.planning_steps, starts=self.starts, reach=self.reach)
