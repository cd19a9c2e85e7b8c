"""The two PettingZoo Parallel faces of a game that keep the commitment visible to the follower.

PettingZoo's own ``aec_to_parallel`` collects both actions before the leader's is shown, which
turns a Stackelberg game into a simultaneous one while passing every official test.

SuperSuit: the turns form takes padding, agent indicators after padding, and vectorisation after
padding (``infos[agent]["action_mask"]`` then still counts the unpadded actions). The plan form cannot
be padded where replies are ``MultiDiscrete``. ``frame_skip_v0`` wants an environment that draws from
``np_random``, which neither does.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from stackelberg_games import checks
from stackelberg_games.arrays import Vector
from stackelberg_games.checks import shown
from stackelberg_games.errors import InvalidActionError, UnsupportedGameError
from stackelberg_games.faces.episode import NO_EPISODE, Actions, Snapshot
from stackelberg_games.faces.face import TwoPlayerFace
from stackelberg_games.numerics.threads import in_own_modes
from stackelberg_games.rules.rules import Rules, require_game
from stackelberg_games.rules.scene import FOLLOWER, LEADER, PLAYERS, Player, player_of

StepResult = tuple[dict[str, Vector], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]


class _ParallelFace(TwoPlayerFace, ParallelEnv[Any, Any, Any]):
    """What both forms share; a form says what a step plays and what the players see of it."""

    @in_own_modes
    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Vector], dict[str, dict[str, Any]]]:
        """Begin episode 0 of ``seed``, or the next episode of the seed in use.

        Args:
            seed: in [0, 2**63); the first reset without one draws a fresh seed.
            options: not used.

        Raises:
            InvalidArgumentError: the seed is out of range.
        """
        self._episode.reset(seed)
        self.agents = list(PLAYERS)
        self._show()
        return self._observations(), self._infos()

    def step(self, actions: dict[str, Any]) -> StepResult:
        """Play the players' actions; see the class for who has to submit one.

        Returns:
            Observations, rewards, terminations, truncations and infos by agent; five empty dicts
            for ``step({})`` after the end.

        Raises:
            InvalidActionError: an action is missing or outside its space (nothing has changed), or
                no episode is running.
        """
        if not self.agents:
            if actions:
                raise InvalidActionError(NO_EPISODE)
            return {}, {}, {}, {}, {}
        leader, follower = self._play(actions)
        episode = self._episode
        if episode.over:
            self.agents = []
        self._show()
        return (
            self._observations(),
            {LEADER: leader, FOLLOWER: follower},
            dict.fromkeys(PLAYERS, episode.terminated),
            dict.fromkeys(PLAYERS, episode.truncated),
            self._infos(),
        )

    def get_state(self) -> Snapshot:
        """The running episode; ``set_state`` continues from it exactly."""
        return self._episode.snapshot()

    def set_state(self, state: Snapshot) -> None:
        """Continue from what ``get_state`` returned, here or in another environment of the game."""
        self._episode.restore(state)
        self.agents = [] if self._episode.states is None or self._episode.over else list(PLAYERS)

    @abstractmethod
    def _play(self, actions: dict[str, Any]) -> tuple[float, float]:
        """Play the actions and return the leader's and the follower's reward."""

    @abstractmethod
    def _observations(self) -> dict[str, Vector]: ...

    def _infos(self) -> dict[str, dict[str, Any]]:
        return {player: {} for player in PLAYERS}


class TurnsEnv(_ParallelFace):
    """Leader and follower phases alternate; a round takes two steps.

    In a game that the leader only configures there is one leader phase, the first step of an episode,
    and then one step a stage: T stages take T + 1 steps.

    Both players are always in ``agents``, and their action spaces are those of the AEC face. Only
    the player whose turn it is has to submit an action: whatever the other one submits is ignored,
    because code that steps all agents at once samples for all of them. Whose turn it is stands

    * in the last entry of each observation (1 for the player who is to move, else 0), and
    * in ``infos[agent]["moving"]``, True for the player who is to move, from ``reset`` on; False for both after the end.

    ``infos[agent]["action_mask"]`` (int8, discrete actions only) allows the waiting player just its
    first action. The mask is in the infos and observations are plain boxes, so that SuperSuit's
    padding applies. Both players are paid at the end of the follower's phase. A horizon of T stages
    takes 2T steps, and a learner that discounts by the step needs the square root of the discount.
    """

    @in_own_modes
    def __init__(self, game: Rules, render_mode: str | None = None) -> None:
        super().__init__(game, render_mode)
        self._spaces = {player: _with_flag(box) for player, box in self._episode.observation_spaces.items()}
        self._masks = {player: _masks(actions) for player, actions in self._episode.actions.items() if actions.discrete}

    def observation_space(self, agent: Any) -> spaces.Box:
        """What the AEC face shows, and one entry more: whether it is the player's turn."""
        return self._spaces[player_of(agent)]

    def _play(self, actions: dict[str, Any]) -> tuple[float, float]:
        episode = self._episode
        if episode.mover == LEADER:
            episode.commit(_given(actions, LEADER))
            return 0.0, 0.0
        return episode.reply(_given(actions, FOLLOWER))

    def _observations(self) -> dict[str, Vector]:
        return {player: self._observe(player) for player in PLAYERS}

    def _observe(self, player: Player) -> Vector:
        out = np.empty(self._spaces[player].shape, dtype=np.float32)
        out[:-1] = self._episode.observe(player)
        out[-1] = player == self._episode.mover
        return out

    def _infos(self) -> dict[str, dict[str, Any]]:
        mover = self._episode.mover
        infos: dict[str, dict[str, Any]] = {player: {"moving": player == mover} for player in PLAYERS}
        for player, (free, waiting) in self._masks.items():
            infos[player]["action_mask"] = (free if player == mover else waiting).copy()
        return infos


class PlanEnv(_ParallelFace):
    """One step a round: the leader acts, and the follower submits a reply to every leader action.

    The follower's action space is ``MultiDiscrete([B] * A)``, entry a being its reply to the
    leader's action number a; only the reply to the action that was played counts. A follower that
    does not see the leader's action submits its own action as it is. It observes the state, the leader what it sees of it.

    Raises:
        UnsupportedGameError: the follower sees the leader's action, and one of the two action
            spaces is not discrete; or the leader configures the game.
    """

    @in_own_modes
    def __init__(self, game: Rules, render_mode: str | None = None) -> None:
        if game.configuration_space is not None:
            raise UnsupportedGameError(
                f"{game.name} is configured: replies to every configuration cannot be listed; use form='turns', or "
                "best_response_env for one configuration"
            )
        super().__init__(game, render_mode, form="_plan")
        self._replies = _replies(game) if game.follower_sees_action else self._episode.actions[FOLLOWER]
        self._spaces = {
            LEADER: self._episode.observation_spaces[LEADER],
            FOLLOWER: copy.deepcopy(game.observation_space),
        }
        self._first = int(getattr(game.leader_action_space, "start", 0))

    def observation_space(self, agent: Any) -> spaces.Box:
        """What the leader sees; the state for the follower, which plans before the leader has moved."""
        space: spaces.Box = self._spaces[player_of(agent)]
        return space

    def action_space(self, agent: Any) -> Any:
        """The leader's own space; for the follower the space of its replies."""
        return self._replies.space if agent == FOLLOWER else self._episode.actions[player_of(agent)].space

    def _play(self, actions: dict[str, Any]) -> tuple[float, float]:
        reply = self._replies.check(_given(actions, FOLLOWER))
        self._episode.commit(_given(actions, LEADER))
        if self.game.follower_sees_action:
            reply = reply[self._episode.pending - self._first]
        return self._episode.reply(reply)

    def _observations(self) -> dict[str, Vector]:
        return {LEADER: self._episode.observe(LEADER), FOLLOWER: self._episode.bare()}


def parallel_env(
    game: Rules, form: Literal["turns", "plan"] = "turns", render_mode: str | None = None
) -> ParallelEnv[Any, Any, Any]:
    """A game as a PettingZoo Parallel environment.

    Args:
        game: any game.
        form: ``"turns"``: leader and follower phases alternate (``TurnsEnv``); ``"plan"``: one step
            a round, the follower submits a reply to every leader action (``PlanEnv``).
        render_mode: None, ``"ansi"``, ``"rgb_array"`` or ``"human"``.

    Raises:
        InvalidArgumentError: no such form or render mode.
        UnsupportedGameError: the plan form of a game that is configured or whose actions are not discrete.
    """
    forms = {"turns": TurnsEnv, "plan": PlanEnv}
    return forms[checks.choice("form", form, list(forms))](require_game(game), render_mode)


def _given(actions: dict[str, Any], player: Player) -> Any:
    if not isinstance(actions, Mapping):
        raise InvalidActionError(f"actions {shown(actions)}: expected a dict of actions by player")
    if player not in actions:
        raise InvalidActionError(f"no action for {player}, who is to move; got actions for {shown([*actions])}")
    return actions[player]


def _with_flag(box: spaces.Box) -> spaces.Box:
    return spaces.Box(np.append(box.low, np.float32(0)), np.append(box.high, np.float32(1)), dtype=np.float32)


def _masks(actions: Actions) -> tuple[Any, Any]:
    """Masks of a player who is to move, and of one who waits; int8, as ``Discrete.sample`` wants."""
    free = np.ones(len(actions.low), dtype=np.int8)
    waiting = np.zeros_like(free)
    waiting[0] = 1
    return free, waiting


def _replies(game: Rules) -> Actions:
    leader, follower = game.leader_action_space, game.follower_action_space
    if not isinstance(leader, spaces.Discrete) or not isinstance(follower, spaces.Discrete):
        raise UnsupportedGameError(
            f"a reply to every leader action needs discrete actions, got {leader} and {follower}; use form='turns'"
        )
    count = int(leader.n)
    return Actions(FOLLOWER, spaces.MultiDiscrete([int(follower.n)] * count, start=[int(follower.start)] * count))
