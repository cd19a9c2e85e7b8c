"""The leader's exact objective in finite games, its hypergradient, and the values of both players."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.exact.critics import CriticTables, leader_q
from stackelberg_games.exact.embedded import embedded_arrays, embedded_objective, embedded_value
from stackelberg_games.exact.response import Arrays, Response, hard_response, soft_response
from stackelberg_games.kinds.chain import accumulate, leader_chain
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.kinds.finite import Model, TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.rules import require_game
from stackelberg_games.settings import checked


def require_finite(game: Game) -> TabularGame:
    """``game`` if it is given by arrays.

    Raises:
        InvalidArgumentError: it is no game.
        UnsupportedGameError: its states or actions are not finite.
    """
    if isinstance(require_game(game), TabularGame):
        return game  # type: ignore[return-value]
    raise UnsupportedGameError(
        f"{game.name} is not given by arrays (TabularGame), as tables of exact values need; linear-quadratic games "
        "have an exact value of the leader all the same: sg.exact.leader_objective"
    )


def arrays_under(game: Game, commitment: Commitment) -> Arrays:
    """A finite game under a commitment, whether its states are numbered or shown as points; detached.

    Raises:
        UnsupportedGameError: the game is not finite.
    """
    if isinstance(game, EmbeddedGame):
        return embedded_arrays(game, commitment)
    finite = require_finite(game)
    with torch.no_grad():
        return Arrays.of(finite, finite.model(commitment))


@checked
def best_response(
    game: TabularGame | EmbeddedGame, commitment: Commitment, temperature: float, start: FloatArray | None = None
) -> Response:
    """The follower's exact response: soft for ``temperature > 0``, hard (ties for the leader) for 0.

    Args:
        game: a finite game.
        commitment: what the follower responds to.
        temperature: tau >= 0.
        start: values ``[S]`` to warm-start Newton's method from.

    Raises:
        UnsupportedGameError: the game is not finite.
    """
    temperature = checks.number("temperature", temperature, 0)
    arrays = arrays_under(game, commitment)
    return hard_response(arrays) if temperature == 0 else soft_response(arrays, temperature, start)


@checked
def leader_objective(
    game: Game,
    commitment: Commitment,
    temperature: float,
    *,
    discount: float | None = None,
    horizon: int | None = None,
    start: FloatArray | None = None,
) -> Tensor:
    """The leader's expected return against the soft-optimal follower, a scalar tensor.

    ``backward()`` gives the exact hypergradient: the fixed point V* of the soft Bellman operator
    is solved to machine precision without gradients, and one differentiable Newton step from it,
    V* + (I - gF P_g)^-1 (T V* - V*), carries the implicit derivative.

    Args:
        game: a finite game, or one with an exact objective of its own (linear-quadratic games).
        commitment: its parameters receive the gradient.
        temperature: tau > 0.
        discount: overrides the leader's discount; 1 is allowed with a finite horizon.
        horizon: overrides the game's horizon.
        start: values ``[S]`` to warm-start the response from (finite games only).

    Raises:
        UnsupportedGameError: the game has no exact objective.
    """
    game = require_game(game)
    if isinstance(game, EmbeddedGame):
        return embedded_objective(game, commitment, temperature, discount, horizon, start)
    if not isinstance(game, TabularGame):
        return game.leader_objective(commitment, temperature, discount=discount, horizon=horizon)
    values = differentiable_values(game, commitment, temperature, discount=discount, horizon=horizon, start=start)
    return game.initial_tensor @ values.leader


@dataclass(frozen=True)
class StateValues:
    """Differentiable values of the states, tensors ``[S]``.

    Attributes:
        leader: VL(s) over the leader's horizon.
        follower: VF(s), averaged over the leader's policy.
    """

    leader: Tensor
    follower: Tensor


@checked
def differentiable_values(
    game: TabularGame,
    commitment: Commitment,
    temperature: float,
    *,
    discount: float | None = None,
    horizon: int | None = None,
    start: FloatArray | None = None,
) -> StateValues:
    """Values of both players whose gradients include the follower's response."""
    model = require_finite(game).model(commitment)
    response = soft_response(Arrays.of(game, model), temperature, start)
    values, policy = _differentiable_response(game, model, response)
    chain, reward = leader_chain(game, model, policy)
    return StateValues(accumulate(game, chain, reward, discount, horizon), values)


def _differentiable_response(game: TabularGame, model: Model, solved: Response) -> tuple[Tensor, Tensor]:
    alive = game.alive_tensor
    transition = model.transition * alive
    fixed = torch.from_numpy(solved.values)
    arrays = Arrays.of(game, model)
    system = torch.eye(game.states, dtype=torch.float64)
    system = system - game.follower_discount * torch.from_numpy(arrays.chain(solved.policy))

    def q_of(values: Tensor) -> Tensor:
        q = model.follower_reward + game.follower_discount * (transition @ values)
        if game.follower_sees_action:
            return q
        return (model.policy[:, :, None] * q).sum(dim=1, keepdim=True)

    soft = solved.temperature * torch.logsumexp(q_of(fixed) / solved.temperature, dim=2)
    backup = (model.policy * soft).sum(dim=1) if game.follower_sees_action else soft[:, 0]
    values = fixed + torch.linalg.solve(system, backup * alive - fixed)
    policy = torch.softmax(q_of(values) / solved.temperature, dim=2)
    return values, policy.expand(game.states, game.leader_actions, game.follower_actions)


@checked
def leader_value(
    game: TabularGame | EmbeddedGame,
    commitment: Commitment,
    response: FloatArray,
    *,
    discount: float | None = None,
    horizon: int | None = None,
) -> float:
    """The leader's expected return against a given response policy ``[S, A, B]``."""
    if isinstance(game, EmbeddedGame):
        return embedded_value(game, commitment, response, discount, horizon)
    game = require_finite(game)
    game.check_response(response)
    with torch.no_grad():
        chain, reward = leader_chain(game, game.model(commitment), torch.tensor(response))
        values = accumulate(game, chain, reward, discount, horizon)
        return float(game.initial_tensor @ values)


@checked
def follower_value(game: TabularGame, commitment: Commitment, response: FloatArray, temperature: float = 0.0) -> float:
    """The follower's expected discounted return, with tau times its entropy added, from the start."""
    game, temperature = require_finite(game), checks.number("temperature", temperature, 0)
    game.check_response(response)
    with torch.no_grad():
        arrays = Arrays.of(game, game.model(commitment))
    entropy = -np.log(np.where(response > 0, response, 1.0))
    reward = arrays.average(arrays.follower_reward + temperature * entropy, response)
    system = np.eye(game.states) - game.follower_discount * arrays.chain(response)
    return float(game.initial_distribution @ np.linalg.solve(system, reward))


@checked
def critics(game: TabularGame, commitment: Commitment, temperature: float) -> CriticTables:
    """All values of both players at a commitment and its soft-optimal response."""
    game = require_finite(game)
    with torch.no_grad():
        arrays = Arrays.of(game, game.model(commitment))
    solved = soft_response(arrays, temperature)
    return CriticTables(
        leader_q(arrays, solved.policy, game.horizon),
        solved.q,
        solved.action_values,
        solved.values,
        solved.policy,
        arrays.policy,
        arrays.alive,
        game.follower_sees_action,
    )
