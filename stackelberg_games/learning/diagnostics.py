"""How good is a leader's gradient? Its estimates against the exact hypergradient."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import fdtrc

from stackelberg_games import checks, display
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.objective import leader_objective
from stackelberg_games.frames import frame
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning import plots
from stackelberg_games.learning.ascent import GradientLeader
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.learning.information import Evidence, grant
from stackelberg_games.learning.interview import session_of
from stackelberg_games.learning.leader import Leader, told
from stackelberg_games.learning.powers import Lent
from stackelberg_games.learning.registry import make_follower, make_leader
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.numerics.threads import single_threaded
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.rules import require_game
from stackelberg_games.settings import checked


@dataclass(frozen=True, repr=False)
class GradientReport:
    """Estimates of the hypergradient from independent batches, beside the truth.

    Examples:
        >>> import stackelberg_games as sg
        >>> report = sg.gradient_check(
        ...     sg.make("discrete_toy-v0"), "policy_gradient", batches=50, episodes=30, seed=0
        ... )
        >>> report.mean.shape, report.p_value < 0.001  # biased: the follower's response is left out
        ((6,), True)

    Attributes:
        exact: exact hypergradient, ``[D]``.
        estimates: one estimate for each batch, ``[K, D]``.
        transitions: stages spent on each estimate, warm-up included.
    """

    exact: FloatArray
    estimates: FloatArray
    transitions: int

    @property
    def mean(self) -> FloatArray:
        """Mean estimate, ``[D]``."""
        return np.asarray(self.estimates.mean(axis=0))

    @property
    def standard_error(self) -> FloatArray:
        """Standard error of the mean estimate, ``[D]``."""
        return np.asarray(self.estimates.std(axis=0, ddof=1) / len(self.estimates) ** 0.5)

    @property
    def cosine(self) -> float:
        """Cosine between the mean estimate and the exact gradient; NaN where one of them is zero."""
        return _cosine(self.mean, self.exact)

    @property
    def mean_cosine(self) -> float:
        """Mean cosine of single estimates; what one update sees."""
        return float(np.mean([_cosine(row, self.exact) for row in self.estimates]))

    @property
    def relative_bias(self) -> float:
        """Norm of (mean - exact) over the norm of the exact gradient."""
        return float(np.linalg.norm(self.mean - self.exact) / _norm(self.exact))

    @property
    def relative_bias_error(self) -> float:
        """Norm of the standard errors over the norm of the exact gradient: what noise alone gives."""
        return float(np.linalg.norm(self.standard_error) / _norm(self.exact))

    @property
    def relative_deviation(self) -> float:
        """Standard deviation of one estimate (root of the total variance) over the exact norm."""
        return float(self.estimates.var(axis=0, ddof=1).sum() ** 0.5 / _norm(self.exact))

    @property
    def p_value(self) -> float:
        """Probability of a deviation at least this large if the estimates were unbiased.

        Hotelling's T-squared test over all coordinates together, in the subspace where the
        estimates vary. Where they do not vary, 1 if they are the truth, to rounding, and 0 if not.

        Raises:
            InvalidArgumentError: there are too few estimates for so many coordinates.
        """
        count = len(self.estimates)
        # directions of the estimates, and not a matrix of pairs of coordinates, of which large games have 10^5
        _, deviations, directions = np.linalg.svd(self.estimates - self.mean, full_matrices=False)
        values = deviations**2 / (count - 1)
        rounding = (1e-12 * float(np.linalg.norm(self.exact))) ** 2
        kept = values > max(1e-10 * float(values.max()), rounding)
        freedom = int(kept.sum())
        if freedom == 0:
            return float(np.linalg.norm(self.mean - self.exact) <= 1e-9 * np.linalg.norm(self.exact))
        if count <= freedom + 1:
            raise InvalidArgumentError(
                f"batches={count}: a p-value over {len(self.exact)} coordinates takes up to {len(self.exact) + 2} estimates"
            )
        shift = (directions @ (self.mean - self.exact))[kept]
        statistic = count * float((shift**2 / values[kept]).sum())
        scaled = statistic * (count - freedom) / (freedom * (count - 1))
        return float(fdtrc(freedom, count - freedom, scaled))

    def to_frame(self) -> Any:
        """Every estimate as a ``pandas.DataFrame``, a row for each coordinate; needs the extra ``frames``.

        Columns: ``estimate`` (its number), ``coordinate``, ``value``, and ``exact``, the hypergradient there.
        """
        rows = (
            {"estimate": k, "coordinate": d, "value": value, "exact": self.exact[d]}
            for (k, d), value in np.ndenumerate(self.estimates)
        )
        return frame(rows, ["estimate", "coordinate", "value", "exact"])

    def plot(self, axes: Any = None) -> Any:
        """Draw mean estimates against the exact gradient; returns Matplotlib axes. See ``plots.draw_gradient``."""
        return plots.draw_gradient(self.exact, self.mean, self.standard_error, axes)

    def __repr__(self) -> str:
        """The figures, and not the arrays."""
        return f"GradientReport({self})"

    def _repr_html_(self) -> str:
        """The figures, in a notebook."""
        names = ("cosine", "mean_cosine", "relative_bias", "relative_bias_error", "relative_deviation")
        figures = [(name, getattr(self, name)) for name in names]
        rows = [*figures, ("p_value", self._p_value), ("transitions", self.transitions)]
        title = f"{len(self.estimates)} estimates of {len(self.exact)} coordinates"
        return display.table(title, ["figure", "value"], rows)

    @property
    def _p_value(self) -> str:
        """For readers; what it would take where there is none."""
        try:
            return f"{self.p_value:.3g}"
        except InvalidArgumentError:
            return f"unknown (takes up to {len(self.exact) + 2} batches)"

    def __str__(self) -> str:
        return (
            f"cosine {self.cosine:.4f} (single estimates {self.mean_cosine:.4f}), "
            f"relative bias {self.relative_bias:.3g} (noise alone {self.relative_bias_error:.3g}), "
            f"relative standard deviation {self.relative_deviation:.3g}, p-value {self._p_value}, "
            f"{self.transitions} transitions an estimate, {len(self.estimates)} estimates"
        )


@checked
@single_threaded()
def gradient_check(
    game: Game,
    leader: Leader | str,
    follower: Follower | str = "soft_value_iteration",
    *,
    commitment: Commitment | None = None,
    batches: int = 200,
    episodes: int = 3,
    warmup: int = 0,
    seed: int = 0,
) -> GradientReport:
    """Hold a leader's gradient estimates against the exact hypergradient at one commitment.

    Every estimate comes from a leader that starts anew: it observes ``warmup`` batches to learn
    its critics, then estimates from one more.

    Examples:
        >>> import stackelberg_games as sg
        >>> report = sg.gradient_check(
        ...     sg.make("discrete_toy-v0"), "bchg", batches=50, episodes=30, seed=0
        ... )
        >>> print(f"cosine {report.cosine:.2f}")
        cosine 1.00

    Args:
        game: a finite game, or another with an exact objective.
        leader: an id, or a leader that estimates gradients.
        follower: an id, or a follower; it must declare a temperature > 0.
        commitment: where to compare; the leader's first commitment if not given.
        batches: number of independent estimates, >= 2.
        episodes: in each batch.
        warmup: batches observed before each estimate.
        seed: integer in [0, 2**63).

    Raises:
        UnsupportedGameError: the leader estimates no gradient, or the game has no exact objective.
        InvalidArgumentError: an argument is out of range.
    """
    game = require_game(game)
    leader = make_leader(leader) if isinstance(leader, str) else leader
    follower = make_follower(follower) if isinstance(follower, str) else follower
    if not isinstance(leader, GradientLeader):
        raise UnsupportedGameError(f"{type(leader).__name__} does not estimate a gradient")
    temperature = follower.declared_temperature
    batches, warmup = checks.integer("batches", batches, 2), checks.integer("warmup", warmup, 0)
    episodes = checks.integer("episodes", episodes, 1)
    if not temperature:
        raise InvalidArgumentError(f"temperature={temperature!r}: expected a follower that declares a number > 0")
    ledger = game.ledger()
    view = told(game, leader, temperature, ledger)
    leader.begin(view, seed=seed, commitment=commitment)
    start = copy.deepcopy(leader.commitment)
    exact = _exact(game, start, temperature)
    checks.affordable(f"{batches} estimates of {len(exact)} coordinates", batches * len(exact))
    playing = session_of(game, int(generator(seed, 1).integers(2**62)), None, leader.asks)

    def evidence(number: int, answer: Answer) -> Evidence:
        played = playing.hold(start, answer.policy, episodes, number)
        if ledger is not None:
            played.reveal(ledger)
        return grant(
            leader.information,
            played.batch,
            game=game,
            follower_policy=answer.policy,
            follower_values=answer.values,
            follower_rewards=leader.granted_follower_rewards,
            comparisons=played.comparisons,
            doings=lent.at(start, playing, episodes, number),
        )

    estimates, spent = [], (warmup + 1) * (1 + leader.further_batches) * episodes * game.stages()
    with follower:
        follower.begin(game, seed=seed)
        lent = Lent(leader.powers, game, follower, seed, ledger)
        answer = follower.respond(game, start)
        for number in range(batches):
            leader.begin(view, seed=seed, commitment=copy.deepcopy(start))
            first = number * (warmup + 1)
            for k in range(warmup):
                leader.objective(evidence(first + k, answer))
            estimates.append(leader.estimate(evidence(first + warmup, answer)).numpy())
    return GradientReport(exact, np.stack(estimates), spent)


def _exact(game: Game, commitment: Commitment, temperature: float) -> FloatArray:
    parameters = list(commitment.parameters())
    gradients = torch.autograd.grad(leader_objective(game, commitment, temperature), parameters, materialize_grads=True)
    return np.asarray(torch.cat([gradient.ravel() for gradient in gradients]).numpy())


def _norm(vector: FloatArray) -> float:
    return float(np.linalg.norm(vector)) or float("nan")


def _cosine(one: FloatArray, other: FloatArray) -> float:
    return float(one @ other / (_norm(one) * _norm(other)))
