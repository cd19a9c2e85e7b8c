"""Global bounds against a soft follower, where they are cheap: what no commitment of a game is worth more than."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.parametrisation import Parametrisation
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.errors import SolverError, UnsupportedGameError
from stackelberg_games.exact.branching import maximise
from stackelberg_games.exact.inducement import Affine, affine
from stackelberg_games.exact.staged import staged_policy, unmoved
from stackelberg_games.exact.starts import FLOOR
from stackelberg_games.exact.tied import tied_policy
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.population import PopulationGame
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.observations import Observations

MAX_CORNERS = 5
"""Of a simplex of configurations; boxes have up to two numbers."""


class Proof(NamedTuple):
    """A bound, how it was found, and parameters close to where it is attained, if they are known."""

    bound: float
    method: str
    point: FloatArray | None


def proof(game: TabularGame, template: Commitment, temperature: float) -> Proof | None:
    """The bound for a class of commitments; None where none is cheap.

    Args:
        game: a finite game.
        template: of the class.
        temperature: of the follower, > 0.
    """
    try:
        if isinstance(game, PopulationGame):
            return _population(game, template)
        if game.configuration_space is None:
            if game.observations is not None:
                return _tied(game, game.observations, template, temperature)
            found = staged_policy(game, temperature)
            point = np.log(np.maximum(found.policy, FLOOR)).ravel() if isinstance(template, TabularPolicy) else None
            how = "the best actions" if game.follower_sees_action else "branch and bound over mixtures"
            return Proof(found.bound, how, point)
        if isinstance(template, Configuration) and isinstance(template.transform, Parametrisation):
            return _configured(game, template, template.transform, temperature)
    except (UnsupportedGameError, SolverError):
        pass
    return None


def _tied(game: TabularGame, observations: Observations, template: Commitment, temperature: float) -> Proof:
    """The bound on tied commitments, or that on all of them where it is not known."""
    try:
        found = tied_policy(game, observations, temperature)
    except UnsupportedGameError:
        return Proof(staged_policy(game, temperature).bound, "a leader that sees the states", None)
    how = "the best actions" if game.follower_sees_action else "branch and bound over mixtures"
    point = np.log(np.maximum(found.policy[observations.first], FLOOR)).ravel()
    return Proof(found.bound, f"{how} by observation", point if isinstance(template, TabularPolicy) else None)


def _population(game: PopulationGame, template: Commitment) -> Proof:
    """No prices make members bear less than in the system optimum; the prices of that are a start, where there are any."""
    flow = game.resources.best_flow()
    prices, point = game.resources.prices_for(flow, game.priced, game.highest), None
    if prices is not None and isinstance(template, Configuration) and isinstance(template.transform, Parametrisation):
        found = template.transform.parameters(torch.from_numpy(prices))
        point = None if found is None else found.numpy()
    return Proof(-game.resources.mean_cost(flow), "the system optimum", point)


def _configured(
    game: TabularGame, template: Configuration, transform: Parametrisation, temperature: float
) -> Proof | None:
    """For one stage in which affine rewards are configured."""
    single = game.horizon == 1 or (game.horizon is None and game.leader_discount == 0)
    space = transform.space(template.configuration().numel())
    if not single or space != game.configuration_space or not (game.follower_discount == 0 or unmoved(game)):
        return None
    form = affine(game)
    corners = _simplices(form)
    if corners is None:
        return None
    first = np.flatnonzero(game.initial_distribution)
    leader, follower = (
        base[first] + np.einsum("wbd,nkd->nkwb", slope[first], corners)
        for base, slope in ((form.leader, form.leader_slope), (form.follower, form.follower_slope))
    )
    found = maximise(
        corners, follower.swapaxes(1, 2) / temperature, leader.swapaxes(1, 2), game.initial_distribution[first]
    )
    parameters = transform.parameters(torch.from_numpy(form.configuration(found.point)))
    point = None if parameters is None else parameters.numpy().ravel()
    return Proof(found.bound, "branch and bound over configurations", point)


def _simplices(form: Affine) -> FloatArray | None:
    """The space of configurations in simplices, corners ``[N, K, n]``; None where it has too many dimensions."""
    size = form.low.size
    if form.budget is not None:
        corners = np.vstack([np.zeros(size), form.budget * np.eye(size)])
        return corners[None] if size < MAX_CORNERS else None
    if size == 1:
        return np.array([[[0.0], [1.0]]])
    square = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    return np.array(square) if size == 2 else None
