"""Many copies of a game at once, as Gymnasium vector environments.

``Rounds`` steps a batch of running episodes through the functional rules; the two faces derive from
it. An episode that ends is followed by the next one in the same step (Gymnasium's SAME_STEP mode),
and its last observation stands in ``infos["final_obs"]``.
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
from numpy.typing import NDArray

from stackelberg_games.arrays import BoolArray, FloatArray
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.faces.configured import episode_under
from stackelberg_games.faces.episode import NO_EPISODE, Actions
from stackelberg_games.faces.padding import Padding
from stackelberg_games.faces.padding import homogenize as homogenized
from stackelberg_games.faces.parallel import parallel_env
from stackelberg_games.numerics.randomness import Streams, check_seed, fresh_seed
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.rules import Rules, require_game
from stackelberg_games.rules.scene import FOLLOWER, LEADER, PLAYERS

Floats = NDArray[np.float32]


class Rounds:
    """A batch of running episodes.

    Copy number i of N plays the episodes i, i + N, i + 2N, ... of a seed, each the very episode that
    ``rollout`` plays under that number.

    Args:
        game: any game.
        count: N, how many copies.

    Attributes:
        states: ``[N, ...]``.
        stage: stages played of each running episode, int ``[N]``.
        numbers: of the running episodes, uint64 ``[N]``.
    """

    def __init__(self, game: Rules, count: int) -> None:
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InvalidArgumentError(f"num_envs={count!r}: expected an integer >= 1")
        self.game, self.count = game, count
        self.states: Any = None
        self.stage = np.zeros(count, dtype=np.int64)
        self.numbers = np.arange(count, dtype=np.uint64)
        self.seed = -1

    def reset(self, seed: int | None) -> None:
        """Begin new episodes: the first ones of a seed, or the next ones of the seed in use."""
        if seed is not None or self.seed < 0:
            self.seed = fresh_seed() if seed is None else check_seed(seed)
            self.numbers = np.arange(self.count, dtype=np.uint64)
        else:
            self.numbers = self.numbers + np.uint64(self.count)
        self.stage[:] = 0
        self.states = np.asarray(self.game.initial(Streams(self.seed, self.numbers)))

    def groups(self) -> list[tuple[Any, Streams, int]]:
        """Rows that are at the same stage, their streams, and the stage; one group while all are in step."""
        first = int(self.stage[0])
        if (self.stage == first).all():
            return [(slice(None), Streams(self.seed, self.numbers), first)]
        rows = [np.flatnonzero(self.stage == stage) for stage in np.unique(self.stage)]
        return [(row, Streams(self.seed, self.numbers[row]), int(self.stage[row[0]])) for row in rows]

    def step(self, leader: Any, follower: Any) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray]:
        """Play a stage everywhere.

        Returns:
            Rewards of leader and follower, terminated, truncated; each ``[N]``.
        """
        rewards, terminated = np.empty((2, self.count)), np.empty(self.count, dtype=np.bool_)
        states = np.empty_like(self.states)
        for rows, streams, stage in self.groups():
            step = self.game.step(self.states[rows], leader[rows], follower[rows], streams, stage)
            states[rows], terminated[rows] = step.states, step.terminated
            rewards[0, rows], rewards[1, rows] = step.leader_rewards, step.follower_rewards
        self.states = states
        self.stage += 1
        truncated = ~terminated if self.game.horizon is not None else np.zeros_like(terminated)
        truncated = truncated & (self.stage == self.game.horizon)
        return rewards[0], rewards[1], terminated, truncated

    def restart(self, over: BoolArray) -> None:
        """Begin the next episode in the rows where one has ended."""
        if over.any():
            self.numbers = np.where(over, self.numbers + np.uint64(self.count), self.numbers)
            first = np.asarray(self.game.initial(Streams(self.seed, self.numbers[over])))
            self.states[over], self.stage[over] = first, 0

    def observe(self) -> Floats:
        """The states as the leader observes them, ``[N, d]``."""
        return np.asarray(self.game.observe_batch(self.states), dtype=np.float32)


class Code:
    """One player's actions in a batch: checked, and encoded as vectors.

    Args:
        player: for messages.
        space: of one action.
    """

    def __init__(self, player: Any, space: gymnasium.Space[Any]) -> None:
        self.single = Actions(player, space)
        self.space = space
        self.width = len(self.single.low)

    def check(self, actions: Any) -> Any:
        """The actions as the game takes them.

        Raises:
            InvalidActionError: one is outside the space.
        """
        array = np.asarray(actions)
        if not isinstance(self.space, spaces.Discrete) or array.dtype.kind not in "iu":
            return np.stack([self.single.check(action) for action in array])
        wrong = (array < self.space.start) | (array >= self.space.start + self.space.n)
        if wrong.any():
            self.single.check(int(array[np.argmax(wrong)]))
        return array.astype(np.int64)

    def encode(self, actions: Any, out: Floats) -> None:
        """Write the codes of checked actions into ``out``, zeros ``[N, width]``."""
        if isinstance(self.space, spaces.Discrete):
            out[np.arange(len(out)), actions - self.space.start] = 1.0
        elif isinstance(self.space, spaces.Box):
            out[...] = actions.reshape(len(out), -1)
        else:
            for row, action in zip(out, actions, strict=True):
                self.single.encode(action, row)


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

    def __init__(self, game: Rules, copies: int, roles: bool = False) -> None:
        if game.configuration_space is not None:
            raise UnsupportedGameError(
                f"{game.name} is configured once an episode, so its copies would leave step with each other; give "
                "vector_env a commitment, which copies what the follower faces"
            )
        self.metadata = {"name": game.name, "autoreset_mode": AutoresetMode.SAME_STEP}
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
            self._pending = self._own(LEADER, np.asarray(actions)[0::2])
            nothing = np.zeros(self.num_envs, dtype=np.bool_)
            return self._observe(), np.zeros(self.num_envs), nothing, nothing.copy(), self._infos()
        follower = self._own(FOLLOWER, np.asarray(actions)[1::2])
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
            return self._codes[player].check(padded + int(space.start))
        return np.stack([self.padding.action(player, action) for action in padded])

    def _observe(self, over: bool = False) -> Floats:
        """Rows as the homogenized Parallel face shows them; nobody is to move after the end."""
        states = self.rounds.observe()
        width = states.shape[1]
        assert self.single_observation_space.shape is not None
        out = np.zeros((self.num_envs, *self.single_observation_space.shape), dtype=np.float32)
        leader, follower = out[0::2], out[1::2]
        leader[:, :width] = follower[:, :width] = states
        leader[:, width] = self._pending is None and not over
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

    Raises:
        InvalidActionError: the configuration is not in the game's space.
        InvalidGameError, UnsupportedGameError: the commitment configures a game that cannot be configured.
    """

    def __init__(self, game: Rules, copies: int, commitment: Commitment) -> None:
        self.metadata = {"name": game.name, "autoreset_mode": AutoresetMode.SAME_STEP}
        self.game, self.commitment, self.num_envs = game, commitment, copies
        self.rounds = Rounds(game, copies)
        self._episode = episode_under(game, commitment.configuration())
        self.single_observation_space = self._episode.observation_spaces[FOLLOWER]
        self.single_action_space = game.follower_action_space
        self.observation_space = batch_space(self.single_observation_space, copies)
        self.action_space = batch_space(self.single_action_space, copies)
        self._codes = Code(LEADER, game.leader_action_space), Code(FOLLOWER, game.follower_action_space)
        self._pending: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Read the commitment and begin new episodes; ``options`` is not used.

        Raises:
            InvalidArgumentError: the seed is out of range.
        """
        configuration = self.commitment.configuration()
        if configuration is not None:
            self._episode.reset(seed=0)
            self._episode.configure(configuration.detach().numpy())
            self.rounds.game = self._episode.game
        self.rounds.reset(seed)
        self._commit()
        return self._observe(), {}

    def step(self, actions: Any) -> tuple[Floats, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Play the followers' actions, ``[N, ...]``.

        Returns:
            Observations ``[N, d]``, the follower's rewards, terminations, truncations (``[N]``), infos.

        Raises:
            InvalidActionError: an action is outside the space, or ``reset`` was not called.
        """
        if self.rounds.states is None:
            raise InvalidActionError(NO_EPISODE)
        _, rewards, terminated, truncated = self.rounds.step(self._pending, self._codes[1].check(actions))
        over, infos = terminated | truncated, {}
        if over.any():
            self._pending = None
            infos = {"final_obs": self._observe(), "_final_obs": over}
        self.rounds.restart(over)
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
        return out


def vector_env(
    game: Rules,
    num_envs: int,
    *,
    commitment: Commitment | None = None,
    roles: bool = False,
    backend: Literal["batched", "supersuit"] = "batched",
    base_class: str = "gymnasium",
) -> Any:
    """Copies of a game that are stepped together.

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

    Raises:
        InvalidArgumentError: ``num_envs`` or ``backend`` is out of range, or SuperSuit is asked for
            the problem of a follower.
        UnsupportedGameError: the two players' actions cannot be padded to one space.
    """
    require_game(game)
    if backend not in ("batched", "supersuit"):
        raise InvalidArgumentError(f"backend={backend!r}: expected 'batched' or 'supersuit'")
    if backend == "batched":
        if commitment is None:
            return TurnsVectorEnv(game, num_envs, roles)
        return ResponseVectorEnv(game, num_envs, commitment)
    if commitment is not None:
        raise InvalidArgumentError(
            "SuperSuit vectorises games of both players; leave out the commitment or the backend"
        )
    from supersuit import concat_vec_envs_v1, pettingzoo_env_to_vec_env_v1

    single = pettingzoo_env_to_vec_env_v1(homogenized(parallel_env(game, "turns"), roles=roles))
    concatenate: Callable[..., Any] = concat_vec_envs_v1
    return concatenate(single, Rounds(game, num_envs).count, num_cpus=0, base_class=base_class)
