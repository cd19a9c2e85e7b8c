"""Kinds of games with a commitment each, the exact gradients there, and critics that are exact.

A representation that is *informed* has learned the truth: what is left of an estimate's error is noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.commitments.networks import MLPCategoricalPolicy
from stackelberg_games.envs import random_game_v0
from stackelberg_games.envs.thermal_control_v0 import POWER_COST, SPREAD, ThermalControl, design_cost, transition
from stackelberg_games.exact.pair import Pair
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.chain import accumulate, leader_chain
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.linear_quadratic import Cost, Dynamics, LinearGaussianGame
from stackelberg_games.kinds.moments import Quadratic
from stackelberg_games.kinds.riccati import SoftRiccati, closed_loop, discounted_reward
from stackelberg_games.learning.follower import Follower
from stackelberg_games.representations.configured_least_squares import ConfiguredCritics
from stackelberg_games.representations.configured_linear import ConfiguredLinear
from stackelberg_games.representations.finite import Finite
from stackelberg_games.representations.linear import Linear
from stackelberg_games.representations.protocol import Representation
from stackelberg_games.rules.commitment import Commitment, assign, flatten
from tests.embedded import Embedded, SoftFollower


@dataclass(frozen=True)
class Kind:
    """A kind of game.

    Attributes:
        game: makes one.
        commitment: makes one in it, away from every symmetry.
        temperature: of the follower.
        episodes: in a batch.
        informs: makes a representation know the exact critics at a commitment.
        frozen: the leader's exact value with the follower's response held as it is, differentiable.
        stages: after which episodes are cut; the game's own number if None.
        partner: makes the follower, where it is not the usual soft-optimal one.
    """

    game: Callable[[], Any]
    commitment: Callable[[Any], Commitment]
    temperature: float
    episodes: int
    informs: Callable[[Any, Any, Commitment, float], None]
    frozen: Callable[[Any, Commitment, float], Tensor]
    stages: int | None = None
    partner: Callable[[], Follower] | None = None

    def follower(self) -> Follower:
        """The soft-optimal one."""
        if self.partner is not None:
            return self.partner()
        game = self.game()
        if isinstance(game, Embedded):
            return SoftFollower(self.temperature)
        name = "soft_value_iteration" if isinstance(game, TabularGame) else "maxent_lqr"
        return sg.make_follower(name, temperature=self.temperature)

    def gradient(self, game: Any, commitment: Commitment) -> FloatArray:
        """The exact hypergradient."""
        return flat(commitment, exact.leader_objective(game, commitment, self.temperature))

    def frozen_gradient(self, game: Any, commitment: Commitment) -> FloatArray:
        """The exact gradient against a follower who does not respond."""
        return flat(commitment, self.frozen(game, commitment, self.temperature))


def flat(commitment: Commitment, value: Tensor) -> FloatArray:
    """Gradient of a scalar in all parameters."""
    found = torch.autograd.grad(value, list(commitment.parameters()), materialize_grads=True)
    return np.asarray(torch.cat([part.ravel() for part in found]).numpy())


def lopsided(commitment: Commitment, scale: float = 0.7) -> Commitment:
    """The commitment with drawn parameters."""
    draws = np.random.default_rng(3).normal(size=len(flatten(commitment)))
    assign(commitment, torch.tensor(scale * draws))
    return commitment


# Finite games.


def small(**settings: Any) -> TabularGame:
    """A random game of a few states, whose follower's plan fades within an episode."""
    chosen: dict[str, Any] = {"leader_discount": 0.9, "follower_discount": 0.6, "horizon": 12, **settings}
    return random_game_v0.game(4, chosen.pop("leader_actions", 2), 3, **chosen)


def finite_commitment(game: TabularGame) -> Commitment:
    """A drawn policy, or configuration, or both."""
    return lopsided(game.commitment() if isinstance(game, ConfigurableGame) else sg.TabularPolicy(game))


def informed_tables(learned: Finite, game: TabularGame, commitment: Commitment, temperature: float) -> None:
    """Tables of the true game in the place of those of the estimate."""
    observe, tables = learned.observe, exact.critics(game, commitment, temperature)

    def knowing(evidence: Any, played: Commitment) -> None:
        observe(evidence, played)
        learned.tables, learned.response = tables, tables.response
        with torch.no_grad():
            learned.arrays = Arrays.of(game, game.model(commitment))
        learned.pair = Pair(learned.arrays, learned.response)

    learned.observe = knowing  # type: ignore[assignment, method-assign]


def frozen_tables(game: TabularGame, commitment: Commitment, temperature: float) -> Tensor:
    """See ``Kind.frozen``."""
    response = torch.tensor(exact.best_response(game, commitment, temperature).policy)
    chain, reward = leader_chain(game.model(commitment), response, game.alive_tensor)
    return game.initial_tensor @ accumulate(game, chain, reward, None, None)


# Linear-quadratic games.


def plane() -> LinearGaussianGame:
    """A game in the plane whose leader is paid by a quadratic form, so that all values are quadratic."""
    return LinearGaussianGame(
        Dynamics([[0.6, 0.3], [-0.2, 0.5]], [[1.0], [0.4]], [[0.3], [1.0]], [1.0, -1.0], 0.5, 0.3),
        Cost([[1.0, 0.2], [0.2, 0.5]], [[0.7]]),
        Quadratic(0.0, np.array([0.3, -0.4]), np.array([[1.0, -0.3], [-0.3, 0.8]])),
        leader_discount=0.8,
        follower_discount=0.6,
        horizon=25,
    )


def informed_fit(learned: Linear, game: LinearGaussianGame, commitment: Commitment, temperature: float) -> None:
    """The true game and response in the place of the fitted ones."""
    learned.fit.game = lambda cost=None: game  # type: ignore[method-assign]
    with torch.no_grad():
        known = game.response(commitment, temperature)
    seen = known.gain.numpy(), known.covariance.numpy()
    learned.replied.solve = lambda: seen  # type: ignore[method-assign]


def frozen_loop(game: LinearGaussianGame, commitment: Commitment, temperature: float) -> Tensor:
    """See ``Kind.frozen``."""
    assert isinstance(commitment, LinearGaussianPolicy)
    assert game.horizon is not None
    response = SoftRiccati(*(part.detach() for part in game.response(commitment, temperature)))
    start = torch.tensor(game.start), torch.tensor(game.start_factor @ game.start_factor.T)
    loop = closed_loop(game.plant, commitment, response)
    return discounted_reward(loop, *start, game.reward, game.leader_discount, game.horizon)


def thermal_critics(game: ThermalControl, commitment: Commitment, temperature: float) -> ConfiguredCritics:
    """The exact critics of thermal control."""
    with torch.no_grad():
        plant = game.plant_of(commitment)
        answer = game.response(commitment, temperature)
    return ConfiguredCritics(
        plant.state.numpy(),
        plant.follower.numpy(),
        -(answer.gain @ plant.state).numpy(),
        answer.covariance.numpy(),
        plant.noise.numpy(),
        (SPREAD, POWER_COST * np.eye(2)),
        (plant.state_cost.numpy(), plant.control_cost.numpy()),
        game.leader_discount,
        game.follower_discount,
        game.stages(),
    )


def informed_critics(
    learned: ConfiguredLinear, game: ThermalControl, commitment: Commitment, temperature: float
) -> None:
    """Exact critics in the place of fitted ones."""
    known = thermal_critics(game, commitment, temperature)
    learned.fit.critics = lambda *arguments: known  # type: ignore[method-assign]


def frozen_moments(game: ThermalControl, commitment: Commitment, temperature: float) -> Tensor:
    """See ``Kind.frozen``: the moments of the states, stage by stage."""
    critics, configuration = thermal_critics(game, commitment, temperature), commitment.configuration()
    assert configuration is not None
    gain, push, spread = (torch.from_numpy(part) for part in (critics.gain, critics.push, critics.spread))
    loop, noise = transition(configuration) + push @ gain, torch.from_numpy(critics.noise) + push @ spread @ push.T
    bent = torch.tensor(SPREAD) + POWER_COST * gain.T @ gain
    moment = torch.eye(4, dtype=torch.float64) * float(game.start_factor[0, 0]) ** 2
    total = torch.zeros((), dtype=torch.float64)
    for t in range(game.stages()):
        total = total - game.leader_discount**t * ((bent * moment).sum() + design_cost(configuration))
        moment = loop @ moment @ loop.T + noise
    return total


# Games of vectors: finite ones whose states are shown as points.


def informed_stages(learned: Any, game: Embedded, commitment: Commitment, temperature: float) -> None:
    """Exact critics at the stages played in the place of fitted ones."""
    tables, fit = exact.critics(game.table, game.as_table(commitment), temperature), learned.fit

    def known(played: Commitment) -> Any:
        seen = fit.kept[0].batch
        return tables.at(
            sg.Trajectories(game.codes(seen.states), *[getattr(seen, name) for name in list(vars(seen))[1:7]]),
            transitions=True,
        )

    fit.fit, fit.critics = lambda: None, known


def frozen_embedded(game: Embedded, commitment: Commitment, temperature: float) -> Tensor:
    """See ``Kind.frozen``."""
    return frozen_tables(game.table, game.as_table(commitment), temperature)


def network(game: Embedded) -> Commitment:
    """A network that commits to something lopsided, or a drawn configuration."""
    if isinstance(game.table, ConfigurableGame):
        return finite_commitment(game.table)
    return lopsided(MLPCategoricalPolicy(game, (4,)))


TABLES: tuple[Any, Any] = (informed_tables, frozen_tables)
POINTS: tuple[Any, Any] = (informed_stages, frozen_embedded)
KINDS = {
    "finite": Kind(small, finite_commitment, 0.3, 200, *TABLES),
    "finite, unseen action": Kind(lambda: small(follower_sees_action=False), finite_commitment, 0.3, 200, *TABLES),
    "configured": Kind(lambda: small(leader_actions=1, configuration_size=2), finite_commitment, 0.3, 200, *TABLES),
    "configured, endless": Kind(
        lambda: small(leader_actions=1, configuration_size=2, horizon=None), finite_commitment, 0.3, 200, *TABLES
    ),
    "configured and acted in": Kind(lambda: small(configuration_size=2), finite_commitment, 0.3, 200, *TABLES),
    "linear": Kind(
        plane,
        lambda game: LinearGaussianPolicy(game, [[-0.4, 0.5]], std=0.5),
        0.5,
        100,
        informed_fit,
        frozen_loop,
    ),
    "configured linear": Kind(
        lambda: sg.make("thermal_control-v0"),
        lambda game: game.commitment(1, 1.0),
        1.0,
        50,
        informed_critics,
        frozen_moments,
    ),
    "networks": Kind(lambda: Embedded(small()), network, 0.3, 200, *POINTS),
    "networks, configured": Kind(
        lambda: Embedded(small(leader_actions=1, configuration_size=2)), network, 0.3, 200, *POINTS
    ),
}


def estimates(kind: Kind, leader: Any, batches: int, *, informed: bool = True) -> tuple[FloatArray, Any, Commitment]:
    """Estimates of the hypergradient from independent batches, each by a leader that starts anew; game and commitment."""
    game = kind.game()
    commitment = kind.commitment(game)
    follower = kind.follower()
    follower.begin(game)
    answer = follower.respond(game, commitment)
    ledger, rows = game.ledger(), []
    for number in range(batches):
        leader.begin(game.view(kind.temperature, ledger), seed=number, commitment=commitment)
        learned: Representation = leader.learned
        if informed:
            kind.informs(learned, game, commitment, kind.temperature)
        played: dict[str, Any] = {
            "episodes": kind.episodes,
            "stages": kind.stages,
            "seed": 5,
            "first_episode": kind.episodes * number,
        }
        batch = sg.rollout(game, commitment, answer.policy, **played)
        if ledger is not None:
            ledger.reveal(batch)
        evidence = sg.Evidence(batch.leader_returns(game.leader_discount), batch, follower_policy=answer.policy)
        rows.append(leader.estimate(evidence).numpy())
    return np.stack(rows), game, commitment


def configuration(commitment: Commitment) -> Configuration:
    """The commitment, which is one."""
    assert isinstance(commitment, Configuration)
    return commitment
