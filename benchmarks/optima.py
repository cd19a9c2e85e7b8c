"""Exact optima of the registered games; stores ``docs/data/optima.json`` for the documentation.

Run with ``OMP_NUM_THREADS=1 python benchmarks/optima.py``; ``--games four_rooms-v0`` computes some
games again and keeps the other rows. Games are solved by ``exact.solve``, which says what each optimum rests on. In
linear-quadratic games of which it knows no global optimum it is the best of L-BFGS ascents on the exact hypergradient from the
standard first commitment and random ones, and the number of starts that reach it says how far to trust it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize

import stackelberg_games as sg
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy, random_gain
from stackelberg_games.envs.continuous_toy_v0 import VARIANTS, ContinuousToy
from stackelberg_games.envs.matrix_v0 import PRESETS
from stackelberg_games.errors import SolverError, UnknownIdError, UnsupportedGameError
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame
from stackelberg_games.rules.commitment import Commitment, assign, flatten

TOYS = ("1_1a", "1_1b", "1_2a", "1_2b", "1_2c", "1_2d", "1_2e", "1_2f", "1_2g", "2_1", "2_2", "3_1a", "3_1b", "3_2")

HARDLY = 1e-9
"""Temperature of a follower that hardly errs, where one without errors has no exact objective."""


class Case(NamedTuple):
    """A game with settings, and the follower's temperature."""

    game: str
    settings: dict[str, Any]
    temperature: float


def _floors() -> Iterator[Case]:
    """Four rooms and warehouses."""
    for temperature in (0.001, 0.003, 0.005):
        yield Case("four_rooms-v0", {}, temperature)
    yield Case("four_rooms-v0", {"goals": 2}, 0.003)
    for lever in ("costs", "one_way"):
        for temperature in (0.01, 0.02, 0.05):
            yield Case("warehouse-v0", {"lever": lever}, temperature)


CASES = (
    Case("discrete_toy-v0", {}, 0.05),
    Case("discrete_toy-v0", {"R": 2.0}, 0.05),
    *(Case("discrete_toy-v0", {"variant": variant}, 0.05) for variant in TOYS),
    *(Case("matrix-v0", {"preset": preset}, temperature) for preset in PRESETS for temperature in (0.0, 0.05)),
    *(
        Case("security_game-v0", {"preset": preset}, temperature)
        for preset in ("three_targets", "five_targets")
        for temperature in (0.0, 0.1)
    ),
    *(Case("repeated_pd-v0", {}, temperature) for temperature in (0.0, 0.01)),
    Case("repeated_pd-v0", {"discount": 0.99}, 0.001),
    *(Case("myopic-v0", {}, temperature) for temperature in (0.0, 0.05)),
    *(
        Case("contract-v0", {"preset": preset}, temperature)
        for preset in ("two_efforts", "four_efforts")
        for temperature in (0.0, 0.1)
    ),
    *(Case("principal_agent-v0", {}, temperature) for temperature in (0.0, 0.05)),
    *(Case("bayesian_matrix-v0", {}, temperature) for temperature in (0.0, 0.1)),
    *(Case("duopoly-v0", {}, temperature) for temperature in (0.0, 0.5)),
    *(Case("wholesale-v0", {}, temperature) for temperature in (0.0, 0.01)),
    *(Case("tax_linear-v0", {}, temperature) for temperature in (0.0, 0.01)),
    *(
        Case("toll-v0", {"preset": preset, "temperature": temperature}, temperature)
        for preset in ("pigou", "braess")
        for temperature in (0.0, 0.1)
    ),
    Case("pendulum_grid-v0", {}, 2.0),
    Case("random_game-v0", {}, 0.05),
    Case("random_game-v0", {"seed": 1}, 0.05),
    Case("random_game-v0", {"follower_discount": 0.0}, 0.0),
    *(Case("continuous_toy-v0", {"variant": variant}, 0.05) for variant in VARIANTS),
    Case("lqr-v0", {}, 0.1),
    *(Case("electricity-v0", {}, temperature) for temperature in (0.0, 0.1)),
    *(Case("lq_scalar-v0", {}, temperature) for temperature in (0.0, 0.001, 0.01)),
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


def climb(game: Game, commitment: Commitment, temperature: float) -> float:
    """L-BFGS to a local maximum; the commitment is moved there."""

    def negative(x: FloatArray) -> tuple[float, FloatArray]:
        assign(commitment, torch.from_numpy(x))
        commitment.zero_grad()
        try:
            found = sg.exact.leader_objective(game, commitment, temperature)
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


def linear_row(case: Case, game: Game, starts: int) -> dict[str, Any]:
    """The record of a game of vectors: the global optimum where one is known, and else the best of some ascents."""
    standard = float(sg.exact.leader_objective(game, first(game, 0, None), case.temperature or HARDLY).detach())
    if isinstance(game, LinearGaussianGame):
        with suppress(UnsupportedGameError):
            found = sg.exact.solve(game, case.temperature)
            reached = {"value": found.value, "uniform": standard, "evidence": found.evidence, "gap": found.gap}
            return {
                **reached,
                "error": found.error,
                "configuration": flatten(found.commitment).numpy().round(6).tolist(),
            }
    tried = [first(game, index, None if index == 0 else (0.01, 1.0, 3.0)[index % 3]) for index in range(starts)]
    ends = [climb(game, commitment, case.temperature) for commitment in tried]
    best = tried[int(np.argmax(ends))]
    configuration = best.configuration()
    numbers = flatten(best) if configuration is None else configuration.detach()
    near = sum(end >= max(ends) - 1e-3 * abs(max(ends)) for end in ends)
    return {
        "value": max(ends),
        "uniform": standard,
        "evidence": f"best of {starts} starts, reached by {near}",
        "gap": None,
        "configuration": numbers.numpy().round(5).tolist(),
    }


def finite_row(case: Case, game: TabularGame | EmbeddedGame, starts: int) -> dict[str, Any]:
    """The record of a finite game."""
    found = sg.exact.solve(game, case.temperature, starts=starts)
    configuration = found.commitment.configuration()
    if configuration is not None:
        chosen = {"configuration": configuration.detach().numpy().round(5).tolist()}
    elif isinstance(game, EmbeddedGame):
        chosen = {"policy": flatten(found.commitment).numpy().round(4).tolist()}
    else:
        chosen = {"policy": found.commitment.probabilities().detach().numpy().round(4).tolist()}
    return {
        "value": found.value,
        "uniform": sg.exact.certificate(game, game.commitment(), case.temperature).value,
        "evidence": found.evidence,
        "gap": found.gap if found.proved else None,
        "error": found.error,
        **chosen,
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
        finite = isinstance(game, TabularGame | EmbeddedGame)
        found = finite_row(case, game, starts) if finite else linear_row(case, game, starts)  # type: ignore[arg-type]
        row = {"game": case.game, "settings": case.settings, "temperature": case.temperature, **found}
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
