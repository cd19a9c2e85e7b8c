"""What both policies make of a finite game: a chain of states and a reward in each, and their discounted sums."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.kinds.finite import Model, TabularGame
from stackelberg_games.kinds.kernel import SparseKernel
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.rules.rules import Rules, check_horizon

Numbers = TypeVar("Numbers", FloatArray, Tensor)


def leader_chain(
    model: Model, response: Tensor, alive: Tensor, lists: SparseKernel | None = None
) -> tuple[Tensor, Tensor]:
    """State transitions ``[S, S]`` and expected leader rewards ``[S]``; dead where terminal.

    Args:
        model: the game under a commitment.
        response: g, ``[S, A, B]``.
        alive: 1 where an episode goes on, ``[S]``.
        lists: successors of a game that is given as lists.

    Raises:
        InvalidArgumentError: such a game has too many states for a matrix of them.
    """
    joint = model.policy[:, :, None] * response * alive[:, None, None]
    if lists is None:
        chain = torch.einsum("sab,sabn->sn", joint, model.transition * alive)
    else:
        chain = listed_chain(lists, joint, model.transition * alive[torch.tensor(lists.successors)])
    return chain, (joint * model.leader_reward).sum(dim=(1, 2))


def listed_chain(lists: SparseKernel, joint: Tensor, probability: Tensor) -> Tensor:
    """Sum over a and b of ``joint`` ``[S, A, B]`` times the probabilities of the successors listed, ``[S, S]``.

    Raises:
        InvalidArgumentError: the game has too many states.
    """
    states = len(joint)
    if isinstance(lists, SuccessorLists):
        lists.check_pairs()
    cells = lists.cells
    entries = joint.reshape(-1)[torch.from_numpy(cells)] * probability
    places = torch.from_numpy(cells // joint[0].numel() * states + lists.successors)
    return torch.zeros(states * states, dtype=torch.float64).index_add(0, places, entries).reshape(states, states)


def check_objective(game: Rules, discount: float | None, horizon: int | None) -> tuple[float, int | None]:
    """Discount and horizon of the leader's objective, the game's own where none is given.

    Raises:
        InvalidArgumentError: the discount is out of range.
    """
    discount = game.leader_discount if discount is None else discount
    horizon = game.horizon if horizon is None else check_horizon(horizon)
    if not (0 <= discount < 1 or (discount == 1 and horizon is not None)):
        raise InvalidArgumentError(f"discount={discount!r}: expected [0, 1), or 1 with a finite horizon")
    return discount, horizon


def accumulate(game: TabularGame, chain: Tensor, reward: Tensor, discount: float | None, horizon: int | None) -> Tensor:
    """sum_t (discount * chain)^t reward: one solve, or doubling over the bits of the horizon."""
    discount, horizon = check_objective(game, discount, horizon)
    step = discount * chain
    if horizon is not None:
        return accumulated(step, reward, horizon)
    return solve_system(torch.eye(len(reward), dtype=torch.float64) - step, reward)


def accumulated(step: Numbers, reward: Numbers, horizon: int) -> Numbers:
    """Sum over t < horizon of step^t reward, ``[S]``, by doubling over the bits of the horizon."""
    total, block, power = 0.0 * reward, reward, step
    while horizon:
        if horizon & 1:
            total = block + power @ total
        horizon >>= 1
        if horizon:
            block = block + power @ block
            power = power @ power
    return total


def solve_system(system: Tensor, vector: Tensor) -> Tensor:
    """system^-1 vector by factors of the transpose, whose diagonal dominates its columns.

    So pivots stay where they are, and the numbers of a state never enter those of states that do not lead to it.
    """
    found: Tensor = torch.linalg.solve(system.mT, vector[None], left=False)
    return found[0]
