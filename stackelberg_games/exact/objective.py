"""The leader's exact objective in finite games, its hypergradient, and its value against a given response."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, SolverError, UnsupportedGameError
from stackelberg_games.exact.adjoint import adjoint_objective
from stackelberg_games.exact.derivatives import carrying, leader_values
from stackelberg_games.exact.hard_response import hard_response
from stackelberg_games.exact.listed_values import listed_values
from stackelberg_games.exact.posed import Posed, annuity, point_arrays, pose, under
from stackelberg_games.exact.response import Arrays, Response, lift, overflowed
from stackelberg_games.exact.soft_response import certify, soft_response
from stackelberg_games.kinds.chain import accumulate, check_objective, leader_chain, solve_system
from stackelberg_games.kinds.conditioning import common_offset
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.kinds.finite import Model, TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.kinds.population import PopulationGame
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.rules.commitment import Commitment, evaluating
from stackelberg_games.rules.rules import require_game
from stackelberg_games.settings import checked

overflow_is_checked = np.errstate(over="ignore", invalid="ignore")
"""For functions that look at their results and refuse those that overflow, in place of NumPy's warning."""


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
    with torch.no_grad():
        if isinstance(game, EmbeddedGame):
            return point_arrays(game, game.policy(commitment))
        finite = require_finite(game)
        return Arrays.of(finite, finite.model(commitment))


@checked
@overflow_is_checked
def best_response(
    game: TabularGame | EmbeddedGame, commitment: Commitment, temperature: float, start: FloatArray | None = None
) -> Response:
    """The follower's exact response: soft for ``temperature > 0``, hard (ties for the leader) for 0.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("matrix-v0", preset="conitzer_sandholm")
        >>> policy = sg.TabularPolicy.from_probabilities(game, [[0.6, 0.4]])
        >>> sg.exact.best_response(game, policy, temperature=0.5).policy[0, 0].round(3)
        array([0.599, 0.401])

    Args:
        game: a finite game.
        commitment: what the follower responds to.
        temperature: tau >= 0.
        start: values ``[S]`` to begin with, of an earlier response.

    Raises:
        UnsupportedGameError: the game is not finite.
        PrecisionError: double precision cannot tell the answer: values overflow, or the temperature is too small.
    """
    temperature = checks.number("temperature", temperature, 0)
    arrays = arrays_under(game, commitment)
    game.check_temperature(temperature)
    if temperature > 0:
        return certify(arrays, soft_response(arrays, temperature, start))
    start = None if start is None else checks.array("start", start, (len(arrays.policy),))
    found = hard_response(arrays, start=start)
    if isinstance(game, PopulationGame):  # its members make different choices, all of them best
        return replace(found, policy=game.choices(_configuration(game, commitment).detach().numpy()))
    return found


@checked
@overflow_is_checked
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
    V* + (I - gF P_g)^-1 (T V* - V*), carries the implicit derivative. ``certificate`` has the same
    value with a bound on its error.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> policy = sg.TabularPolicy(game)
        >>> value = sg.exact.leader_objective(game, policy, temperature=0.05)
        >>> value.backward()
        >>> round(value.item(), 4), policy.logits.grad.numpy().round(4)
        (0.4808, array([[ 0.    ,  0.    ],
               [ 3.3826, -3.3826],
               [ 0.    ,  0.    ]]))

    Args:
        game: a finite game, or one with an exact objective of its own (linear-quadratic games).
        commitment: its parameters receive the gradient.
        temperature: tau > 0.
        discount: overrides the leader's discount; 1 is allowed with a finite horizon.
        horizon: overrides the game's horizon.
        start: values ``[S]`` to warm-start the response from (finite games only).

    Raises:
        UnsupportedGameError: the game has no exact objective.
        SolverError: the follower has no finite discounted cost, or the leader no finite return (linear-quadratic games).
        PrecisionError: double precision cannot tell the answer: values overflow, or the temperature is too small.
    """
    game = require_game(game)
    game.check_temperature(temperature)
    if isinstance(game, EmbeddedGame):
        found = adjoint_objective(game, under(game, commitment), temperature, start, discount=discount, horizon=horizon)
        return carrying(found.value + found.constant, found.surrogate)
    if not isinstance(game, TabularGame):
        with evaluating(commitment):
            own = game.leader_objective(commitment, temperature, discount=discount, horizon=horizon)
        if not math.isfinite(own.item()):
            raise SolverError(f"{game.name}: the leader's return is not finite under this commitment")
        return own
    if isinstance(game, ConfigurableGame) and game.objective_is_own:
        _refuse_overrides(game, discount, horizon)
        return _own_objective(game, commitment, temperature, start)
    posed = pose(game, game.model(commitment), entered=True)
    values = _differentiable_values(posed, temperature, game, discount, horizon, start)
    value: Tensor = posed.initial @ values.leader
    if not math.isfinite(value.item()):
        raise overflowed("the leader's value", posed.arrays.leader_reward)
    return value + lift(posed.offsets[0], annuity(game, discount, horizon))


def _own_objective(
    game: ConfigurableGame, commitment: Commitment, temperature: float, start: FloatArray | None
) -> Tensor:
    """An objective that is no sum of rewards, as a function of the configuration and of the response to it."""
    posed = pose(game, game.model(commitment), entered=False)
    _, response = _differentiable_response(posed, soft_response(posed.arrays, temperature, start))
    return game.objective(_configuration(game, commitment), response)


def _refuse_overrides(game: ConfigurableGame, discount: float | None, horizon: int | None) -> None:
    if discount is not None or horizon is not None:
        raise InvalidArgumentError(
            f"discount={discount!r}, horizon={horizon!r}: the objective of {game.name} is no sum over stages; give neither"
        )


def _configuration(game: ConfigurableGame, commitment: Commitment) -> Tensor:
    configuration = commitment.configuration()
    if configuration is None:
        raise UnsupportedGameError(f"{game.name} is configured, and a {type(commitment).__name__} configures nothing")
    return configuration


@dataclass(frozen=True)
class StateValues:
    """Differentiable values of the states, tensors ``[S]``.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> policy = sg.TabularPolicy(game)
        >>> sg.exact.differentiable_values(game, policy, temperature=0.05).leader.shape
        torch.Size([3])

    Attributes:
        leader: VL(s) over the leader's horizon.
        follower: VF(s), averaged over the leader's policy.
    """

    leader: Tensor
    follower: Tensor


@checked
@overflow_is_checked
def differentiable_values(
    game: TabularGame,
    commitment: Commitment,
    temperature: float,
    *,
    discount: float | None = None,
    horizon: int | None = None,
    start: FloatArray | None = None,
) -> StateValues:
    """Values of both players whose gradients include the follower's response.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> policy = sg.TabularPolicy(game)
        >>> sg.exact.differentiable_values(game, policy, temperature=0.05).leader[0].backward()
        >>> policy.logits.grad.shape
        torch.Size([3, 2])
    """
    game = require_finite(game)
    game.check_temperature(temperature)
    posed = pose(game, game.model(commitment), entered=False)
    values = _differentiable_values(posed, temperature, game, discount, horizon, start)
    leader, follower = posed.offsets
    return StateValues(
        values.leader + lift(leader, annuity(game, discount, horizon)),
        values.follower + lift(follower, 1 / (1 - game.follower_discount)),
    )


def _differentiable_values(
    posed: Posed,
    temperature: float,
    game: TabularGame,
    discount: float | None,
    horizon: int | None,
    start: FloatArray | None,
) -> StateValues:
    if start is not None:
        start = posed.of(start) - lift(posed.offsets[1], 1 / (1 - game.follower_discount))
    if isinstance(posed.arrays.kernel, SuccessorLists):
        discount, horizon = check_objective(game, discount, horizon)
        arrays = replace(posed.arrays, leader_discount=discount, horizon=horizon)
        return StateValues(*listed_values(arrays, posed.model, temperature, horizon, start))
    values, policy = _differentiable_response(posed, soft_response(posed.arrays, temperature, start))
    chain, reward = leader_chain(posed.model, policy, posed.alive)
    return StateValues(accumulate(game, chain, reward, discount, horizon), values)


def _differentiable_response(posed: Posed, solved: Response) -> tuple[Tensor, Tensor]:
    model, discount, sees = posed.model, posed.arrays.follower_discount, posed.arrays.sees
    transition = model.transition * posed.alive
    fixed = torch.from_numpy(solved.values)
    system = torch.eye(len(fixed), dtype=torch.float64)
    system = system - discount * torch.from_numpy(posed.arrays.chain(solved.policy))

    def q_of(values: Tensor) -> Tensor:
        q = model.follower_reward + discount * (transition @ values)
        return q if sees else (model.policy[:, :, None] * q).sum(dim=1, keepdim=True)

    soft = solved.temperature * torch.logsumexp(q_of(fixed) / solved.temperature, dim=2)
    backup = (model.policy * soft).sum(dim=1) if sees else soft[:, 0]
    values = fixed + solve_system(system, backup * posed.alive - fixed)
    policy = torch.softmax(q_of(values) / solved.temperature, dim=2)
    return values, policy.expand(model.follower_reward.shape)


def _without_constant(game: TabularGame, posed: Posed, response: Tensor) -> tuple[Model, float]:
    """A model without the constant that the rewards of all that is played have in common; what never is may hide it."""
    model = posed.model
    entered = np.ones(len(model.policy), dtype=np.bool_)
    if posed.kept is None:
        entered = game.reachable(model.transition)
    if not posed.alive.numpy()[entered].all():
        return model, 0.0  # a constant weighs how long an episode is
    counts = (model.policy[:, :, None] * response).numpy() > 0
    counts &= entered[:, None, None]
    constant = common_offset(model.leader_reward.numpy()[counts])
    rewards = torch.where(torch.from_numpy(counts), model.leader_reward - constant, 0.0)
    return model._replace(leader_reward=rewards), constant


@checked
@overflow_is_checked
def leader_value(
    game: TabularGame | EmbeddedGame,
    commitment: Commitment,
    response: FloatArray,
    *,
    discount: float | None = None,
    horizon: int | None = None,
) -> float:
    """The leader's expected return against a given response policy ``[S, A, B]``.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> uniform = sg.TabularPolicy(game), sg.TabularResponse.uniform(game).probabilities
        >>> round(sg.exact.leader_value(game, *uniform), 3)
        10.194

    Raises:
        InvalidArgumentError: the response is no policy of the follower: a shape, a negative entry, a row's sum.
        PrecisionError: the value overflows.
    """
    if not isinstance(game, EmbeddedGame):
        game = require_finite(game)
    game.check_response(response)
    if isinstance(game, ConfigurableGame) and game.objective_is_own:
        _refuse_overrides(game, discount, horizon)
        with torch.no_grad():
            return float(game.objective(_configuration(game, commitment), torch.tensor(response)))
    discount, horizon = check_objective(game, discount, horizon)
    constant = 0.0
    with torch.no_grad():
        posed = under(game, commitment)
        if isinstance(game, EmbeddedGame) or isinstance(posed.arrays.kernel, SuccessorLists):
            arrays = replace(posed.arrays, leader_discount=discount)
            value = float(game.initial_distribution @ leader_values(arrays, response, horizon))
        else:
            played = torch.tensor(posed.of(response))
            model, constant = _without_constant(game, posed, played)
            chain, reward = leader_chain(model, played, posed.alive)
            value = float(posed.initial @ accumulate(game, chain, reward, discount, horizon))
    if not math.isfinite(value):
        raise overflowed("the leader's value", posed.arrays.leader_reward)
    return value + lift(posed.offsets[0] + constant, annuity(game, discount, horizon))
