"""Optimal commitments of finite games: against a soft follower, and the strong Stackelberg limit."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linprog, minimize

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.networks import MLPCategoricalPolicy
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.errors import SolverError, UnsupportedGameError
from stackelberg_games.exact.objective import best_response, leader_objective, leader_value, require_finite
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.numerics.randomness import check_seed
from stackelberg_games.numerics.threads import single_threaded
from stackelberg_games.rules.commitment import Commitment, assign, flatten
from stackelberg_games.settings import checked

PARAMETER_BOUND = 40.0


@dataclass(frozen=True)
class Solution:
    """A best known commitment.

    Attributes:
        commitment: the commitment.
        value: the leader's exact objective there. For ``temperature=0`` this is the strong
            Stackelberg value, with ties broken for the leader; where it is only a supremum,
            no commitment against an adversarial tie-breaker attains it.
        response: the follower's response, ``[S, A, B]``.
        temperature: the follower's temperature it is optimal for.
        start_values: the values reached from every start, best first, to judge how hard the
            landscape is; a single one where the method is global.
    """

    commitment: Commitment
    value: float
    response: FloatArray
    temperature: float
    start_values: tuple[float, ...]


@checked
@single_threaded()
def solve(
    game: TabularGame | EmbeddedGame,
    temperature: float,
    *,
    commitment: Commitment | None = None,
    starts: int = 16,
    seed: int = 0,
) -> Solution:
    """The best known commitment and its value.

    For ``temperature > 0``: L-BFGS on the exact hypergradient from many starts (the uniform
    policy, near-deterministic ones, random ones). For ``temperature = 0``: linear programs, one
    for each follower action (Conitzer and Sandholm, EC 2006), for matrix games and, inside policy
    iteration, for games with a myopic follower.

    Args:
        game: a finite game.
        temperature: of the follower, >= 0.
        commitment: its class and first start; ``TabularPolicy`` if not given, or where states are points
            ``MLPCategoricalPolicy`` without a hidden layer.
        starts: number of starts of the ascent.
        seed: of the random starts.

    Raises:
        UnsupportedGameError: the game is not finite; or ``temperature=0`` and a far-sighted follower or several stages with
            a finite horizon; stationary optima of such games are NP-hard to find.
        InvalidArgumentError: ``temperature`` is negative, or ``starts`` below 1.
    """
    if not isinstance(game, EmbeddedGame):
        game = require_finite(game)
    temperature, starts = checks.number("temperature", temperature, 0), checks.integer("starts", starts, 1)
    check_seed(seed)
    if temperature == 0:
        return _strong(require_finite(game))
    usual = MLPCategoricalPolicy(game, ()) if isinstance(game, EmbeddedGame) else TabularPolicy(game)
    template = usual if commitment is None else copy.deepcopy(commitment)
    ends = [_ascend(game, template, temperature, x) for x in _starts(template, starts, seed)]
    ends.sort(key=lambda end: end[0], reverse=True)
    value, vector = ends[0]
    assign(template, torch.from_numpy(vector))
    response = best_response(game, template, temperature).policy
    return Solution(template, value, response, temperature, tuple(end[0] for end in ends))


def _starts(template: Commitment, count: int, seed: int) -> Iterator[FloatArray]:
    first = flatten(template).numpy()
    draws = np.random.default_rng(check_seed(seed))
    yield first
    for index in range(1, count):
        if isinstance(template, TabularPolicy) and index % 2:
            logits = np.zeros((template.states, template.actions))
            chosen = draws.integers(template.actions, size=template.states)
            logits[np.arange(template.states), chosen] = 4.0
            yield logits.ravel()
        else:
            yield first + draws.normal(scale=2.0, size=first.shape)


def _ascend(
    game: TabularGame | EmbeddedGame, template: Commitment, temperature: float, start: FloatArray
) -> tuple[float, FloatArray]:
    def negative(x: FloatArray) -> tuple[float, FloatArray]:
        assign(template, torch.from_numpy(x))
        template.zero_grad()
        value = leader_objective(game, template, temperature)
        value.backward()  # type: ignore[no-untyped-call]
        gradient = torch.cat(
            [
                torch.zeros(p.numel(), dtype=torch.float64) if p.grad is None else p.grad.ravel()
                for p in template.parameters()
            ]
        )
        return -float(value.detach()), -gradient.numpy()

    bounds = [(-PARAMETER_BOUND, PARAMETER_BOUND)] * len(start)
    options = {"maxiter": 2000, "maxfun": 5000, "ftol": 1e-15, "gtol": 1e-10}
    found = minimize(negative, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return -float(found.fun), np.asarray(found.x)


def _strong(game: TabularGame) -> Solution:
    """Strong Stackelberg solution against a follower that only looks at the current stage."""
    if game.follower_discount > 0 and game.horizon != 1:
        raise UnsupportedGameError(
            f"{game.name}: temperature=0 is solved for matrix games and myopic followers "
            f"(follower_discount=0, here {game.follower_discount}); use a small positive temperature"
        )
    if game.horizon not in (None, 1):
        raise UnsupportedGameError(
            f"{game.name}: temperature=0 with horizon={game.horizon} has no stationary optimum in "
            "general; use horizon=None or horizon=1"
        )
    arrays = Arrays.of(game, game.model(TabularPolicy(game)))
    discount = 0.0 if game.horizon == 1 else game.leader_discount
    values = np.zeros(game.states)
    for _ in range(1000):
        q = arrays.leader_reward + discount * arrays.kernel.expected(values)
        stages = [_stage(q[s], arrays.follower_reward[s], game.follower_sees_action) for s in range(game.states)]
        policy = np.stack([stage[0] for stage in stages])
        response = np.stack([stage[1] for stage in stages])
        bound = np.array([stage[2] for stage in stages]) * arrays.alive
        if np.abs(bound - values).max() <= 1e-10 * max(1.0, np.abs(bound).max()):
            chosen = TabularPolicy.from_probabilities(game, policy)
            value = leader_value(game, TabularPolicy.from_probabilities(game, policy), response)
            return Solution(chosen, value, response, 0.0, (value,))
        joint = policy[:, :, None] * response * arrays.alive[:, None, None]
        chain = arrays.kernel.chain(joint)
        reward = (joint * arrays.leader_reward).sum(axis=(1, 2))
        values = np.linalg.solve(np.eye(game.states) - discount * chain, reward)
    raise SolverError("strong Stackelberg policy iteration did not settle in 1,000 rounds")


def _stage(leader: FloatArray, follower: FloatArray, sees: bool) -> tuple[FloatArray, FloatArray, float]:
    """Optimal commitment ``[A]``, response ``[A, B]`` and value of one stage game ``[A, B]``."""
    if sees:
        return _stage_seen(leader, follower)
    best: tuple[FloatArray, FloatArray, float] | None = None
    actions, replies = leader.shape
    for reply in range(replies):
        gaps = (follower - follower[:, [reply]]).T
        program = linprog(
            -leader[:, reply], A_ub=gaps, b_ub=np.zeros(replies), A_eq=np.ones((1, actions)), b_eq=[1.0], bounds=(0, 1)
        )
        if program.status == 0 and (best is None or -program.fun > best[2] + 1e-12):
            mix = np.maximum(program.x, 0.0)
            response = np.zeros_like(leader)
            response[:, reply] = 1.0
            best = (mix / mix.sum(), response, -float(program.fun))
    if best is None:
        raise SolverError("no follower action can be made a best response; the rewards are inconsistent")
    return best


def _stage_seen(leader: FloatArray, follower: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """The follower answers the realised action, so a pure commitment is optimal."""
    slack = 1e-9 * max(1.0, float(np.abs(follower).max()))
    tied = np.where(follower >= follower.max(axis=1, keepdims=True) - slack, leader, -np.inf)
    replies = tied.argmax(axis=1)
    response = np.zeros_like(leader)
    response[np.arange(len(leader)), replies] = 1.0
    action = int(tied.max(axis=1).argmax())
    return np.eye(len(leader))[action], response, float(tied[action].max())
