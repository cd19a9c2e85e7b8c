"""Every algorithm with every representation against the exact gradient that it estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games.agents.leaders.bchg import BCHG
from stackelberg_games.commitments.networks import MLPCategoricalPolicy
from stackelberg_games.errors import StackelbergError
from stackelberg_games.representations.prototypes import Nearest
from stackelberg_games.rules.commitment import assign
from tests.checks import FALSE_ALARM, mean_p_value
from tests.truths import KINDS, POINTS, TABLES, Kind, estimates, lopsided, small

CLOSED = ("linear", "configured linear")
"""Kinds whose critics know the gradient of the follower's value."""


def unbiased() -> list[Any]:
    """(leader, settings, kind, which gradient): with exact critics the mean of the estimates is the gradient."""
    cells: list[tuple[str, Mapping[str, Any], str, str]] = []
    for kind in KINDS:
        cells.append(("policy_gradient", {}, kind, "frozen"))
        cells.append(("bchg", {"adjoint": {"kind": "unroll"}}, kind, "exact"))
        cells.append(("bchg", {"adjoint": {"kind": "unroll", "centre": False}}, kind, "exact"))
        if kind in CLOSED:
            cells.append(("bchg", {}, kind, "exact"))
    return [pytest.param(*cell, id=f"{cell[0]} {cell[1] or ''} {cell[2]}") for cell in cells]


@pytest.mark.parametrize(("leader", "settings", "name", "truth"), unbiased())
def test_with_exact_critics_the_mean_of_the_estimates_is_the_gradient(
    leader: str, settings: dict[str, Any], name: str, truth: str
) -> None:
    kind = KINDS[name]
    rows, game, commitment = estimates(kind, sg.make_leader(leader, **settings), 40)
    exact, frozen = kind.gradient(game, commitment), kind.frozen_gradient(game, commitment)
    wanted, other = (exact, frozen) if truth == "exact" else (frozen, exact)
    assert mean_p_value(rows, wanted) > FALSE_ALARM
    assert mean_p_value(rows, other) < FALSE_ALARM  # the test can tell the response row apart


def short_toy(horizon: int) -> Kind:
    """The toy, whose follower looks as far beyond a short horizon as into it."""

    def commitment(game: Any) -> sg.TabularPolicy:
        made = sg.TabularPolicy(game)
        assign(made, torch.log(torch.tensor([0.5, 0.5, 0.83, 0.17, 0.5, 0.5], dtype=torch.float64)))
        return made

    return Kind(lambda: sg.make("discrete_toy-v0", R=1.0, horizon=horizon), commitment, 0.05, 4000, *TABLES)


SHORT = {
    **{f"toy, {horizon}": short_toy(horizon) for horizon in (1, 5, 10, 20)},
    "3 stages": replace(KINDS["finite"], game=lambda: small(horizon=3)),
    "3 stages, unseen action": replace(KINDS["finite"], game=lambda: small(horizon=3, follower_sees_action=False)),
    "cut at 4": replace(KINDS["finite"], game=lambda: small(horizon=None), stages=4),
    "cut at 4, unseen action": replace(
        KINDS["finite"], game=lambda: small(horizon=None, follower_sees_action=False), stages=4
    ),
}


@pytest.mark.parametrize("name", SHORT)
def test_what_reaches_beyond_the_end_is_counted(name: str) -> None:
    rows, game, commitment = estimates(kind := SHORT[name], sg.make_leader("bchg"), 100)
    exact = kind.gradient(game, commitment)
    assert np.linalg.norm(rows.std(axis=0, ddof=1)) / 10 < 0.03 * np.linalg.norm(exact)
    assert mean_p_value(rows, exact) > FALSE_ALARM


@pytest.mark.parametrize("horizon", [5, 10, 20])
def test_what_reaches_beyond_the_end_is_learned(horizon: int) -> None:
    """At horizon 1 nothing was ever played from the states that are reached, and nothing is known of them."""
    kind = replace(short_toy(horizon), episodes=40_000)
    rows, game, commitment = estimates(kind, BCHG(), 10, informed=False)
    assert mean_p_value(rows, kind.gradient(game, commitment)) > FALSE_ALARM


def test_what_reaches_beyond_the_end_is_logged() -> None:
    kind, leader = replace(short_toy(10), episodes=40_000), BCHG()
    estimates(kind, leader, 1, informed=False)
    assert 0.5 < leader.values.figures()["carried"] < 1.0
    faded = replace(kind, game=lambda: sg.make("discrete_toy-v0", R=1.0, horizon=10, follower_discount=0.3))
    estimates(faded, leader, 1, informed=False)
    assert leader.values.figures()["carried"] < 0.3  # what the last reply owes, one stage on


FITTED: list[tuple[str, dict[str, Any]]] = [
    ("bchg", {}),
    ("bchg", {"reads": "policy"}),
    ("hpgd", {}),
    ("hpgd", {"estimation": "sarsa"}),
    ("hpgd", {"estimation": "td"}),
    ("sobirl", {}),
    ("model_based", {}),
    ("stackelberg_actor_critic", {"reads": "none"}),
    ("stackelberg_actor_critic", {}),
    ("stackelberg_ppo", {"reads": "none", "damping": 0.0}),
]
"""Leaders whose estimates tend to the exact hypergradient as their data grow."""


def consistent() -> list[Any]:
    """(leader, settings, kind): games of vectors apart, whose networks are too dear for much data here."""
    cells = []
    for leader, settings in FITTED:
        for name in KINDS:
            finite = name in ("finite", "finite, unseen action") or (
                name.startswith("configured") and name[-6:] != "linear"
            )
            if not name.startswith("networks") and (finite or leader != "bchg" or "reads" not in settings):
                cells.append(pytest.param(leader, settings, name, id=f"{leader} {settings or ''} {name}"))
    return cells


def misses(kind: Kind, leader: str, settings: dict[str, Any], episodes: int, batches: int) -> tuple[float, float]:
    """Relative distance of the mean estimate from the truth, and what noise alone would give."""
    rows, game, commitment = estimates(
        replace(kind, episodes=episodes), sg.make_leader(leader, **settings), batches, informed=False
    )
    exact = kind.gradient(game, commitment)
    size = np.linalg.norm(exact)
    noise = (rows.var(axis=0, ddof=1).sum() / batches) ** 0.5
    return float(np.linalg.norm(rows.mean(axis=0) - exact) / size), float(noise / size)


@pytest.mark.parametrize(("leader", "settings", "name"), consistent())
def test_with_fitted_critics_the_bias_fades_with_data(leader: str, settings: dict[str, Any], name: str) -> None:
    few, _ = misses(KINDS[name], leader, settings, 20, 30)
    many, noise = misses(KINDS[name], leader, settings, 400 if name == "configured linear" else 2000, 6)
    assert many < max(0.5 * few, 4 * noise, 0.05)
    assert many < 0.15 + 4 * noise


ON_ANCHORS: list[tuple[str, dict[str, Any]]] = [
    ("model_based", {}),
    ("stackelberg_actor_critic", {"reads": "none"}),
    ("lola", {"reads": "none", "lookahead": 400}),
]
"""Leaders that fit a game to vectors; many steps of the follower's are as good as its convergence."""


@pytest.mark.parametrize(("leader", "settings"), ON_ANCHORS)
def test_a_game_fitted_to_vectors_has_the_exact_hypergradient(leader: str, settings: dict[str, Any]) -> None:
    quick = {"representation": {"steps": 20}}
    few, _ = misses(KINDS["networks"], leader, {**settings, **quick}, 20, 2)
    many, noise = misses(KINDS["networks"], leader, {**settings, **quick}, 2000, 2)
    assert many < max(0.5 * few, 4 * noise, 0.05)
    assert many < 0.15 + 4 * noise


AGGREGATED: list[tuple[str, dict[str, Any]]] = [
    ("bchg", {}),
    ("hpgd", {"estimation": "td"}),
    ("sobirl", {}),
    ("model_based", {}),
    ("stackelberg_actor_critic", {"reads": "none"}),
    ("lola", {"reads": "none", "lookahead": 100}),
]


@pytest.mark.parametrize(("leader", "settings"), AGGREGATED)
def test_with_a_prototype_for_every_state_the_bias_fades_with_data(leader: str, settings: dict[str, Any]) -> None:
    settings = {**settings, "representation": {"kind": "prototypes", "states": 6}}
    few, _ = misses(KINDS["networks"], leader, settings, 20, 30)
    many, noise = misses(KINDS["networks"], leader, settings, 2000, 6)
    assert many < max(0.5 * few, 4 * noise, 0.05)
    assert many < 0.15 + 4 * noise


def pendulum() -> Kind:
    """825 states shown as vectors, of which a batch visits some."""
    return Kind(
        lambda: sg.make("pendulum_grid-v0"),
        lambda game: lopsided(MLPCategoricalPolicy(game, ()), 0.3),
        2.0,
        10,
        *POINTS,
        partner=lambda: sg.make_follower("soft_value_iteration", temperature=2.0),
    )


@pytest.mark.parametrize(("leader", "settings"), ON_ANCHORS[:1])
def test_on_visited_states_of_a_pendulum_the_gradient_points_uphill(leader: str, settings: dict[str, Any]) -> None:
    rows, game, commitment = estimates(pendulum(), sg.make_leader(leader, **settings), 2, informed=False)
    exact = pendulum().gradient(game, commitment)
    cosines = rows @ exact / np.linalg.norm(rows, axis=1) / np.linalg.norm(exact)
    assert cosines.min() > 0.9


PLAYED: list[tuple[str, dict[str, Any]]] = [
    ("policy_gradient", {}),
    ("bi_actor_critic", {}),
    ("bchg", {}),
    ("hpgd", {"estimation": "sarsa"}),
    ("sobirl", {}),
    ("model_based", {}),
    ("stackelberg_actor_critic", {"reads": "none"}),
    ("lola", {"reads": "none"}),
    ("stackelberg_ppo", {"reads": "none"}),
]
HIDDEN = "a lever tells of stages that were played, a model has to know what it does in others too"
EMPTY = {
    ("model_based", "networks, configured"): HIDDEN,
    ("stackelberg_actor_critic", "networks, configured"): HIDDEN,
    ("lola", "networks, configured"): HIDDEN,
    ("stackelberg_ppo", "networks, configured"): HIDDEN,
    ("bi_actor_critic", "linear"): "the backup has no closed form where the leader cannot steer everywhere",
}
FINITE = [name for name in KINDS if not name.startswith("networks")]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("leader", "settings"), PLAYED)
def test_a_resumed_run_gives_the_same_numbers(leader: str, settings: dict[str, Any], name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    if (leader, name) in EMPTY:
        pytest.skip(EMPTY[leader, name])
    quick = {"representation": {"steps": 2}} if name.startswith("networks") else {}
    assert_resumes(kind, leader, {**settings, **quick}, tmp_path)


@pytest.mark.parametrize("leader", ["bchg", "model_based"])
def test_a_resumed_run_keeps_its_prototypes(leader: str, tmp_path: Path) -> None:
    assert_resumes(KINDS["networks"], leader, {"representation": {"kind": "prototypes", "states": 3}}, tmp_path)


def test_a_state_has_one_prototype_however_many_are_asked_about() -> None:
    """On a grid many are equally near, and rounding depends on the size of a matrix and on the processor."""
    game = sg.make("pendulum_grid-v0")
    cells = Nearest(game.state_space, 300)
    states = game.points[np.random.default_rng(0).permutation(len(game.points))]  # type: ignore[attr-defined]
    cells.choose(states)
    together = cells(states)
    assert [int(cells(state[None])[0]) for state in states] == together.tolist()
    scaled = np.square((states[:, None] - cells.elements) / cells.features.scale).sum(axis=2)
    np.testing.assert_allclose(scaled[np.arange(len(states)), together], scaled.min(axis=1), atol=1e-8)
    first = (scaled <= scaled.min(axis=1, keepdims=True) + 1e-8).argmax(axis=1)
    assert (first == together).all()


def assert_resumes(kind: Kind, leader: str, settings: Mapping[str, Any], tmp_path: Path) -> None:
    """A run of 4 iterations equals one of 2 that goes on."""

    def played(iterations: int, folder: str) -> sg.Run:
        made, follower = sg.make_leader(leader, **settings), kind.follower()
        loop: dict[str, Any] = {"episodes": 3, "seed": 1, "evaluate_every": 0, "temperature": kind.temperature}
        files: dict[str, Any] = {"directory": tmp_path / folder, "checkpoint_every": 2, "progress": False}
        return sg.train(kind.game(), made, follower, iterations=iterations, **loop, **files)

    whole = played(4, "whole")
    played(2, "cut")
    assert played(4, "cut").history == whole.history
    assert sg.Run.load(tmp_path / "whole").commitment.describe() == whole.commitment.describe()


@pytest.mark.parametrize("name", FINITE)
@pytest.mark.parametrize(("leader", "settings"), PLAYED)
def test_no_number_on_the_way_has_the_default_precision(leader: str, settings: dict[str, Any], name: str) -> None:
    kind, found = replace(KINDS[name], episodes=5), []
    if (leader, name) in EMPTY:
        pytest.skip(EMPTY[leader, name])
    for precision in (torch.float32, torch.float64):
        torch.set_default_dtype(precision)
        try:
            found.append(estimates(kind, sg.make_leader(leader, **settings), 1, informed=False)[0])
        finally:
            torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize(
    ("leader", "settings", "game", "says"),
    [
        ("bchg", {"representation": {"critic_steps": 7}}, "discrete_toy-v0", "representation.critic_steps.* memory"),
        ("bchg", {"representation": {"memory": 0.3}}, "lqr-v0", "representation.memory: linear .* none"),
        ("bchg", {"adjoint": {"decay": 0.5}}, "lqr-v0", "adjoint.decay.*'bootstrap' of linear.*'unroll' has"),
        ("bchg", {"adjoint": {"kind": "bootstrap"}}, "discrete_toy-v0", "finite offers unroll"),
        ("bchg", {"start": {"hidden": (4,)}}, "four_rooms-v0", "start.hidden.*configures the game; it has spread"),
        ("policy_gradient", {"start": {"spread": 0.1}}, "discrete_toy-v0", "start.spread.*it has hidden"),
        ("model_based", {"planning": {"learning_rate": 0.1}}, "lqr-v0", "planning.learning_rate: .*rate, steps"),
        ("model_based", {"planning": {"belief": "estimated"}}, "discrete_toy-v0", "planning.belief"),
        ("model_based", {"planning": {"replan": 3}}, "discrete_toy-v0", "planning.replan: .*planning.starts"),
        ("policy_gradient", {"representation": {"ramp": 3}}, "discrete_toy-v0", "representation.ramp: finite"),
        ("policy_gradient", {"representation": {"kind": "finite"}}, "lqr-v0", "finite game is needed"),
        ("policy_gradient", {"representation": {"kind": "linear"}}, "discrete_toy-v0", "LinearGaussianPolicy"),
        ("policy_gradient", {"representation": {"kind": "nothing"}}, "lqr-v0", "known ids: .*networks"),
        ("bchg", {"representation": {"kind": "prototypes"}}, "lqr-v0", "prototypes needs finitely many leader actions"),
        ("bchg", {"representation": {"kind": "prototypes", "replies": 3}}, "pendulum_grid-v0", "replies: .* states"),
        ("bchg", {"representation": {"kind": "prototypes", "states": 1}}, "pendulum_grid-v0", "states=1, .*>= 2"),
    ],
)
def test_a_setting_that_would_make_no_difference_is_refused(
    leader: str, settings: dict[str, Any], game: str, says: str
) -> None:
    with pytest.raises(StackelbergError, match=says):
        sg.make_leader(leader, **settings).begin(sg.make(game).view(0.1))
