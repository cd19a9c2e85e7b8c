"""Exact optima of the registered games; stores ``docs/data/optima.json`` for the documentation.

Run with ``OMP_NUM_THREADS=1 python benchmarks/optima.py``; ``--games four_rooms-v0`` computes some
games again and keeps the other rows. Against a soft follower the optimum is the best of many L-BFGS
ascents on the exact hypergradient, and the share of starts that reach it within 0.1 % says how far
to trust it. At temperature 0 it comes from linear programs.

In games that are configured, and in linear-quadratic ones, starts are the standard first commitment
and random ones; finite ones with more than a few parameters are walked with Adam first, every other
start at a temperature that falls to the follower's, and where a game has an easier form with the same
lever that is walked first.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize

import stackelberg_games as sg
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy, random_gain
from stackelberg_games.commitments.networks import MLPCategoricalPolicy
from stackelberg_games.envs.continuous_toy_v0 import VARIANTS, ContinuousToy
from stackelberg_games.errors import SolverError, UnknownIdError
from stackelberg_games.exact.adjoint import reward_objective
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame
from stackelberg_games.rules.commitment import Commitment, assign, flatten

TOYS = ("1_1a", "1_1b", "1_2a", "1_2b", "1_2c", "1_2d", "1_2e", "1_2f", "1_2g", "2_1", "2_2", "3_1a", "3_1b", "3_2")


STEPS = 300
VARIED = 32
"""Starts whose spread differs; those beyond are all widely spread."""

FEW = 10
"""Parameters up to which random starts alone cover the space."""


class Case(NamedTuple):
    """A game with settings, and the follower's temperature."""

    game: str
    settings: dict[str, Any]
    temperature: float
    easier: dict[str, Any] | None = None


def _floors() -> Iterator[Case]:
    """Four rooms and warehouses; what makes them easier is that the leader's lever costs it nothing."""
    for temperature in (0.001, 0.003, 0.005):
        yield Case("four_rooms-v0", {}, temperature, {"cost": 0.0})
    yield Case("four_rooms-v0", {"goals": 2}, 0.003, {"goals": 2, "cost": 0.0})
    for lever in ("costs", "one_way"):
        for temperature in (0.01, 0.02, 0.05):
            yield Case("warehouse-v0", {"lever": lever}, temperature)


CASES = (
    Case("discrete_toy-v0", {}, 0.05),
    Case("discrete_toy-v0", {"R": 2.0}, 0.05),
    *(Case("discrete_toy-v0", {"variant": variant}, 0.05) for variant in TOYS),
    *(
        Case("matrix-v0", {"preset": preset}, temperature)
        for preset in ("letchford", "conitzer_sandholm", "escape", "maintain")
        for temperature in (0.0, 0.05)
    ),
    Case("pendulum_grid-v0", {}, 2.0),
    Case("random_game-v0", {}, 0.05),
    Case("random_game-v0", {"seed": 1}, 0.05),
    Case("random_game-v0", {"follower_discount": 0.0}, 0.0),
    *(Case("continuous_toy-v0", {"variant": variant}, 0.05) for variant in VARIANTS),
    Case("lqr-v0", {}, 0.1),
    Case("thermal_control-v0", {}, 0.1),
    Case("random_mdp-v0", {}, 1.0),
    *(Case("tax_design-v0", {}, temperature) for temperature in (0.1, 0.2, 0.3)),
    *_floors(),
)


def finite_form(game: ContinuousToy) -> TabularGame:
    """The discrete toy whose follower does not see the action; the leader's chance is its policy."""
    toy = game.toy
    tables = (toy.transition, game.leader_reward, toy.follower_reward, toy.initial_distribution)
    discounts = (toy.leader_discount, toy.follower_discount, toy.horizon)
    return TabularGame(*tables, *discounts, follower_sees_action=False, name=game.name)


def first(game: Any, seed: int, spread: float | None) -> Commitment:
    """The standard first commitment, or a random one around it."""
    if isinstance(game, LinearGaussianGame) and not hasattr(game, "parametrisation"):
        drawn = random_gain(game.view(), seed)
        assert isinstance(drawn, LinearGaussianPolicy)
        assign(drawn, (1.0 if spread is None else 3 * spread) * flatten(drawn))
        return drawn
    made: Configuration = game.commitment(seed, spread)
    return made


def value(game: Game, commitment: Commitment, temperature: float, warm: dict[str, FloatArray]) -> torch.Tensor:
    """The leader's objective; by three linear solves where only rewards are configured."""
    if not isinstance(game, ConfigurableGame) or game.horizon is not None or game.name == "random_mdp-v0":
        return sg.exact.leader_objective(game, commitment, temperature)
    configuration = commitment.configuration()
    assert configuration is not None
    if game.tables(configuration).transition.requires_grad:
        return sg.exact.leader_objective(game, commitment, temperature)
    found, warm["values"] = reward_objective(game, commitment, temperature, warm.get("values"))
    return found


def walk(game: Game, commitment: Commitment, temperatures: FloatArray) -> None:
    """A step of Adam at each temperature; crosses plateaus on which a line search stops."""
    optimizer = torch.optim.Adam(commitment.parameters(), lr=0.1, maximize=True)
    warm: dict[str, FloatArray] = {}
    for temperature in temperatures:
        optimizer.zero_grad()
        value(game, commitment, float(temperature), warm).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def climb(game: Game, commitment: Commitment, temperature: float) -> float:
    """L-BFGS to a local maximum; the commitment is moved there."""
    warm: dict[str, FloatArray] = {}

    def negative(x: FloatArray) -> tuple[float, FloatArray]:
        assign(commitment, torch.from_numpy(x))
        commitment.zero_grad()
        try:
            found = value(game, commitment, temperature, warm)
        except SolverError:  # beyond where the follower can stabilise the system
            return 1e10, np.zeros_like(x)
        found.backward()  # type: ignore[no-untyped-call]
        slope = torch.cat([p.grad.ravel() for p in commitment.parameters() if p.grad is not None])
        return -float(found.detach()), -slope.numpy()

    start = flatten(commitment).numpy()
    bounds = [(-60.0, 60.0)] * len(start)
    options = {"maxiter": 500, "maxfun": 1000, "ftol": 1e-13, "gtol": 1e-9}
    ended = minimize(negative, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    assign(commitment, torch.from_numpy(ended.x))
    return -float(ended.fun)


def best_of(case: Case, game: Game, starts: int) -> tuple[list[float], Commitment]:
    """Values reached from every start, and the best commitment."""
    easier = None if case.easier is None else sg.make(case.game, **case.easier)
    best, ends, temperature = None, [], case.temperature
    for index in range(starts):
        spread = None if index == 0 else (0.01, 1.0, 3.0)[index % 3] if index < VARIED else 3.0
        commitment = first(game, index, spread)
        walks = isinstance(game, TabularGame) and len(flatten(commitment)) > FEW
        if walks and index % 2:
            highest = max(0.02, 8 * temperature)
            walk(game, commitment, np.geomspace(highest, temperature, STEPS))
        if easier is not None and index % 4 >= 2:
            walk(easier, commitment, np.full(STEPS, temperature))
        if walks:
            walk(game, commitment, np.full(STEPS, temperature))
        ends.append(climb(game, commitment, temperature))
        if ends[-1] == max(ends):
            best = commitment
    assert best is not None
    return sorted(ends, reverse=True), best


def configured_row(case: Case, game: Game, starts: int) -> dict[str, Any]:
    """The record of a game that is configured, or linear-quadratic."""
    ends, commitment = best_of(case, game, starts)
    configuration = commitment.configuration()
    numbers = flatten(commitment) if configuration is None else configuration.detach()
    standard = value(game, first(game, 0, None), case.temperature, {})
    near = sum(end >= ends[0] - 1e-3 * abs(ends[0]) for end in ends)
    return {
        "game": case.game,
        "settings": case.settings,
        "temperature": case.temperature,
        "value": ends[0],
        "uniform": float(standard.detach()),
        "reached": [near, len(ends)],
        "configuration": numbers.numpy().round(5).tolist(),
    }


def embedded_row(case: Case, game: EmbeddedGame, starts: int) -> dict[str, Any]:
    """The record of a finite game whose states are shown as points: the best policy linear in them."""
    found = sg.exact.solve(game, case.temperature, starts=starts)
    near = sum(value >= found.value - 1e-3 * abs(found.value) for value in found.start_values)
    return {
        "game": case.game,
        "settings": case.settings,
        "temperature": case.temperature,
        "value": found.value,
        "uniform": float(sg.exact.leader_objective(game, MLPCategoricalPolicy(game), case.temperature).detach()),
        "reached": [near, len(found.start_values)],
        "policy": flatten(found.commitment).numpy().round(4).tolist(),
    }


def uniform_value(game: TabularGame, temperature: float) -> float:
    """What the uniform policy is worth against the same follower."""
    policy = sg.TabularPolicy(game)
    response = sg.exact.best_response(game, policy, temperature).policy
    return float(sg.exact.leader_value(game, policy, response))


def acting_row(case: Case, game: TabularGame, starts: int) -> dict[str, Any]:
    """The record of a finite game in which the leader acts."""
    found = sg.exact.solve(game, case.temperature, starts=starts)
    near = sum(value >= found.value - 1e-3 * abs(found.value) for value in found.start_values)
    return {
        "game": case.game,
        "settings": case.settings,
        "temperature": case.temperature,
        "value": found.value,
        "uniform": uniform_value(game, case.temperature),
        "reached": None if case.temperature == 0 else [near, len(found.start_values)],
        "policy": found.commitment.probabilities().detach().numpy().round(4).tolist(),
    }


def rows(starts: int, games: list[str]) -> Iterator[dict[str, Any]]:
    """One record for each case whose game is installed and asked for."""
    for case in CASES:
        if games and case.game not in games:
            continue
        try:
            game = sg.make(case.game, **case.settings)
        except UnknownIdError as error:
            print(error)
            continue
        if isinstance(game, ContinuousToy):
            game = finite_form(game)
        acts = isinstance(game, TabularGame) and not isinstance(game, ConfigurableGame)
        if isinstance(game, EmbeddedGame):
            row = embedded_row(case, game, starts)
        else:
            row = acting_row(case, game, starts) if acts else configured_row(case, game, starts)  # type: ignore[arg-type]
        print({name: entry for name, entry in row.items() if name not in ("policy", "configuration")}, flush=True)
        yield {**row, "command": f"python benchmarks/optima.py --starts {starts} --games {case.game}"}


def main() -> None:
    """Compute and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=32)
    parser.add_argument("--games", nargs="*", default=[], help="compute only these again")
    parser.add_argument("--out", type=Path, default=Path("docs/data/optima.json"))
    chosen = parser.parse_args()
    before = json.loads(chosen.out.read_text())["rows"] if chosen.games and chosen.out.exists() else []
    made = [row for row in before if row["game"] not in chosen.games]
    made += rows(chosen.starts, chosen.games)
    order = list(dict.fromkeys(case.game for case in CASES))
    made.sort(key=lambda row: order.index(row["game"]))
    stored = {"version": sg.__version__, "rows": made}
    chosen.out.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
