"""The Gymnasium face of a game under a commitment: the decision process that the follower faces."""

from __future__ import annotations

from typing import Any

import gymnasium
import torch

from stackelberg_games.arrays import FloatArray, Vector
from stackelberg_games.errors import InvalidActionError
from stackelberg_games.faces.configured import episode_under
from stackelberg_games.faces.episode import NO_EPISODE, Snapshot
from stackelberg_games.faces.face import Face
from stackelberg_games.numerics.randomness import check_seed
from stackelberg_games.numerics.threads import in_own_modes
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.rules import Rules, Sampling
from stackelberg_games.rules.scene import FOLLOWER


class BestResponseEnv(Face, gymnasium.Env[Vector, Any]):
    """What a follower faces who has to respond to a commitment; any single-agent learner fits.

    A step is one stage: the follower acts, the stage is played, and the leader's next action is
    drawn from the commitment. Observations are those of the follower in the AEC face when it is to
    move, rewards are the follower's. At the end of an episode there is no leader action, and its
    code is all zeros.

    ``reset(seed=s)`` plays episode 0 of seed s, each later ``reset()`` the next one, with the
    leader's actions that ``rollout(..., seed=s)`` draws. The commitment is read at every reset, so
    that an episode is played under one commitment, and updates are followed from the next one on.

    A commitment with a configuration plays the configured game: the observation then holds the
    configuration, and where the leader only configures there is no action of it to observe.

    Args:
        game: any game.
        commitment: the leader's decision.
        render_mode: None, ``"ansi"``, ``"rgb_array"`` or ``"human"``.

    Raises:
        InvalidActionError: the configuration is not in the game's space.
        InvalidGameError, UnsupportedGameError: the commitment configures a game that cannot be configured.
    """

    @in_own_modes
    def __init__(self, game: Rules, commitment: Commitment, render_mode: str | None = None) -> None:
        chosen = commitment.configuration()
        super().__init__(game, render_mode, "_response", episode_under(game, chosen))
        self.commitment = commitment
        self.observation_space = self._episode.observation_spaces[FOLLOWER]
        self.action_space = self._episode.actions[FOLLOWER].space
        self._configuration: FloatArray | None = None
        self._leader: Sampling = commitment
        self._read_commitment()

    @in_own_modes
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Vector, dict[str, Any]]:
        """Begin episode 0 of ``seed``, or the next episode of the seed in use.

        Args:
            seed: in [0, 2**63); the first reset without one draws a fresh seed.
            options: not used.

        Raises:
            InvalidArgumentError: the seed is out of range.
        """
        super().reset(seed=None if seed is None else check_seed(seed))
        self._read_commitment()
        self._episode.reset(seed)
        if self._configuration is not None:
            self._episode.configure(self._configuration)
        return self._commit(), {}

    def step(self, action: Any) -> tuple[Vector, float, bool, bool, dict[str, Any]]:
        """Play the follower's action.

        Returns:
            Observation, the follower's reward, terminated, truncated, info.

        Raises:
            InvalidActionError: the action is outside the space, or no episode is running.
        """
        episode = self._episode
        if episode.pending is None:
            raise InvalidActionError(NO_EPISODE)
        _, reward = episode.reply(action)
        return self._commit(), reward, episode.terminated, episode.truncated, {}

    def get_state(self) -> Snapshot:
        """The running episode; ``set_state`` continues from it exactly."""
        return self._episode.snapshot()

    def set_state(self, state: Snapshot) -> None:
        """Continue from what ``get_state`` returned, under the same commitment."""
        self._episode.restore(state)

    def _read_commitment(self) -> None:
        with torch.no_grad():
            configuration = self.commitment.configuration()
            if configuration is not None:
                self._configuration = configuration.detach().numpy().copy()
            if configuration is None or self.game.idle_action is None:
                self._leader = self.game.sampling(self.commitment)

    def _commit(self) -> Vector:
        """Let the leader move, unless the episode is over, and show the result to the follower."""
        episode = self._episode
        if episode.pending is None and not episode.over:
            episode.commit(self._leader.sample(episode.states, episode.streams, episode.stage)[0])
        self._show()
        return episode.observe(FOLLOWER)
