"""Both players' returns in a linear-quadratic game as functions of both policies.

The follower's parameters are w = (L, F) of its policy u = -L (A x + C a) + F eps. With M the closed
loop and X the discounted sum of its states' second moments,

    JF = -tr((Q + U'R U) X) - tr(R spread) / (1 - gF) + (tau / (1 - gF)) log |det F| + constant

where U and spread are gain and noise of u in x. JL is the closed form of ``kinds.moments``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.errors import SolverError, UnsupportedGameError
from stackelberg_games.kinds.linear_lever import LinearObjective
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame
from stackelberg_games.kinds.riccati import Plant, SoftRiccati, closed_loop, discounted_effort, discounted_reward


def linear_objectives(
    game: LinearGaussianGame, policy: LinearGaussianPolicy, response: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """The leader's return, and the follower's with ``temperature`` times its entropy, up to a constant.

    Args:
        game: true or fitted; its leader must not share the follower's cost.
        policy: the leader's.
        response: (L, F) side by side, ``[m, n + m]``.
        temperature: tau > 0.

    Raises:
        UnsupportedGameError: the leader shares the follower's cost, or there is no horizon.
        SolverError: the follower's discounted cost is infinite under these policies.
    """
    if game.shared or game.horizon is None:
        raise UnsupportedGameError("this needs a horizon, and a leader who does not share the follower's cost")
    plant, discount, n = game.plant, game.follower_discount, len(game.start)
    gain, factor = response[:, :n], response[:, n:]
    unknown = torch.full((n, n), torch.nan, dtype=torch.float64)
    covariance = factor @ factor.T
    loop = closed_loop(plant, policy, SoftRiccati(unknown, unknown[0, 0], unknown, unknown[0, 0], gain, covariance))
    _require_finite(loop.matrix, discount)
    start = torch.tensor(game.start), torch.from_numpy(game.start_factor @ game.start_factor.T)
    leader = discounted_reward(loop, *start, game.reward, game.leader_discount, game.horizon)
    if game.effort is not None:
        effort = torch.tensor(game.effort)
        leader = leader - discounted_effort(loop, *start, policy, effort, game.leader_discount, game.horizon)
    pushes = gain @ (plant.state + plant.leader @ policy.gain)
    shaken = gain @ plant.leader
    spread = shaken @ policy.covariance @ shaken.T + covariance
    begun = start[1] + torch.outer(start[0], start[0]) + discount / (1 - discount) * loop.noise
    occupied = _discounted(loop.matrix, begun, discount)
    cost = ((plant.state_cost + pushes.T @ plant.control_cost @ pushes) * occupied).sum()
    always = torch.trace(plant.control_cost @ spread) - temperature * torch.linalg.slogdet(factor).logabsdet
    return leader, -cost - always / (1 - discount)


def configured_objectives(
    plant: Plant, objective: LinearObjective, cost: Tensor, response: Tensor, discount: float, temperature: float
) -> tuple[Tensor, Tensor]:
    """The same where the leader configures the dynamics x' = A(c) x + B u + xi and the follower plays u = F x + S eps.

    Args:
        plant: differentiable in the configuration.
        objective: the leader's costs, start, discount and horizon.
        cost: of the configuration, at every stage.
        response: (F, S) side by side, ``[m, n + m]``.
        discount: the follower's.
        temperature: tau > 0.

    Raises:
        SolverError: the follower's discounted cost is infinite.
    """
    n = len(plant.state)
    gain, factor = response[:, :n], response[:, n:]
    spread = factor @ factor.T
    loop, noise = plant.state + plant.follower @ gain, plant.noise + plant.follower @ spread @ plant.follower.T
    _require_finite(loop, discount)
    seconds, leader = objective.start, torch.zeros((), dtype=torch.float64)
    bent = objective.state_cost + gain.T @ objective.control_cost @ gain
    always = torch.trace(objective.control_cost @ spread) + cost
    for stage in range(objective.horizon):
        leader = leader - objective.discount**stage * ((bent * seconds).sum() + always)
        seconds = loop @ seconds @ loop.T + noise
    occupied = _discounted(loop, objective.start + discount / (1 - discount) * noise, discount)
    paid = ((plant.state_cost + gain.T @ plant.control_cost @ gain) * occupied).sum()
    entropy = temperature * torch.linalg.slogdet(factor).logabsdet
    return leader, -paid - (torch.trace(plant.control_cost @ spread) - entropy) / (1 - discount)


def _require_finite(loop: Tensor, discount: float) -> None:
    radius = float(torch.linalg.eigvals(loop.detach()).abs().max())
    if discount * radius**2 >= 1:
        raise SolverError(f"the follower's discounted cost is infinite: the loop has the spectral radius {radius:.4g}")


def _discounted(loop: Tensor, begun: Tensor, discount: float) -> Tensor:
    """X = begun + gF M X M'."""
    n = len(loop)
    system = torch.eye(n * n, dtype=torch.float64) - discount * torch.kron(loop, loop)
    solved: Tensor = torch.linalg.solve(system, begun.reshape(-1))
    return solved.reshape(n, n)
