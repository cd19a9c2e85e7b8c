"""Integers, numbers, arrays, texts, ids and paths: what is taken, what is refused, in whose words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

import stackelberg_games as sg
from stackelberg_games import checks
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, StackelbergError
from stackelberg_games.settings import check, checked, fits

INTEGERS = [3, np.int64(3), np.uint8(3), np.int32(3)]
NO_INTEGERS = [
    True,
    np.True_,
    3.0,
    np.float64(3),
    "3",
    None,
    [3],
    np.array(3),
    np.array([3]),
    torch.tensor(3),
    3j,
    b"3",
]


@pytest.mark.parametrize("value", INTEGERS)
def test_integers_of_every_kind_become_plain_ones(value: Any) -> None:
    found = checks.integer("n", value, 1, 5)
    assert found == 3
    assert type(found) is int


@pytest.mark.parametrize("value", NO_INTEGERS)
def test_what_is_no_integer_is_named(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"n=.*: expected an integer from 1 to 5"):
        checks.integer("n", value, 1, 5)


@given(st.integers(), st.integers(), st.integers())
@settings(max_examples=200, derandomize=True, deadline=None)
def test_an_integer_passes_just_within_its_bounds(value: int, low: int, high: int) -> None:
    try:
        assert checks.integer("n", value, low, high) == value
        assert low <= value <= high
    except InvalidArgumentError:
        assert not low <= value <= high


@given(st.one_of(st.floats(), st.integers(), st.booleans(), st.text(), st.none()))
@settings(max_examples=200, derandomize=True, deadline=None)
def test_a_number_is_finite_and_within_its_range(value: Any) -> None:
    sound = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1
    try:
        found = checks.number("x", value, above=0, high=1)
        assert sound
        assert found == value
        assert type(found) is float
    except InvalidArgumentError:
        assert not sound


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, True, "1", 10**400, np.datetime64("2020-01-01"), None]
)
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="expected a finite number"):
        checks.number("x", value)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.ma.masked_array([1.0, 2.0], [False, True]), "masked"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "dates"),
        (np.array(["a"]), "texts"),
        ([True, False], "booleans"),
        ([1j], "complex"),
        ([[1.0], [1.0, 2.0]], "not a numeric array"),
        ([object()], "not a numeric array"),
        (torch.ones(2, requires_grad=True), "not a numeric array"),
        ([1.0, math.nan], r"\[1\] is nan"),
        ([10**400, 1], r"\[0\] is inf"),
        ([[1.0, 2.0]], "shape"),
    ],
)
def test_arrays_hold_finite_numbers_of_the_shape(values: Any, reason: str) -> None:
    with pytest.raises(InvalidGameError, match=f"table.*{reason}"):
        checks.array("table", values, (2,), error=InvalidGameError)


def test_an_array_is_a_fresh_one() -> None:
    given_ = np.array([1, 2])
    found = checks.array("table", given_, (None,))
    found[0] = 5.0
    assert found.dtype == np.float64
    assert given_[0] == 1


@pytest.mark.parametrize("value", ["", "a\ud800b", 3, None, b"x"])
def test_texts_can_be_written(value: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        checks.text("label", value)


@pytest.mark.parametrize("value", ["", 3, b"x", "a\0b", None, Path])
def test_paths_are_texts_or_path_objects(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="path"):
        checks.path("folder", value)
    assert checks.path("folder", Path("a") / "b") == Path("a/b")


def test_a_foreign_object_is_shown_whatever_it_does() -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise ZeroDivisionError

    assert checks.shown(Hostile()) == "<Hostile whose repr raises ZeroDivisionError>"
    assert len(checks.shown("x" * 10_000)) < 200


@pytest.mark.parametrize(
    ("annotation", "taken", "refused"),
    [
        (int, [1, np.int64(1), 2**63 - 1], [True, 1.0, "1", None, 2**63, -(10**30)]),
        (float, [1, 0.5, np.float32(1)], [True, "1", math.nan, math.inf, None, 1j]),
        (bool, [True, np.False_], [0, "true", None]),
        (str, ["x", ""], [1, None, b"x", "\ud800"]),
        (int | None, [1, None], [1.5, True]),
        (Literal["a", "b"], ["a"], ["c", 1, None]),
        (Literal[1], [1], [True, 1.0]),
        (tuple[int, ...], [(), (1, 2), [1]], [3, (1.5,), "12"]),
        (tuple[float, float], [(1, 2.0), [0, 1]], [(1,), (1, 2, 3), "ab"]),
        (list[str], [["a"]], ["a", [1]]),
        (dict[str, Any], [{}, {"a": object()}], [[], None, {1: 2}]),
        (Mapping[str, int], [{}, {"a": 1}], [{"a": 1.5}, {"a": True}, {1: 1}]),
        (ArrayLike, [[1.0], np.eye(2), 3], ["x", [True], None]),
        (ArrayLike | None, [None, [1.0]], ["x"]),
    ],
)
def test_annotations_say_what_is_taken(annotation: Any, taken: list[Any], refused: list[Any]) -> None:
    assert [value for value in taken if not fits(value, annotation)] == []
    assert [value for value in refused if fits(value, annotation)] == []


def test_a_setting_of_the_wrong_type_is_named_with_what_is_expected() -> None:
    def factory(rate: float, widths: tuple[int, ...] = (), start: Literal["here", "there"] = "here") -> None: ...

    with pytest.raises(InvalidArgumentError, match=r"^game: rate='2': expected a finite number$"):
        check(factory, {"rate": "2"}, "game: ")
    with pytest.raises(InvalidArgumentError, match=r"widths=3: expected a list of integers"):
        check(factory, {"widths": 3})
    with pytest.raises(InvalidArgumentError, match=r"start='x': expected 'here' or 'there'"):
        check(factory, {"start": "x"})
    check(factory, {"unknown": object()})  # left to the factory


def test_a_checked_function_is_called_with_what_it_declares() -> None:
    @checked
    def double(value: int, *, times: int = 2) -> int:
        """Double it."""
        return value * times

    assert double(np.int64(2), times=3) == 6  # type: ignore[arg-type]
    assert double.__doc__ == "Double it."
    with pytest.raises(InvalidArgumentError, match="times=True"):
        double(2, times=True)
    with pytest.raises(TypeError, match="missing"):
        double()  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", ["game", "leader", "follower"])
def test_every_setting_of_everything_registered_refuses_an_object(kind: Literal["game", "leader", "follower"]) -> None:
    import inspect

    from stackelberg_games.learning.registry import factory, ids

    make = {"game": sg.make, "leader": sg.make_leader, "follower": sg.make_follower}[kind]
    tried = 0
    for name in ids(kind):
        for setting in inspect.signature(factory(kind, name)).parameters:
            with pytest.raises(StackelbergError, match=setting):
                make(name, **{setting: object()})
            tried += 1
    assert tried > 10


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"points": "a"}, "points='a'"),
        ({"stages": 1.5}, "stages=1.5"),
        ({"stages": 2}, "stages=2: episodes of matrix-v0 have 1 stages"),
        ({"evaluation_episodes": -3}, "evaluation_episodes=-3"),
        ({"references": "x"}, "references='x'"),
        ({"seeds": True}, "seeds=True"),
        ({"seeds": float("nan")}, "seeds=nan"),
        ({"seeds": 1e11}, "seeds="),
        ({"seeds": 10**11}, "seeds=100000000000"),
        ({"seeds": "12"}, "seeds='12'"),
        ({"seeds": [1, 1]}, "different seeds"),
        ({"bounds": 3}, "bounds=3"),
        ({"bounds": {"matrix-v0": (1, 0)}}, "bounds of 'matrix-v0'"),
        ({"games": []}, "there is no game"),
        ({"leaders": {1: "fixed"}}, "leader label=1"),
        ({"leaders": {"a\ud800": "fixed"}}, "surrogate"),
        ({"leaders": ":"}, "leader ':'"),
        ({"leaders": ("fixed", {1: 2})}, "expected an id"),
        ({"budget": {"matrix-v0": True}}, "budget of 'matrix-v0'=True"),
        ({"episodes": "3"}, "episodes='3'"),
    ],
)
def test_options_of_a_tournament_are_checked(arguments: dict[str, Any], named: str) -> None:
    sound = {"games": "matrix-v0", "leaders": "random_search", "followers": "soft_value_iteration", "budget": 60}
    with pytest.raises(StackelbergError, match=named):
        sg.Tournament(**{**sound, **arguments})


def test_counts_from_numpy_are_integers_everywhere() -> None:
    cup = sg.Tournament(
        "matrix-v0",
        "random_search",
        "soft_value_iteration",
        seeds=np.int64(2),
        budget=np.int64(60),
        episodes=np.int32(2),
        points=np.int64(2),
    )
    assert cup.seeds == (0, 1)
    assert cup.matches[-1].key == sg.Tournament(
        "matrix-v0", "random_search", "soft_value_iteration", seeds=2, budget=60, episodes=2, points=2
    ).matches[-1].key  # fmt: skip
    game = sg.make("discrete_toy-v0", horizon=np.int64(4))
    game.env().reset(seed=np.int64(3))  # type: ignore[arg-type]
    sg.best_response_env(game, sg.TabularPolicy(game)).reset(seed=np.int64(3))  # type: ignore[arg-type]


def test_a_configuration_out_of_its_bounds_is_refused() -> None:
    game = sg.make("warehouse-v0")
    outside = torch.full(game.configuration_space.shape, -1.0, dtype=torch.float64)  # type: ignore[union-attr]
    with pytest.raises(InvalidArgumentError, match="the configuration has -1 as entry 0"):
        sg.exact.leader_objective(game, sg.Configuration(outside, states=game.states), 0.1)  # type: ignore[attr-defined]


def test_what_would_not_fit_the_memory_is_refused() -> None:
    game = sg.make("discrete_toy-v0")
    policy = sg.TabularPolicy(game)
    with pytest.raises(InvalidArgumentError, match="more than the memory of this machine"):
        sg.rollout(game, policy, sg.TabularResponse(np.full((3, 2, 3), 1 / 3)), episodes=10**12)
