"""Optimal policies of a leader that does not tell all states apart, where states come and go whatever the players do.

Then a state's weight w_s, its discounted visits, is known beforehand, the follower answers in each by itself, and mixtures of
different observations do not meet. For the states s with one observation the leader looks for one mixture x, the best of

    sum_s w_s x'L_s g_s(x),

| follower | sees the leader's action | does not |
|---|---|---|
| hard | the best pure action | one linear program for each combination of replies in the states (Bayesian Stackelberg games) |
| soft | the best pure action | branch and bound over the mixtures of few actions |
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.special import softmax

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.errors import SolverError, UnsupportedGameError
from stackelberg_games.exact.branching import maximise
from stackelberg_games.exact.posed import annuity, pose
from stackelberg_games.exact.programs import best_mixture
from stackelberg_games.exact.response import lift
from stackelberg_games.exact.staged import MAX_ACTIONS, Stage, Staged, best_replies, moved_by_nobody, unmoved
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.rules.observations import Observations

MAX_COMBINATIONS = 10_000
"""Of hard replies in the states with one observation."""


def tied_policy(game: TabularGame, observations: Observations, temperature: float) -> Staged:
    """The optimal policy of a leader that sees observations, and the response to it.

    Args:
        game: a finite game.
        observations: what its leader sees.
        temperature: of the follower, >= 0.

    Raises:
        UnsupportedGameError: what a player does changes what comes, or there are too many actions or combinations of replies.
        SolverError: a program could not be solved.
    """
    single = game.horizon == 1 or (game.horizon is None and game.leader_discount == 0)
    alone = game.follower_discount == 0 or unmoved(game)
    if not (alone and (single or moved_by_nobody(game))):
        raise UnsupportedGameError(
            f"{game.name}: an optimum tied by what the leader observes is proved where states come and go whatever the players "
            "do; here what they do changes what comes; give a temperature > 0 for the best of many starts"
        )
    posed = pose(game, game.model(TabularPolicy(game)), entered=False)
    arrays = posed.arrays
    anything = np.full(arrays.leader_reward.shape, 1 / game.follower_actions)
    if game.horizon is None:
        visits = arrays.system(anything, game.leader_discount).solve_transposed(game.initial_distribution)
    else:
        visits = arrays.visits(anything, game.initial_distribution, game.leader_discount, game.horizon)
    weights = np.asarray(visits) * arrays.alive
    policy, response = np.empty((game.states, game.leader_actions)), np.empty(arrays.leader_reward.shape)
    bound = lift(posed.offsets[0], annuity(game, None, None))
    for number in range(observations.count):
        states = np.flatnonzero(observations.numbers == number)
        tables = arrays.leader_reward[states], arrays.follower_reward[states]
        found = _together(game, *tables, weights[states], temperature)
        policy[states], response[states] = found.mixture, found.response
        bound += found.bound
    return Staged(policy, response, bound)


def _together(
    game: TabularGame, leader: FloatArray, follower: FloatArray, weights: FloatArray, temperature: float
) -> Stage:
    """Optimal mixture of the states with one observation; its response is ``[W, A, B]``."""
    if game.follower_sees_action:
        replies = softmax(follower / temperature, axis=2) if temperature > 0 else _best(leader, follower)
        values = np.einsum("w,wab,wab->a", weights, replies, leader)
        action = int(values.argmax())
        return Stage(np.eye(len(values))[action], replies, float(values[action]), float(values[action]))
    if temperature == 0:
        return _programs(game, leader, follower, weights)
    if game.leader_actions > MAX_ACTIONS:
        raise UnsupportedGameError(f"{game.name}: {game.leader_actions} actions of the leader, more than {MAX_ACTIONS}")
    best = maximise(np.eye(game.leader_actions)[None], follower[None] / temperature, leader[None], weights)
    replies = softmax(np.einsum("a,wab->wb", best.point, follower) / temperature, axis=1)
    return Stage(best.point, np.broadcast_to(replies[:, None], leader.shape), best.value, best.bound)


def _best(leader: FloatArray, follower: FloatArray) -> FloatArray:
    """Best replies to each action in each state, ties for the leader."""
    return np.stack([best_replies(ours, theirs) for ours, theirs in zip(leader, follower, strict=True)])


def _programs(game: TabularGame, leader: FloatArray, follower: FloatArray, weights: FloatArray) -> Stage:
    """One program for each combination of replies in the states that count: the best mixture that makes each a best reply."""
    counted, replies = np.flatnonzero(weights > 0), leader.shape[2]
    if float(replies) ** len(counted) > MAX_COMBINATIONS:
        raise UnsupportedGameError(
            f"{game.name}: {replies} replies in {len(counted)} states with one observation are more than {MAX_COMBINATIONS} "
            "combinations, each of which takes a linear program; give a temperature > 0"
        )
    best: tuple[float, FloatArray, tuple[int, ...]] | None = None
    bound = -np.inf
    for chosen in itertools.product(range(replies), repeat=len(counted)):
        gaps = [
            (np.delete(follower[s], reply, axis=1) - follower[s][:, [reply]]).T
            for s, reply in zip(counted, chosen, strict=True)
        ]
        objective = np.einsum("w,wa->a", weights[counted], leader[counted, :, list(chosen)])
        found = best_mixture(objective, np.concatenate([np.empty((0, leader.shape[1])), *gaps]))
        if found is None:
            continue
        bound = max(bound, found.bound)
        if best is None or found.value > best[0]:
            best = found.value, found.point, chosen
    if best is None:
        raise SolverError("no replies of the follower can be made best responses; the rewards are inconsistent")
    value, mixture, chosen = best
    response = np.zeros_like(leader)
    response[np.arange(len(leader)), :, np.einsum("a,wab->wb", mixture, follower).argmax(axis=1)] = 1.0
    response[counted] = np.eye(replies)[list(chosen)][:, None]
    return Stage(mixture, response, value, bound)
