"""Guided cart and pole: the follower keeps the pole up; the leader's wind wants the cart in an interval.

| fact             | value                                                                           |
|------------------|---------------------------------------------------------------------------------|
| Agents           | leader_0, follower_0                                                            |
| State            | (x, x', th, th'), th = 0 upright; observation float32 [4]                       |
| Leader action    | wind w in [-1, 1]; adds 20 w cos(th)^2 to the angular acceleration              |
| Follower action  | u in [-1, 1], a force of 10 u on the cart; the follower sees w                  |
| Follower reward  | 1 for every stage                                                               |
| Leader reward    | 1 where the next x lies strictly inside the target interval                     |
| Dynamics         | g 9.8, cart 1.0, pole 0.1, half length 0.5, Euler steps of 0.02                 |
| Start            | uniform in [-0.05, 0.05)^4                                                      |
| End              | |x| > 2.4 or |th| > 12 degrees: terminal; horizon 200                           |
| Discounts        | 0.99, 0.99                                                                      |
| Optimum          | not known in closed form; 200 bounds both players' undiscounted returns         |

Target intervals: ``"centre"`` is (-0.25, 0.25), ``"right"`` is (0.25, 0.75).
Source: Barto, Sutton and Anderson, IEEE SMC 1983, as in Gymnasium; guided as in BC-HG (arXiv
2603.14867), whose wind accelerates the pole, and the cart by the pole's reaction.

Version history: v0, first version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from stackelberg_games import settings
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidGameError, UnknownIdError
from stackelberg_games.faces import faces
from stackelberg_games.faces.box import checked
from stackelberg_games.kinds.chart import Chart
from stackelberg_games.kinds.vector import VectorGame
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.rules.rules import Step

if TYPE_CHECKING:
    from stackelberg_games.rules.scene import Scene

TARGETS = {"centre": (-0.25, 0.25), "right": (0.25, 0.75)}
GRAVITY, CART, POLE, HALF, FORCE, WIND, INTERVAL = 9.8, 1.0, 0.1, 0.5, 10.0, 20.0, 0.02
MAX_POSITION, MAX_ANGLE = 2.4, 12 * np.pi / 180
REACH = np.array([MAX_POSITION, 4.0, MAX_ANGLE, 3.5])
"""What coordinates play comes to before an episode ends."""


class GuidedCartPole(VectorGame):
    """See the module's text.

    Args:
        target: ``"centre"``, ``"right"``, or an interval (low, high).
        max_wind: factor on the wind, > 0.
        leader_discount: see ``Game``.
        follower_discount: see ``Game``.
        horizon: see ``Game``.

    Raises:
        UnknownIdError: no such target.
        InvalidGameError: an argument is out of range.
    """

    @settings.checked
    def __init__(
        self,
        target: str | tuple[float, float] = "right",
        max_wind: float = 1.0,
        *,
        leader_discount: float = 0.99,
        follower_discount: float = 0.99,
        horizon: int | None = 200,
    ) -> None:
        if isinstance(target, str) and target not in TARGETS:
            raise UnknownIdError("guided_cartpole target", target, TARGETS)
        low, high = TARGETS[target] if isinstance(target, str) else target
        if not (low < high and max_wind > 0):
            raise InvalidGameError(f"target={target!r}, max_wind={max_wind!r}: expected low < high and a number > 0")
        self.chart = Chart(-REACH, REACH, (False,) * 4)
        self.target, self.max_wind = (float(low), float(high)), float(max_wind)
        super().__init__(
            "guided_cartpole-v0",
            gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float64),
            gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32),
            gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32),
            leader_discount=leader_discount,
            follower_discount=follower_discount,
            horizon=horizon,
        )

    def initial(self, streams: Streams) -> FloatArray:
        """First states, ``[N, 4]``."""
        return 0.1 * streams.uniform(Lane.ENVIRONMENT, 0, 4) - 0.05

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        """Play one stage in every episode.

        Raises:
            InvalidActionError: an action lies outside its Box.
        """
        wind = checked("leader", leader_actions, self.leader_action_space, len(states))[:, 0]
        force = FORCE * checked("follower", follower_actions, self.follower_action_space, len(states))[:, 0]
        position, speed, angle, spin = states.T
        cosine, sine, mass = np.cos(angle), np.sin(angle), CART + POLE
        share = (force + POLE * HALF * spin**2 * sine) / mass
        turning = (GRAVITY * sine - cosine * share) / (HALF * (4 / 3 - POLE * cosine**2 / mass))
        turning = turning + WIND * self.max_wind * wind * cosine**2
        pushing = share - POLE * HALF * turning * cosine / mass
        moved = np.stack([position, speed, angle, spin], axis=1)
        moved = moved + INTERVAL * np.stack([speed, pushing, spin, turning], axis=1)
        inside = (moved[:, 0] > self.target[0]) & (moved[:, 0] < self.target[1])
        failed = (np.abs(moved[:, 0]) > MAX_POSITION) | (np.abs(moved[:, 2]) > MAX_ANGLE)
        return Step(moved, inside.astype(np.float64), np.ones(len(states)), failed)

    def draw(self, axes: Any, scene: Scene) -> bool:
        """Cart, pole, target interval, and both players' pushes."""
        position, _, angle, _ = np.asarray(scene.state)
        axes.set(xlim=(-2.6, 2.6), ylim=(-1.2, 2.2), xticks=[], yticks=[])
        axes.set_aspect("equal")
        axes.axvspan(*self.target, color="tab:green", alpha=0.18, linewidth=0)
        axes.text(sum(self.target) / 2, -0.75, "target", color="tab:green", ha="center", fontsize=9)
        axes.axhline(-0.2, color="0.6", linewidth=1, zorder=1)
        for side in (-MAX_POSITION, MAX_POSITION):
            axes.plot([side, side], [-0.35, -0.05], color="0.3", linewidth=2)
        corner = [position - 0.3, position + 0.3]
        axes.fill_between(corner, -0.2, 0.15, color="0.35", zorder=3)
        tip = np.array([position + 1.4 * np.sin(angle), 0.15 + 1.4 * np.cos(angle)])
        axes.plot([position, tip[0]], [0.15, tip[1]], color="tab:brown", linewidth=5, solid_capstyle="round", zorder=4)
        if scene.played is not None:
            wind = float(np.asarray(scene.played.leader_action)[0])
            push = float(np.asarray(scene.played.follower_action)[0])
            feet = (
                (wind, tip, "tab:blue", "leader's wind"),
                (push, np.array([position, 0.0]), "tab:red", "follower's force"),
            )
            for value, foot, colour, label in feet:
                style = {"arrowstyle": "->", "color": colour, "linewidth": 2.5}
                axes.annotate("", xy=(foot[0] + 0.8 * value, foot[1]), xytext=foot, arrowprops=style, zorder=5)
                axes.plot([], [], color=colour, label=label)
            axes.legend(loc="upper right", fontsize=8, framealpha=0.85)
        return True


game = GuidedCartPole
env, raw_env, parallel_env = faces(game)
