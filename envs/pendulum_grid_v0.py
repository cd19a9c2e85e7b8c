"""Guided pendulum on a grid: finite and exact, and shown as vectors, so that only networks play it.

| fact             | value                                                                      |
|------------------|----------------------------------------------------------------------------|
| Agents           | leader_0, follower_0                                                       |
| States           | 33 angles x 25 speeds; each is shown as (cos th, sin th, th'), th = 0 upright |
| Leader actions   | 3 winds w = -1, 0, 1; adds 2 max_push w cos(th)^2 to the angular acceleration, max_push 3 |
| Follower actions | 7 torques u from -2 to 2; the follower sees w                              |
| Follower reward  | -(th^2 + 0.1 th'^2 + 0.001 u^2), th in [-pi, pi), before the stage          |
| Leader reward    | min(sin(th + pi), 0), before the stage: a penalty where sin(th) > 0        |
| Dynamics         | those of guided_pendulum-v0 in stages of 0.1; the four points around where they lead are drawn with bilinear weights |
| Start            | any angle, any speed up to 1 either way, uniform                           |
| Discounts        | 0.98, 0.98                                                                 |
| Horizon          | 100; no terminal states                                                    |
| Optimum          | exact values and hypergradients; multi-start ascent (below)                |

Source: ours, for leaders that learn in games of vectors: what they learn can be held against the truth.

Version history: v0, first version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackelberg_games import settings
from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.envs.guided_pendulum_v0 import GRAVITY, LENGTH, MASS, MAX_SPEED, MAX_TORQUE, PUSH, GuidedPendulum
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.embedded import EmbeddedGame

if TYPE_CHECKING:
    from stackelberg_games.rules.scene import Scene

INTERVAL, FIRST_SPEED = 0.1, 1.0
WINDS = np.array([-1.0, 0.0, 1.0])


class PendulumGrid(EmbeddedGame):
    """See the module's text.

    Args:
        max_push: factor on the leader's push, > 0.
        angles: points of the grid, at least 3 each.
        speeds: points of the grid, at least 3 each.
        torques: of the follower, at least 2.
        leader_discount: see ``Game``.
        follower_discount: see ``Game``.
        horizon: see ``Game``.

    Raises:
        InvalidGameError: an argument is out of range.
    """

    @settings.checked
    def __init__(
        self,
        max_push: float = 3.0,
        angles: int = 33,
        speeds: int = 25,
        torques: int = 7,
        *,
        leader_discount: float = 0.98,
        follower_discount: float = 0.98,
        horizon: int | None = 100,
    ) -> None:
        counts = (angles, speeds, torques)
        whole = all(isinstance(count, int | np.integer) and not isinstance(count, bool) for count in counts)
        if not (max_push > 0 and whole and min(angles, speeds) >= 3 and torques >= 2):
            raise InvalidGameError(
                f"max_push={max_push!r}, angles={angles!r}, speeds={speeds!r}, torques={torques!r}: expected a number > 0, "
                "and integers of at least 3, 3 and 2"
            )
        self.max_push, self.torques = float(max_push), np.linspace(-MAX_TORQUE, MAX_TORQUE, torques)
        self.angles = -np.pi + 2 * np.pi * np.arange(angles) / angles
        self.speeds = np.linspace(-MAX_SPEED, MAX_SPEED, speeds)
        angle, speed = (part.ravel() for part in np.meshgrid(self.angles, self.speeds, indexing="ij"))
        paid = -(angle**2 + 0.1 * speed**2)[:, None] - 0.001 * self.torques**2
        slow = (np.abs(speed) <= FIRST_SPEED).astype(np.float64)
        super().__init__(
            "pendulum_grid-v0",
            np.stack([np.cos(angle), np.sin(angle), speed], axis=1),
            *self._successors(angle, speed),
            np.minimum(np.sin(angle + np.pi), 0.0)[:, None, None],
            paid[:, None, :],
            slow / slow.sum(),
            leader_discount=leader_discount,
            follower_discount=follower_discount,
            horizon=horizon,
        )

    def _successors(self, angle: FloatArray, speed: FloatArray) -> tuple[IntArray, FloatArray]:
        """The four points around the next state, and their bilinear weights; ``[S, 3, B, 4]`` each."""
        still = 1.5 * GRAVITY / LENGTH * np.sin(angle)[:, None] + 3.0 / (MASS * LENGTH**2) * self.torques
        push = PUSH * self.max_push * WINDS * np.cos(angle)[:, None] ** 2
        faster = speed[:, None, None] + (still[:, None, :] + push[:, :, None]) * INTERVAL
        faster = np.clip(faster, -MAX_SPEED, MAX_SPEED)
        turned = (angle[:, None, None] + faster * INTERVAL + np.pi) / (2 * np.pi) * len(self.angles)
        rows, along = np.floor(turned), turned - np.floor(turned)
        place = (faster + MAX_SPEED) / (2 * MAX_SPEED) * (len(self.speeds) - 1)
        columns = np.clip(np.floor(place), 0, len(self.speeds) - 2)
        across, found, weights = place - columns, [], []
        for right in (0, 1):
            for up in (0, 1):
                row = (rows.astype(np.int64) + right) % len(self.angles)
                found.append(row * len(self.speeds) + columns.astype(np.int64) + up)
                weights.append((along if right else 1 - along) * (across if up else 1 - across))
        return np.stack(found, axis=-1), np.stack(weights, axis=-1)

    def draw(self, axes: Any, scene: Scene) -> bool:
        """As the guided pendulum is drawn, its pushes in numbers."""
        played = scene.played
        if played is not None:
            wind, torque = WINDS[int(played.leader_action)], self.torques[int(played.follower_action)]
            played = played._replace(leader_action=np.array([wind]), follower_action=np.array([torque]))
        return GuidedPendulum.draw(self, axes, scene._replace(played=played))  # type: ignore[arg-type]


game = PendulumGrid
env, raw_env, parallel_env = faces(game)
