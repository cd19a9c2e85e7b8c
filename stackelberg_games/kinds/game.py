"""A game as its users have it: rules, and the PettingZoo and Gymnasium environments derived from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import gymnasium
import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from stackelberg_games.arrays import Vector
from stackelberg_games.checks import shown
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.rules import Rules, require_game
from stackelberg_games.rules.scene import LEADER

if TYPE_CHECKING:
    from pettingzoo import AECEnv, ParallelEnv


class Game(Rules):
    """Rules with their faces. A subclass sets the attributes and writes the methods that ``Rules`` names.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0", horizon=20)
        >>> game
        TabularGame('discrete_toy-v0': states Discrete(3), leader Discrete(2), follower Discrete(3), horizon 20)
        >>> env = game.env()
        >>> env.reset(seed=0)
        >>> env.agent_selection, env.observation_space("follower_0")
        ('leader_0', Box(0.0, 1.0, (5,), float32))
    """

    def env(self, render_mode: str | None = None) -> AECEnv[Any, Any, Any]:
        """PettingZoo AEC environment with the usual wrappers; agents leader_0 and follower_0."""
        from stackelberg_games.faces.aec import env

        return env(self, render_mode=render_mode)

    def raw_env(self, render_mode: str | None = None) -> AECEnv[Any, Any, Any]:
        """PettingZoo AEC environment without wrappers."""
        from stackelberg_games.faces.aec import StackelbergEnv

        return StackelbergEnv(self, render_mode=render_mode)

    def parallel_env(
        self, form: Literal["turns", "plan"] = "turns", render_mode: str | None = None
    ) -> ParallelEnv[Any, Any, Any]:
        """PettingZoo Parallel environment.

        Args:
            form: ``"turns"``: leader and follower phases alternate, the idle player is masked;
                ``"plan"``: one step a round, the follower submits a reply to every leader action;
                games that are configured do not have it.
            render_mode: None, ``"ansi"``, ``"rgb_array"`` or ``"human"``.
        """
        from stackelberg_games.faces.parallel import parallel_env

        return parallel_env(self, form=form, render_mode=render_mode)

    def best_response_env(self, commitment: Commitment, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """Gymnasium environment of the follower under a commitment; see ``best_response_env``."""
        from stackelberg_games.faces.gym_env import BestResponseEnv

        return BestResponseEnv(self, commitment, render_mode)


def best_response_env(
    game: Game, commitment: Commitment | ArrayLike | Tensor, *, render_mode: str | None = None
) -> gymnasium.Env[Vector, Any]:
    """The decision process that a follower faces under a commitment; see ``BestResponseEnv``.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> env = sg.best_response_env(game, sg.TabularPolicy(game))
        >>> observation, info = env.reset(seed=0)
        >>> env.observation_space.shape, env.action_space
        ((5,), Discrete(3))

    Args:
        game: any game.
        commitment: the leader's decision; in a game that it only configures the numbers are enough.
        render_mode: None, ``"ansi"``, ``"rgb_array"`` or ``"human"``.

    Raises:
        InvalidArgumentError: numbers are given for a leader that also acts.
        InvalidActionError, InvalidGameError, UnsupportedGameError: see ``BestResponseEnv``.
    """
    require_game(game)
    if isinstance(commitment, Tensor | np.ndarray | list | tuple):
        if game.configuration_space is not None and game.idle_action is None:
            raise InvalidArgumentError(f"{LEADER} also acts in {game.name}: give a Configuration with a policy")
        commitment = Configuration(commitment)
    if not (hasattr(commitment, "sample") and hasattr(commitment, "configuration")):
        raise InvalidArgumentError(f"commitment={shown(commitment)}: expected a commitment, or a configuration")
    chosen: Any = commitment
    return game.best_response_env(chosen, render_mode)
