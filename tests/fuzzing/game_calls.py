"""More public calls: constructors of games and payments, adapters, sweeps, comparisons and experiments."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box

import stackelberg_games as sg
from stackelberg_games import exact, hypergradient
from stackelberg_games.adapters.payments import FunctionPayments, NetworkPayments, TablePayments
from stackelberg_games.hypergradient import StageCritics
from stackelberg_games.learning import plots
from stackelberg_games.learning.experiment import Experiment
from stackelberg_games.learning.information import Information
from stackelberg_games.learning.judges import BradleyTerry
from stackelberg_games.tournaments.evaluation import initial_commitment
from stackelberg_games.tournaments.suites import suite
from stackelberg_games.tournaments.sweep import Sweep
from stackelberg_games.tournaments.sweep_results import SweepResults
from stackelberg_games.tournaments.versus import versus
from tests.fuzzing.arguments import call
from tests.fuzzing.stored import played, scratch, whole
from tests.fuzzing.texts import EXPERIMENT

SEARCH = {"leader.scale": [0.1, 0.5]}
SWEEP: dict[str, Any] = {
    "game": "matrix-v0",
    "leader": "random_search",
    "follower": lambda: ("soft_value_iteration", {"temperature": 0.1}),
    "seeds": 1,
    "report_seeds": 1,
    "budget": 40,
    "points": 0,
    "evaluation_episodes": 10,
}


def toy() -> Any:
    """A small finite game."""
    return sg.make("discrete_toy-v0", horizon=4)


@cache
def preferences() -> Any:
    """A small game of preferences."""
    return sg.make("preference_grid-v0")


def shaped(numbers: torch.Tensor) -> Any:
    """Pays each state a number of its own."""
    paid = numbers[:2].reshape(2, 1, 1).expand(2, 1, 2)
    return sg.Tables(torch.full((2, 1, 2, 2), 0.5, dtype=torch.float64), paid, -paid)


def _configurable(**arguments: Any) -> None:
    game = sg.ConfigurableGame(**arguments, name="mine")
    sg.rollout(game, initial_commitment(game), sg.TabularResponse.uniform(game), episodes=1, seed=0, stages=2)


class Drift(sg.VectorGame):
    """A number that both push."""

    def initial(self, streams: Any) -> Any:
        return np.zeros((len(streams.episodes), 1))

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Any, stage: int) -> sg.Step:
        moved = states + leader_actions + follower_actions
        return sg.Step(moved, -(moved[:, 0] ** 2), moved[:, 0], np.zeros(len(moved), dtype=bool))


def _played(game: Any) -> None:
    """A step of a game that was made of something else."""
    env = game.env()
    env.reset(seed=0)
    env.step(env.action_space(env.agent_selection).sample())
    env.close()


def _sweep(**arguments: Any) -> None:
    """Read a sweep, which may be long, and play it where it is short."""
    planned = Sweep(**arguments)
    if len(planned.points) * (len(planned.seeds) + len(planned.report_seeds)) <= 4 and arguments["budget"] == 40:
        sg.sweep(**arguments, progress=False)


@cache
def swept() -> Any:
    """A finished one."""
    options = {key: value() if callable(value) else value for key, value in SWEEP.items()}
    return sg.sweep(SEARCH, **options, store=scratch() / "sweep", progress=False)


def _experiment(**arguments: Any) -> None:
    file = scratch() / "calls.toml"
    file.write_text(EXPERIMENT)
    Experiment.load(file).override([(arguments["key"], arguments["value"])]).build()


@cache
def evaluated() -> sg.Run:
    """A run that knows what was played."""
    return sg.train(toy(), "bchg", "soft_value_iteration", iterations=2, episodes=2, evaluate_every=1, progress=False)


def unit(shape: tuple[int, ...]) -> Any:
    """So many equal numbers."""
    return np.full(shape, 0.5)


@cache
def batch() -> sg.Trajectories:
    """Episodes of the small game."""
    return sg.rollout(toy(), sg.TabularPolicy(toy()), sg.TabularResponse.uniform(toy()), episodes=3, seed=0)


def critics() -> StageCritics:
    """Critics of these episodes."""
    return StageCritics(*(np.zeros((3, 4)) for _ in range(3)))


call(
    "Bounded",
    lambda numbers, **k: sg.Bounded(**k)(numbers),
    low=0.0,
    high=1.0,
    numbers=lambda: torch.zeros(2, dtype=torch.float64),
)
call(
    "Budgeted",
    lambda numbers, **k: sg.Budgeted(**k)(numbers),
    budget=1.0,
    temperature=1.0,
    numbers=lambda: torch.zeros(2, dtype=torch.float64),
)
call("Plain", lambda numbers: sg.Plain()(numbers), numbers=lambda: torch.zeros(2, dtype=torch.float64))
call("ConfigurableGame", _configurable, "size", transition=lambda: unit((2, 2, 2)), leader_reward=lambda: unit((2, 2)),
     follower_reward=lambda: unit((2, 2)), initial=lambda: [1.0, 0.0], size=2, configure=lambda: shaped, parametrisation=sg.Plain, spread=0.1,
     constant_base=True, leader_discount=0.9, follower_discount=0.9, horizon=3)  # fmt: skip
call("VectorGame", lambda **k: Drift("drift-v0", **k).env().reset(seed=0), "horizon", state_space=lambda: Box(-9, 9, (1,), np.float64),
     leader_action_space=lambda: Box(-1, 1, (1,), np.float64), follower_action_space=lambda: Box(-1, 1, (1,), np.float64),
     leader_discount=0.9, follower_discount=0.9, horizon=3)  # fmt: skip
call("adapt", lambda **k: _played(sg.adapt(**k)), "horizon", source="classic/rps-v2", leader="player_0", follower="player_1", others=None,
     shared=(), follower_sees_action=False, leader_discount=0.9, follower_discount=0.9, horizon=3, temperature=0.1)  # fmt: skip
call("incentives", lambda **k: _played(sg.incentives(**k)), "horizon", source="FrozenLake-v1",
     payments=lambda: {"kind": "table", "on": "state"}, objective="reward", cost=0.5, exact=None, leader_discount=0.9, follower_discount=0.9,
     horizon=5, temperature=0.1)  # fmt: skip
call("design", lambda **k: _played(sg.design(**k)), "horizon", source="MountainCar-v0", space=lambda: {"goal_velocity": (0.0, 0.1)},
     objective="reward", into="constructor", follower_sees_design=True, follower_discount=0.9, horizon=3, temperature=0.1)  # fmt: skip
call("preferences", lambda **k: _played(sg.preferences(**k)), "segment", "horizon", source="MountainCarContinuous-v0",
     reward=None, judge="bradley_terry", segment=3, follower_discount=0.9, horizon=6, temperature=0.1)  # fmt: skip
call("TablePayments", lambda **k: _paid(TablePayments(**k)), on="state", limit=1.0, budget=None)
call("NetworkPayments", lambda **k: _paid(NetworkPayments(**k)), hidden=(4,), low=0.0, high=1.0, spread=0.1)
call(
    "FunctionPayments",
    lambda **k: _paid(FunctionPayments(**k)),
    function=lambda: _pays,
    size=1,
    low=0.0,
    high=1.0,
    spread=0.1,
)
call("BradleyTerry", BradleyTerry, sharpness=1.0, error=0.1)
call(
    "certificate",
    exact.certificate,
    "horizon",
    game=toy,
    commitment=lambda: sg.TabularPolicy(toy()),
    temperature=0.1,
    discount=0.9,
    horizon=3,
)
call("differentiable_values", exact.differentiable_values, "horizon", game=toy, commitment=lambda: sg.TabularPolicy(toy()),
     temperature=0.1, discount=0.9, horizon=3, start=None)  # fmt: skip
call(
    "twin_objective",
    exact.twin_objective,
    game=toy,
    commitment=lambda: sg.TabularPolicy(toy()),
    temperature=0.1,
    weight=0.1,
    form="central",
)
call(
    "preference",
    exact.preference,
    game=preferences,
    commitment=lambda: initial_commitment(preferences()),
    temperature=0.1,
)
call("preference_rows", exact.preference_rows, game=preferences, commitment=lambda: initial_commitment(preferences()), temperature=0.1,
     pairs="on_policy", win_rate=False)  # fmt: skip
call("coefficients", hypergradient.coefficients, batch=batch, critics=critics, leader_discount=0.9, follower_discount=0.9,
     temperature=0.1, follower_sees_action=True)  # fmt: skip
call("influence", hypergradient.influence, batch=batch, benefit=lambda: np.ones((3, 4)), leader_discount=0.9, follower_discount=0.9,
     temperature=0.1, trace_decay=0.9)  # fmt: skip
call("StageCritics", lambda **k: hypergradient.coefficients(batch(), StageCritics(**k), leader_discount=0.9, follower_discount=0.9,
     temperature=0.1, follower_sees_action=True), **{name: (lambda: np.zeros((3, 4))) for name in ("benefit", "leader_advantage",
     "follower_advantage")})  # fmt: skip
call("Information", lambda **k: Information[k["name"]] if isinstance(k["name"], str) and k["name"] in Information.__members__ else None,
     name=lambda: next(iter(Information)).name)  # fmt: skip
call(
    "sweep",
    _sweep,
    "seeds",
    "report_seeds",
    "samples",
    "search_seed",
    search=lambda: dict(SEARCH),
    samples=None,
    search_seed=0,
    **SWEEP,
)
call("SweepResults.load", SweepResults.load, folder=lambda: f"{swept() and scratch()}/sweep")
call("payoffs of a sweep", lambda **k: swept().payoffs(**k), point=0, purpose="tuning")
call("saved sweep", lambda **k: swept().save(**k), folder=lambda: str(scratch() / "swept"))
call("plot of a sweep", lambda **k: swept().plot(**k), setting="leader.scale")
call("versus", lambda **k: versus(_results(), **k), leader="random_search", other="random_search(scale=0.5)")
call("suite", suite, name="quick")
call("Experiment", _experiment, key="leader.learning_rate", value=0.1)
call("regret", lambda **k: evaluated().regret(**k), optimum=1.0)
call("column", lambda **k: whole("bchg").column(**k), name="leader_return")
call("saved run", lambda **k: whole("bchg").save(**k), directory=lambda: str(scratch() / "saved"))
call(
    "draw_curves",
    plots.draw_curves,
    groups=lambda: {"bchg": [whole("bchg")]},
    figure=None,
    horizontal="transitions",
    optimum=1.0,
)
call("draw_gradient", plots.draw_gradient, exact=lambda: unit((3,)), mean=lambda: unit((3,)), error=lambda: unit((3,)))
call("a changed view", lambda **k: dataclasses.replace(toy().view(), **k), leader_discount=0.9, follower_discount=0.9)


def _pays(parameters: Any, states: Any, actions: Any) -> Any:
    return parameters[0].expand(len(states))


def _paid(payments: Any) -> None:
    """A game with these payments can be made."""
    _played(sg.incentives("FrozenLake-v1", payments, "reward", horizon=5))


def _results() -> sg.Results:
    return sg.Results.load(played()[0])
