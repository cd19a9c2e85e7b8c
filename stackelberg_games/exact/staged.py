"""Optimal policies where what the follower does now does not change what comes, stage by stage, with a bound.

The follower is myopic, or no transition depends on its action. Then its response in a state depends on the leader's
mixture there alone, and the leader's optimum comes from policy iteration whose stages are solved globally:

| follower | sees the leader's action | does not |
|---|---|---|
| hard | the best pure action | one linear program for each reply (Conitzer and Sandholm, EC 2006) |
| soft | the best pure action | branch and bound over the mixtures of few actions |
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.errors import SolverError, UnsupportedGameError
from stackelberg_games.exact.bounds import EPSILON, SPARE, evaluation_error, rounding
from stackelberg_games.exact.branching import maximise
from stackelberg_games.exact.posed import Posed, annuity, pose
from stackelberg_games.exact.programs import best_mixture
from stackelberg_games.exact.response import Arrays, lift, overflowed
from stackelberg_games.kinds.finite import TabularGame

ROUNDS = 1000

MAX_ACTIONS = 5
"""Of the leader, up to which branch and bound looks for the best mixture."""


class Staged(NamedTuple):
    """An optimal policy and the response to it.

    Attributes:
        policy: ``[S, A]``.
        response: ``[S, A, B]``.
        bound: what no commitment exceeds.
    """

    policy: FloatArray
    response: FloatArray
    bound: float


class Stage(NamedTuple):
    """An optimal commitment of one stage: mixture ``[A]``, response ``[A, B]``, value and a bound on it."""

    mixture: FloatArray
    response: FloatArray
    value: float
    bound: float


def staged_policy(game: TabularGame, temperature: float) -> Staged:
    """The optimal policy against a follower whose actions do not change what comes.

    Args:
        game: a finite game.
        temperature: of the follower, >= 0.

    Raises:
        UnsupportedGameError: they do; or the leader's own do, and it has several stages but no endless horizon; or
            the leader has more than ``MAX_ACTIONS``, and the follower is soft and does not see which it takes.
        SolverError: a program could not be solved, or policy iteration did not settle.
    """
    posed = pose(game, game.model(TabularPolicy(game)), entered=True)
    arrays, discount = posed.arrays, _stage_discount(game)
    if temperature > 0 and not arrays.sees and game.leader_actions > MAX_ACTIONS:
        raise UnsupportedGameError(f"{game.name}: {game.leader_actions} actions of the leader, more than {MAX_ACTIONS}")
    reward, rows = arrays.leader_reward, range(len(arrays.policy))
    stages = [_stage(arrays, reward, state, temperature) for state in rows]
    for _ in range(ROUNDS):
        under = replace(arrays, policy=np.stack([stage.mixture for stage in stages]))
        response = np.stack([stage.response for stage in stages])
        factors = under.system(response, discount)
        values = factors.solve(under.average(reward, response))
        q = reward + discount * arrays.kernel.expected(values)
        if not np.isfinite(q).all():
            raise overflowed("the leader's values", reward)
        error = evaluation_error(under, reward, discount, response, values, factors)
        doubt = rounding(arrays, reward, discount, values) + discount * arrays.kernel.expected(error)
        new = [_stage(arrays, q, state, temperature) for state in rows]
        again = replace(arrays, policy=np.stack([stage.mixture for stage in new]))
        unsure = again.average(doubt, np.stack([stage.response for stage in new])) + error
        better = np.array([stage.value for stage in new]) * arrays.alive > values + unsure
        if not better.any():
            above = np.array([stage.bound for stage in new]) * arrays.alive - values + unsure
            # What a stage gains at most is gained in every stage.
            gained = max(0.0, float(above[posed.of(game.reachable(game.tables().transition))].max()))
            bound = _worth(game, posed, values, under, response) + gained * annuity(game, None, None)
            return _widened(game, posed.kept, under.policy, response, bound)
        stages = [one if flag else old for one, old, flag in zip(new, stages, better, strict=True)]
    raise SolverError(f"strong Stackelberg policy iteration did not settle in {ROUNDS} rounds")


def _worth(game: TabularGame, posed: Posed, values: FloatArray, under: Arrays, response: FloatArray) -> float:
    """The leader's value from the first states; ``values`` are those of a single stage where there is a horizon."""
    if game.horizon is not None:
        values = under.accumulated(response, values, game.leader_discount, game.horizon)
    return float(posed.initial.numpy() @ values) + lift(posed.offsets[0], annuity(game, None, None))


def _widened(
    game: TabularGame, kept: IntArray | None, policy: FloatArray, response: FloatArray, bound: float
) -> Staged:
    """Tables of all states; where play never comes, anything will do."""
    if kept is None:
        return Staged(policy, response, bound)
    wide = np.eye(game.leader_actions)[np.zeros(game.states, dtype=np.int64)]
    replies = np.zeros((game.states, game.leader_actions, game.follower_actions))
    replies[..., 0] = 1.0
    wide[kept], replies[kept] = policy, response
    return Staged(wide, replies, bound)


def unmoved(game: TabularGame) -> bool:
    """Whether the follower's actions do not change what comes, wherever play can come."""
    entered = game.reachable(game.tables().transition) & ~game.terminal
    return _alike(game, entered, (game.leader_actions, game.follower_actions))


def moved_by_nobody(game: TabularGame) -> bool:
    """Whether neither player's actions change what comes, wherever play can come."""
    entered = game.reachable(game.tables().transition) & ~game.terminal
    return _alike(game, entered, (1, game.leader_actions * game.follower_actions))


def _alike(game: TabularGame, states: BoolArray, shape: tuple[int, int]) -> bool:
    """Whether in some states the cells of each row of ``shape``, which lays out their pairs of actions, are followed alike."""
    if game.lists is not None:
        cells = np.broadcast_to(states[:, None], (len(states), shape[0]))
        every = np.broadcast_to(True, (*cells.shape, shape[1]))
        return not game.lists.differing(cells, every, np.broadcast_to(0.0, every.shape)).any()
    rows = game.transition[states].reshape(-1, *shape, game.states)
    return bool((rows == rows[:, :, :1]).all())


def _stage_discount(game: TabularGame) -> float:
    """By what the leader's stages are tied together; raises ``UnsupportedGameError`` where no stage is by itself."""
    if game.follower_discount > 0 and not unmoved(game):
        raise UnsupportedGameError(
            f"{game.name}: temperature=0 is solved where the follower's actions do not change what comes: matrix games "
            f"and myopic followers (follower_discount=0, here {game.follower_discount}); use a small positive temperature"
        )
    if game.horizon is None:
        return game.leader_discount
    if game.horizon > 1 and not moved_by_nobody(game):
        raise UnsupportedGameError(
            f"{game.name}: temperature=0 with horizon={game.horizon} has no stationary optimum in "
            "general; use horizon=None or horizon=1"
        )
    return 0.0


def _stage(arrays: Arrays, q: FloatArray, state: int, temperature: float) -> Stage:
    """Optimal commitment of one state, where the leader's action values are ``q``."""
    leader, follower = q[state], arrays.follower_reward[state]
    if temperature == 0:
        return _seen(leader, follower) if arrays.sees else _unseen(leader, follower)
    if arrays.sees:
        return _pure(softmax(follower / temperature, axis=1), leader)
    corners = np.eye(len(leader))
    best = maximise(corners[None], follower[None, None] / temperature, leader[None, None], np.ones(1))
    response = np.broadcast_to(softmax(best.point @ follower / temperature), leader.shape)
    return Stage(best.point, response, best.value, best.bound)


def _pure(response: FloatArray, leader: FloatArray) -> Stage:
    """The best pure action, where the follower answers each one by itself."""
    values = (response * leader).sum(axis=1)
    action = int(values.argmax())
    return Stage(np.eye(len(leader))[action], response, float(values[action]), float(values[action]))


def _unseen(leader: FloatArray, follower: FloatArray) -> Stage:
    """One program for each reply: the best mixture that makes it a best reply."""
    best: Stage | None = None
    bound = -np.inf
    for reply in range(leader.shape[1]):
        gaps = np.delete((follower - follower[:, [reply]]).T, reply, axis=0)
        found = best_mixture(leader[:, reply], gaps)
        if found is None:
            continue
        bound = max(bound, found.bound)
        if best is None or found.value > best.value:
            response = np.zeros_like(leader)
            response[:, reply] = 1.0
            best = Stage(found.point, response, found.value, bound)
    if best is None:
        raise SolverError("no follower action can be made a best response; the rewards are inconsistent")
    return best._replace(bound=bound)


def _seen(leader: FloatArray, follower: FloatArray) -> Stage:
    """The best pure action, where the follower answers each one by itself with ties for the leader."""
    return _pure(best_replies(leader, follower), leader)


def best_replies(leader: FloatArray, follower: FloatArray) -> FloatArray:
    """Best replies to each action, ties for the leader, ``[A, B]``."""
    top = follower.max(axis=1, keepdims=True)
    doubt = EPSILON * SPARE * np.maximum(np.abs(follower), np.abs(top))
    tied = np.where(follower >= top - doubt, leader, -np.inf)
    return np.asarray(np.eye(leader.shape[1])[tied.argmax(axis=1)])
