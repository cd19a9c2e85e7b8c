"""Games of vectors that both players observe whole."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from stackelberg_games.kinds.chart import Chart
from stackelberg_games.kinds.game import Game
from stackelberg_games.rules.rules import check_discount, check_horizon
from stackelberg_games.settings import checked


class VectorGame(Game):
    """A game whose state is a vector of numbers that both players observe whole.

    A subclass calls this constructor and writes ``initial`` and ``step``.

    Examples:
        >>> import gymnasium
        >>> import numpy as np
        >>> import stackelberg_games as sg
        >>> class Drift(sg.VectorGame):
        ...     def __init__(self):
        ...         box = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float64)
        ...         two = gymnasium.spaces.Discrete(2)
        ...         super().__init__(
        ...             "drift",
        ...             box,
        ...             two,
        ...             two,
        ...             leader_discount=0.9,
        ...             follower_discount=0.9,
        ...             horizon=10,
        ...         )
        ...
        ...     def initial(self, streams):
        ...         return np.zeros((len(streams.episodes), 1))
        ...
        ...     def step(self, states, leader_actions, follower_actions, streams, stage):
        ...         moved = np.clip(
        ...             states + 0.1 * (leader_actions - follower_actions)[:, None], -1.0, 1.0
        ...         )
        ...         return sg.Step(
        ...             moved, moved[:, 0], -moved[:, 0], np.zeros(len(states), dtype=bool)
        ...         )
        >>> sg.check_game(Drift).ok
        True

    Args:
        name: id.
        state_space: a Box of float64.
        leader_action_space: see ``Game``.
        follower_action_space: see ``Game``.
        leader_discount: see ``Game``.
        follower_discount: see ``Game``.
        horizon: see ``Game``.

    Attributes:
        chart: coordinates in which a grid can cover the states; None for those of a bounded space of states.

    Raises:
        InvalidGameError: a discount or the horizon is out of range.
    """

    chart: Chart | None = None

    @checked
    def __init__(
        self,
        name: str,
        state_space: gymnasium.spaces.Box,
        leader_action_space: gymnasium.Space[Any],
        follower_action_space: gymnasium.Space[Any],
        *,
        leader_discount: float,
        follower_discount: float,
        horizon: int | None,
    ) -> None:
        self.name, self.state_space = name, state_space
        self.leader_action_space, self.follower_action_space = leader_action_space, follower_action_space
        self.horizon = check_horizon(horizon)
        self.leader_discount = check_discount("leader_discount", leader_discount, one_allowed=horizon is not None)
        self.follower_discount = check_discount("follower_discount", follower_discount)
        self.follower_sees_action = True
        low, high = (bound.astype(np.float32) for bound in (state_space.low, state_space.high))
        self._observation_space = gymnasium.spaces.Box(low, high)

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """The state space in float32."""
        return self._observation_space

    def observe(self, state: Any) -> NDArray[np.float32]:
        """The state."""
        return np.asarray(state, dtype=np.float32)
