"""Playing a commitment against a response policy: batches of sampled trajectories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.tabular import DiscretePolicy
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.numerics.sampling import check_probabilities, cumulative
from stackelberg_games.numerics.threads import in_own_modes
from stackelberg_games.play.compiled_rollout import roll
from stackelberg_games.rules.commitment import Commitment, evaluating
from stackelberg_games.rules.rules import Rules, require_game
from stackelberg_games.rules.trajectories import BLOCK, Trajectories, check_affordable, padded, width
from stackelberg_games.settings import check


class ResponsePolicy(Protocol):
    """What a follower plays once it has learned.

    Examples:
        >>> import numpy as np
        >>> import stackelberg_games as sg
        >>> class Mirror:
        ...     def sample(self, states, leader_actions, streams, stage):
        ...         return leader_actions
        >>> game = sg.make("matrix-v0")
        >>> batch = sg.rollout(game, sg.TabularPolicy(game), Mirror(), episodes=100)
        >>> bool((batch.leader_actions == batch.follower_actions).all())
        True
    """

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> Any:
        """Follower actions for a batch of states and observed leader actions.

        ``leader_actions`` is what the leader played; a policy of a game in which the follower
        does not see it must not depend on it.
        """


@dataclass(frozen=True)
class TabularResponse:
    """A response policy as a table.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("matrix-v0")
        >>> sg.TabularResponse.uniform(game).probabilities
        array([[[0.5, 0.5],
                [0.5, 0.5]]])
        >>> sg.TabularResponse([[[0.7, 0.7]]])
        Traceback (most recent call last):
            ...
        stackelberg_games.errors.InvalidGameError: follower policy[0, 0] sums to 1.4, not to 1; normalise the row

    Args:
        probabilities: ``[S, A, B]``, distribution over follower actions.

    Raises:
        InvalidGameError: a row is not a distribution.
    """

    probabilities: FloatArray

    def __post_init__(self) -> None:
        table = checks.array("follower policy", self.probabilities, finite=False, error=InvalidGameError)
        if not table.ndim:
            raise InvalidGameError(f"follower policy {table}: expected a table, [S, A, B]")
        check_probabilities("follower policy", table)
        object.__setattr__(self, "probabilities", table)

    @classmethod
    def uniform(cls, game: TabularGame) -> TabularResponse:
        """The response that ignores everything."""
        shape = (game.states, game.leader_actions, game.follower_actions)
        return cls(np.full(shape, 1.0 / game.follower_actions))

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> IntArray:
        """Draw actions by inversion from the follower's lane, int64 ``[N]``."""
        rows = cumulative(self.probabilities[np.asarray(states), np.asarray(leader_actions)])
        return np.asarray((streams.uniform(Lane.FOLLOWER, stage) >= rows).sum(axis=1), dtype=np.int64)


@dataclass(frozen=True)
class PointResponse:
    """A response policy as a table, played at the points that stand for the states.

    Args:
        game: tells which state a point is.
        table: of the finite game.
    """

    game: EmbeddedGame
    table: TabularResponse

    @property
    def probabilities(self) -> FloatArray:
        """``[S, A, B]``."""
        return self.table.probabilities

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> IntArray:
        """See ``TabularResponse``."""
        return self.table.sample(self.game.codes(states), leader_actions, streams, stage)

    def log_prob(self, states: Any, leader_actions: Any, replies: Any) -> FloatArray:
        """Log-probabilities ``[...]`` of replies."""
        chances = self.probabilities[self.game.codes(states), np.asarray(leader_actions), np.asarray(replies)]
        return np.asarray(np.log(np.maximum(chances, np.finfo(np.float64).tiny)))


@in_own_modes
def rollout(
    game: Game,
    commitment: Commitment,
    follower_policy: ResponsePolicy,
    *,
    episodes: int = 64,
    seed: int = 0,
    first_episode: int = 0,
    stages: int | None = None,
) -> Trajectories:
    """Play episodes of a commitment against a response policy.

    Episode number n of a seed is always the same episode, whatever batch it is played in.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> policy = sg.TabularPolicy(game)
        >>> response = sg.exact.best_response(game, policy, temperature=0.05)
        >>> batch = sg.rollout(
        ...     game, policy, sg.TabularResponse(response.policy), episodes=100, seed=0
        ... )
        >>> batch.leader_actions.shape, batch.leader_returns(game.leader_discount).shape
        ((100, 150), (100,))

    Args:
        game: any game; it is played under the commitment's configuration, if that has one.
        commitment: the leader's decision.
        follower_policy: the follower's response.
        episodes: how many, at least 1.
        seed: integer in [0, 2**63).
        first_episode: number of the first episode of this batch.
        stages: truncate episodes here; the game's horizon if not given, and for a game without
            one the stage at which both discounts have fallen to 1 %. Memory follows what is played.

    Raises:
        InvalidArgumentError: ``episodes``, ``first_episode`` or ``stages`` is out of range.
    """
    game = require_game(game)
    check(rollout, {"commitment": commitment})
    stages = game.stages() if stages is None else checks.integer("stages", stages, 1)
    episodes = checks.integer("episodes", episodes, 1)
    first_episode = checks.integer("first_episode", first_episode, 0, 2**62)
    return play(game, commitment, follower_policy, stages, (seed, episodes, first_episode))


def play(
    game: Game,
    commitment: Commitment,
    follower_policy: ResponsePolicy,
    stages: int,
    drawn: tuple[int, int, int],
) -> Trajectories:
    """``rollout`` of arguments that are known to be right, for a loop that calls it often.

    Args:
        game, commitment, follower_policy, stages: see ``rollout``.
        drawn: seed, number of episodes, and number of the first.
    """
    with evaluating(commitment):
        if isinstance(game, TabularGame) and isinstance(follower_policy, TabularResponse):
            return _rollout_tables(game, commitment, follower_policy, stages, drawn)
        if not any(hasattr(follower_policy, way) for way in ("sample", "reply", "play")):
            raise InvalidArgumentError(f"follower_policy={checks.shown(follower_policy)}: expected a response policy")
        check_affordable(drawn[1], min(stages, BLOCK))
        streams = Streams.of(*drawn)
        if hasattr(follower_policy, "play"):
            played: Trajectories = follower_policy.play(game, commitment, streams, stages)
            return played
        batch = game.simulate(commitment, follower_policy, streams, stages)
        return _rollout_batched(game, commitment, follower_policy, streams, stages) if batch is None else batch


def _rollout_tables(
    game: TabularGame, commitment: Commitment, follower: TabularResponse, stages: int, drawn: tuple[int, int, int]
) -> Trajectories:
    """By compiled code; the commitment is in evaluation mode."""
    if follower.probabilities.shape != game.leader_reward.shape:
        game.check_response(follower.probabilities)  # refuses it; what the rows are was looked at when it was made
    with torch.no_grad():
        policy, sampler = game.sound(commitment.probabilities()).numpy(), game.under(commitment)
    return roll(sampler, policy, follower.probabilities, stages, drawn)


def _rollout_batched(
    game: Game, commitment: Commitment, follower: ResponsePolicy, streams: Streams, stages: int
) -> Trajectories:
    """One vectorised step of all episodes at a time, for every kind of game and policy."""
    rules, idle = _configured(game, commitment)
    states = rules.initial(streams)
    history = [states]
    actions: list[tuple[Any, Any]] = []
    rewards: list[tuple[Any, Any]] = []
    alive = np.ones(len(streams.episodes), dtype=np.bool_)
    terminated = np.zeros_like(alive)
    lengths = np.zeros(len(alive), dtype=np.int64)
    for stage in range(stages):
        if stage % BLOCK == 0:
            check_affordable(len(alive), min(stages, stage + BLOCK))
        leader_action = commitment.sample(states, streams, stage) if idle is None else _repeated(idle, len(alive))
        follower_action = follower.sample(states, leader_action, streams, stage)
        step = rules.step(states, leader_action, follower_action, streams, stage)
        states = np.where(_as_column(alive, step.states), step.states, states)
        history.append(states)
        actions.append((_blank(leader_action, alive), _blank(follower_action, alive)))
        rewards.append((step.leader_rewards * alive, step.follower_rewards * alive))
        lengths += alive
        terminated |= alive & step.terminated
        alive = alive & ~step.terminated
        if not alive.any():
            break
    room = width(len(actions), stages)
    leader_actions, follower_actions = (padded(np.stack(side, axis=1), room) for side in zip(*actions, strict=True))
    leader_rewards, follower_rewards = (padded(np.stack(side, axis=1), room) for side in zip(*rewards, strict=True))
    return Trajectories(
        padded(np.stack(history, axis=1), room + 1, last=True),
        leader_actions,
        follower_actions,
        leader_rewards,
        follower_rewards,
        lengths,
        terminated,
        stages,
    )


def _configured(game: Game, commitment: Commitment) -> tuple[Rules, Any]:
    """The game under a commitment, and what the leader plays at every stage where it only configures, else None."""
    configuration = commitment.configuration()
    if configuration is None:
        return game, None
    with torch.no_grad():
        return game.configured(configuration.detach()), game.idle_action


def _repeated(action: Any, count: int) -> Any:
    return np.broadcast_to(action, (count, *np.shape(action)))


def _as_column(flags: Any, like: Any) -> Any:
    """``flags`` with as many trailing axes as ``like``, for broadcasting."""
    return flags.reshape(flags.shape + (1,) * (np.ndim(like) - 1))


def _blank(actions: Any, alive: Any) -> Any:
    array = np.asarray(actions)
    return np.where(_as_column(alive, array), array, np.zeros_like(array))


__all__ = ["DiscretePolicy", "ResponsePolicy", "TabularResponse", "rollout"]
