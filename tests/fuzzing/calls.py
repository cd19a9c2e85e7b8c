"""Public calls, with arguments that are nearly right."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

import stackelberg_games as sg
from stackelberg_games import hypergradient
from stackelberg_games.conformance import CHECKS
from stackelberg_games.hypergradient import StageCritics
from stackelberg_games.learning import curves, plots, registry
from stackelberg_games.learning.registry import Kind, factory
from stackelberg_games.numerics import checkpoint
from stackelberg_games.play import film
from stackelberg_games.rules.lever import Terms
from stackelberg_games.tournaments import leaderboard, ratings, statistics
from stackelberg_games.tournaments.results import Results
from stackelberg_games.tournaments.tournament_file import parse
from tests.fuzzing import game_calls  # noqa: F401 (adds its calls)
from tests.fuzzing.arguments import CALLS, JUNK, LARGE, call
from tests.fuzzing.stored import cup, played, scratch, stored, whole
from tests.fuzzing.target import Case, Target
from tests.fuzzing.texts import TOURNAMENT


@cache
def game() -> sg.TabularGame:
    """A small game."""
    made = sg.make("discrete_toy-v0", horizon=4)
    assert isinstance(made, sg.TabularGame)
    return made


def policy() -> sg.TabularPolicy:
    """A commitment of it."""
    return sg.TabularPolicy(game())


def response() -> sg.TabularResponse:
    """A reply to it."""
    return sg.TabularResponse.uniform(game())


@cache
def batch() -> sg.Trajectories:
    """Episodes of it."""
    return sg.rollout(game(), policy(), response(), episodes=3, seed=0)


def critics() -> StageCritics:
    """Critics of these episodes."""
    return StageCritics(*(np.zeros((3, 4)) for _ in range(3)))


@cache
def results() -> Results:
    """Of a small tournament."""
    played()
    return Results.load(played()[0])


def somewhere() -> str:
    """A folder that goes with its process."""
    return str(scratch() / "written")


def train(**arguments: Any) -> Any:
    """A short run, however often the mutated counts say otherwise."""
    return sg.train(**arguments)


LOOP = {
    "game": game,
    "leader": "bchg",
    "follower": "soft_value_iteration",
    "iterations": 2,
    "episodes": 2,
    "progress": False,
}
SCORES = {"ours": lambda: np.array([[0.1, 0.5, 0.9]]), "theirs": lambda: np.array([[0.2, 0.4, 0.6]])}
call("make", lambda **k: sg.make(k.pop("game_id"), **k), game_id="discrete_toy-v0", variant="4", R=1.0, horizon=3)
call(
    "make_leader",
    lambda **k: sg.make_leader(k.pop("id"), **k),
    id="bchg",
    learning_rate=0.1,
    start=dict,
    representation=lambda: {"memory": 0.9},
    actor_steps=1,
)
call(
    "make_follower",
    lambda **k: sg.make_follower(k.pop("id"), **k),
    id="soft_value_iteration",
    temperature=0.1,
    sweeps=2,
)
for known in sg.leaders():
    call(f"leader {known}", lambda known=known, **k: _setting(sg.make_leader, known, **k), which=0, value=1)
for known in sg.followers():
    call(f"follower {known}", lambda known=known, **k: _setting(sg.make_follower, known, **k), which=0, value=1)
for known in sg.games():
    call(f"game {known}", lambda known=known, **k: _setting(sg.make, known, **k), "value", which=0, value=1)
call("register", lambda **k: _registered(**k), kind="leader", new_id="fuzzed")
call(
    "train",
    train,
    "seed",
    "budget",
    **LOOP,
    seed=0,
    budget=100,
    stages=3,
    temperature=0.05,
    evaluate_every=1,
    checkpoint_every=1,
)
call(
    "train, objects",
    train,
    **{**LOOP, "leader": lambda: sg.make_leader("fixed")},
    commitment=policy,
    directory=somewhere,
    callbacks=(),
)
call("gradient_check", sg.gradient_check, "seed", game=game, leader="bchg", batches=2, episodes=2, warmup=0, seed=0)
call("rollout", sg.rollout, "episodes", "stages", "first_episode", "seed", game=game, commitment=policy, follower_policy=response,
     episodes=2, seed=0, first_episode=0, stages=3)  # fmt: skip
call("TabularGame", sg.TabularGame, "horizon", transition=lambda: np.full((2, 2, 2, 2), 0.5), leader_reward=lambda: np.ones((2, 2, 2)),
     follower_reward=lambda: np.ones((2, 2, 2)), initial=lambda: [1.0, 0.0], leader_discount=0.9, follower_discount=0.9, horizon=3,
     terminal=lambda: [False, True], follower_sees_action=True, name="mine")  # fmt: skip
call("TabularPolicy", sg.TabularPolicy, game=game, logits=lambda: np.zeros((3, 2)))
call(
    "from_probabilities",
    sg.TabularPolicy.from_probabilities,
    game=game,
    probabilities=lambda: np.full((3, 2), 0.5),
    floor=1e-300,
)
call("MLPPolicy", sg.MLPPolicy, "seed", game=game, hidden=(4,), seed=0)
call("Configuration", sg.Configuration, parameters=lambda: [0.1, 0.2], transform=None, policy=None, states=3)
call("TabularResponse", sg.TabularResponse, probabilities=lambda: response().probabilities)
call(
    "Trajectories",
    lambda **k: dataclasses.replace(batch(), **k).leader_returns(0.9),
    **{
        name: (lambda name=name: getattr(batch(), name))
        for name in ("states", "leader_actions", "leader_rewards", "lengths", "terminated")
    },
)
call("leader_returns", lambda **k: batch().leader_returns(**k), discount=0.9)
call("a part of a batch", lambda **k: batch()[k["part"]], part=slice(0, 2))
call("best_response", sg.exact.best_response, game=game, commitment=policy, temperature=0.1, start=None)
call(
    "leader_objective",
    sg.exact.leader_objective,
    "horizon",
    game=game,
    commitment=policy,
    temperature=0.1,
    discount=0.9,
    horizon=3,
    start=None,
)
call(
    "leader_value",
    sg.exact.leader_value,
    "horizon",
    game=game,
    commitment=policy,
    response=lambda: response().probabilities,
    discount=0.9,
    horizon=3,
)
call(
    "follower_value",
    sg.exact.follower_value,
    game=game,
    commitment=policy,
    response=lambda: response().probabilities,
    temperature=0.1,
)
call("critics", sg.exact.critics, game=game, commitment=policy, temperature=0.1)
call("solve", sg.exact.solve, "seed", game=game, temperature=0.1, commitment=None, starts=1, seed=0)
call("covariance", hypergradient.covariance, batch=batch, terms=lambda: Terms(torch.zeros(3, 4, dtype=torch.float64)), critics=critics,
     leader_discount=0.9, follower_discount=0.9, temperature=0.1, follower_sees_action=True, centre=False)  # fmt: skip
call("traces", hypergradient.traces, benefit=lambda: np.ones((3, 4)), lengths=lambda: np.array([4, 4, 4]), leader_discount=0.9,
     follower_discount=0.9, scale=1.0)  # fmt: skip
call("collapse", hypergradient.collapse, weights=lambda: np.ones((3, 4)), batch=batch, states=3, actions=2)
call("aec", lambda **k: _aec(**k), "seed", render_mode=None, seed=0, leader=0, follower=1, agent="leader_0", state=None)
call(
    "parallel",
    lambda **k: _parallel(**k),
    "seed",
    form="turns",
    render_mode=None,
    seed=0,
    actions=lambda: {"leader_0": 0},
    agent="follower_0",
)
call("best_response_env", lambda **k: _gym(**k), "seed", commitment=policy, render_mode=None, seed=0, action=0)
call("vector_env", lambda **k: _vector(**k), "num_envs", "seed", num_envs=2, commitment=policy, roles=False, backend="batched",
     autoreset_mode=None, seed=0, actions=lambda: np.array([0, 1]))  # fmt: skip
call(
    "vector_env of both",
    lambda **k: _vector(**k),
    "num_envs",
    num_envs=1,
    commitment=None,
    roles=True,
    seed=0,
    actions=lambda: np.array([0, 1]),
)
call("homogenize", lambda **k: sg.homogenize(**k), env=lambda: game().parallel_env(), masks="info", roles=False)
call(
    "AECGame", sg.AECGame, factory=lambda: game().env, leader_discount=0.9, follower_discount=0.9, horizon=3, workers=1
)
call(
    "configured",
    lambda **k: sg.make("warehouse-v0").configured(k["configuration"]),
    configuration=lambda: torch.zeros(45, dtype=torch.float64),
)
call("Tournament", lambda **k: sg.Tournament(**k).plan(), "seeds", "budget", games="matrix-v0", leaders="random_search",
     followers="soft_value_iteration", seeds=2, budget=60, episodes=2, held_out=(), references=False, bounds=None, stages=None, points=2,
     evaluation_episodes=20)  # fmt: skip
call(
    "play",
    lambda **k: cup().play(**k),
    store=None,
    backend="serial",
    workers=1,
    timeout=None,
    retry=True,
    address=None,
    progress=False,
)
call("parse", parse, text=TOURNAMENT, changes=None, allow_import=False)
call("Results.load", Results.load, folder=lambda: str(played()[0]))
call("Run.load", sg.Run.load, directory=lambda: str(stored("bchg")), commitment=None)
call("payoffs", lambda **k: results().payoffs(**k), player="leader", against=None)
call("reference", lambda **k: results().reference(**k), label="exact optimum", player="leader", against=None)
call("score_table", lambda **k: results().score_table(**k), leader="random_search", against=None)
call(
    "curves",
    lambda **k: results().curves(**k),
    game="matrix-v0",
    follower="best_response",
    leader="random_search",
)
call("costs", lambda **k: results().costs(**k), leader="random_search")
call("contests", lambda **k: results().contests(**k), player="leader", members=lambda: ["random_search"])
call("save", lambda **k: results().save(**k), folder=somewhere)
call("report", lambda **k: results().report(**k), path=lambda: f"{somewhere()}/report.html")
call("leaderboard", leaderboard.leaderboard, results=results, confidence=0.9)
call(
    "compare", leaderboard.compare, results=results, members=lambda: ["random_search"], player="leader", confidence=0.9
)
call("alpha_rank_masses", leaderboard.alpha_rank_masses, results=results, game="matrix-v0", alpha=1.0)
call(
    "bounded_mean",
    statistics.bounded_mean,
    scores=lambda: np.array([[0.1, 0.5, 0.9]]),
    low=-1.0,
    high=2.0,
    confidence=0.9,
)
call("probability_of_improvement", statistics.probability_of_improvement, **SCORES, confidence=0.9)
call("median_band", curves.median_band, runs=lambda: np.ones((3, 2)), confidence=0.9)
call(
    "performance_profile",
    statistics.performance_profile,
    scores=SCORES["ours"],
    thresholds=lambda: np.linspace(0, 1, 3),
    confidence=0.9,
)
call("bradley_terry", ratings.bradley_terry, wins=lambda: np.eye(2), prior_ties=1.0, tolerance=1e-9)
call("alpha_rank", ratings.alpha_rank, leader=lambda: np.eye(2), follower=lambda: np.eye(2), alpha=1.0, population=10)
call(
    "learning_curves",
    plots.learning_curves,
    groups=lambda: {"bchg": [whole("bchg")]},
    path=lambda: f"{somewhere()}/curves.png",
    optimum=None,
    title="",
)
call(
    "save_film",
    film.save_film,
    pictures=lambda: iter([np.zeros((4, 4, 3), np.uint8)]),
    path=lambda: f"{somewhere()}/film.gif",
    fps=5.0,
)
call(
    "checkpoint",
    lambda **k: _stored(k["state"]),
    state=1,
)
call(
    "check_game",
    lambda **k: sg.check_game(**k),
    factory=lambda: game,
    skip=lambda: [*CHECKS][2:],
    follower_sees_action=None,
)


def _setting(maker: Callable[..., Any], known: str, which: Any, value: Any) -> Any:
    """Give one of a factory's settings a value."""
    kinds: dict[Any, Kind] = {sg.make: "game", sg.make_leader: "leader", sg.make_follower: "follower"}
    names = list(inspect.signature(factory(kinds[maker], known)).parameters)
    name = names[which % len(names)] if isinstance(which, int) and names else "nonsense"
    made = maker(known, **{name: value})
    if isinstance(made, sg.Game):
        made.view()
    return made


def _registered(kind: Any, new_id: Any) -> None:
    """Register something, and forget it again."""
    sg.register(kind, new_id)(lambda: None)
    del registry._added[kind][new_id]


def _stored(state: Any) -> Any:
    file = Path(somewhere()) / "state"
    checkpoint.save(file, state)
    return checkpoint.load(file)


def _aec(render_mode: Any, seed: Any, leader: Any, follower: Any, agent: Any, state: Any) -> None:
    env: Any = game().env(render_mode)
    env.reset(seed=seed)
    env.unwrapped.observation_space(agent)
    env.observe(agent)
    env.step(leader)
    env.step(follower)
    if state is not None:
        env.unwrapped.set_state(state)


def _parallel(form: Any, render_mode: Any, seed: Any, actions: Any, agent: Any) -> None:
    env = game().parallel_env(form, render_mode)
    env.reset(seed=seed)
    env.action_space(agent)
    env.step(actions)


def _gym(commitment: Any, render_mode: Any, seed: Any, action: Any) -> None:
    env = sg.best_response_env(game(), commitment, render_mode=render_mode)
    env.reset(seed=seed)
    env.step(action)


def _vector(seed: Any, actions: Any, **arguments: Any) -> None:
    env = sg.vector_env(game(), **arguments)
    env.reset(seed=seed)
    env.step(actions)


def run_call(case: Case) -> None:
    """Call with some of the arguments replaced."""
    name, changes = case
    function, arguments, _ = CALLS[name]
    made = {key: value() for key, value in arguments.items()}
    for key, junk in changes:
        made[key] = junk if isinstance(junk, int) else {**JUNK, **LARGE}[junk]()
    Path(somewhere()).mkdir(exist_ok=True)
    with contextlib.chdir(somewhere()):  # what is nearly a path must not be written into the checkout
        returned = function(**made)
    if isinstance(returned, float | np.ndarray | torch.Tensor) and name not in MAY_BE_UNKNOWN:
        assert np.isfinite(np.asarray(torch.as_tensor(returned).detach())).all(), returned


MAY_BE_UNKNOWN = ("checkpoint", "payoffs", "reference", "follower_gap", "contests", "score_table")
"""Calls whose numbers are NaN where something is not known."""


CODE = ("objective", "function", "configure", "into", "factory", "source")
RAISING = ("class", "function", "policy")
"""What a caller writes may raise what it likes: it is the caller's own traceback."""


@st.composite
def calls(draw: st.DrawFn) -> Case:
    """A call, and up to three of its arguments with other values."""
    name = draw(st.sampled_from(list(CALLS)))
    _, arguments, large = CALLS[name]
    changes = []
    for key in draw(st.lists(st.sampled_from(list(arguments)), min_size=1, max_size=3, unique=True)):
        pool = [*JUNK, *LARGE] if key in large else list(JUNK)
        if key in CODE:
            pool = [name for name in pool if name not in RAISING]
        if name.startswith(("leader ", "follower ", "game ")) and key == "which":
            changes.append([key, draw(st.integers(0, 20))])
        else:
            changes.append([key, draw(st.sampled_from(pool))])
    return [name, changes]


TARGETS = [Target("public calls", calls(), run_call, ["rollout", []], 0.5)]
