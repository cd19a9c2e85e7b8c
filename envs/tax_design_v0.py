"""Tax design: the leader sets consumption and income taxes, households of several kinds work and consume.

| fact            | value                                                                       |
|-----------------|-----------------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                                        |
| States          | kind of household x assets in [-100, 100]: cells (``form="discrete"``), or a real number |
| Follower actions| hours of work x consumption of three goods: 4 x 3 x 3 x 3, continuous form 10 x 5 x 5 x 5, as one number |
| Configuration   | taxes on three goods v_1, v_2, v_3 and on income t, in [0, ``highest_rate``] (2) |
| Dynamics        | x' = x + (1 - t) h - c_1 - c_2 - c_3 + noise of deviation 5, kept in [-100, 100] |
| Follower        | u(x) - 0.1 h^2 + product of (c_i / (1 + v_i))^a_i with u(x) = log(1 + x / 20), or x below 0 |
| Leader          | min(x, 0) + 3 mean(c_i / (1 + v_i)) + 5 log(1 + sum of v_i c_i / (1 + v_i) + t h) |
| Discounts       | 0.9, 0.9; published temperatures 0.1, 0.2, 0.3                               |
| Start           | x from N(0, 2), the kind of household by chance; it stays                    |
| Horizon         | 200                                                                         |
| Optimum         | multi-start ascent on the exact hypergradient (discrete form)               |

Hours h go up to 8.01 and consumption c_i to 5 in equal steps. The kinds differ in their tastes a: (0.6, 0.3, 0.1) and
(0.1, 0.7, 0.2); one configuration has to serve them all (contextual bilevel learning). Taxes start near 0.3.

``form="discrete"`` divides assets into cells, with the exact probability of each next cell given the centre of the last one, so
that response, objective and hypergradient are exact. Cells are an approximation that fades: at taxes of 0.3 and
temperature 0.1 the leader's value is 25.40 with 41 cells, 24.66 with 81 and 24.41 with 161.

``form="continuous"`` is the published form: sampled dynamics, a learned response, and a lever that has the density of the next state.

Source: the tax design of HPGD (Thoma et al., NeurIPS 2024, arXiv 2406.01575).

Version history: v0, first version.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.parametrisation import Bounded
from stackelberg_games.commitments.space import check_inside
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError, InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.kinds.game import Game
from stackelberg_games.kinds.levers import ObservedLedger, ObservedLever
from stackelberg_games.numerics.randomness import Lane, Streams, generator
from stackelberg_games.play.rollout import rollout
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Ledger, Stages, Terms
from stackelberg_games.rules.rules import Step, check_discount, check_horizon
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView
from stackelberg_games.settings import checked

if TYPE_CHECKING:
    from stackelberg_games.rules.scene import Scene

Tastes = Sequence[Sequence[float]]
LONGEST_DAY, LARGEST_MEAL, RANGE, NOISE, START_VARIANCE = 9 * 0.89, 4 * 1.25, 100.0, 5.0, 2.0
FIRST_RATE, SIZE = 0.3, 4
TASTES = ((0.6, 0.3, 0.1), (0.1, 0.7, 0.2))


@dataclass(frozen=True)
class Economy:
    """What households can do, what they like, and what the state gets; B actions, K kinds of household.

    Attributes:
        hours: of work, ``[B]``.
        spent: on the three goods, taxes included, ``[B, 3]``.
        tastes: exponents, ``[K, 3]``.
    """

    hours: Tensor
    spent: Tensor
    tastes: Tensor

    @classmethod
    def of(cls, hours: int, levels: int, tastes: Tastes) -> Economy:
        """Equal steps of hours and consumption; raise ``InvalidGameError`` if there is nothing to choose."""
        if hours < 2 or levels < 2:
            raise InvalidGameError(f"hours={hours!r}, consumption={levels!r}: expected at least 2 levels of each")
        liked = np.asarray(tastes, dtype=np.float64)
        if liked.ndim != 2 or liked.shape[1] != 3 or not len(liked) or not (np.isfinite(liked) & (liked > 0)).all():
            raise InvalidGameError(f"tastes={tastes!r}: expected one or more triples of numbers > 0")
        meals = np.linspace(0, LARGEST_MEAL, levels)
        grid = np.stack(np.meshgrid(np.linspace(0, LONGEST_DAY, hours), meals, meals, meals, indexing="ij"), axis=-1)
        actions = torch.from_numpy(grid.reshape(-1, 4))
        return cls(actions[:, 0], actions[:, 1:], torch.from_numpy(liked))

    def saved(self, rates: Tensor) -> Tensor:
        """What each action adds to the assets, ``[B]``."""
        return (1 - rates[3]) * self.hours - self.spent.sum(dim=1)

    def utility(self, rates: Tensor) -> Tensor:
        """What each action is worth to each kind of household, ``[K, B]``."""
        goods = (self.spent ** self.tastes[:, None]) * (1 + rates[:3]) ** -self.tastes[:, None]
        return goods.prod(dim=2) - 0.1 * self.hours**2

    def revenue(self, rates: Tensor) -> Tensor:
        """What each action is worth to the leader, ``[B]``."""
        bought = self.spent / (1 + rates[:3])
        taxes = (rates[:3] * bought).sum(dim=1) + rates[3] * self.hours
        return 3 * bought.mean(dim=1) + 5 * torch.log1p(taxes)


def comfort(assets: FloatArray) -> FloatArray:
    """u(x), what households feel about their assets."""
    return np.where(assets > 0, np.log1p(np.maximum(assets, 0) / 20), assets)


def rates_at_first(highest: float, seed: int, spread: float | None) -> tuple[FloatArray, Bounded]:
    """Parameters of taxes near 0.3 (or in the middle of a lower range), and their parametrisation."""
    share = min(FIRST_RATE / highest, 0.5)
    draws = (0.01 if spread is None else spread) * generator(seed, 5).standard_normal(SIZE)
    return np.log(share / (1 - share)) + draws, Bounded(0.0, highest)


class TaxDesign(ConfigurableGame):
    """The discrete form; see the module's text.

    Args:
        economy: actions and tastes.
        assets: cells of the assets, at least 21.
        highest_rate: of each tax, > 0.
        discount: of both players.
        horizon: of play and of the leader's objective, or None.

    Raises:
        InvalidGameError: a number is out of range.
    """

    def __init__(
        self,
        economy: Economy,
        assets: int = 41,
        highest_rate: float = 2.0,
        *,
        discount: float = 0.9,
        horizon: int | None = 200,
    ) -> None:
        if assets < 21:
            raise InvalidGameError(f"assets={assets!r}: expected at least 21 cells, narrower than the noise is wide")
        self.economy, self.highest_rate = economy, float(highest_rate)
        self.grid = np.linspace(-RANGE, RANGE, assets)
        self._edges = np.concatenate(([-RANGE], (self.grid[1:] + self.grid[:-1]) / 2, [RANGE]))
        kinds = len(economy.tastes)
        _, first, same = np.unique(
            np.stack((economy.hours.numpy(), economy.spent.sum(dim=1).numpy()), axis=1).round(9),
            axis=0,
            return_index=True,
            return_inverse=True,
        )
        self._first, self._same = torch.from_numpy(first), torch.from_numpy(same.ravel())
        self.assets_of, self.kind_of = np.tile(self.grid, kinds), np.repeat(np.arange(kinds), assets)
        start = np.diff(ndtr(self._edges / START_VARIANCE**0.5))
        moves, leader, follower = (t[:, 0].numpy() for t in self._configure(torch.zeros(SIZE, dtype=torch.float64)))
        super().__init__(
            moves,
            leader,
            follower,
            np.tile(start / start.sum() / kinds, kinds),
            size=SIZE,
            configure=self._configure,
            parametrisation=Bounded(0.0, highest_rate),
            leader_discount=discount,
            follower_discount=discount,
            horizon=horizon,
            name="tax_design-v0",
        )
        self.state_labels = [f"kind {k}, assets {x:g}" for k in range(kinds) for x in self.grid]

    def commitment(self, seed: int = 0, spread: float | None = None) -> Configuration:
        """Taxes near 0.3."""
        return Configuration(*rates_at_first(self.highest_rate, seed, spread), states=self.states)

    def _configure(self, rates: Tensor) -> Tables:
        economy, kinds = self.economy, len(self.economy.tastes)
        moves = self._moves(economy.saved(rates)[self._first])[:, self._same]
        states = kinds * len(self.grid)
        transition = torch.einsum("kl,xby->kxbly", torch.eye(kinds, dtype=torch.float64), moves)
        own = torch.from_numpy(comfort(self.assets_of))[:, None]
        follower = own + economy.utility(rates)[torch.from_numpy(self.kind_of)]
        leader = torch.from_numpy(np.minimum(self.assets_of, 0))[:, None] + economy.revenue(rates)
        return Tables(transition.reshape(states, 1, -1, states), leader[:, None], follower[:, None])

    def _moves(self, saved: Tensor) -> Tensor:
        """Probabilities of the next cell, ``[assets, actions, assets]``: the noise within its range."""
        means = (torch.from_numpy(self.grid)[:, None] + saved).clamp(-RANGE, RANGE)
        below = torch.special.ndtr((torch.from_numpy(self._edges) - means[..., None]) / NOISE)
        chances: Tensor = below.diff(dim=-1) / (below[..., -1:] - below[..., :1])
        return chances

    def draw(self, axes: Any, scene: Scene) -> bool:
        """Taxes, assets, and what was done last."""
        state = int(scene.state)
        return _draw(axes, scene, self.economy, self.assets_of[state], self.kind_of[state], self.highest_rate)


class ContinuousTaxDesign(Game):
    """The continuous form; a state is (assets, kind of household). See the module's text.

    Args:
        economy, highest_rate, discount, horizon: see ``TaxDesign``.
    """

    def __init__(
        self, economy: Economy, highest_rate: float = 2.0, *, discount: float = 0.9, horizon: int | None = 200
    ) -> None:
        self.name, self.economy, self.highest_rate = "tax_design-v0", economy, float(highest_rate)
        self.horizon = check_horizon(horizon)
        self.leader_discount = self.follower_discount = check_discount("discount", discount)
        self.follower_sees_action = True
        self.kinds = len(economy.tastes)
        low, high = np.array([-RANGE, 0.0]), np.array([RANGE, self.kinds - 1.0])
        self.state_space = gymnasium.spaces.Box(low, high, (2,), np.float64)
        self.leader_action_space = gymnasium.spaces.Discrete(1)
        self.follower_action_space = gymnasium.spaces.Discrete(len(economy.hours))
        self.configuration_space = gymnasium.spaces.Box(0.0, self.highest_rate, (SIZE,), np.float64)
        self.idle_action = 0
        self._observations = gymnasium.spaces.Box(
            np.append(-1.0, np.zeros(self.kinds)).astype(np.float32), np.ones(1 + self.kinds, dtype=np.float32)
        )
        self._tax(torch.zeros(SIZE, dtype=torch.float64))

    def _tax(self, rates: Tensor) -> None:
        with torch.no_grad():
            parts = (self.economy.saved(rates), self.economy.utility(rates), self.economy.revenue(rates))
            self._saved, self._utility, self._revenue = (part.numpy() for part in parts)

    def configured(self, configuration: Tensor) -> ContinuousTaxDesign:
        """The game under given taxes."""
        check_inside(self.configuration_space, configuration)
        fixed = copy.copy(self)
        fixed.configuration_space = fixed.idle_action = None
        fixed._tax(torch.as_tensor(configuration).detach())
        return fixed

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """Assets as a share of their range, and the kind of household, one-hot."""
        return self._observations

    def observe(self, state: Any) -> NDArray[np.float32]:
        """See ``observation_space``."""
        return np.append(state[0] / RANGE, np.arange(self.kinds) == state[1]).astype(np.float32)

    def initial(self, streams: Streams) -> FloatArray:
        """Assets from N(0, 2), kinds by chance, ``[N, 2]``."""
        draws = streams.uniform(Lane.ENVIRONMENT, 0, 2)
        assets = START_VARIANCE**0.5 * ndtri(np.maximum(draws[:, 0], 2.0**-54))
        return np.stack((assets, np.floor(draws[:, 1] * self.kinds)), axis=1)

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        """Play one stage in every episode.

        Raises:
            InvalidActionError: an action is not an index of the follower's actions.
        """
        actions = np.asarray(follower_actions)
        if actions.dtype.kind not in "iu" or not ((actions >= 0) & (actions < len(self._saved))).all():
            raise InvalidActionError(
                f"follower actions {follower_actions!r}: expected integers in [0, {len(self._saved)})"
            )
        assets, kinds = states[:, 0], states[:, 1].astype(np.int64)
        means = np.clip(assets + self._saved[actions], -RANGE, RANGE)
        low, high = ndtr((-RANGE - means) / NOISE), ndtr((RANGE - means) / NOISE)
        draws = streams.uniform(Lane.ENVIRONMENT, stage + 1, 2)[:, 0]
        following = means + NOISE * ndtri(np.maximum(low + draws * (high - low), 2.0**-54))
        after = np.stack((np.clip(following, -RANGE, RANGE), states[:, 1]), axis=1)
        leader = np.minimum(assets, 0) + self._revenue[actions]
        follower = comfort(assets) + self._utility[kinds, actions]
        return Step(after, leader, follower, np.zeros(len(actions), dtype=np.bool_))

    def simulate(
        self, commitment: Commitment, follower_policy: Any, streams: Streams, stages: int
    ) -> Trajectories | None:
        """Play the configured game where the commitment configures."""
        configuration = commitment.configuration()
        if configuration is None or self.configuration_space is None:
            return None
        episodes, first = len(streams.episodes), int(streams.episodes[0])
        return rollout(
            self.configured(configuration),
            commitment,
            follower_policy,
            episodes=episodes,
            seed=streams.seed,
            first_episode=first,
            stages=stages,
        )

    def commitment(self, seed: int = 0, spread: float | None = None) -> Configuration:
        """Taxes near 0.3."""
        return Configuration(*rates_at_first(self.highest_rate, seed, spread))

    def ledger(self) -> Ledger | None:
        """A record of the stages played, for whoever plays; None once the taxes are given."""
        return None if self.configuration_space is None else ObservedLedger()

    def view(self, temperature: float | None = None, ledger: Ledger | None = None) -> LeaderView:
        """What a leader is told, its lever included."""
        view = super().view(temperature, ledger)
        if self.configuration_space is None:
            return view
        return replace(view, lever=ObservedLever(self._terms, self.commitment, ledger))

    def _terms(self, rates: Tensor, stages: Stages) -> Terms:
        """How taxes enter at stages: rewards beyond those without taxes, and the density of the next assets."""
        none, economy = torch.zeros(SIZE, dtype=torch.float64), self.economy
        states, following = (torch.tensor(np.asarray(part)) for part in (stages.states, stages.next_states))
        actions, kinds = torch.tensor(np.asarray(stages.follower_actions)), states[:, 1].long()
        leader = (economy.revenue(rates) - economy.revenue(none))[actions]
        follower = (economy.utility(rates) - economy.utility(none))[kinds, actions]
        means = (states[:, 0] + economy.saved(rates)[actions]).clamp(-RANGE, RANGE)
        inside = torch.special.ndtr((RANGE - means) / NOISE) - torch.special.ndtr((-RANGE - means) / NOISE)
        score = -0.5 * ((following[:, 0] - means) / NOISE) ** 2 - np.log(NOISE * np.sqrt(2 * np.pi))
        return Terms(None, leader, follower, score - inside.log())

    def draw(self, axes: Any, scene: Scene) -> bool:
        """Taxes, assets, and what was done last."""
        return _draw(axes, scene, self.economy, scene.state[0], int(scene.state[1]), self.highest_rate)


def _draw(axes: Any, scene: Scene, economy: Economy, assets: float, kind: int, highest: float) -> bool:
    """Bars of taxes and of the last action, and assets on their range."""
    axes.set(xlim=(-0.05, 1.05), ylim=(0, 1))
    rows: list[tuple[str, float, float, str]] = []
    chosen = scene.configuration
    if chosen is not None:
        names = ("tax on good 1", "tax on good 2", "tax on good 3", "tax on income")
        rates = np.asarray(chosen)
        rows += [
            (f"{name} {rate:.0%}", rate / highest, 0.0, "#7b4fc9") for name, rate in zip(names, rates, strict=True)
        ]
    if scene.played is not None:
        action = int(scene.played.follower_action)
        hours, goods = float(economy.hours[action]), economy.spent[action].tolist()
        rows.append((f"hours {hours:.2f}", hours / LONGEST_DAY, 0.0, "#1a8f6a"))
        rows += [(f"spent on good {i + 1} {c:.2f}", c / LARGEST_MEAL, 0.0, "#1a8f6a") for i, c in enumerate(goods)]
    share = assets / RANGE / 2
    rows.append((f"assets {assets:+.1f} of a household of kind {kind}", share, 0.5, "#2f6fde"))
    for row, (words, width, left, color) in enumerate(rows):
        y = 0.96 - row * 0.105
        axes.text(0.0, y, words, fontsize=10, va="center", color="#24292f")
        axes.barh(y - 0.045, 1.0, height=0.03, color="#eef1f4")
        axes.barh(y - 0.045, width, height=0.03, left=left, color=color)
    return True


@checked
def game(
    form: Literal["discrete", "continuous"] = "discrete",
    *,
    assets: int = 41,
    hours: int | None = None,
    consumption: int | None = None,
    tastes: Tastes = TASTES,
    highest_rate: float = 2.0,
    discount: float = 0.9,
    horizon: int | None = 200,
) -> TaxDesign | ContinuousTaxDesign:
    """Tax design in one of its forms.

    Args:
        form: ``"discrete"`` (exact) or ``"continuous"`` (as published, sampled).
        assets: cells of the discrete form, at least 21.
        hours: levels of work; 4, or 10 in the continuous form, if not given.
        consumption: levels of each good; 3, or 5 in the continuous form, if not given.
        tastes: three exponents > 0 for each kind of household.
        highest_rate: of each tax, > 0.
        discount: of both players, in [0, 1).
        horizon: of play and of the leader's objective, or None.

    Raises:
        InvalidArgumentError: no such form, or ``highest_rate`` is not positive.
        InvalidGameError: another number is out of range.
    """
    if form not in ("discrete", "continuous") or not 0 < highest_rate < float("inf"):
        raise InvalidArgumentError(
            f"form={form!r}, highest_rate={highest_rate!r}: expected 'discrete' or 'continuous', and a number > 0"
        )
    exact = form == "discrete"
    work, levels = (4, 3) if exact else (10, 5)
    economy = Economy.of(work if hours is None else hours, levels if consumption is None else consumption, tastes)
    if exact:
        return TaxDesign(economy, assets, highest_rate, discount=discount, horizon=horizon)
    return ContinuousTaxDesign(economy, highest_rate, discount=discount, horizon=horizon)


env, raw_env, parallel_env = faces(game)
