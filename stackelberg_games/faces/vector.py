"""Many copies of a game at once, as Gymnasium vector environments.

``Rounds`` steps a batch of running episodes through the functional rules; the two faces derive from it. What
follows the end of an episode is Gymnasium's autoreset mode: the next episode in the same step, the last
observation in ``infos["final_obs"]`` (SAME_STEP); the next episode in the step after, whose action is not
played and which pays nothing (NEXT_STEP); or nothing, until ``reset`` is told where (DISABLED). A copy that is
reset by hand before its next step begins there in NEXT_STEP too, so such an environment serves both kinds of
consumers, if each is told its own: Gymnasium's wrappers read the mode in the metadata, TorchRL in an attribute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from stackelberg_games import checks
from stackelberg_games.arrays import BoolArray, FloatArray
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.faces.configured import episode_under
from stackelberg_games.faces.episode import NO_EPISODE
from stackelberg_games.faces.padding import Padding
from stackelberg_games.faces.padding import homogenize as homogenized
from stackelberg_games.faces.parallel import parallel_env
from stackelberg_games.faces.rounds import Code, Floats, Rounds, rows_of
from stackelberg_games.numerics.threads import in_own_modes
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.rules import Rules, require_game
from stackelberg_games.rules.scene import FOLLOWER, LEADER, PLAYERS
from stackelberg_games.settings import checked


class TurnsVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """Both players of N copies in one batch of 2 N rows: leader, follower, leader, ...

    It is the ``turns`` form of the Parallel face (``TurnsEnv``), homogenized, in the layout of
    SuperSuit's vectorisation: leader and follower phases alternate, what the waiting rows submit is
    ignored, both are paid after the follower's phase. ``infos["action_mask"]`` (int8 ``[2N, n]``)
    allows a waiting row its first action only; ``infos["moving"]`` (bool ``[2N]``) says who is to move.

    Args:
        game: any game whose actions can be padded; see ``homogenize``.
        copies: N.
        roles: append a one-hot code of the player to every observation.

    Raises:
        UnsupportedGameError: the actions cannot be padded, or the leader configures the game.
    """

    @in_own_modes
    def __init__(self, game: Rules, copies: int, roles: bool = False) -> None:
        if game.configuration_space is not None:
            raise UnsupportedGameError(
                f"{game.name} is configured once an episode, so its copies would leave step with each other; give "
                "vector_env a commitment, which copies what the follower faces"
            )
        self.autoreset_mode = AutoresetMode.SAME_STEP  # where Gymnasium's own vector environments have it, too
        self.metadata = {"name": game.name, "autoreset_mode": self.autoreset_mode}
        self.rounds, self.num_envs = Rounds(game, copies), 2 * copies
        turns: Any = parallel_env(game, "turns")
        inner: list[dict[str, Any]] = [
            {player: space(player) for player in PLAYERS} for space in (turns.observation_space, turns.action_space)
        ]
        self.padding = Padding(inner[0], inner[1], roles=roles)
        self.single_observation_space = self.padding.observation_space(LEADER)
        self.single_action_space = self.padding.action_space(LEADER)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._codes = {player: Code(player, inner[1][player]) for player in PLAYERS}
        self._pending: Any = None

    @in_own_modes
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Begin new episodes; ``options`` is not used.

        Raises:
            InvalidArgumentError: the seed is out of range.
        """
        self.rounds.reset(seed)
        self._pending = None
        return self._observe(), self._infos()

    def step(self, actions: Any) -> tuple[Floats, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Play the actions of the rows that are to move.

        Returns:
            Observations ``[2N, d]``, rewards, terminations, truncations (each ``[2N]``), infos.

        Raises:
            InvalidActionError: one of them is outside its space, or ``reset`` was not called.
        """
        if self.rounds.states is None:
            raise InvalidActionError(NO_EPISODE)
        if self._pending is None:
            self._pending = self._own(LEADER, rows_of(actions, self.num_envs)[0::2])
            nothing = np.zeros(self.num_envs, dtype=np.bool_)
            return self._observe(), np.zeros(self.num_envs), nothing, nothing.copy(), self._infos()
        follower = self._own(FOLLOWER, rows_of(actions, self.num_envs)[1::2])
        *rewards, terminated, truncated = self.rounds.step(self._pending, follower)
        self._pending = None
        over, final = terminated | truncated, self._observe(over=True)
        self.rounds.restart(over)
        infos = self._infos()
        if over.any():
            infos |= {"final_obs": final, "_final_obs": np.repeat(over, 2)}
        paid = np.stack(rewards, axis=1).ravel()
        return self._observe(), paid, np.repeat(terminated, 2), np.repeat(truncated, 2), infos

    def _own(self, player: Any, padded: Any) -> Any:
        """A player's own actions for padded ones, checked."""
        space = self._codes[player].space
        if isinstance(space, spaces.Discrete):
            start = int(space.start)
            if padded.dtype.kind in "iu":
                return self._codes[player].check(padded + start, self.rounds.count)
            shifted = [action + start if checks.is_integer(action) else action for action in padded]
            return self._codes[player].check(shifted, self.rounds.count)
        return np.stack([self.padding.action(player, action) for action in padded])

    def _observe(self, over: bool = False) -> Floats:
        """Rows as the homogenized Parallel face shows them; nobody is to move after the end."""
        states, seen = self.rounds.observe(), self.rounds.observe_leader()
        width, own = states.shape[1], seen.shape[1]
        assert self.single_observation_space.shape is not None
        out = np.zeros((self.num_envs, *self.single_observation_space.shape), dtype=np.float32)
        leader, follower = out[0::2], out[1::2]
        leader[:, :own], follower[:, :width] = seen, states
        leader[:, own] = self._pending is None and not over
        code = self._codes[LEADER].width if self.rounds.game.follower_sees_action else 0
        if self._pending is not None and code:
            self._codes[LEADER].encode(self._pending, follower[:, width : width + code])
        follower[:, width + code] = self._pending is not None
        if self.padding.roles:
            leader[:, -2] = follower[:, -1] = 1.0
        return out

    def _infos(self) -> dict[str, Any]:
        moving = np.zeros(self.num_envs, dtype=np.bool_)
        moving[0 if self._pending is None else 1 :: 2] = True
        if not self.padding.discrete:
            return {"moving": moving}
        masks = np.zeros((self.num_envs, self.padding.count), dtype=np.int8)
        masks[:, 0] = 1
        player = LEADER if self._pending is None else FOLLOWER
        masks[moving] = self.padding.mask(player)
        return {"moving": moving, "action_mask": masks}


class ResponseVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """What a follower faces under a commitment (``BestResponseEnv``), in N copies.

    The commitment is read anew at ``reset`` only. Observations hold its configuration, if it has one.

    Args:
        game: any game.
        copies: N.
        commitment: the leader's decision.
        autoreset_mode: see the module's text. None for NEXT_STEP in ``metadata["autoreset_mode"]`` and DISABLED
            in the attribute ``autoreset_mode``: whoever resets by mask may, and what nobody resets the next step does.

    Raises:
        InvalidActionError: the configuration is not in the game's space.
        InvalidGameError, UnsupportedGameError: the commitment configures a game that cannot be configured.
    """

    @in_own_modes
    def __init__(
        self,
        game: Rules,
        copies: int,
        commitment: Commitment,
        autoreset_mode: AutoresetMode | None = None,
    ) -> None:
        self.autoreset_mode = autoreset_mode or AutoresetMode.DISABLED
        self._mode = autoreset_mode or AutoresetMode.NEXT_STEP
        self.metadata = {"name": game.name, "autoreset_mode": self._mode}
        self.rounds = Rounds(game, copies)
        self.game, self.commitment, self.num_envs = game, commitment, self.rounds.count
        self._over = np.zeros(self.num_envs, dtype=np.bool_)
        self._episode = episode_under(game, commitment.configuration())
        self.single_observation_space = self._episode.observation_spaces[FOLLOWER]
        self.single_action_space = game.follower_action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._codes = Code(LEADER, game.leader_action_space), Code(FOLLOWER, game.follower_action_space)
        self._pending: Any = None

    @in_own_modes
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Read the commitment and begin new episodes.

        Args:
            seed: in [0, 2**63); the first reset without one draws a fresh seed.
            options: ``{"reset_mask": flags}``, bool ``[N]``: only there, under the commitment in use.

        Raises:
            InvalidArgumentError: the seed is out of range, or the mask no mask, or both are given.
        """
        mask = None if options is None else options.get("reset_mask")
        if mask is not None:
            self._restart(mask, seed)
            return self._observe(), {}
        configuration = self.commitment.configuration()
        if configuration is not None:
            self._episode.reset(seed=0)
            self._episode.configure(configuration.detach().numpy())
            self.rounds.game = self._episode.game
        self.rounds.reset(seed)
        self._over[:] = False
        self._commit()
        return self._observe(), {}

    def _restart(self, mask: Any, seed: int | None) -> None:
        """Begin the next episodes where the mask says so."""
        if seed is not None or self.rounds.states is None:
            raise InvalidArgumentError("a reset_mask goes without a seed, after a reset of all copies")
        if not isinstance(mask, np.ndarray) or mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise InvalidArgumentError(f"reset_mask={checks.shown(mask)}: expected a bool array ({self.num_envs},)")
        self.rounds.restart(mask)
        self._over &= ~mask
        self._commit()

    def step(self, actions: Any) -> tuple[Floats, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Play the followers' actions, ``[N, ...]``; those of rows that only begin a new episode are not played.

        Returns:
            Observations ``[N, d]``, the follower's rewards, terminations, truncations (``[N]``), infos.

        Raises:
            InvalidActionError: an action is outside the space, or an episode has ended that was not reset.
        """
        if self.rounds.states is None:
            raise InvalidActionError(NO_EPISODE)
        resting = self._over
        if self._mode == AutoresetMode.DISABLED and resting.any():
            raise InvalidActionError(
                f"the episodes of the copies {np.flatnonzero(resting).tolist()} are over; call "
                'reset(options={"reset_mask": flags})'
            )
        replies = self._codes[1].check(actions, self.num_envs)
        _, rewards, terminated, truncated = self.rounds.step(self._pending, replies, ~resting)
        over, infos = terminated | truncated, {}
        if self._mode == AutoresetMode.SAME_STEP:
            if over.any():
                self._pending = None
                infos = {"final_obs": self._observe(), "_final_obs": over}
            self.rounds.restart(over)
        else:
            self.rounds.restart(resting)
            self._over = over
        self._commit()
        return self._observe(), rewards, terminated, truncated, infos

    def _commit(self) -> None:
        """Let every leader move, each from its own stream."""
        idle = None if self._episode.configuration is None else self.game.idle_action
        if idle is not None:
            self._pending = np.broadcast_to(idle, (self.num_envs, *np.shape(idle)))
            return
        pending = None
        with torch.no_grad():
            for rows, streams, stage in self.rounds.groups():
                moves = np.asarray(self.commitment.sample(self.rounds.states[rows], streams, stage))
                if pending is None:
                    pending = np.empty((self.num_envs, *moves.shape[1:]), dtype=moves.dtype)
                pending[rows] = moves
        self._pending = pending

    def _observe(self) -> Floats:
        states, chosen = self.rounds.observe(), self._episode.configuration
        assert self.single_observation_space.shape is not None
        out = np.zeros((self.num_envs, *self.single_observation_space.shape), dtype=np.float32)
        width = states.shape[1] + (0 if chosen is None else chosen.size)
        out[:, : states.shape[1]] = states
        if chosen is not None:
            out[:, states.shape[1] : width] = chosen.ravel()
        if self._pending is not None and width < out.shape[1]:
            self._codes[0].encode(self._pending, out[:, width:])
            out[self._over, width:] = 0.0  # nobody moves after the end
        return out


@checked
def vector_env(
    game: Rules,
    num_envs: int,
    *,
    commitment: Commitment | None = None,
    roles: bool = False,
    backend: Literal["batched", "supersuit"] = "batched",
    base_class: Literal["gymnasium", "stable_baselines3"] = "gymnasium",
    autoreset_mode: AutoresetMode | str | None = None,
) -> Any:
    """Copies of a game that are stepped together.

    Examples:
        >>> import numpy as np
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> envs = sg.vector_env(
        ...     game, 8, commitment=sg.TabularPolicy(game)
        ... )  # the problem of a follower
        >>> observations, infos = envs.reset(seed=0)
        >>> observations, rewards, terminated, truncated, infos = envs.step(
        ...     np.zeros(8, dtype=np.int64)
        ... )
        >>> observations.shape, rewards.shape
        ((8, 5), (8,))

    Args:
        game: any game.
        num_envs: how many copies.
        commitment: None for both players in one batch of ``2 * num_envs`` rows (``TurnsVectorEnv``);
            a commitment for the problem of a follower that responds to it (``ResponseVectorEnv``).
        roles: append a one-hot code of the player to every observation, for a shared policy.
        backend: ``"batched"``: the game's own batched rules; ``"supersuit"``: SuperSuit's
            vectorisation of the Parallel face, far slower, for libraries that want its class. Copy i
            then plays the episodes of ``seed + i``, and infos are a list.
        base_class: for SuperSuit: ``"gymnasium"`` or ``"stable_baselines3"``.
        autoreset_mode: Gymnasium's, or its name: what follows the end of an episode (see the module's text). By
            default, with a commitment, a copy whose episode is over is reset by ``reset(options={"reset_mask":
            flags})`` or, where nobody does, by its next step. Copies of both players are in step only in SAME_STEP.

    Raises:
        InvalidArgumentError: ``num_envs`` or ``backend`` is out of range, SuperSuit is asked for the problem of
            a follower, or the copies cannot be played in this autoreset mode.
        UnsupportedGameError: the two players' actions cannot be padded to one space.
    """
    require_game(game)
    mode = None if autoreset_mode is None else _mode(autoreset_mode)
    if commitment is None and mode not in (None, AutoresetMode.SAME_STEP):
        raise InvalidArgumentError(
            f"autoreset_mode={mode.value!r}: copies of both players are in step only in SAME_STEP"
        )
    if backend == "batched":
        if commitment is None:
            return TurnsVectorEnv(game, num_envs, roles)
        return ResponseVectorEnv(game, num_envs, commitment, mode)
    if commitment is not None:
        raise InvalidArgumentError(
            "SuperSuit vectorises games of both players; leave out the commitment or the backend"
        )
    from supersuit import concat_vec_envs_v1, pettingzoo_env_to_vec_env_v1

    single = pettingzoo_env_to_vec_env_v1(homogenized(parallel_env(game, "turns"), roles=roles))
    concatenate: Callable[..., Any] = concat_vec_envs_v1
    return concatenate(single, Rounds(game, num_envs).count, num_cpus=0, base_class=base_class)


def _mode(wanted: AutoresetMode | str) -> AutoresetMode:
    known = {name: mode for mode in AutoresetMode for name in (mode, mode.name, mode.value)}
    if not isinstance(wanted, AutoresetMode | str) or wanted not in known:
        names = checks.listed([mode.name for mode in AutoresetMode])
        raise InvalidArgumentError(f"autoreset_mode={checks.shown(wanted)}: expected {names}")
    return known[wanted]
