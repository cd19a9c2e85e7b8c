"""Playing a commitment against a response policy: batches of sampled trajectories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.tabular import DiscretePolicy
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.randomness import Lane, Streams, check_seed, compiled, stream, uniform
from stackelberg_games.numerics.sampling import Summing, accumulate, check_probabilities, cumulative, draw, pick
from stackelberg_games.numerics.threads import in_own_modes
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


class _Batch(NamedTuple):
    """Arrays that the compiled loop fills."""

    states: IntArray
    leader_actions: IntArray
    follower_actions: IntArray
    leader_rewards: FloatArray
    follower_rewards: FloatArray
    lengths: IntArray
    terminated: Any

    @classmethod
    def of(cls, episodes: int, stages: int) -> _Batch:
        """Room for so many stages, in which nothing was played."""
        check_affordable(episodes, stages)
        # One block: what is asked for in pieces the allocator hands back, and every page of it costs a fault again.
        block, first = np.empty(episodes * (5 * stages + 1), dtype=np.int64), episodes * (stages + 1)
        states, rest = block[:first].reshape(episodes, -1), block[first:].reshape(4, episodes, stages)
        rewards = rest[2:].view(np.float64)
        ends = np.empty(episodes, dtype=np.int64), np.zeros(episodes, dtype=np.bool_)
        return cls(states, rest[0], rest[1], rewards[0], rewards[1], *ends)

    def resized(self, kept: int, room: int | None = None) -> _Batch:
        """The first ``kept`` stages with room for as many, or for more."""
        if kept == self.leader_actions.shape[1] and room is None:
            return self
        new = _Batch.of(len(self.lengths), room or kept)
        new.states[:, : kept + 1] = self.states[:, : kept + 1]
        for old, array in zip(self[1:5], new[1:5], strict=True):
            array[:, :kept] = old[:, :kept]
        return new._replace(lengths=self.lengths, terminated=self.terminated)


GROWTH = 4
"""Episodes that go on get so many times the room."""
_ENVIRONMENT, _LEADER, _FOLLOWER = (np.uint64(lane) for lane in list(Lane)[:3])


@compiled
def _rows(policy: Any, summing: Summing) -> Any:
    """What is drawn from, flat: a policy's rows, or the sums of them."""
    if summing is None:
        rows = policy.reshape((-1, policy.shape[-1]))
        sums = np.empty(rows.shape)
        accumulate(rows, sums)
        return sums.ravel()
    return policy.ravel()


@compiled
def _roll(sampler: Any, policies: Any, seed: np.uint64, first_episode: np.uint64, out: Any, begin: int) -> int:
    """Play from stage ``begin`` as far as there is room, and write nothing beyond an episode's end; how many have ended.

    Tuples are plain: those with names take twice as long to hand over.
    """
    (
        (leader_count, follower_count),
        first,
        initial,
        successors,
        chances,
        leader_reward,
        follower_reward,
        terminal,
        summing,
    ) = sampler
    states, leader_actions, follower_actions, leader_rewards, follower_rewards, lengths, ends = out
    leader_policy, leader_summing, follower_policy, follower_summing = policies
    leader, follower = _rows(leader_policy, leader_summing), _rows(follower_policy, follower_summing)
    stages, ended = leader_actions.shape[1], 0
    for i in range(states.shape[0]):
        if ends[i]:
            ended += 1
            continue
        episode = first_episode + np.uint64(i)
        e_start, e_gamma = stream(seed, episode, _ENVIRONMENT)
        l_start, l_gamma = stream(seed, episode, _LEADER)
        f_start, f_gamma = stream(seed, episode, _FOLLOWER)
        if begin == 0:
            states[i, 0] = pick(initial, 0, initial.shape[0], uniform(e_start, e_gamma, np.uint64(0)))
        s = states[i, begin]
        lengths[i] = stages
        for t in range(begin, stages):
            counter = np.uint64(t)
            row = s * leader_count
            a = draw(leader, row, leader_count, leader_summing, uniform(l_start, l_gamma, counter))
            cell = (row + a) * follower_count
            b = draw(follower, cell, follower_count, follower_summing, uniform(f_start, f_gamma, counter))
            cell += b
            leader_actions[i, t] = a
            follower_actions[i, t] = b
            leader_rewards[i, t] = leader_reward[cell]
            follower_rewards[i, t] = follower_reward[cell]
            k = first[cell]
            choices = first[cell + 1] - k
            if choices > 1:  # where one state alone can follow nothing is drawn
                k += draw(chances, k, choices, summing, uniform(e_start, e_gamma, np.uint64(t + 1)))
            s = successors[k]
            states[i, t + 1] = s
            if terminal[s]:
                lengths[i] = t + 1
                ends[i] = True
                ended += 1
                break
    return ended


@compiled
def _fill(out: Any) -> None:
    """Write the padding."""
    states, leader_actions, follower_actions, leader_rewards, follower_rewards, lengths, _ = out
    for i in range(states.shape[0]):
        for t in range(lengths[i], leader_actions.shape[1]):
            leader_actions[i, t] = follower_actions[i, t] = 0
            leader_rewards[i, t] = follower_rewards[i, t] = 0.0
            states[i, t + 1] = states[i, lengths[i]]


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
        policy, sampler = game.sound(commitment.probabilities()).numpy(), tuple(game.under(commitment))
    seed, episodes, first = check_seed(drawn[0]), drawn[1], drawn[2]
    policies = (*_drawn_from(policy, episodes * stages), *_drawn_from(follower.probabilities, episodes * stages))
    room, begin = stages, 0
    if stages > BLOCK and game.terminal.any():
        room = BLOCK
    out = _Batch.of(episodes, room)
    ended = _roll(sampler, policies, np.uint64(seed), np.uint64(first), tuple(out), begin)
    while room < stages and ended < episodes:
        begin, room = room, GROWTH * room if GROWTH**2 * room < stages else stages
        out = out.resized(begin, room)
        ended = _roll(sampler, policies, np.uint64(seed), np.uint64(first), tuple(out), begin)
    if ended:
        if stages > BLOCK:
            out = out.resized(width(int(out.lengths.max()), stages))
        _fill(tuple(out))
    return Trajectories(*out, stages)


def _drawn_from(policy: FloatArray, draws: int) -> tuple[FloatArray, Summing]:
    """A policy, and whether it is drawn from its rows themselves: where these are more than there are draws."""
    return np.ascontiguousarray(policy), True if policy.size > draws * policy.shape[-1] else None


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
