"""The PettingZoo AEC face of a game: the leader moves, the follower answers, both are paid."""

from __future__ import annotations

from typing import Any, NamedTuple

from pettingzoo import AECEnv
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from stackelberg_games.arrays import Vector
from stackelberg_games.checks import shown
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError
from stackelberg_games.faces.episode import NO_EPISODE, Snapshot
from stackelberg_games.faces.face import TwoPlayerFace
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.numerics.threads import in_own_modes
from stackelberg_games.rules.rules import Rules
from stackelberg_games.rules.scene import FOLLOWER, LEADER, PLAYERS, player_of


class AECState(NamedTuple):
    """What ``StackelbergEnv.get_state`` returns: an episode, and where the turn-taking stands."""

    episode: Snapshot
    agents: tuple[str, ...]
    agent_selection: str
    rewards: dict[str, float]
    cumulative_rewards: dict[str, float]


class StackelbergEnv(TwoPlayerFace, AECEnv[Any, Any, Any]):
    """A game as a PettingZoo AEC environment with the agents ``leader_0`` and ``follower_0``.

    A round is two turns. The follower's observation ends in the code of the leader's action (zeros
    before the leader has moved) where the game lets it see the action; both are paid after its
    turn. In a game that the leader configures it moves first, once an episode, and the follower's
    observation holds the configuration; from then on the follower moves every turn, both are paid after
    each, and the leader reads its accumulated reward when the episode is over. Where it also acts at
    every stage, its first move holds both (see ``faces.configured.Opening``).

    Episodes end at the end of a round only: by termination where the game has terminal
    states, by truncation at its horizon. A game without a horizon is never truncated here; bound
    the loop, or make the game with ``horizon`` (``max_cycles`` in PettingZoo's words).

    ``reset(seed=s)`` plays episode 0 of seed s, each later ``reset()`` the next one: the episodes
    that ``rollout(..., seed=s)`` plays. Pickling and ``copy.deepcopy`` keep a running episode.

    Converting with PettingZoo's ``aec_to_parallel`` would hide the leader's move from the
    follower, so the environment is not marked parallelizable; use ``game.parallel_env``.

    Args:
        game: any game.
        render_mode: None, ``"ansi"``, ``"rgb_array"`` or ``"human"``.
    """

    @in_own_modes
    def __init__(self, game: Rules, render_mode: str | None = None) -> None:
        super().__init__(game, render_mode)
        self.rewards: dict[str, float] = {}
        self._cumulative_rewards: dict[str, float] = {}
        self.terminations: dict[str, bool] = {}
        self.truncations: dict[str, bool] = {}
        self.infos: dict[str, dict[str, Any]] = {}
        self.agent_selection: str = LEADER
        self._skip_agent_selection: str | None = None

    @in_own_modes
    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin episode 0 of ``seed``, or the next episode of the seed in use.

        Args:
            seed: in [0, 2**63); the first reset without one draws a fresh seed.
            options: not used.

        Raises:
            InvalidArgumentError: the seed is out of range.
        """
        self._episode.reset(seed)
        self._place(PLAYERS, LEADER, dict.fromkeys(PLAYERS, 0.0), dict.fromkeys(PLAYERS, 0.0))
        self._show()

    def step(self, action: Any) -> None:
        """Play the selected agent's action; None for an agent whose episode has ended.

        Raises:
            InvalidActionError: the action is outside the agent's space, or no agent is left.
        """
        agent, episode = self.agent_selection, self._episode
        if not self.agents:
            raise InvalidActionError(NO_EPISODE)
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        totals = self._cumulative_rewards
        if agent == LEADER:
            episode.commit(action)
            totals[LEADER] = 0.0
            self.rewards = {LEADER: 0.0, FOLLOWER: 0.0}
            self.agent_selection = FOLLOWER
        else:
            leader, follower = episode.reply(action)
            totals[LEADER] += leader
            totals[FOLLOWER] = follower
            self.rewards = {LEADER: leader, FOLLOWER: follower}
            self.agent_selection = LEADER if episode.pending is None else FOLLOWER
            self.terminations = {LEADER: episode.terminated, FOLLOWER: episode.terminated}
            self.truncations = {LEADER: episode.truncated, FOLLOWER: episode.truncated}
        self.infos = {LEADER: {}, FOLLOWER: {}}
        if self.render_mode is not None:
            self._show()

    def observe(self, agent: Any) -> Vector:
        """What an agent sees now, a fresh array."""
        return self._episode.observe(agent if agent is LEADER or agent is FOLLOWER else player_of(agent))

    @in_own_modes
    def begin(self, streams: Streams, configuration: Any = None) -> None:
        """Begin the very episode that the streams of one episode belong to.

        Args:
            streams: of one episode.
            configuration: the leader's, as if it had made its opening move; None leaves that to it.

        Raises:
            InvalidActionError: the configuration is not in the space.
        """
        fresh = Snapshot(streams.seed, int(streams.episodes[0]), states=self.game.initial(streams))
        self._episode.restore(fresh)
        if configuration is not None:
            self._episode.configure(configuration)
        mover = LEADER if self._episode.pending is None else FOLLOWER
        self._place(PLAYERS, mover, dict.fromkeys(PLAYERS, 0.0), dict.fromkeys(PLAYERS, 0.0))

    def get_state(self) -> AECState:
        """The running episode and whose turn it is; ``set_state`` continues from it exactly."""
        rewards = dict(self.rewards), dict(self._cumulative_rewards)
        return AECState(self._episode.snapshot(), tuple(self.agents), self.agent_selection, *rewards)

    def set_state(self, state: AECState) -> None:
        """Continue from what ``get_state`` returned, here or in another environment of the game."""
        if not isinstance(state, AECState):
            raise InvalidArgumentError(f"state {shown(state)}: expected what get_state() returned")
        self._episode.restore(state.episode)
        self._place(*state[1:])

    def _place(
        self, agents: tuple[str, ...], selection: str, rewards: dict[str, float], totals: dict[str, float]
    ) -> None:
        self.agents, self.agent_selection = list(agents), selection
        self.rewards, self._cumulative_rewards = dict(rewards), dict(totals)
        self.terminations = dict.fromkeys(agents, self._episode.terminated)
        self.truncations = dict.fromkeys(agents, self._episode.truncated)
        self.infos = {agent: {} for agent in agents}
        self._skip_agent_selection = None


def env(game: Rules, render_mode: str | None = None) -> AECEnv[Any, Any, Any]:
    """A game as an AEC environment that also refuses calls in the wrong order.

    ``StackelbergEnv`` itself refuses every action outside its space with ``InvalidActionError``,
    discrete or continuous. PettingZoo's ``AssertOutOfBoundsWrapper`` would only replace that by an
    AssertionError without the value, and its ``ClipOutOfBoundsWrapper`` would play another action
    than the one submitted; so neither is applied.

    SuperSuit's wrappers apply, with these limits: ``agent_indicator_v0`` needs
    ``pad_observations_v0`` first, ``clip_actions_v0`` needs continuous actions, and padding refuses
    a game in which one player's actions are discrete and the other's are not. A padded-out action
    index is played as action 0.

    Args:
        game: any game.
        render_mode: None, ``"ansi"``, ``"rgb_array"`` or ``"human"``.
    """
    return OrderEnforcingWrapper(StackelbergEnv(game, render_mode))
