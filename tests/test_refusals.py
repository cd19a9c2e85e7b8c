"""What is refused says who refuses what, and what to do instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.errors import InformationError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.faces.parallel import parallel_env
from tests.fits import KINDS, follower_refusal, leader_refusal

PAGE = Path(__file__).parent.parent / "docs" / "howto" / "add_a_game.md"
UNIFORM = np.full((3, 2, 3), 1 / 3)
TAKES_A_GAME: dict[str, Callable[[Any, Any], object]] = {
    "exact.best_response": lambda game, policy: sg.exact.best_response(game, policy, 0.05),
    "exact.critics": lambda game, policy: sg.exact.critics(game, policy, 0.05),
    "exact.differentiable_values": lambda game, policy: sg.exact.differentiable_values(game, policy, 0.05),
    "exact.follower_value": lambda game, policy: sg.exact.follower_value(game, policy, UNIFORM),
    "exact.leader_value": lambda game, policy: sg.exact.leader_value(game, policy, UNIFORM),
    "exact.solve": lambda game, policy: sg.exact.solve(game, 0.05, starts=1),
    "exact.solve without errors": lambda game, policy: sg.exact.solve(game, 0.0),
    "exact.leader_objective": lambda game, policy: sg.exact.leader_objective(game, policy, 0.05),
    "train": lambda game, policy: sg.train(game, "random_search", "random", iterations=1),
    "gradient_check": lambda game, policy: sg.gradient_check(game, "bchg", batches=2),
    "rollout": lambda game, policy: sg.rollout(game, policy, sg.TabularResponse(UNIFORM), episodes=1, seed=0),
    "best_response_env": lambda game, policy: sg.best_response_env(game, policy),
    "best_response_env of numbers": lambda game, policy: sg.best_response_env(game, [0.5]),
    "vector_env": lambda game, policy: sg.vector_env(game, 2),
    "parallel_env": lambda game, policy: parallel_env(game),
    "TabularPolicy": lambda game, policy: sg.TabularPolicy(game),
    "MLPPolicy": lambda game, policy: sg.MLPPolicy(game),
}
FINITE_ONLY = [name for name in TAKES_A_GAME if name.startswith("exact.") and name != "exact.leader_objective"]


@pytest.mark.parametrize("name", TAKES_A_GAME)
def test_an_id_given_for_a_game_is_refused_with_the_call_that_makes_the_game(name: str) -> None:
    policy = sg.TabularPolicy(sg.make("discrete_toy-v0"))
    with pytest.raises(InvalidArgumentError, match=re.escape("sg.make('discrete_toy-v0')")):
        TAKES_A_GAME[name]("discrete_toy-v0", policy)
    with pytest.raises(InvalidArgumentError, match="expected a game"):
        TAKES_A_GAME[name](3, policy)


@pytest.mark.parametrize("name", FINITE_ONLY)
def test_exact_tables_are_refused_where_a_game_is_not_finite(name: str) -> None:
    policy = sg.TabularPolicy(sg.make("discrete_toy-v0"))
    with pytest.raises(UnsupportedGameError, match=r"lqr-v0.*sg\.exact\.leader_objective"):
        TAKES_A_GAME[name](sg.make("lqr-v0"), policy)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("leader", sg.leaders())
def test_a_leader_that_does_not_fit_says_so_and_names_one_that_does(kind: str, leader: str) -> None:
    error = leader_refusal(kind, leader)
    if error is None:
        return
    assert isinstance(error, UnsupportedGameError)
    assert str(error).startswith(f"leader {leader!r} in {KINDS[kind]().name}: ")
    named = [other for other in sg.leaders() if other != leader and re.search(rf"\b{other}\b", str(error))]
    assert any(leader_refusal(kind, other) is None for other in named), error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("follower", sg.followers())
def test_a_follower_that_does_not_fit_says_so_and_names_one_that_does(kind: str, follower: str) -> None:
    error = follower_refusal(kind, follower)
    if error is None:
        return
    assert isinstance(error, UnsupportedGameError)
    assert str(error).startswith(f"follower {follower!r} in {KINDS[kind]().name}: ")
    named = [other for other in sg.followers() if other != follower and re.search(rf"\b{other}\b", str(error))]
    assert any(follower_refusal(kind, other) is None for other in named), error


def rows_of_the_page() -> dict[str, tuple[set[str], set[str]]]:
    """Leaders and followers by kind of game, as the documentation has them."""
    section = PAGE.read_text().partition("## Who plays what")[2].partition("\n## ")[0]
    everywhere = re.search(r"The leaders (.*?) play every game, and so does the follower (.*?)\.", section)
    assert everywhere is not None
    found = {}
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith("| the game"):
            kind, *players = line.strip("| ").split(" | ")
            cells = [f"{named} {always}" for named, always in zip(players, everywhere.groups(), strict=True)]
            leaders, followers = ({*re.findall(r"`(\w+)`", cell)} for cell in cells)
            found[kind.partition(" (")[0]] = (leaders, followers)
    return found


def test_the_documentation_says_who_plays_what() -> None:
    rows = rows_of_the_page()
    assert list(rows) == list(KINDS)
    for kind, (leaders, followers) in rows.items():
        assert leaders == {name for name in sg.leaders() if leader_refusal(kind, name) is None}, kind
        assert followers == {name for name in sg.followers() if follower_refusal(kind, name) is None}, kind


@pytest.mark.parametrize("name", [name for name in sg.leaders() if name not in ("policy_gradient", "bi_actor_critic")])
def test_leaders_other_than_those_that_the_page_names_need_the_temperature(name: str) -> None:
    without = {"evolution_strategies", "random_search", "fixed", "drlhf"}
    assert sg.make_leader(name).needs_temperature is (name not in without)


@pytest.mark.parametrize("leader", ["exact_gradient", "implicit", "m_sobirl"])
def test_a_leader_that_is_told_no_temperature_says_where_to_give_one(leader: str) -> None:
    with pytest.raises(InformationError, match=f"leader '{leader}' in warehouse-v0: .* give sg.train a temperature"):
        sg.train(sg.make("warehouse-v0"), leader, "random", iterations=1)


def test_an_unregistered_leader_is_named_by_its_class() -> None:
    class Stubborn(type(sg.make_leader("implicit"))):  # type: ignore[misc]
        pass

    with pytest.raises(UnsupportedGameError, match=r"leader '.*Stubborn' in discrete_toy-v0: "):
        sg.train(sg.make("discrete_toy-v0"), Stubborn(), "soft_value_iteration", iterations=1)


def test_bi_actor_critic_refuses_an_undiscounted_game_without_an_end() -> None:
    with pytest.raises(UnsupportedGameError, match="never ends: with leader_discount=1"):
        sg.train(sg.make("random_mdp-v0"), "bi_actor_critic", "soft_value_iteration", iterations=1)


def test_episodes_longer_than_the_horizon_are_refused() -> None:
    game = sg.make("matrix-v0")
    with pytest.raises(InvalidArgumentError, match="stages=2: episodes of matrix-v0 have 1 stages"):
        sg.train(game, "policy_gradient", "soft_value_iteration", iterations=1, stages=2)
