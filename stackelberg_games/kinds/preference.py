"""Finite games in which the leader chooses the follower's reward, and a judge knows what it should have been."""

from __future__ import annotations

import dataclasses
import hashlib
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.errors import InvalidGameError, UnsupportedGameError
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.kinds.levers import TabularLever
from stackelberg_games.kinds.reading import plain
from stackelberg_games.kinds.segments import Segments, pair_losses
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.rules.comparisons import Judge, Judged
from stackelberg_games.rules.lever import Ledger
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView

NEGLIGIBLE = 1e-25
"""Probability below which a group of segments is left out of a mean: all of them together are far below rounding."""


@dataclasses.dataclass(frozen=True)
class ChosenReward:
    """Tables under a reward that is a number for each cell; it knows no other reward.

    Attributes:
        base: the tables before any configuration.
        cells: the cell that an action in a state visits, int64 ``[S, 1, B]``.
    """

    base: Tables
    cells: Tensor

    def __call__(self, configuration: Tensor) -> Tables:
        """The tables under r_x."""
        return self.base._replace(follower_reward=configuration[self.cells])

    def first(self, seed: int, spread: float | None = None) -> Configuration:
        """A first reward, drawn from N(0, spread^2); 0 everywhere if not given."""
        size = int(self.cells.max()) + 1
        draws = (spread or 0.0) * generator(seed, 5).standard_normal(size)
        return Configuration(draws, states=len(self.cells))


class PreferenceGame(Judged, ConfigurableGame):
    """A finite MDP whose follower maximises a reward that the leader chooses.

    The leader chooses a number for each cell, and segments of the follower's play are compared in pairs by a judge. Its
    objective is -F(x), the mean log-likelihood of the judge's labels under the reward it chose, for pairs that the
    follower's response to that very reward plays. Stages pay the leader nothing: what it is worth shows in pairs only.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("preference_grid-v0")
        >>> game.view().judged  # stages of a segment
        6
        >>> run = sg.train(
        ...     game,
        ...     "drlhf",
        ...     "soft_value_iteration",
        ...     iterations=3,
        ...     episodes=4,
        ...     seed=0,
        ...     progress=False,
        ... )
        >>> run.history[-1]["labels"]
        6

    Args:
        transition: ``[S, B, S]``.
        truth: the reward that the judge knows, ``[C]``, one number for each cell.
        initial: ``[S]``.
        cells: the cell that an action in a state visits, int ``[S, B]``; all of 0 to C - 1 appear.
        segment: H, the length of a segment; the first H stages of an episode are one.
        judge: who compares.
        follower_discount: gF in [0, 1).
        horizon: stages of an episode, >= H; what follows the segment shows where the follower goes from there.
        name: of the game.

    Raises:
        InvalidGameError: see ``ConfigurableGame``; or the cells are not numbered from 0 without a gap, the judge is none,
            or the truth is constant, so that all pairs tie.
    """

    objective_is_own = True

    def __init__(
        self,
        transition: ArrayLike,
        truth: ArrayLike,
        initial: ArrayLike,
        *,
        cells: ArrayLike,
        segment: int,
        judge: Judge,
        follower_discount: float,
        horizon: int,
        name: str,
    ) -> None:
        visited = _numbered(cells)
        if not isinstance(judge, Judge):
            raise InvalidGameError(f"judge={checks.shown(judge)}: expected a Judge, such as BradleyTerry()")
        self._truth = checks.array("truth", truth, (int(visited.max()) + 1,), error=InvalidGameError)
        if np.ptp(self._truth) == 0:
            raise InvalidGameError(
                f"truth is {self._truth[0]:g} in every cell: segments of equal length are all worth the same, every pair "
                "ties, and no label tells anything"
            )
        self.segment = checks.integer("segment", segment, 1, error=InvalidGameError)
        if self.segment > checks.integer("horizon", horizon, 1, error=InvalidGameError):
            raise InvalidGameError(
                f"segment={segment}, horizon={horizon}: an episode is at least as long as its segment"
            )
        self.judge, self.cells = judge, visited
        nothing = np.zeros(visited.shape)
        super().__init__(
            transition,
            nothing,
            nothing,
            initial,
            size=len(self._truth),
            configure=lambda x: self._chosen(x),
            spread=0.0,
            leader_discount=1.0,
            follower_discount=follower_discount,
            horizon=horizon,
            name=name,
        )
        self._chosen = ChosenReward(self.base, torch.from_numpy(visited[:, None]))
        self.configure = self._chosen

    def view(self, temperature: float | None = None, ledger: Ledger | None = None) -> LeaderView:
        """What a leader is told; its lever knows the reward it chose and no other."""
        view = super().view(temperature, ledger)
        if self.configure is None:
            return view
        lever = TabularLever(self._chosen, self.base, self._chosen.first, ledger)
        known = self.judge.chance(np.zeros(1)) is not None
        return dataclasses.replace(view, judged=self.segment, known_judge=known, lever=lever)

    @cached_property
    def segments(self) -> Segments:
        """All segments; enumerated when they are first asked for."""
        return Segments.of(self.transition[:, 0], self.initial_distribution, self.cells, self.segment)

    @cached_property
    def label_chances(self) -> Tensor:
        """How likely the judge prefers one group of segments to another, ``[G, G]``."""
        worth = self.segments.counts @ self._truth
        chances = self.judge.chance(worth[:, None] - worth[None, :])
        if chances is None:
            raise UnsupportedGameError(
                f"{self.name}: what {type(self.judge).__name__} answers follows no known rule, so that the leader's "
                "exact objective is not known"
            )
        return torch.from_numpy(np.asarray(chances, dtype=np.float64))

    def expected_loss(self, configuration: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Mean loss of the labels of independent pairs, differentiable; a scalar.

        Args:
            configuration: the chosen reward, ``[C]``.
            first: probabilities of the groups of first segments, ``[G]``.
            second: those of the second ones.
        """
        one, other = (torch.nonzero(side > NEGLIGIBLE)[:, 0] for side in (first.detach(), second.detach()))
        worth = torch.from_numpy(self.segments.counts) @ configuration
        chances = self.label_chances[one][:, other]
        losses = pair_losses(worth[one][:, None] - worth[other][None, :], chances)
        return first[one] @ losses @ second[other]

    def objective(self, configuration: Tensor, response: Tensor) -> Tensor:
        """-F(x, g), differentiable in both.

        Raises:
            UnsupportedGameError: the judge's answers follow no known rule.
        """
        chances = self.segments.probabilities(response[:, 0])
        return -self.expected_loss(configuration, chances, chances)

    def true_rewards(self, batch: Trajectories) -> FloatArray:
        """What stages are truly worth, ``[N, T]``; for judges and for the record, never for a leader."""
        cell = self.cells[batch.states[:, :-1], batch.follower_actions]
        return np.asarray(self._truth[cell] * batch.mask)

    def truth(self) -> FloatArray:
        """The reward that the judge knows, ``[C]``; for the record, never for a leader."""
        return self._truth.copy()

    def oracle(self) -> Configuration:
        """The true reward as a commitment; for the record, never for a leader."""
        return Configuration(self._truth, states=self.states)

    def fingerprint(self) -> str:
        """Also tells apart hidden rewards, cells and judges."""
        digest = hashlib.sha256(super().fingerprint().encode())
        for part in (self._truth.tobytes(), self.cells.tobytes(), f"{self.segment} {self.judge!r}".encode()):
            digest.update(part)
        return digest.hexdigest()


def _numbered(cells: ArrayLike) -> IntArray:
    """Cells as int64 ``[S, B]``; raise ``InvalidGameError`` unless they are those from 0 to C - 1."""
    found = np.asarray(plain("cells", cells))
    if found.ndim != 2 or not found.size or found.dtype.kind not in "iu":
        raise InvalidGameError(
            f"cells has shape {found.shape} and dtype {found.dtype}: expected integers [S, B], no empty axis"
        )
    numbers = np.unique(found)
    if not np.array_equal(numbers, np.arange(len(numbers))):
        raise InvalidGameError(
            f"cells holds {len(numbers)} numbers from {numbers[0]} to {numbers[-1]}: expected each from 0 to "
            f"{len(numbers) - 1}, for the chosen reward has one number for each cell"
        )
    return found.astype(np.int64)


def require_paid_by_stage(game: Any) -> None:
    """Raise ``UnsupportedGameError`` for a game whose leader is paid for pairs of episodes."""
    if getattr(game, "objective_is_own", False):
        raise UnsupportedGameError(
            f"{game.name}: its stages pay the leader nothing, what it is worth shows in pairs of segments; "
            "exact.leader_objective has its value and hypergradient, exact.preference the rows of that"
        )
