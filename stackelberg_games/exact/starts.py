"""Where to start looking for an optimal commitment: strong solutions, and commitments from all over their space."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.parametrisation import Parametrisation
from stackelberg_games.commitments.space import BudgetBox
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.errors import SolverError, UnsupportedGameError
from stackelberg_games.exact.inducement import (
    Affine,
    Induced,
    affine,
    improved,
    induced,
    policies,
    program,
    with_margin,
)
from stackelberg_games.exact.objective import best_response
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.rules.commitment import Commitment, flatten

POLICIES = 512
"""Of the follower, up to which each one's linear program is solved for a start."""

LARGEST = 20_000
"""Numbers in the rewards' slopes up to which that is done at all."""

SEEDS = 16
"""Responses from which the local search over policies begins."""

BEST = 2
MARGINS = (1.0, 3.0)
"""Temperatures by which the follower is made to prefer what it should do."""

SHARPNESS = (0.1, 0.3, 1.0)
"""Parameters of the distributions that starts are drawn from; the first favours corners."""

FLOOR = 1e-3
SPREADS = (0.5, 2.0, 4.0)


def guided_starts(game: TabularGame | EmbeddedGame, template: Commitment, temperature: float) -> list[FloatArray]:
    """Parameters near strong solutions of a configured game, the best first; none where no linear programs give them.

    Args:
        game: a finite game.
        template: class of the commitment.
        temperature: of the follower.
    """
    transform = template.transform if isinstance(template, Configuration) else None
    if isinstance(game, EmbeddedGame) or not isinstance(transform, Parametrisation) or game.leader_actions > 1:
        return []
    try:
        found, form = _induced(game)
    except (UnsupportedGameError, SolverError):
        return []
    starts = []
    for chosen in found[:BEST]:
        for margin in MARGINS:
            configuration = with_margin(form, chosen, margin * temperature)
            parameters = None if configuration is None else transform.parameters(torch.from_numpy(configuration))
            if parameters is not None:
                starts.append(parameters.numpy().ravel())
    return [start for start in starts if start.shape == flatten(template).shape]


def _induced(game: TabularGame) -> tuple[list[Induced], Affine]:
    """The best policies of the follower that can be induced: among all, or by local search where those are many."""
    form = affine(game)
    if np.prod(form.follower_slope.shape, dtype=float) > LARGEST:
        raise UnsupportedGameError(f"{game.name}: its linear programs are too large to look for starts with them")
    try:
        listed = policies(game, form, POLICIES)
    except UnsupportedGameError:
        draws = np.random.default_rng(0)
        seeds = {hard_reply(game, form, draws).tobytes() for _ in range(SEEDS)}
        return improved(game, form, [np.frombuffer(seed, dtype=np.int64) for seed in sorted(seeds)], BEST), form
    return induced((program(game, form, policy) for policy in listed), form.budget, BEST)[0], form


def hard_reply(game: TabularGame, form: Affine, draws: np.random.Generator) -> IntArray:
    """The follower's hard response to a random configuration, ``[S]``."""
    point = (
        draws.dirichlet(np.full(form.low.size + 1, 0.3))[:-1] if form.budget else draws.beta(0.3, 0.3, form.low.size)
    )
    commitment = Configuration(form.configuration(point), None, states=game.states)
    return np.asarray(best_response(game, commitment, 0.0).policy[:, 0].argmax(axis=1), dtype=np.int64)


def spread_starts(template: Commitment, count: int, draws: np.random.Generator) -> list[FloatArray]:
    """Parameters of commitments from all over their space, corners included.

    Args:
        template: class of the commitment; where it is not known how its parameters fill its space, they are
            drawn around its own.
        count: how many.
        draws: source of randomness.
    """
    first = flatten(template).numpy()
    found = []
    for index in range(count):
        drawn = _drawn(template, index, draws)
        noise = first + draws.normal(scale=SPREADS[index % len(SPREADS)], size=first.shape)
        found.append(noise if drawn is None else drawn)
    return found


def _drawn(template: nn.Module, index: int, draws: np.random.Generator) -> FloatArray | None:
    """One commitment's parameters; None where only its parameters are known."""
    sharpness = SHARPNESS[index % len(SHARPNESS)]
    if isinstance(template, TabularPolicy):
        rows = draws.dirichlet(np.full(template.actions, sharpness), size=len(template.logits))
        return np.asarray(np.log(np.maximum(rows, FLOOR)).ravel())
    if not isinstance(template, Configuration) or not isinstance(template.transform, Parametrisation):
        return None
    size = template.configuration().numel()
    space = template.transform.space(size)
    if isinstance(space, BudgetBox):
        configuration = space.budget * draws.dirichlet(np.full(size + 1, sharpness))[:-1]
    elif np.isfinite([space.low, space.high]).all():
        configuration = space.low + (space.high - space.low) * draws.beta(sharpness, sharpness, size=size)
    else:
        return None
    parameters = template.transform.parameters(torch.from_numpy(configuration))
    beside = np.zeros(0) if template.policy is None else _drawn(template.policy, index, draws)
    if parameters is None or beside is None or parameters.shape != template.weights.shape:
        return None
    return np.concatenate([parameters.numpy().ravel(), beside])
