"""The battery catches the mistakes that authors make, by the check that is named after them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.adapters.aec import AECGame
from stackelberg_games.adapters.renamed import Renamed
from stackelberg_games.conformance import CHECKS, FIRST, Report, check_game
from stackelberg_games.envs import discrete_toy_v0, four_rooms_v0, random_game_v0, random_mdp_v0
from stackelberg_games.errors import ConformanceError, InvalidArgumentError
from stackelberg_games.kinds.configurable import Slopes
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.rules.rules import Step
from tests.face_checks import Drift
from tests.mistakes import MISTAKES, BlindFollower, OtherAgents, PlaysAnything, RefusesNumpyIntegers, SharedInfos
from tests.plain_env import Ferry, wrapped


def report_on(mistake: type[Ferry], **settings: Any) -> Report:
    def factory(**arguments: Any) -> Any:
        made = mistake(**arguments)
        return made if mistake is PlaysAnything else wrapped(made)

    return check_game(factory, **settings)


def failures(report: Report) -> dict[str, str]:
    return {outcome.name: f"{outcome.detail}; {outcome.remedy}" for outcome in report.failed}


def test_a_correct_environment_passes() -> None:
    report = report_on(Ferry)
    assert failures(report) == {}
    assert {outcome.name for outcome in report.skipped} == {
        FIRST,
        "leader_tells_no_more_apart",
        "masked_play",
        "parallel_faces",
        "every_face_plays_the_same_episodes",
        "batches_do_not_matter",
        "steps_follow_the_model",
        "slopes_are_derivatives",
    }
    assert all(outcome.detail for outcome in report.skipped)


def test_the_study_has_25_mistakes() -> None:
    assert list(MISTAKES).index(SharedInfos) == 24


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_every_mistake_is_caught_by_its_check(mistake: type[Ferry]) -> None:
    report = report_on(mistake)
    assert not report.ok
    found = failures(report)
    assert MISTAKES[mistake] in found, found
    assert len(found[MISTAKES[mistake]]) > 20


def test_a_blind_follower_is_a_property_that_can_be_declared() -> None:
    assert failures(report_on(BlindFollower, follower_sees_action=False)) == {}
    assert set(failures(report_on(Ferry, follower_sees_action=False))) == {"follower_sees_the_move"}


def test_without_the_two_agents_nothing_else_is_tried() -> None:
    report = report_on(OtherAgents)
    assert set(failures(report)) == {"agents"}
    assert len(report.skipped) == len(CHECKS) - 1


def test_crashes_are_failures_that_say_where() -> None:
    found = failures(report_on(RefusesNumpyIntegers))
    assert "TypeError: expected an int" in found["api_of_env"]
    assert "mistakes.py:" in found["api_of_env"]


@pytest.mark.parametrize("game_id", sg.games())
def test_every_registered_game_passes(game_id: str) -> None:
    report = check_game(lambda: sg.make(game_id))
    report.require()
    assert len(report.passed) > 17


@pytest.mark.parametrize(
    "game",
    [
        lambda: random_game_v0.game(5, horizon=6, transitions={"terminal_states": 1}, seed=2),
        lambda: random_game_v0.game(4, 3, 2, horizon=20, follower_sees_action=False),
        Drift,
        lambda: Drift(9, follower_sees_action=False),
    ],
    ids=["terminal", "blind", "continuous", "continuous blind"],
)
def test_every_kind_of_game_passes(game: Callable[[], Game]) -> None:
    check_game(game).require()


class SeesItsBatch(Drift):
    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Any, stage: int) -> Step:
        return super().step(states - states.mean(axis=0), leader_actions, follower_actions, streams, stage)


class WritesIntoItsStates(Drift):
    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Any, stage: int) -> Step:
        step = super().step(states, leader_actions, follower_actions, streams, stage)
        states[...] = step.states
        return step


class CountsItsSteps(Drift):
    count = 0

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Any, stage: int) -> Step:
        self.count += 1
        step = super().step(states, leader_actions, follower_actions, streams, stage)
        return step._replace(leader_rewards=step.leader_rewards + self.count)


class DrawsFromElsewhere(Drift):
    def initial(self, streams: Any) -> Any:
        return np.random.default_rng().random((len(streams.episodes), 2), dtype=np.float32)


class HidesTheMove(Drift):
    def env(self, render_mode: str | None = None) -> Any:
        return Drift(self.horizon, follower_sees_action=False).env(render_mode)


class Toy(TabularGame):
    """A random game whose steps a subclass replaces."""

    def __init__(self) -> None:
        made = random_game_v0.game(5, horizon=20, seed=1)
        arrays = made.transition, made.leader_reward, made.follower_reward, made.initial_distribution
        super().__init__(*arrays, 0.9, 0.9, 20, name="toy-v0")


class DrawsAnotherState(Toy):
    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Any, stage: int) -> Step:
        return super().step(states, leader_actions * 0, follower_actions, streams, stage)


class PaysSomethingElse(Toy):
    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Any, stage: int) -> Step:
        step = super().step(states, leader_actions, follower_actions, streams, stage)
        return step._replace(leader_rewards=step.leader_rewards + 1e-3)


class StartsAnywhere(Toy):
    def initial(self, streams: Any) -> Any:
        return super().initial(streams) * 0


@pytest.mark.parametrize(
    ("mistake", "check"),
    [
        (SeesItsBatch, "batches_do_not_matter"),
        (WritesIntoItsStates, "batches_do_not_matter"),
        (CountsItsSteps, "every_face_plays_the_same_episodes"),
        (DrawsFromElsewhere, "same_seed_same_episode"),
        (HidesTheMove, "follower_sees_the_move"),
        (DrawsAnotherState, "steps_follow_the_model"),
        (PaysSomethingElse, "steps_follow_the_model"),
        (StartsAnywhere, "steps_follow_the_model"),
    ],
)
def test_mistakes_in_the_rules_of_a_game_are_caught(mistake: type[Game], check: str) -> None:
    assert check in failures(check_game(mistake))


WRONG: dict[str, Callable[[Slopes], Slopes]] = {
    "objective is -": lambda right: right._replace(objective=right.objective * 1.001),
    "configuration[": lambda right: right._replace(configuration=1.001 * right.configuration),
    "response[": lambda right: right._replace(response=right.response + 0.001),
    "response has shape (4, 3): expected (4, 1, 3)": lambda right: right._replace(response=right.response[:, 0]),
    "rewards[": lambda right: right._replace(rewards=lambda weights: 2.0 * right.rewards(weights)),
    "rewards[0] is nan": lambda right: right._replace(rewards=lambda weights: np.nan * right.rewards(weights)),
}


@pytest.mark.parametrize("named", WRONG)
def test_slopes_are_held_against_automatic_differentiation(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    game = random_mdp_v0.game(states=4, actions=3, size=5)
    others = [name for name in CHECKS if name != "slopes_are_derivatives"]
    assert check_game(game, skip=others).passed[-1].name == "slopes_are_derivatives"
    right = type(game).slopes
    monkeypatch.setattr(type(game), "slopes", lambda self, x, g: WRONG[named](right(self, x, g)))
    (failed,) = check_game(game, skip=others).failed
    assert f"derivatives: {named}" in failed.detail


def test_derivatives_of_rewards_are_held_against_automatic_differentiation(monkeypatch: pytest.MonkeyPatch) -> None:
    game = four_rooms_v0.game(plan="xxxxx\nxSTGx\nxxxxx")
    others = [name for name in CHECKS if name != "slopes_are_derivatives"]
    assert check_game(game, skip=others).passed[-1].name == "slopes_are_derivatives"
    right = type(game).pulled
    monkeypatch.setattr(type(game), "pulled", lambda self, leader, follower: right(self, 0.5 * leader, follower))
    (failed,) = check_game(game, skip=others).failed
    assert "derivatives: pulled[" in failed.detail


def test_slopes_do_not_leave_out_transitions_that_move(monkeypatch: pytest.MonkeyPatch) -> None:
    game = random_mdp_v0.game(states=4, actions=3, size=5)
    transition = game.base.transition
    monkeypatch.setattr(game, "follower_tables", lambda x: game.base._replace(transition=transition + 0.0 * x[0]))
    (failed,) = check_game(game, skip=[name for name in CHECKS if name != "slopes_are_derivatives"]).failed
    assert "moves the transition" in failed.detail


def test_correct_rules_written_as_a_subclass_pass() -> None:
    check_game(Toy).require()


def test_a_report_names_what_is_wrong_and_how_to_mend_it() -> None:
    report = report_on(BlindFollower)
    with pytest.raises(
        ConformanceError, match=r"follower_sees_the_move: follower_0 observes .*\n.*-> put the leader's"
    ):
        report.require()
    lines = str(report).splitlines()
    assert lines[-1] == "19 passed, 1 failed, 8 skipped"
    assert any(line.startswith("failed   follower_sees_the_move: follower_0 observes") for line in lines)


def test_a_wrapped_environment_is_checked_as_the_environment_it_is() -> None:
    report = check_game(AECGame(lambda **settings: wrapped(Ferry(**settings))))
    assert str(report) == str(report_on(Ferry))
    with pytest.warns(UserWarning, match="does not see the leader's move"):
        blind = AECGame(lambda: wrapped(BlindFollower()))
    assert not blind.follower_sees_action
    assert check_game(blind).ok


def test_what_is_behind_an_adapter_is_checked_and_not_the_adapter() -> None:
    class Reused(Ferry):
        def observe(self, agent: str) -> Any:
            seen = super().observe(agent)
            self.buffer = getattr(self, "buffer", {})
            kept = self.buffer.setdefault(agent, seen)
            kept[:] = seen
            return kept

    renamed = sg.adapt(
        lambda: wrapped(Renamed(Ferry(), {"leader_0": "pilot", "follower_0": "ferry"})), "pilot", "ferry"
    )
    assert check_game(renamed).ok
    faulty = sg.adapt(
        lambda: wrapped(Renamed(Reused(), {"leader_0": "pilot", "follower_0": "ferry"})), "pilot", "ferry"
    )
    assert "observations_are_fresh" in failures(check_game(faulty))


def test_a_game_may_be_given_itself() -> None:
    assert check_game(discrete_toy_v0.game(horizon=5)).ok


@pytest.mark.parametrize("wrong", [lambda: 3, "discrete_toy-v0", wrapped(Ferry())])
def test_other_things_are_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="expected a factory"):
        check_game(wrong)


def test_checks_can_be_left_out_by_name() -> None:
    report = report_on(BlindFollower, skip=["follower_sees_the_move"])
    assert report.ok
    assert [o.detail for o in report.skipped if o.name == "follower_sees_the_move"] == ["by request"]
    with pytest.raises(InvalidArgumentError, match="no check is called 'nonsense'"):
        check_game(Ferry, skip=["nonsense"])


def drift_with(**changes: Any) -> Callable[[], Game]:
    """A sound game in which some parts are replaced."""
    return lambda: type("Drift", (Drift,), changes)()


def returning(**fields: Any) -> Callable[..., Any]:
    def step(self: Drift, *given: Any) -> Any:
        return Drift.step(self, *given)._replace(**fields)

    return step


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"step": returning(leader_rewards=np.zeros((3, 1)))}, "leader_rewards as float64 of shape (3, 1)"),
        ({"step": returning(follower_rewards=0.0)}, "follower_rewards as float 0.0: expected float of shape (3,)"),
        ({"step": returning(terminated=np.zeros(3))}, "terminated as float64 of shape (3,): expected bool"),
        ({"step": returning(leader_rewards=np.full(3, np.nan))}, "leader_rewards [nan, nan, nan]: expected finite"),
        ({"step": returning(states=np.zeros((2, 2)))}, "Drift.step returned float64 of shape (2, 2) for 3 episodes"),
        ({"step": lambda *given: tuple(Drift.step(*given))}, "Drift.step returned tuple: expected"),
        ({"initial": lambda self, streams: np.full((3, 2), np.nan)}, "Drift.initial returned the state"),
        ({"observe": lambda self, state: [0.0]}, "Drift.observe returned list [0.0]"),
        ({"leader_discount": None}, "Drift: leader_discount=None"),
        ({"name": None}, "Drift.name is None: expected str"),
    ],
)
def test_rules_that_do_not_fit_are_named_once(changes: dict[str, Any], named: str) -> None:
    report = check_game(drift_with(**changes))
    assert list(failures(report)) == [FIRST]
    assert named in failures(report)[FIRST]
    assert len(report.skipped) == len(CHECKS) - 1


def test_a_class_with_methods_missing_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match=r"cannot be called without arguments.*abstract"):
        check_game(Game)


def test_the_environment_of_a_blind_game_says_that_it_is_blind() -> None:
    check_game(random_game_v0.game(4, 3, 2, horizon=20, follower_sees_action=False).env).require()
