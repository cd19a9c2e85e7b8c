"""Finite games from arrays: what they refuse, and the tables they sample from."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from stackelberg_games import errors
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import random_game_v0
from stackelberg_games.errors import (
    InvalidActionError,
    InvalidArgumentError,
    InvalidGameError,
    StackelbergError,
    UnknownIdError,
)
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables, TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.numerics.sampling import cumulative, draw, pick


def valid() -> dict[str, Any]:
    """Arguments of a game with 3 states, 2 leader and 2 follower actions; state 2 is terminal."""
    draws = np.random.default_rng(0)
    return {
        "transition": draws.dirichlet(np.ones(3), size=(3, 2, 2)),
        "leader_reward": draws.random((3, 2, 2)),
        "follower_reward": draws.random((3, 2, 2)),
        "initial": np.array([0.25, 0.75, 0.0]),
        "leader_discount": 0.9,
        "follower_discount": 0.8,
        "terminal": np.array([False, False, True]),
    }


def with_entry(name: str, index: tuple[int, ...], value: float) -> dict[str, Any]:
    arguments = valid()
    arguments[name][index] = value
    return arguments


def test_valid_arguments_make_a_game() -> None:
    game = TabularGame(**valid())
    assert (game.states, game.leader_actions, game.follower_actions) == (3, 2, 2)
    assert game.view(0.5).sizes() == (3, 2, 2)
    assert game.view(0.5).temperature == 0.5
    assert game.terminal.tolist() == [False, False, True]
    assert game.follower_sees_action


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"transition": np.zeros((3, 2, 2, 3))}, r"transition\[0, 0, 0\] sums to 0"),
        (with_entry("transition", (1, 0, 1, 2), 0.9), r"transition\[1, 0, 1\] sums to"),
        (with_entry("transition", (1, 0, 1, 2), -0.25), r"transition\[1, 0, 1, 2\] is -0\.25"),
        (with_entry("transition", (2, 1, 1, 0), np.nan), r"transition\[2, 1, 1, 0\] is nan"),
        ({"transition": np.full((3, 2, 2), 1 / 2)}, r"transition has shape \(3, 2, 2\)"),
        ({"transition": np.full((3, 2, 2, 4), 1 / 4)}, r"\(3, 2, 2, 4\)"),
        ({"transition": np.zeros((3, 0, 2, 3))}, r"\(3, 0, 2, 3\)"),
        ({"transition": [[[[1.0]], [[1.0], [1.0]]]]}, "transition is not a numeric array"),
        ({"transition": "abc"}, "transition is not a numeric array"),
        (with_entry("leader_reward", (0, 1, 0), np.inf), r"leader_reward\[0, 1, 0\] is inf"),
        (with_entry("follower_reward", (2, 1, 1), np.nan), r"follower_reward\[2, 1, 1\] is nan"),
        ({"leader_reward": np.zeros((3, 2))}, r"leader_reward has shape \(3, 2\)"),
        ({"follower_reward": np.zeros((3, 2, 1))}, r"follower_reward has shape \(3, 2, 1\): expected \(3, 2, 2\)"),
        ({"follower_reward": [[1, 2], [3]]}, "follower_reward is not a numeric array"),
        ({"initial": [0.5, 0.5]}, r"initial has shape \(2,\)"),
        ({"initial": [0.5, 0.6, 0.0]}, "^initial sums to 1.1"),
        ({"leader_reward": np.zeros((3, 2, 2), complex)}, "leader_reward is not a numeric array: .* complex"),
        ({"follower_sees_action": "no"}, "follower_sees_action='no': expected True or False"),
        ({"name": None}, "name=None: expected a text"),
        ({"leader_discount": 1.2, "horizon": 4}, r"leader_discount=1.2: this discount lies in \[0, 1\] where"),
        ({"leader_discount": 1.0}, r"lies in \[0, 1\); 1 needs a finite horizon"),
        ({"follower_discount": 1.0, "horizon": 4}, r"follower_discount=1.0: this discount lies in \[0, 1\)$"),
        ({"initial": [1.5, -0.5, 0.0]}, r"initial\[1\] is -0.5"),
        ({"initial": [0.5, 0.0, 0.5]}, "terminal state"),
        ({"terminal": [0, 0, 1]}, "int64"),
        ({"terminal": [0.0, 0.0, 1.0]}, "float64"),
        ({"terminal": [False, True]}, r"terminal has shape \(2,\)"),
        ({"terminal": [[True], [False, True]]}, "terminal"),
        ({"leader_discount": 1.0}, "leader_discount=1.0"),
        ({"leader_discount": -0.1}, "leader_discount=-0.1"),
        ({"leader_discount": float("nan")}, "leader_discount=nan"),
        ({"leader_discount": 1.1, "horizon": 5}, "leader_discount=1.1"),
        ({"leader_discount": "0.9"}, "leader_discount='0.9'"),
        ({"follower_discount": 1.0}, "follower_discount=1.0"),
        ({"follower_discount": 1.0, "horizon": 5}, "follower_discount=1.0"),
        ({"horizon": 0}, "horizon=0"),
        ({"horizon": -1}, "horizon=-1"),
        ({"horizon": True}, "horizon=True"),
        ({"horizon": 1.5}, "horizon=1.5"),
        ({"horizon": "9"}, "horizon='9'"),
    ],
)
def test_bad_arguments_are_refused_by_name_and_value(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidGameError, match=named):
        TabularGame(**{**valid(), **changes})


def test_leader_need_not_discount_within_a_finite_horizon() -> None:
    assert TabularGame(**{**valid(), "leader_discount": 1.0, "horizon": np.int64(4)}).horizon == 4


def test_arrays_are_copied_and_frozen() -> None:
    arguments = valid()
    game = TabularGame(**arguments)
    arguments["leader_reward"][0, 0, 0] = 99.0
    assert game.leader_reward[0, 0, 0] != 99.0
    for array in (game.transition, game.leader_reward, game.follower_reward, game.initial_distribution, game.terminal):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("discounts", "horizon", "stages"),
    [((0.9, 0.5), None, 44), ((0.1, 0.99), None, 459), ((0, 0), None, 1), ((0.9, 0.9), 7, 7)],
)
def test_stages_end_where_both_discounts_have_faded(
    discounts: tuple[float, float], horizon: int | None, stages: int
) -> None:
    game = TabularGame(
        **{**valid(), "leader_discount": discounts[0], "follower_discount": discounts[1], "horizon": horizon}
    )
    assert game.stages() == stages
    if horizon is None and max(discounts):
        assert max(discounts) ** stages <= 1e-2 < max(discounts) ** (stages - 1)


def test_observation_is_one_hot() -> None:
    game = TabularGame(**valid())
    assert game.observe(1).tolist() == [0.0, 1.0, 0.0]
    assert game.observation_space.contains(game.observe(2))


def step(game: Game, leader: Any, follower: Any, states: Any = (0, 1)) -> Any:
    return game.step(np.array(states), leader, follower, Streams.of(0, len(states)), 0)


def test_step_pays_the_tables_entries_and_reports_the_end() -> None:
    game = TabularGame(**valid())
    states = np.tile([0, 1], 200)
    found = game.step(states, states, 1 - states, Streams.of(1, 400), 3)
    assert (found.leader_rewards == game.leader_reward[states, states, 1 - states]).all()
    assert (found.follower_rewards == game.follower_reward[states, states, 1 - states]).all()
    assert (found.terminated == (found.states == 2)).all()
    assert 0 < found.terminated.sum() < 400


@pytest.mark.parametrize(
    ("leader", "follower", "named"),
    [
        ([0, 2], [0, 0], r"leader action \[2\]"),
        ([0, -1], [0, 0], r"leader action \[-1\]"),
        ([0, 0], [0, 7], r"follower action \[7\]"),
        ([0.0, 1.0], [0, 0], r"leader action \[0.0, 1.0\]"),
        ([True, False], [0, 0], "leader action"),
        ([0, 0], [None, 0], "follower action"),
        ([0, 0], ["a", "b"], "follower action"),
        ([0], [0, 0], "leader action"),
        ([0, 0], [0, 0, 0], "follower action"),
        ([[0, 0], [0, 0]], [0, 0], "leader action"),
        (0, [0, 0], "leader action"),
    ],
)
def test_step_refuses_actions_outside_the_space(leader: Any, follower: Any, named: str) -> None:
    with pytest.raises(InvalidActionError, match=named):
        step(TabularGame(**valid()), leader, follower)


def test_step_needs_one_state_for_each_stream() -> None:
    with pytest.raises(InvalidArgumentError, match=r"states have shape \(2,\): expected \(3,\)"):
        TabularGame(**valid()).step(np.array([0, 1]), [0, 0], [0, 0], Streams.of(0, 3), 0)


@pytest.mark.parametrize("states", [(0, 3), (-1, 0)])
def test_step_refuses_states_that_do_not_exist(states: tuple[int, int]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"states \["):
        step(TabularGame(**valid()), [0, 0], [0, 0], states)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_step_takes_integers_of_every_kind(dtype: type) -> None:
    game = TabularGame(**valid())
    found = step(game, np.array([1, 0], dtype=dtype), np.array([0, 1], dtype=dtype))
    assert (found.states == step(game, [1, 0], [0, 1]).states).all()


def awkward_rows() -> list[FloatArray]:
    """Distributions whose cumulative sums miss 1, with zeros in awkward places."""
    draws = np.random.default_rng(5)
    rows = [
        np.full(10, 0.1),
        np.full(49, 1 / 49),
        np.array([0.0, 0.1, 0.2, 0.7, 0.0]),
        np.array([0.0, 0.0, 1.0]),
        np.array([1.0, 0.0, 0.0]),
        np.array([1 - 2**-53, 0.0, 2**-53]),
        np.array([0.3, 1e-300, 0.7, 0.0]),
        np.array([0.1, 0.2, 0.3, 0.4 - 5e-9, 0.0]),
        np.array([0.1, 0.2, 0.3, 0.4 + 5e-9, 0.0]),
    ]
    for width in (2, 3, 9, 10, 17, 60):
        for _ in range(30):
            weights = draws.random(width) ** 8 * (draws.random(width) < 0.6)
            weights[draws.integers(width)] += 1e-12
            rows.append(weights / weights.sum())
    return rows


def awkward_draws(sums: FloatArray) -> FloatArray:
    """Zero, the largest draw, and the boundaries between entries from both sides."""
    near = np.concatenate([sums, np.nextafter(sums, 0), np.nextafter(sums, 2), [0.0, 0.5, 1 - 2.0**-53]])
    return near[(near >= 0) & (near < 1)]


def test_pick_never_chooses_probability_zero_and_finds_the_first_entry_above() -> None:
    for row in awkward_rows():
        sums = cumulative(row)
        padded = np.concatenate([[0.0], sums, [0.0]])
        for u in awkward_draws(sums):
            chosen = pick(padded, 1, len(row), u)
            assert row[chosen] > 0
            assert chosen == np.searchsorted(sums, u, side="right")
            assert chosen == draw(np.concatenate([[0.5], row, [0.5]]), 1, len(row), True, u)


def test_cumulative_sums_rise_to_exactly_one_at_the_last_possible_entry() -> None:
    for row in awkward_rows():
        sums = cumulative(row)
        assert (np.diff(sums) >= 0).all()
        assert (sums[np.flatnonzero(row)[-1] :] == 1.0).all()
        assert sums == pytest.approx(np.cumsum(row), abs=1e-8)
        assert (cumulative(np.stack([row, row[::-1]]))[0] == sums).all()


def test_initial_state_never_has_probability_zero() -> None:
    game = TabularGame(**{**valid(), "initial": [0.0, 1.0, 0.0]})
    assert (game.initial(Streams.of(0, 1000)) == 1).all()


def test_initial_state_inverts_draw_zero_of_the_environment() -> None:
    game, streams = TabularGame(**valid()), Streams.of(4, 1000)
    below = streams.uniform(Lane.ENVIRONMENT, 0)[:, 0] < 0.25
    assert (game.initial(streams) == np.where(below, 0, 1)).all()


def tables(**changes: torch.Tensor) -> Callable[[torch.Tensor], Tables]:
    plain = {name: torch.tensor(valid()[name]) for name in Tables._fields}
    return lambda _: Tables(**{**plain, **changes})


def valid_arrays() -> Any:
    return (valid()[name] for name in Tables._fields)


@pytest.mark.parametrize(
    ("configure", "named"),
    [
        (
            tables(transition=torch.zeros(3, 2, 2, 3, dtype=torch.float64)),
            r"configured transition\[0, 0, 0\] sums to 0",
        ),
        (tables(transition=torch.zeros(3, 2, 2, dtype=torch.float64)), "configure: transition is not a finite"),
        (
            tables(leader_reward=torch.full((3, 2, 2), torch.nan, dtype=torch.float64)),
            "configure: leader_reward is not",
        ),
        (tables(follower_reward=torch.zeros(2, dtype=torch.float64)), "configure: follower_reward is not"),
        (tables(leader_reward=torch.zeros(3, 2, 2)), r"configure: leader_reward is of torch\.float32"),
        (lambda _: Tables(*valid_arrays()), "configure: transition is of type ndarray, not a tensor"),
        (lambda _: None, "configure returned None: expected Tables of three tensors"),
        (lambda x: x, r"configure returned Parameter containing"),
        (lambda _: (1, 2), r"configure returned \(1, 2\)"),
    ],
)
def test_invalid_configured_tables_are_refused(configure: Any, named: str) -> None:
    game = ConfigurableGame(**valid(), size=1, configure=configure)
    commitment = Configuration([0.5], policy=TabularPolicy((3, 2)))
    for use in (game.model, game.under):
        with pytest.raises(InvalidGameError, match=named):
            use(commitment)


def test_a_game_of_fixed_tables_cannot_be_configured() -> None:
    game = TabularGame(**valid())
    commitment = Configuration([0.5], policy=TabularPolicy(game))
    for use in (game.model, game.under):
        with pytest.raises(InvalidGameError, match="ConfigurableGame"):
            use(commitment)


def test_model_without_configuration_holds_the_games_tables() -> None:
    game = TabularGame(**valid())
    model = game.model(TabularPolicy(game))
    for name in Tables._fields:
        assert (getattr(model, name).numpy() == getattr(game, name)).all()
    assert model.policy.detach() == pytest.approx(0.5)


def test_sampler_of_a_configured_game_holds_the_configured_probabilities() -> None:
    game = random_game_v0.game(4, 2, 2, configuration_size=2)
    commitment = Configuration([1.0, -1.0], policy=TabularPolicy(game))
    sampler, expected = game.under(commitment), game.model(commitment).transition.detach().numpy()
    width = int(sampler.first[1])
    weights = np.diff(sampler.chances.reshape(-1, width), prepend=0.0)
    found = np.zeros((len(weights), game.states))
    np.put_along_axis(found, sampler.successors.reshape(-1, width), weights, axis=1)
    assert found == pytest.approx(expected.reshape(-1, game.states), abs=1e-12)


def test_game_fixed_under_a_configuration_has_its_tables_and_no_lever() -> None:
    game = random_game_v0.game(4, 2, 2, configuration_size=2)
    assert isinstance(game, ConfigurableGame)
    configuration = torch.tensor([1.0, -1.0], dtype=torch.float64)
    fixed, expected = game.configured(configuration), game.tables(configuration)
    for name, table in zip(Tables._fields, expected, strict=True):
        assert (getattr(fixed, name) == table.numpy()).all()
        assert (getattr(game, name) == getattr(random_game_v0.game(4, 2, 2, configuration_size=2), name)).all()
    with pytest.raises(InvalidGameError, match="cannot be configured"):
        fixed.tables(configuration)


def test_unknown_id_suggests_the_closest_and_survives_pickling() -> None:
    error = UnknownIdError("game", "discrte_toy-v0", ["matrix-v0", "discrete_toy-v0"])
    assert "did you mean 'discrete_toy-v0'" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert "known ids: a, b" in str(UnknownIdError("game", "zzz", ["b", "a"]))


def test_every_error_of_the_package_has_one_base() -> None:
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, Exception)]
    assert len(kinds) >= 10
    assert all(issubclass(kind, StackelbergError) for kind in kinds)


def test_missing_extra_names_the_command_that_installs_it() -> None:
    error = errors.MissingExtraError("pygame", "render")
    assert "pip install 'stackelberg-games[render]'" in str(error)
    assert isinstance(error, ImportError)
