"""What all PettingZoo and Gymnasium faces share: a running episode, pictures of it, and copies that keep it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import gymnasium
from gymnasium import spaces

from stackelberg_games import checks
from stackelberg_games.arrays import Vector
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.faces.configured import episode_of
from stackelberg_games.faces.episode import NO_EPISODE, Episode
from stackelberg_games.rules.rules import Rules, require_game
from stackelberg_games.rules.scene import PLAYERS, player_of

if TYPE_CHECKING:
    from stackelberg_games.faces.rendering import Renderer

RENDER_MODES = ("human", "rgb_array", "ansi")


class Face:
    """What all faces share: a game, its running episode, pictures of it, and copies that keep it.

    Args:
        game: any game.
        render_mode: None, ``"ansi"``, ``"rgb_array"`` or ``"human"``.
        form: inserted into the name before the version.
        episode: the episodes to play, where they are not those of the game as it is.

    Raises:
        InvalidArgumentError: no such render mode, or what is given is no game.
        UnsupportedGameError: see ``episode_of``.
    """

    def __init__(
        self, game: Rules, render_mode: str | None = None, form: str = "", episode: Episode | None = None
    ) -> None:
        require_game(game)
        if render_mode is not None:
            checks.choice("render_mode", render_mode, RENDER_MODES)
        stem, dash, version = game.name.rpartition("-")
        name = f"{stem}{form}_{version}" if dash else f"{game.name}{form}"
        self.metadata: dict[str, Any] = {"name": name, "render_modes": list(RENDER_MODES), "render_fps": 4}
        self.game = game
        self.render_mode = render_mode
        self._episode = episode_of(game) if episode is None else episode
        self._renderer: Renderer | None = None

    def render(self) -> Any:
        """A picture of the running episode.

        Returns:
            ``"ansi"``: text; ``"rgb_array"``: uint8 ``[height, width, 3]``; ``"human"``: None, the
            picture goes to a window.

        Raises:
            InvalidArgumentError: there is no render mode, or no episode yet.
            MissingExtraError: human mode without pygame.
        """
        if self.render_mode is None:
            raise InvalidArgumentError(f"render_mode is None; make the environment with one of {RENDER_MODES}")
        if self._episode.states is None:
            raise InvalidArgumentError(NO_EPISODE)
        if self._renderer is None:
            from stackelberg_games.faces.rendering import Renderer

            self._renderer = Renderer(self.game, self.metadata["render_fps"])
        return self._renderer.render(self.render_mode, self._episode.scene())

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _show(self) -> None:
        """In human mode every change is shown at once, as in Gymnasium."""
        if self.render_mode == "human":
            self.render()

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the pictures: a window cannot travel, and layouts are drawn again."""
        return {**self.__dict__, "_renderer": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy that keeps the running episode; rules never change, so copies share them."""
        clone = object.__new__(type(self))
        memo[id(self)] = clone
        for game in (self.game, self._episode.game):  # the given one, and the one under a configuration
            memo[id(game)] = game
        clone.__dict__.update(copy.deepcopy(self.__getstate__(), memo))
        return clone


class TwoPlayerFace(Face):
    """What the PettingZoo faces share: two agents, their spaces, and a state for central critics."""

    def __init__(self, game: Rules, render_mode: str | None = None, form: str = "") -> None:
        super().__init__(game, render_mode, form)
        once = game.configuration_space is not None and game.idle_action is not None
        self.metadata["leader_commits"] = "once an episode" if once else "every stage"
        self.metadata |= {"is_parallelizable": False, "follower_sees_action": game.follower_sees_action}
        self.max_cycles = game.horizon
        self.possible_agents: list[str] = list(PLAYERS)
        self.agents: list[str] = []

    @property
    def state_space(self) -> spaces.Box:
        """Space of ``state``: the state, then the code of the leader's pending action."""
        return self._episode.state_space

    def state(self) -> Vector:
        """The whole state of the game, with the leader's action that awaits its reply.

        Raises:
            InvalidArgumentError: there is no episode yet.
        """
        if self._episode.states is None:
            raise InvalidArgumentError(NO_EPISODE)
        return self._episode.vector()

    def observation_space(self, agent: Any) -> gymnasium.Space[Any]:
        """Observation space of a player, always the same object."""
        space: gymnasium.Space[Any] = self._episode.observation_spaces[player_of(agent)]
        return space

    def action_space(self, agent: Any) -> gymnasium.Space[Any]:
        """Action space of a player, always the same object."""
        space: gymnasium.Space[Any] = self._episode.actions[player_of(agent)].space
        return space
