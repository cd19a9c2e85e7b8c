"""Followers that stop planning after some sweeps, in every game that is configured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.errors import InvalidArgumentError

GAMES: dict[str, tuple[str, dict[str, Any], float]] = {
    "four_rooms": ("four_rooms-v0", {}, 0.05),
    "two goals": ("four_rooms-v0", {"goals": 2}, 0.05),
    "random_mdp": ("random_mdp-v0", {}, 1.0),
    "random_game": ("random_game-v0", {"configuration_size": 2}, 0.2),
    "warehouse": ("warehouse-v0", {}, 0.05),
    "one way": ("warehouse-v0", {"lever": "one_way"}, 0.05),
    "tax_design": ("tax_design-v0", {"assets": 21, "consumption": 2}, 0.2),
    "thermal_control": ("thermal_control-v0", {}, 0.1),
}
games = pytest.mark.parametrize("key", GAMES)


def planner(name: str, temperature: float, **settings: Any) -> Any:
    """The follower that plans with the model of a game."""
    return sg.make_follower(
        "maxent_lqr" if name.startswith("thermal") else "soft_value_iteration", temperature=temperature, **settings
    )


def numbers(policy: Any) -> Any:
    """What a response policy consists of, as one vector."""
    parts = [policy.probabilities] if hasattr(policy, "probabilities") else [policy.state_gain, policy.factor]
    return np.concatenate([np.ravel(part) for part in parts])


def setting(key: str) -> tuple[Any, Configuration, str, float]:
    name, settings, temperature = GAMES[key]
    game: Any = sg.make(name, **settings)
    return game, game.commitment(1, 0.5), name, temperature


@games
def test_carried_sweeps_approach_the_exact_response(key: str) -> None:
    game, commitment, name, temperature = setting(key)
    exact = planner(name, temperature)
    exact.begin(game)
    target = numbers(exact.respond(game, commitment).policy)
    follower = planner(name, temperature, sweeps=20, start="carry")
    follower.begin(game, seed=1)
    gaps = [np.abs(numbers(follower.respond(game, commitment).policy) - target).max() for _ in range(70)]
    assert gaps[-1] < 1e-5 * np.abs(target).max()
    fewer = planner(name, temperature, sweeps=1)
    fewer.begin(game, seed=1)
    assert np.abs(numbers(fewer.respond(game, commitment).policy) - target).max() > 100 * gaps[-1] + 1e-4


@games
def test_reset_sweeps_start_anew_and_carried_ones_go_on(key: str) -> None:
    game, commitment, name, temperature = setting(key)

    def answers(**settings: Any) -> list[Any]:
        follower = planner(name, temperature, **settings)
        follower.begin(game, seed=2)
        return [numbers(follower.respond(game, commitment).policy) for _ in range(2)]

    reset, carried = answers(sweeps=4, start="reset"), answers(sweeps=2, start="carry")
    np.testing.assert_allclose(carried[1], reset[0], rtol=1e-9, atol=1e-12)  # 2 + 2 sweeps from one start
    assert np.abs(reset[1] - reset[0]).max() > 1e-6


@games
@pytest.mark.parametrize("start", ["carry", "reset"])
def test_a_leader_trains_against_them_and_a_resumed_follower_goes_on_alike(key: str, start: str) -> None:
    game, commitment, name, temperature = setting(key)
    run = sg.train(
        game,
        "evolution_strategies",
        planner(name, temperature, sweeps=2, start=start),
        iterations=1,
        episodes=4,
        stages=min(20, game.stages()),
    )
    assert run.commitment.configuration() is not None
    first = planner(name, temperature, sweeps=2, start=start)
    first.begin(game, seed=3)
    first.respond(game, commitment)
    second = planner(name, temperature, sweeps=2, start=start)
    second.begin(game, seed=9)
    second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(*(numbers(f.respond(game, commitment).policy) for f in (first, second)))


@pytest.mark.parametrize("settings", [{"sweeps": 0}, {"start": "anew"}])
@pytest.mark.parametrize("name", ["thermal_control-v0", "four_rooms-v0"])
def test_bad_settings_are_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(settings))):
        planner(name, 0.1, **settings)
