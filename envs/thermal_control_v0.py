"""Building thermal control: the leader insulates four zones, the follower runs the heating.

| fact            | value                                                                        |
|-----------------|------------------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                                         |
| States          | temperature deviations of four zones in a ring, in R^4                       |
| Follower actions| heating power in R^2, unbounded                                              |
| Configuration   | (alpha, beta) in (0, 1)^8: insulation of the zones, airflow on the links 1-2, 2-3, 3-4, 4-1 |
| Dynamics        | x' = A(alpha, beta) x + B u + xi, xi of deviation 0.02; x_0 of deviation 5    |
| Follower        | -x'diag(8, 1, 5, 6)x - 0.01 |u|^2, discount 0.9, temperature 0.1             |
| Leader          | -Var(x) - 0.5 |u|^2 - 0.1 |alpha|^2 - 0.1 |beta|^2, discount 0.9             |
| Horizon         | 100 stages; the follower's response is stationary                            |
| Optimum         | -162.503 at alpha = (1, 0, 1, 1), beta = (0, 0.778, 1, 1), by ascent from several starts |

Var is the population variance over the four zones of a state. The published code clips states to
[-30, 30], which practically never matters; here they are not clipped, so that the response, the
objective and the hypergradient are exact: the soft Riccati equation and propagated moments.

Source: BC-HG, arXiv 2603.14867, building thermal control.

Version history: v0, first version.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.gaussian import LinearGaussianResponse
from stackelberg_games.commitments.parametrisation import Bounded
from stackelberg_games.commitments.space import check_inside
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.linear_lever import LinearLever, LinearObjective, check_stable, idle_policy
from stackelberg_games.kinds.linear_quadratic import Cost, Dynamics, LinearGaussianGame
from stackelberg_games.kinds.moments import Quadratic
from stackelberg_games.kinds.riccati import Plant, SoftRiccati, soft_riccati
from stackelberg_games.numerics.randomness import Lane, Streams, generator
from stackelberg_games.numerics.rows import product, quadratic
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Ledger
from stackelberg_games.rules.rules import Step, check_discount, check_horizon
from stackelberg_games.rules.trajectories import Trajectories, check_affordable
from stackelberg_games.rules.view import LeaderView
from stackelberg_games.settings import checked

if TYPE_CHECKING:
    from stackelberg_games.rules.scene import Scene

LEAK = torch.tensor([0.04, 0.03, 0.06, 0.05], dtype=torch.float64)
LINKS = (
    (0, 1, 0.05, 0),
    (0, 3, 0.05, 3),
    (1, 0, 0.03, 0),
    (1, 2, 0.04, 1),
    (2, 1, 0.04, 1),
    (2, 3, 0.06, 2),
    (3, 0, 0.05, 3),
    (3, 2, 0.03, 2),
)
"""Zone, neighbour, strength of the flow into the zone, and the airflow that scales it."""
HEATING = np.array([[0.1, 0.0], [0.6, 0.0], [0.0, 0.55], [0.0, 0.3]])
SPREAD = np.eye(4) / 4 - np.ones((4, 4)) / 16
POWER_COST, DESIGN_COST = 0.5, 0.1


def transition(configuration: Tensor) -> Tensor:
    """A(alpha, beta), ``[4, 4]``, differentiable; rows sum to 1 + leak (1 - alpha)."""
    alpha, beta = configuration[:4], configuration[4:]
    rows: list[list[Tensor]] = [[torch.zeros((), dtype=torch.float64)] * 4 for _ in range(4)]
    kept = list(1 + LEAK * (1 - alpha))
    for zone, neighbour, strength, link in LINKS:
        flow = strength * beta[link]
        rows[zone][neighbour] = flow
        kept[zone] = kept[zone] - flow
    for zone in range(4):
        rows[zone][zone] = kept[zone]
    return torch.stack([torch.stack(row) for row in rows])


class ThermalControl(LinearGaussianGame):
    """See the module's text.

    Args:
        horizon: stages of an episode.
        noise: deviation of xi.
        start_std: deviation of x_0.
    """

    def __init__(self, horizon: int = 100, noise: float = 0.02, start_std: float = 5.0) -> None:
        middle = torch.full((8,), 0.5, dtype=torch.float64)
        super().__init__(
            Dynamics(transition(middle).numpy(), HEATING, np.zeros((4, 1)), np.zeros(4), start_std, noise),
            Cost(np.diag([8.0, 1.0, 5.0, 6.0]), 0.01 * np.eye(2)),
            Quadratic(0.0, np.zeros(4), 2 * SPREAD),
            leader_discount=0.9,
            follower_discount=0.9,
            horizon=horizon,
            name="thermal_control-v0",
        )
        self.parametrisation = Bounded(0.0, 1.0)
        self.configuration_space = self.parametrisation.space(8)
        self.idle_action = np.zeros(1)
        self._design_cost = float(design_cost(middle))

    def configured(self, configuration: Tensor) -> ThermalControl:
        """The building as it is under a configuration; see ``Game.configured``."""
        check_inside(self.configuration_space, configuration)
        fixed = copy.copy(self)
        with torch.no_grad():
            fixed.state_matrix = transition(configuration).numpy()
            fixed._design_cost = float(design_cost(configuration))
        fixed.configuration_space = fixed.idle_action = None
        return fixed

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        """Play one stage of the building as it is: the middle configuration unless ``configured``.

        Raises:
            InvalidActionError: an action has the wrong shape or is not finite.
        """
        step = super().step(states, leader_actions, follower_actions, streams, stage)
        return step._replace(leader_rewards=self._earned(states, np.asarray(follower_actions), self._design_cost))

    def commitment(self, seed: int = 0, spread: float | None = None) -> Configuration:
        """The standard start: parameters from N(0, 0.01^2), so that alpha and beta are near 0.5."""
        scale = 0.01 if spread is None else spread
        return Configuration(scale * generator(seed, 5).standard_normal(8), self.parametrisation)

    def view(self, temperature: float | None = None, ledger: Ledger | None = None) -> LeaderView:
        """What a leader is told, its lever included."""
        if self.configuration_space is None:
            return super().view(temperature, ledger)
        lever = LinearLever(transition, design_cost, self.commitment)
        return dataclasses.replace(super().view(temperature, ledger), lever=lever)

    def plant_of(self, commitment: Commitment) -> Plant:
        """Dynamics and cost under a configuration, differentiable in it."""
        configuration = commitment.configuration()
        if configuration is None:
            return self.plant
        check_inside(self.configuration_space, configuration)
        return self.plant._replace(state=transition(configuration))

    def response(self, commitment: Commitment, temperature: float) -> SoftRiccati:
        """The follower's soft-optimal response; raises ``SolverError`` where there is none."""
        if commitment.configuration() is None:
            return super().response(commitment, temperature)
        return soft_riccati(self.plant_of(commitment), idle_policy(4), self.follower_discount, temperature)

    def draw(self, axes: Any, scene: Scene) -> bool:
        """The zones with their temperatures, what the leader has built, and the last heating."""
        power = None if scene.played is None else np.asarray(scene.played.follower_action)
        draw_building(axes, np.asarray(scene.state), scene.configuration, power)
        return True

    def leader_objective(
        self, commitment: Commitment, temperature: float, *, discount: float | None = None, horizon: int | None = None
    ) -> Tensor:
        """The leader's expected return in closed form; ``backward()`` gives the exact hypergradient."""
        configuration = commitment.configuration()
        if configuration is None:
            raise UnsupportedGameError("thermal_control-v0 is configured; give a commitment with a configuration")
        objective = LinearObjective(
            torch.tensor(2 * SPREAD) / 2,
            torch.full((2,), POWER_COST, dtype=torch.float64).diag(),
            torch.eye(4, dtype=torch.float64) * float(self.start_factor[0, 0]) ** 2,
            self.leader_discount if discount is None else check_discount("discount", discount, one_allowed=True),
            check_horizon(horizon) or self.horizon or 1000,
        )
        return objective(self.plant_of(commitment), self.response(commitment, temperature), design_cost(configuration))

    def simulate(
        self, commitment: Commitment, follower_policy: Any, streams: Streams, stages: int
    ) -> Trajectories | None:
        """Play under a configuration, all episodes a stage at a time; None for other players.

        Raises:
            SolverError: the closed loop is so unstable that states leave the range of numbers.
        """
        configuration = commitment.configuration()
        if configuration is None or not isinstance(follower_policy, LinearGaussianResponse):
            return None
        check_inside(self.configuration_space, configuration)
        with torch.no_grad():
            matrix, fixed = transition(configuration).numpy(), float(design_cost(configuration))
        episodes = len(streams.episodes)
        check_affordable(episodes, stages)
        states, actions = np.empty((episodes, stages + 1, 4)), np.empty((episodes, stages, 2))
        shaken = streams.normal(Lane.FOLLOWER, 0, stages * 2).reshape(episodes, stages, 2)
        pushes = product(shaken, follower_policy.factor)
        drawn = streams.normal(Lane.ENVIRONMENT, 0, (stages + 1) * 4).reshape(episodes, stages + 1, 4)[:, 1:]
        noise = product(drawn, self.noise_factor)
        states[:, 0] = self.initial(streams)
        for t in range(stages):
            actions[:, t] = product(states[:, t], follower_policy.state_gain) + pushes[:, t]
            states[:, t + 1] = (
                product(states[:, t], matrix) + product(actions[:, t], self.follower_matrix) + noise[:, t]
            )
        check_stable(states, matrix + self.follower_matrix @ follower_policy.state_gain)
        return self._paid(states, actions, fixed)

    @staticmethod
    def _earned(states: FloatArray, actions: FloatArray, fixed: float) -> FloatArray:
        """The leader's rewards, ``[...]``, for states ``[..., 4]`` and heating ``[..., 2]``."""
        return np.asarray(-states.var(axis=-1) - POWER_COST * np.square(actions).sum(axis=-1) - fixed)

    def _paid(self, states: FloatArray, actions: FloatArray, fixed: float) -> Trajectories:
        before = states[:, :-1]
        leader = self._earned(before, actions, fixed)
        follower = -quadratic(before, self.state_cost) - quadratic(actions, self.control_cost)
        episodes, stages = leader.shape
        idle, lengths = np.zeros((episodes, stages, 1)), np.full(episodes, stages)
        return Trajectories(states, idle, actions, leader, follower, lengths, np.zeros(episodes, dtype=np.bool_))


ZONES = ((0.28, 0.76), (0.72, 0.76), (0.72, 0.36), (0.28, 0.36))
LEADER_COLOR, FOLLOWER_COLOR, INK = "#7b4fc9", "#1a8f6a", "#24292f"


def draw_building(axes: Any, temperatures: FloatArray, configuration: FloatArray | None, power: Any) -> None:
    """The four zones as a ring, on the unit square of empty axes.

    Args:
        temperatures: deviations of the zones, ``[4]``.
        configuration: (alpha, beta), ``[8]``: walls and links are as thick as what the leader spends; None
            to leave it out.
        power: of the two heatings, ``[2]``, or None.
    """
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    for link in range(4):
        (left, low), (right, high) = ZONES[link], ZONES[(link + 1) % 4]
        open_by = 0.0 if configuration is None else float(configuration[4 + link])
        axes.plot([left, right], [low, high], color="#d0d7de", linewidth=2, zorder=1)
        axes.plot([left, right], [low, high], color=LEADER_COLOR, linewidth=16 * open_by, alpha=0.6, zorder=1)
    for zone, (x, y) in enumerate(ZONES):
        share = 0.5 + temperatures[zone] / 20  # ten degrees are the ends of the scale
        wall = 1.0 if configuration is None else 1 + 7 * float(configuration[zone])
        color = colormaps["coolwarm"](float(np.clip(share, 0, 1)))
        edge = INK if configuration is None else LEADER_COLOR
        axes.add_patch(
            Rectangle((x - 0.13, y - 0.13), 0.26, 0.26, facecolor=color, edgecolor=edge, linewidth=wall, zorder=2)
        )
        style = {"ha": "center", "va": "center", "zorder": 3, "color": INK if 0.15 < share < 0.85 else "white"}
        axes.text(x, y + 0.05, f"zone {zone + 1}", fontsize=9, **style)
        axes.text(x, y - 0.03, f"{temperatures[zone]:+.2f}", fontsize=13, weight="bold", **style)
    for index, pushed in enumerate(() if power is None else power):
        words = f"heating of zones {2 * index + 1} and {2 * index + 2}: {pushed:+.2f}"
        axes.text(0.02, 0.15 - 0.045 * index, words, color=FOLLOWER_COLOR, fontsize=10)
    if configuration is not None:
        axes.text(0.02, 0.03, "thick walls: insulation; thick links: airflow", color=LEADER_COLOR, fontsize=10)


def design_cost(configuration: Tensor) -> Tensor:
    """What a configuration costs the leader at every stage."""
    return DESIGN_COST * configuration.square().sum()


@checked
def game(horizon: int = 100, *, noise: float = 0.02, start_std: float = 5.0) -> ThermalControl:
    """Building thermal control; see ``ThermalControl``."""
    return ThermalControl(horizon, noise, start_std)


env, raw_env, parallel_env = faces(game)
