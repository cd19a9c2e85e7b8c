"""What a chosen reward is worth in a preference game: by the labels, and by the reward that the judge knows.

The two are different things. F is how badly the chosen reward explains the judge's labels of the pairs that the
follower plays; J is what the follower's play is truly worth. F is lower where the follower plays pairs that are easy
to tell apart, which says nothing of whether they are good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.exact.implicit import adjoint_system, configuration_of, partial
from stackelberg_games.exact.objective import arrays_under, best_response, overflow_is_checked
from stackelberg_games.kinds.preference import PreferenceGame
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.rules import Rules, require_game
from stackelberg_games.settings import checked

Pairs = Literal["on_policy", "anchored", "fixed"]
"""Who plays the pairs; see ``learning.interview``."""


@dataclass(frozen=True)
class PreferenceValues:
    """A chosen reward, exactly.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("preference_grid-v0")
        >>> truth = sg.exact.preference(game, game.oracle(), temperature=0.5)
        >>> print(
        ...     f"share {truth.share:.2f}, correlation {truth.correlation:.2f}, accuracy {truth.accuracy:.2f}"
        ... )
        share 1.00, correlation 1.00, accuracy 0.55

    Attributes:
        loss: F, the expected logistic loss of the judge's labels on pairs that the follower plays.
        entropy: of these labels, the least that F can be for that follower.
        true_return: J, the follower's discounted true return.
        share: J as a share of that of the same follower under the true reward.
        correlation: of the chosen with the true reward, over the cells.
        rank_correlation: of the returns of segments under both, over segments of the uniform policy.
        accuracy: how often the chosen reward names the label of a pair of such segments.
        ceiling: how often the true reward does.
    """

    loss: float
    entropy: float
    true_return: float
    share: float
    correlation: float
    rank_correlation: float
    accuracy: float
    ceiling: float


@dataclass(frozen=True)
class PreferenceRows:
    """The gradient of F in the configuration, ``[C]``, taken apart.

    Examples:
        >>> import numpy as np
        >>> import stackelberg_games as sg
        >>> game = sg.make("preference_grid-v0")
        >>> rows = sg.exact.preference_rows(game, game.commitment(), temperature=0.1)
        >>> np.allclose(rows.total, rows.direct + rows.response)
        True

    Attributes:
        direct: with the follower held as it is.
        response: what the follower's response adds.
        truncated: the same with nothing of dQF - dVF but its first term, dr - E_b dr, as the published code of SoBiRL has it.
    """

    direct: FloatArray
    response: FloatArray
    truncated: FloatArray

    @property
    def total(self) -> FloatArray:
        """The hypergradient of F."""
        return self.direct + self.response


@checked
@overflow_is_checked
def preference(game: Rules, commitment: Commitment, temperature: float) -> PreferenceValues:
    """How well a chosen reward explains the labels, and what it is truly worth.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("preference_grid-v0")
        >>> zero = sg.exact.preference(game, game.commitment(), temperature=0.1)
        >>> print(
        ...     f"F {zero.loss:.4f}; its follower earns {zero.share:.0%} of what the true reward's does"
        ... )
        F 0.6931; its follower earns 5% of what the true reward's does

    Args:
        game: a preference game.
        commitment: the chosen reward.
        temperature: of the follower, > 0.

    Raises:
        UnsupportedGameError: it is no preference game, or its judge follows no known rule.
    """
    posed, temperature = _preference(game), checks.number("temperature", temperature, above=0)
    with torch.no_grad():
        chosen = configuration_of(commitment, posed).detach()
        response = best_response(posed, commitment, temperature).policy
        played = posed.segments.probabilities(torch.from_numpy(response[:, 0])).numpy()
        loss = -float(posed.objective(chosen, torch.from_numpy(response)))
        chances = posed.label_chances.numpy()
    oracle = _true_return(posed, best_response(posed, posed.oracle(), temperature).policy)
    reached = _true_return(posed, response)
    uniform = torch.full(posed.cells.shape, 1.0 / posed.cells.shape[1], dtype=torch.float64)
    weights = posed.segments.probabilities(uniform).numpy()
    truth = posed.truth()
    ours, theirs = (posed.segments.counts @ reward for reward in (chosen.numpy(), truth))
    return PreferenceValues(
        loss,
        float(played @ _entropy(chances) @ played),
        reached,
        reached / oracle,
        _correlation(chosen.numpy(), truth, np.full(len(truth), 1 / len(truth))),
        _correlation(_ranks(ours, weights), _ranks(theirs, weights), weights),
        float(weights @ _named(ours, chances) @ weights),
        float(weights @ np.maximum(chances, 1 - chances) @ weights),
    )


@checked
@overflow_is_checked
def preference_rows(
    game: Rules, commitment: Commitment, temperature: float, *, pairs: Pairs = "on_policy", win_rate: bool = False
) -> PreferenceRows:
    """The gradient of F in the configuration, its rows apart.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("preference_grid-v0")
        >>> rows = sg.exact.preference_rows(
        ...     game, game.commitment(), temperature=0.1, pairs="anchored"
        ... )
        >>> rows.direct.shape
        (25,)

    Args:
        game: a preference game.
        commitment: the chosen reward.
        temperature: of the follower, > 0.
        pairs: who plays them: the follower both, or the first, or neither; the others are a uniform walker's.
        win_rate: of minus the probability that the first segment is preferred, in the place of F.

    Raises:
        UnsupportedGameError: it is no preference game, or its judge follows no known rule.
    """
    posed, temperature = _preference(game), checks.number("temperature", temperature, above=0)
    chosen = configuration_of(commitment, posed).detach().requires_grad_()
    solved = best_response(posed, commitment, temperature)
    response = torch.tensor(solved.policy, requires_grad=True)
    reached = posed.segments.probabilities(response[:, 0])
    walked = posed.segments.probabilities(torch.full_like(response[:, 0], 1 / response.shape[2])).detach()
    first, second = (walked if pairs == "fixed" else reached), (reached if pairs == "on_policy" else walked)
    if win_rate:
        loss = 0.0 * chosen.sum() - first @ posed.label_chances @ second
    else:
        loss = posed.expected_loss(chosen, first, second)
    loss = loss + 0.0 * reached.sum()  # so that there is a gradient where the follower plays neither
    credit = solved.policy[:, 0] * partial(loss, response)
    (direct,) = torch.autograd.grad(loss, chosen)
    arrays, policy = arrays_under(posed, commitment), solved.policy[:, 0]
    matrix, side = adjoint_system(arrays, solved.policy, credit)
    pulls = (credit - policy * np.linalg.solve(matrix, side)[:, None]) / temperature
    short = (credit - policy * credit.sum(axis=1, keepdims=True)) / temperature
    cells, size = posed.cells.ravel(), posed.size
    response_row, truncated = (np.asarray(np.bincount(cells, pull.ravel(), size), float) for pull in (pulls, short))
    return PreferenceRows(direct.numpy(), response_row, truncated)


def _preference(game: Rules) -> PreferenceGame:
    game = require_game(game)
    if not isinstance(game, PreferenceGame):
        raise UnsupportedGameError(
            f"{game.name} is no preference game, as preference_grid-v0 is one; bchg learns from rewards"
        )
    return game


def _true_return(game: PreferenceGame, response: FloatArray) -> float:
    """The discounted true return of a response."""
    arrays = arrays_under(game, Configuration(np.zeros(game.size), states=game.states))
    reward = (response[:, 0] * game.truth()[game.cells]).sum(axis=1)
    values = arrays.system(response, game.follower_discount).solve(reward)
    return float(game.initial_distribution @ values)


def _entropy(chances: FloatArray) -> FloatArray:
    terms = [-p * np.log(np.where(p > 0, p, 1.0)) for p in (chances, 1 - chances)]
    return np.asarray(terms[0] + terms[1])


def _named(worth: FloatArray, chances: FloatArray) -> FloatArray:
    """How likely the sign of a difference names the label of a pair; one half where there is no difference."""
    sign = np.sign(worth[:, None] - worth[None, :])
    return np.asarray(0.5 + sign * (chances - 0.5))


def _ranks(values: FloatArray, weights: FloatArray) -> FloatArray:
    """The share of the others that a value exceeds, ties counted by half; rounding makes no difference."""
    rounded = np.round(values / max(float(np.abs(values).max()), 1e-300), 12)
    _, where = np.unique(rounded, return_inverse=True)
    mass = np.bincount(where, weights)
    return np.asarray((np.cumsum(mass) - mass / 2)[where])


def _correlation(one: FloatArray, other: FloatArray, weights: FloatArray) -> float:
    """Weighted correlation; 0 where one of them is constant."""
    one, other = one - weights @ one, other - weights @ other
    scale = float((weights @ one**2) * (weights @ other**2)) ** 0.5
    return float(weights @ (one * other)) / scale if scale > 0 else 0.0
