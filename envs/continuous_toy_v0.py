"""Three-state toys in which the leader's action is a probability.

| fact             | value                                                                        |
|------------------|------------------------------------------------------------------------------|
| Agents           | leader_0, follower_0                                                         |
| States           | S (start), A, B; as in discrete_toy-v0                                       |
| Leader action    | p in [0, 1]: after the follower has moved, 1 is drawn with probability p, else 0 |
| Follower actions | s, a, b; the follower sees p, not what is drawn                              |
| Rewards          | those of the discrete toy for what was drawn                                 |
| Discounts        | 0.99, 0.99                                                                   |
| Horizon          | 150 (100 for 1_1a)                                                           |
| Optimum          | that of the discrete toy whose follower does not see the action              |

Variants: 1_1a and 1_2c to 1_2g of the discrete toys; 4_1b is the discrete toy 4, and 4_1a is the
same with a leader reward of -1 for (S, b).
Source: the continuous toy games of BC-HG (arXiv 2603.14867).

Version history: v0, first version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import gymnasium
import numpy as np
from numpy.typing import NDArray

from stackelberg_games import settings
from stackelberg_games.arrays import IntArray
from stackelberg_games.envs import discrete_toy_v0
from stackelberg_games.errors import InvalidActionError, UnknownIdError
from stackelberg_games.faces import faces
from stackelberg_games.faces.box import checked
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.rules.rules import Step

if TYPE_CHECKING:
    from stackelberg_games.rules.scene import Scene

VARIANTS = {
    "1_1a": "1_1a",
    "1_2c": "1_2c",
    "1_2d": "1_2d",
    "1_2e": "1_2e",
    "1_2f": "1_2f",
    "1_2g": "1_2g",
    "4_1a": "4",
    "4_1b": "4",
}


class ContinuousToy(Game):
    """See the module's text.

    Args:
        variant: a key of ``VARIANTS``.
        R: the follower's reward for (A, 0, b) in the variants 4.
        leader_discount: in [0, 1).
        follower_discount: in [0, 1).
        horizon: stages; None for the infinite game, ``"own"`` for the variant's own.

    Raises:
        UnknownIdError: no such variant.
        InvalidGameError: a discount or the horizon is out of range.
    """

    @settings.checked
    def __init__(
        self,
        variant: str = "4_1b",
        R: float = 1.0,
        *,
        leader_discount: float = 0.99,
        follower_discount: float = 0.99,
        horizon: int | Literal["own"] | None = "own",
    ) -> None:
        if variant not in VARIANTS:
            raise UnknownIdError("continuous toy variant", variant, VARIANTS)
        toy = discrete_toy_v0.game(
            VARIANTS[variant],
            R,
            leader_discount=leader_discount,
            follower_discount=follower_discount,
            horizon=horizon,
            follower_sees_action=False,
        )
        self.toy, self.name, self.horizon = toy, "continuous_toy-v0", toy.horizon
        self.leader_reward = np.array(toy.leader_reward)
        if variant == "4_1a":
            self.leader_reward[0, :, 2] = -1.0
        self.successors = np.asarray(toy.transition).argmax(axis=3)  # the moves are deterministic
        self.leader_discount, self.follower_discount = toy.leader_discount, toy.follower_discount
        self.follower_sees_action = True
        self.state_space = gymnasium.spaces.Discrete(3)
        self.leader_action_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
        self.follower_action_space = gymnasium.spaces.Discrete(3)

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """One-hot states."""
        return self.toy.observation_space

    def observe(self, state: Any) -> NDArray[np.float32]:
        """The state, one-hot."""
        return self.toy.observe(state)

    def initial(self, streams: Streams) -> IntArray:
        """S in every episode, int64 ``[N]``."""
        return np.zeros(len(streams.episodes), dtype=np.int64)

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        """Play one stage in every episode.

        Raises:
            InvalidActionError: an action is outside its space.
        """
        chance = checked("leader", leader_actions, self.leader_action_space, len(states))[:, 0]
        replies = np.asarray(follower_actions)
        if (
            replies.shape != (len(states),)
            or replies.dtype.kind not in "iu"
            or not ((replies >= 0) & (replies < 3)).all()
        ):
            raise InvalidActionError(
                f"follower actions {follower_actions!r}: expected {len(states)} integers in [0, 3)"
            )
        drawn = (streams.uniform(Lane.ENVIRONMENT, stage)[:, 0] < chance).astype(np.int64)
        cell = (states, drawn, replies)
        ends = np.zeros(len(states), dtype=np.bool_)
        return Step(self.successors[cell], self.leader_reward[cell], np.array(self.toy.follower_reward)[cell], ends)

    def draw(self, axes: Any, scene: Scene) -> bool:
        """The three states as a triangle, the current one filled, and the leader's probability as a bar."""
        places = {"S": (0.5, 0.82), "A": (0.18, 0.28), "B": (0.82, 0.28)}
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.set_aspect("equal")
        for index, (label, (x, y)) in enumerate(places.items()):
            here = index == int(scene.state)
            axes.plot(x, y, "o", markersize=44, color="#2F6FDE" if here else "0.88", zorder=3)
            axes.text(x, y, label, ha="center", va="center", color="white" if here else "0.2", fontsize=15, zorder=4)
        shown = scene.pending if scene.pending is not None else scene.played.leader_action if scene.played else None
        if shown is not None:
            chance = float(np.asarray(shown)[0])
            axes.barh(0.06, chance, height=0.05, left=0.0, color="tab:purple")
            axes.barh(0.06, 1 - chance, height=0.05, left=chance, color="0.9")
            axes.text(0.0, 0.11, f"leader draws 1 with probability {chance:.2f}", fontsize=9, color="tab:purple")
        return True


game = ContinuousToy
env, raw_env, parallel_env = faces(game)
