"""Optimal commitments: against a soft follower, and the strong Stackelberg solution."""

from __future__ import annotations

import copy
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from stackelberg_games import checks, display
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.errors import InvalidArgumentError, SolverError, UnsupportedGameError
from stackelberg_games.exact.ascents import search
from stackelberg_games.exact.certificate import certificate
from stackelberg_games.exact.inducement import affine, induced, policies, program, with_margin
from stackelberg_games.exact.linear_optimum import LinearOptimum, linear_optimum
from stackelberg_games.exact.objective import best_response, leader_value, overflow_is_checked, require_finite
from stackelberg_games.exact.posed import annuity
from stackelberg_games.exact.proofs import proof
from stackelberg_games.exact.secured import CLOSE, Endless, plays, roof_of_play
from stackelberg_games.exact.staged import staged_policy
from stackelberg_games.exact.tied import tied_policy
from stackelberg_games.kinds.congestion import CLOSE as SETTLED
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame
from stackelberg_games.kinds.population import PopulationGame
from stackelberg_games.kinds.preference import require_paid_by_stage
from stackelberg_games.numerics.randomness import check_seed
from stackelberg_games.numerics.threads import single_threaded
from stackelberg_games.rules.commitment import Commitment, assign
from stackelberg_games.rules.observations import Observations
from stackelberg_games.settings import checked

RUNNERS_UP = 4
"""Policies of the follower that are looked at where the best one cannot be induced for rounding."""

MARGINS = (0.0, 1e-14, 1e-12, 1e-10, 1e-8)
"""By how much the follower is made to prefer what the leader wants, in spreads of its rewards, where a tie is lost."""


@dataclass(frozen=True, repr=False)
class Solution:
    """A best known commitment, and what is known of how good it is.

    Examples:
        >>> import stackelberg_games as sg
        >>> best = sg.exact.solve(
        ...     sg.make("matrix-v0", preset="conitzer_sandholm"), temperature=0.05
        ... )
        >>> best.proved, best.gap < 1e-8
        (True, True)
        >>> best.commitment.probabilities().detach().numpy().round(3)
        array([[0.391, 0.609]])

    Attributes:
        commitment: the commitment.
        value: the leader's exact objective there. For ``temperature=0`` this is the strong
            Stackelberg value, with ties broken for the leader; where it is only a supremum,
            no commitment against an adversarial tie-breaker attains it.
        response: the follower's response, ``[S, A, B]``; a ``LinearGaussianResponse`` in linear-quadratic games.
        temperature: the follower's temperature it is optimal for.
        start_values: the values reached from every start, best first, to judge how hard the
            landscape is; a single one where the method is global.
        error: bound on the error of ``value`` as that of ``commitment``.
        method: how the commitment was found.
        bound: what no commitment of its class is worth more than; infinite where nothing is proved.
        reached: how many starts ended at ``value``, to a thousandth of what separates commitments.
    """

    commitment: Commitment
    value: float
    response: Any
    temperature: float
    start_values: tuple[float, ...]
    error: float
    method: str
    bound: float = float("inf")
    reached: int = 1

    def __repr__(self) -> str:
        """What it is worth, and what that rests on."""
        return f"Solution(value {self.value:.6g} at temperature {self.temperature:g}: {self.evidence})"

    def _repr_html_(self) -> str:
        """The figures, in a notebook."""
        names = ("value", "bound", "gap", "error", "temperature", "method", "evidence")
        return display.table(repr(self), ["figure", "value"], [(name, getattr(self, name)) for name in names])

    @property
    def proved(self) -> bool:
        """Whether a bound is known; ``gap`` says how close it is."""
        return self.bound < float("inf")

    @property
    def gap(self) -> float:
        """By how much, at most, another commitment could be better."""
        return max(0.0, self.bound - self.value)

    @property
    def evidence(self) -> str:
        """What the value rests on, in words."""
        if self.proved:
            return f"proved by {self.method}, gap {self.gap:.1g}"
        return f"best of {len(self.start_values)} starts, reached by {self.reached}"


@checked
@single_threaded()
@overflow_is_checked
def solve(
    game: TabularGame | EmbeddedGame | LinearGaussianGame,
    temperature: float,
    *,
    commitment: Commitment | None = None,
    starts: int = 16,
    seed: int = 0,
) -> Solution:
    """The best known commitment, its value, and what that rests on.

    For ``temperature = 0``: linear programs, where there are any. They are one for each state and follower action
    (Conitzer and Sandholm, EC 2006) in matrix games and, inside policy iteration, wherever the follower's actions do
    not change what comes; and one for each policy of the follower where the leader only configures rewards, affinely.
    Where the leader does not tell all states apart, and states come and go whatever the players do, they are one for each
    combination of replies in the states with one observation (Paruchuri et al., AAMAS 2008). In small endless games in which both discount alike and the follower does not see the leader's action, programs that
    are not linear are solved locally for each of its policies, and held against a bound: ``exact.secured``.

    For ``temperature > 0``: ascents on the exact hypergradient from many starts; see ``stackelberg_games.exact.ascents``.

    In linear-quadratic games, at any temperature: a concave quadratic program where a game knows its leader's value as that,
    and branch and bound over the gains of endless games of one number each; see ``stackelberg_games.exact.linear_optimum``.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("matrix-v0", preset="conitzer_sandholm")
        >>> sg.exact.solve(game, temperature=0.0).value
        3.5
        >>> best = sg.exact.solve(game, temperature=0.05)
        >>> print(f"{best.value:.4f}, {best.evidence}")
        3.3658, proved by branch and bound over mixtures, gap 9e-10

    Args:
        game: a finite game, or a linear-quadratic one of these kinds.
        temperature: of the follower, >= 0.
        commitment: its class and first start, for ``temperature > 0``; what the game declares if not given.
        starts: number of starts of the ascent.
        seed: of the random starts.

    Raises:
        UnsupportedGameError: the game is of another kind; or ``temperature=0`` where there are no linear programs:
            stationary optima of such games are NP-hard to find.
        InvalidArgumentError: ``temperature`` is negative, ``starts`` below 1, or a commitment given for
            ``temperature=0``.
        PrecisionError: double precision cannot tell the answer.
    """
    if not isinstance(game, EmbeddedGame | LinearGaussianGame):
        game = require_finite(game)
    require_paid_by_stage(game)
    temperature, starts = checks.number("temperature", temperature, 0), checks.integer("starts", starts, 1)
    check_seed(seed)
    if temperature == 0 and commitment is not None:
        raise InvalidArgumentError("commitment: the solution at temperature=0 does not start from one; leave it out")
    if isinstance(game, LinearGaussianGame):
        return _linear(linear_optimum(game, temperature, commitment), temperature)
    if temperature == 0:
        game = require_finite(game)
        if isinstance(game, PopulationGame):
            return _population(game)
        return _strong(game) if game.configuration_space is None else _configured(game)
    template = game.commitment() if commitment is None else copy.deepcopy(commitment)
    known = None if isinstance(game, EmbeddedGame) else proof(game, template, temperature)
    found = search(game, template, temperature, starts, seed, None if known is None else known.point)
    assign(template, torch.from_numpy(found.point))
    certified = certificate(game, template, temperature)
    response = best_response(game, template, temperature).policy
    values = tuple(certified.value - (found.ends[0] - end) for end in found.ends)
    method, bound = ("ascents", float("inf")) if known is None else (known.method, max(certified.value, known.bound))
    return Solution(
        template, certified.value, response, temperature, values, certified.error, method, bound, found.reached
    )


def _linear(found: LinearOptimum, temperature: float) -> Solution:
    """What is known of a linear-quadratic game's optimum."""
    value = found.value
    return Solution(
        found.commitment,
        value,
        found.response,
        temperature,
        (value,),
        found.error,
        found.method,
        max(value, found.bound),
    )


def _strong(game: TabularGame) -> Solution:
    """By programs for each stage, or for each policy of the follower where its actions change what comes."""
    if game.observations is not None:
        return _tied(game, game.observations)
    try:
        found = staged_policy(game, 0.0)
    except UnsupportedGameError:
        endless = Endless.of(game)
        if endless is None:
            raise
        return _secured(game, endless)
    chosen = TabularPolicy.from_probabilities(game, found.policy)
    value, error = leader_value(game, chosen, found.response), certificate(game, chosen, 0.0).error
    return Solution(chosen, value, found.response, 0.0, (value,), error, "linear programs", max(value, found.bound))


def _tied(game: TabularGame, observations: Observations) -> Solution:
    """By programs for each observation, or as if the leader saw the states where its optimum does not tell them apart.

    Raises:
        UnsupportedGameError: there are no such programs, and it does.
    """
    try:
        found = tied_policy(game, observations, 0.0)
    except UnsupportedGameError:
        whole = copy.copy(game)
        whole.observations = None
        with suppress(UnsupportedGameError):
            solution = _strong(whole)
            policy = solution.commitment.probabilities().detach().numpy()
            if observations.alike(policy):
                return replace(solution, commitment=TabularPolicy.from_probabilities(game, policy))
        raise
    chosen = TabularPolicy.from_probabilities(game, found.policy)
    value, error = leader_value(game, chosen, found.response), certificate(game, chosen, 0.0).error
    method = "linear programs for each observation"
    return Solution(chosen, value, found.response, 0.0, (value,), error, method, max(value, found.bound))


def _population(game: PopulationGame) -> Solution:
    """By the use that is best for all, and prices that make it an equilibrium.

    Raises:
        UnsupportedGameError: there are no such prices, so that the best ones are not known.
    """
    game.check_temperature(0.0)
    flow = game.resources.best_flow()
    bound = -game.resources.mean_cost(flow)
    prices = game.resources.prices_for(flow, game.priced, game.highest)
    if prices is None:
        raise UnsupportedGameError(
            f"{game.name} at temperature 0: no prices bring about what is best for all, {bound:.9g}, and which come closest "
            "is open; give a temperature > 0"
        )
    chosen = Configuration(prices, None, states=game.states)
    response = best_response(game, chosen, 0.0).policy
    value = leader_value(game, chosen, response)
    method = "the system optimum and a linear program for its prices"
    return Solution(chosen, value, response, 0.0, (value,), SETTLED * abs(value), method, max(value, bound))


def _secured(game: TabularGame, endless: Endless) -> Solution:
    """By programs for each policy of the follower, against the bound from what it can secure.

    Raises:
        UnsupportedGameError: they do not meet, so that the best one that was found may not be the best there is.
    """
    roof = roof_of_play(endless)
    bound, close = endless.worth(roof), CLOSE * endless.unit / (1 - endless.discount)
    best: Solution | None = None
    for margin in MARGINS:
        promised = -np.inf
        for play in plays(endless, roof, margin):
            promised = max(promised, endless.worth(play.value))
            policy = np.full((game.states, game.leader_actions), 1 / game.leader_actions)
            policy[endless.entered] = play.policy
            chosen = TabularPolicy.from_probabilities(game, policy)
            certified, response = certificate(game, chosen, 0.0), best_response(game, chosen, 0.0).policy
            if best is None or certified.value > best.value:
                value = certified.value
                method = "programs for policies of the follower and a bound from what it can secure"
                best = Solution(chosen, value, response, 0.0, (value,), certified.error, method, max(value, bound))
        if best is None or best.value >= promised - close:
            break  # a margin only takes commitments away
    if best is not None and best.value > bound + best.error + close:
        raise SolverError(
            f"{game.name} at temperature 0: a commitment worth {best.value:.9g} was found, and none was to be worth more than {bound:.9g}"
        )
    if best is None or best.value < bound - close:
        found = "nothing was found" if best is None else f"the best commitment found is worth {best.value:.9g}"
        raise UnsupportedGameError(
            f"{game.name} at temperature 0: {found}, no commitment is worth more than {bound:.9g}, and what lies between is "
            "open, for the follower's actions change what comes; give a temperature > 0"
        )
    return best


def _configured(game: TabularGame) -> Solution:
    """By programs for each policy of the follower."""
    form = affine(game)
    listed = policies(game, form)
    found, bound = induced((program(game, form, policy) for policy in listed), form.budget, RUNNERS_UP)
    leader, unit = (
        float(np.ptp(base) + np.abs(slope).max(initial=0.0))
        for base, slope in ((form.leader, form.leader_slope), (form.follower, form.follower_slope))
    )
    close = 1e-9 * leader * annuity(game, None, None)
    best: Solution | None = None
    for candidate in found:
        if best is not None and best.value >= candidate.value:
            break
        for margin in MARGINS:
            configuration = with_margin(form, candidate, margin * unit)
            if configuration is None:
                break
            chosen = Configuration(configuration, None, states=game.states)
            certified, response = certificate(game, chosen, 0.0), best_response(game, chosen, 0.0).policy
            if best is None or certified.value > best.value:
                method = f"linear programs over {len(listed)} policies of the follower"
                value = certified.value
                best = Solution(chosen, value, response, 0.0, (value,), certified.error, method, max(value, bound))
            if certified.value >= candidate.value - close:
                break
    if best is None:
        raise SolverError(f"{game.name}: no linear program could be decided; its numbers differ too much in size")
    return best
