"""Finding games, leaders and followers by id."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pettingzoo
import pytest

import stackelberg_games as sg
from stackelberg_games import cli
from stackelberg_games.envs import matrix_v0, random_game_v0
from stackelberg_games.errors import InvalidArgumentError, RegistrationError, UnknownIdError
from stackelberg_games.learning import registry

MAKERS: dict[registry.Kind, Callable[..., Any]] = {
    "game": sg.make,
    "leader": sg.make_leader,
    "follower": sg.make_follower,
}
LISTS: dict[registry.Kind, Callable[[], list[str]]] = {
    "game": sg.games,
    "leader": sg.leaders,
    "follower": sg.followers,
}


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Registries that forget what the test adds."""
    monkeypatch.setattr(registry, "_added", {kind: {} for kind in MAKERS})
    registry._entries.cache_clear()
    kept = [(known, set(known)) for known in (pettingzoo.aec_registry, pettingzoo.parallel_registry)]
    yield
    for known, before in kept:
        for added in set(known) - before:
            del known[added]
    monkeypatch.undo()
    registry._entries.cache_clear()


def entry(name: str, value: str, distribution: str) -> EntryPoint:
    made: Any = EntryPoint(name, value, "stackelberg_games.games")
    found: EntryPoint = made._for(SimpleNamespace(name=distribution))
    return found


def install(monkeypatch: pytest.MonkeyPatch, *entries: EntryPoint) -> None:
    """Let the environment hold these entry points and no others."""
    monkeypatch.setattr(registry, "entry_points", lambda group: [e for e in entries if e.group == group])


def test_built_in_games_are_listed_sorted() -> None:
    assert {"discrete_toy-v0", "matrix-v0", "random_game-v0"} <= set(sg.games())
    for listed in LISTS.values():
        assert listed() == sorted(listed())


@pytest.mark.parametrize("kind", MAKERS)
def test_everything_listed_can_be_found(kind: registry.Kind) -> None:
    assert LISTS[kind]()
    assert all(callable(registry.factory(kind, found)) for found in LISTS[kind]())


@pytest.mark.parametrize(
    ("kind", "wrong", "right"),
    [
        ("game", "discrete_toy-v1", "discrete_toy-v0"),
        ("game", "matrx-v0", "matrix-v0"),
        ("leader", "policy_gradeint", "policy_gradient"),
        ("follower", "quantel", "quantal"),
    ],
)
def test_unknown_ids_are_refused_with_a_suggestion(kind: registry.Kind, wrong: str, right: str) -> None:
    with pytest.raises(UnknownIdError, match=f"{kind} is registered as '{wrong}'; did you mean '{right}'"):
        MAKERS[kind](wrong)


@pytest.mark.parametrize("kind", MAKERS)
def test_ids_far_from_all_are_refused_with_the_list(kind: registry.Kind) -> None:
    with pytest.raises(UnknownIdError, match="known ids: ") as caught:
        MAKERS[kind]("qqqqqq")
    assert all(known in str(caught.value) for known in LISTS[kind]())


@pytest.mark.parametrize(("kind", "known"), [("game", "matrix-v0"), ("leader", "fixed"), ("follower", "random")])
def test_unknown_settings_are_refused_by_name(kind: registry.Kind, known: str) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"{kind} '{known}'.*nonsense"):
        MAKERS[kind](known, nonsense=3)


@pytest.mark.usefixtures("scratch")
def test_missing_settings_are_refused_by_name() -> None:
    @sg.register("leader", "needy")
    def needy(rate: float) -> sg.Leader:
        return sg.make_leader("bchg", learning_rate=rate)

    with pytest.raises(InvalidArgumentError, match=r"leader 'needy'.*rate"):
        sg.make_leader("needy")
    assert MAKERS["leader"]("needy", rate=2.0).learning_rate == 2.0
    with pytest.raises(InvalidArgumentError, match=r"leader 'needy': rate='x': expected a finite number"):
        sg.make_leader("needy", rate="x")


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("kind", MAKERS)
def test_a_factory_that_makes_something_else_is_named(kind: registry.Kind) -> None:
    sg.register(kind, "nothing-v0")(lambda: None)
    with pytest.raises(RegistrationError, match=f"{kind} 'nothing-v0' made NoneType: it must return a {kind.title()}"):
        MAKERS[kind]("nothing-v0")


def test_a_broken_entry_point_is_named_and_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = EntryPoint("broken-v0", "nowhere.at_all:game", "stackelberg_games.games")
    entries = {**registry._entries("game"), "broken-v0": broken}
    monkeypatch.setattr(registry, "_entries", lambda kind: entries)
    with pytest.raises(RegistrationError, match=r"'broken-v0'.*nowhere.at_all:game cannot be imported"):
        sg.make("broken-v0")
    cli.games.main(standalone_mode=False, args=[])
    listed = capsys.readouterr().out
    assert "(broken) game 'broken-v0'" in listed
    assert "matrix-v0" in listed


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        InvalidArgumentError, match="kind='games': expected 'game', 'leader', 'follower' or 'representation'"
    ):
        sg.register("games", "x-v0")  # type: ignore[arg-type]


@pytest.mark.usefixtures("scratch")
def test_mistakes_inside_a_factory_are_not_blamed_on_the_settings() -> None:
    @sg.register("follower", "broken")
    def broken() -> Any:
        raise TypeError("inner() got an unexpected keyword argument 'x'")

    with pytest.raises(TypeError, match="inner"):
        sg.make_follower("broken")
    assert not issubclass(InvalidArgumentError, TypeError)


@pytest.mark.parametrize(
    ("make", "name", "setting", "nearest"),
    [
        (sg.make, "discrete_toy-v0", "horizont", "horizon"),
        (sg.make_leader, "bchg", "learning_rte", "learning_rate"),
        (sg.make_follower, "quantal", "facter", "factor"),
    ],
)
def test_a_misspelt_setting_is_refused_with_the_nearest(
    make: Callable[..., Any], name: str, setting: str, nearest: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{name}': no setting '{setting}'; did you mean '{nearest}'\\?"):
        make(name, **{setting: 1})


@pytest.mark.usefixtures("scratch")
def test_a_factory_that_takes_any_setting_is_told_what_it_misses() -> None:
    @sg.register("follower", "eager")
    def eager(needed: int, **more: int) -> Any:
        raise AssertionError(needed, more)

    with pytest.raises(InvalidArgumentError, match="follower 'eager': missing a required argument: 'needed'"):
        sg.make_follower("eager", other=1)


def test_settings_reach_the_game() -> None:
    game = sg.make("random_game-v0", states=7, horizon=3)
    assert game.horizon == 3
    assert game.view().sizes() == (7, 3, 3)


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("kind", MAKERS)
def test_registered_factories_are_listed_found_and_returned_unchanged(kind: registry.Kind) -> None:
    def factory(value: int = 1) -> Any:
        made = MAKERS[kind]({"game": "matrix-v0", "leader": "fixed", "follower": "random"}[kind])
        made.value = value
        return made

    assert sg.register(kind, "mine-v3")(factory) is factory
    assert "mine-v3" in LISTS[kind]()
    assert MAKERS[kind]("mine-v3", value=5).value == 5


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(("kind", "taken"), [("game", "matrix-v0"), ("leader", "bchg"), ("follower", "quantal")])
def test_taken_ids_cannot_be_registered(kind: registry.Kind, taken: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"'{taken}' is taken"):
        sg.register(kind, taken)(lambda: None)


@pytest.mark.usefixtures("scratch")
def test_registered_games_enter_both_registries_of_pettingzoo() -> None:
    sg.register("game", "mine-v3")(matrix_v0.game)
    sg.register("game", "plain")(matrix_v0.game)
    assert {"stackelberg/mine-v3", "stackelberg/plain"} <= set(pettingzoo.aec_registry)
    forms = {"stackelberg/mine-v3", "stackelberg/mine_plan-v3", "stackelberg/plain", "stackelberg/plain_plan"}
    assert forms <= set(pettingzoo.parallel_registry)


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("wrong", ["my game-v0", "", "a/b-v0", "é!-v0"])
def test_malformed_game_ids_are_refused_and_leave_no_trace(wrong: str) -> None:
    before = (sg.games(), set(pettingzoo.aec_registry), set(pettingzoo.parallel_registry))
    with pytest.raises(InvalidArgumentError, match="game id"):
        sg.register("game", wrong)(matrix_v0.game)
    assert (sg.games(), set(pettingzoo.aec_registry), set(pettingzoo.parallel_registry)) == before


@pytest.mark.usefixtures("scratch")
def test_on_a_clash_the_built_in_entry_wins_and_a_warning_names_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    own = entry("matrix-v0", "stackelberg_games.envs.matrix_v0:game", "stackelberg-games")
    other = entry("matrix-v0", "stackelberg_games.envs.random_game_v0:game", "another-package")
    install(monkeypatch, other, own)
    with pytest.warns(UserWarning, match=r"game 'matrix-v0' of another-package is ignored"):
        assert sg.games() == ["matrix-v0"]
    assert registry.factory("game", "matrix-v0") is matrix_v0.game


@pytest.mark.usefixtures("scratch")
def test_third_party_entries_enter_by_the_same_door(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, entry("theirs-v1", "stackelberg_games.envs.random_game_v0:game", "another-package"))
    assert sg.games() == ["theirs-v1"]
    assert registry.factory("game", "theirs-v1") is random_game_v0.game


@pytest.mark.usefixtures("scratch")
def test_the_same_entry_found_twice_raises_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    own = entry("matrix-v0", "stackelberg_games.envs.matrix_v0:game", "stackelberg-games")
    install(monkeypatch, own, own)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sg.games() == ["matrix-v0"]


@pytest.mark.usefixtures("scratch")
def test_malformed_third_party_ids_are_skipped_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, entry("bad id", "stackelberg_games.envs.random_game_v0:game", "another-package"))
    with pytest.warns(UserWarning, match="'bad id' of another-package"):
        assert sg.games() == []


@pytest.mark.parametrize("name", sg.games())
def test_every_game_is_mirrored_in_both_registries_of_pettingzoo(name: str) -> None:
    stem, version = name.rsplit("-", 1)
    assert f"stackelberg/{name}" in pettingzoo.aec_registry
    assert f"stackelberg/{name}" in pettingzoo.parallel_registry
    assert f"stackelberg/{stem}_plan-{version}" in pettingzoo.parallel_registry


@pytest.mark.parametrize("name", sg.games())
@pytest.mark.parametrize("kind", ["aec", "parallel"])
def test_pettingzoo_makes_every_game(name: str, kind: Any) -> None:
    env = pettingzoo.make(kind, f"stackelberg/{name}")
    env.reset(seed=1)
    assert env.possible_agents == ["leader_0", "follower_0"]
    assert env.unwrapped.game.name == name


@pytest.mark.parametrize("name", ["discrete_toy", "matrix", "random_game"])
@pytest.mark.parametrize(("kind", "form"), [("aec", ""), ("parallel", ""), ("parallel", "_plan")])
def test_pettingzoo_passes_settings_and_the_length_of_episodes_on(name: str, kind: Any, form: str) -> None:
    env = pettingzoo.make(kind, f"stackelberg/{name}{form}-v0", max_cycles=4, follower_sees_action=False)
    assert env.unwrapped.game.horizon == 4
    assert not env.unwrapped.game.follower_sees_action


def test_mirroring_twice_changes_nothing() -> None:
    before = dict(pettingzoo.parallel_registry)
    registry.mirror("matrix-v0")
    assert dict(pettingzoo.parallel_registry) == before


def test_import_is_light(tmp_path: Path) -> None:
    heavy = ("torch", "numba", "scipy", "matplotlib", "pygame", "supersuit", "joblib")
    program = f"import sys, stackelberg_games; print([m for m in {heavy} if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(Path(sg.__file__).parents[1])}
    printed = subprocess.check_output([sys.executable, "-c", program], cwd=tmp_path, env=environment, text=True)
    assert printed.strip() == "[]"


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(sg, name) is not None for name in sg.__all__)
    assert sorted(sg.__all__) == dir(sg)


def test_unknown_attributes_are_refused_by_name() -> None:
    with pytest.raises(AttributeError, match="'trian'"):
        sg.trian  # noqa: B018
