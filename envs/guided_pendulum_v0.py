"""Guided pendulum: the follower swings a pendulum up; the leader pushes it and wants it on one side.

| fact             | value                                                                      |
|------------------|----------------------------------------------------------------------------|
| Agents           | leader_0, follower_0                                                       |
| State            | (cos th, sin th, th'), th = 0 upright; observation float32 [3]             |
| Leader action    | w in [-1, 1]; adds 2 w cos(th)^2 to the angular acceleration               |
| Follower action  | torque u in [-2, 2]; the follower sees w                                   |
| Follower reward  | -(th^2 + 0.1 th'^2 + 0.001 u^2), th in [-pi, pi), before the stage          |
| Leader reward    | min(sin(th + pi), 0), before the stage: a penalty where sin(th) > 0        |
| Dynamics         | th'' = 3 g / (2 l) sin(th) + 3 u / (m l^2) + push; g 10, m 1, l 1, dt 0.05, |th'| <= 8 |
| Start            | th uniform in [-pi, pi), th' uniform in [-1, 1)                             |
| Discounts        | 0.99, 0.99                                                                 |
| Horizon          | 200; no terminal states                                                    |
| Optimum          | not known in closed form                                                   |

Source: the pendulum of Gymnasium, guided as in BC-HG (arXiv 2603.14867).

Version history: v0, first version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from stackelberg_games import settings
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.faces.box import checked
from stackelberg_games.kinds.chart import Chart
from stackelberg_games.kinds.vector import VectorGame
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.rules.rules import Step

if TYPE_CHECKING:
    from stackelberg_games.rules.scene import Scene

GRAVITY, MASS, LENGTH, INTERVAL, MAX_SPEED, MAX_TORQUE, PUSH = 10.0, 1.0, 1.0, 0.05, 8.0, 2.0, 2.0


class GuidedPendulum(VectorGame):
    """See the module's text.

    Args:
        max_push: factor on the leader's push, > 0.
        leader_discount: see ``Game``.
        follower_discount: see ``Game``.
        horizon: see ``Game``.

    Raises:
        InvalidGameError: an argument is out of range.
    """

    @settings.checked
    def __init__(
        self,
        max_push: float = 1.0,
        *,
        leader_discount: float = 0.99,
        follower_discount: float = 0.99,
        horizon: int | None = 200,
    ) -> None:
        if not max_push > 0:
            raise InvalidGameError(f"max_push={max_push!r}: expected a number > 0")
        self.max_push = float(max_push)
        limits = np.array([1.0, 1.0, MAX_SPEED])
        self.chart = Chart(np.array([-np.pi, -MAX_SPEED]), np.array([np.pi, MAX_SPEED]), (True, False), _place, _shown)
        super().__init__(
            "guided_pendulum-v0",
            gymnasium.spaces.Box(-limits, limits, dtype=np.float64),
            gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32),
            gymnasium.spaces.Box(-MAX_TORQUE, MAX_TORQUE, (1,), np.float32),
            leader_discount=leader_discount,
            follower_discount=follower_discount,
            horizon=horizon,
        )

    def initial(self, streams: Streams) -> FloatArray:
        """First states, ``[N, 3]``."""
        draws = streams.uniform(Lane.ENVIRONMENT, 0, 2)
        return _state(2 * np.pi * draws[:, 0] - np.pi, 2 * draws[:, 1] - 1)

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        """Play one stage in every episode.

        Raises:
            InvalidActionError: an action lies outside its Box.
        """
        wind = checked("leader", leader_actions, self.leader_action_space, len(states))[:, 0]
        torque = checked("follower", follower_actions, self.follower_action_space, len(states))[:, 0]
        angle, speed = np.arctan2(states[:, 1], states[:, 0]), states[:, 2]
        paid = -(angle**2 + 0.1 * speed**2 + 0.001 * torque**2)
        earned = np.minimum(np.sin(angle + np.pi), 0.0)
        pull = 1.5 * GRAVITY / LENGTH * np.sin(angle) + 3.0 / (MASS * LENGTH**2) * torque
        push = PUSH * self.max_push * wind * np.cos(angle) ** 2
        speed = np.clip(speed + (pull + push) * INTERVAL, -MAX_SPEED, MAX_SPEED)
        return Step(_state(angle + speed * INTERVAL, speed), earned, paid, np.zeros(len(states), dtype=np.bool_))

    def draw(self, axes: Any, scene: Scene) -> bool:
        """The pendulum, the penalised side, and both players' pushes."""
        cosine, sine, _ = np.asarray(scene.state)
        axes.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), xticks=[], yticks=[])
        axes.set_aspect("equal")
        axes.axvspan(-1.4, 0.0, color="tab:orange", alpha=0.12, linewidth=0)
        axes.text(-1.35, 1.32, "leader pays here", color="tab:orange", va="top", fontsize=9)
        axes.plot([0, -sine], [0, cosine], color="0.25", linewidth=7, solid_capstyle="round", zorder=3)
        axes.plot(0, 0, "o", color="black", markersize=7, zorder=4)
        if scene.played is not None:
            wind = float(np.asarray(scene.played.leader_action)[0])
            torque = float(np.asarray(scene.played.follower_action)[0]) / MAX_TORQUE
            for value, colour, label, away in (
                (wind, "tab:blue", "leader", 0.15),
                (torque, "tab:red", "follower", -0.15),
            ):
                foot = np.array([-sine, cosine]) * (1 + away)
                tip = foot + 0.6 * value * np.array([-cosine, -sine])
                style = {"arrowstyle": "->", "color": colour, "linewidth": 2.5}
                axes.annotate("", xy=tip, xytext=foot, arrowprops=style, zorder=5)
                axes.plot([], [], color=colour, label=label)
            axes.legend(loc="lower right", fontsize=8, framealpha=0.85)
        return True


def _state(angle: Any, speed: Any) -> FloatArray:
    return np.stack([np.cos(angle), np.sin(angle), speed], axis=1)


def _place(states: Any) -> FloatArray:
    """Angle and speed."""
    return np.stack([np.arctan2(states[:, 1], states[:, 0]), states[:, 2]], axis=1)


def _shown(places: Any) -> FloatArray:
    """The states at angles and speeds."""
    return _state(places[:, 0], places[:, 1])


game = GuidedPendulum
env, raw_env, parallel_env = faces(game)
