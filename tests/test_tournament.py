"""Tournaments: the same numbers however they are played, nothing lost, mistakes said beforehand."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.agents.leaders.fixed import FixedLeader
from stackelberg_games.errors import (
    InformationError,
    InvalidArgumentError,
    MissingExtraError,
    StoreError,
    UnknownIdError,
    UnsupportedGameError,
)
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.learning import registry
from stackelberg_games.learning.follower import Answer, FiniteFollower
from stackelberg_games.learning.information import Evidence
from stackelberg_games.tournaments.contestant import Contestant
from stackelberg_games.tournaments.evaluation import deterministic_commitment, optimal_commitment
from stackelberg_games.tournaments.export import tables
from stackelberg_games.tournaments.match import BEST, OWN
from stackelberg_games.tournaments.payoffs import DETERMINISTIC, OPTIMUM, UNIFORM
from stackelberg_games.tournaments.results import Results
from stackelberg_games.tournaments.runner import play_all
from stackelberg_games.tournaments.store import FILE, Store
from stackelberg_games.tournaments.tournament import Tournament
from stackelberg_games.tournaments.tournament_file import load

TOY: tuple[str, dict[str, Any]] = ("discrete_toy-v0", {"horizon": 20})
PLANS = {"plans": "soft_value_iteration"}
HELD_OUT = {"noisy": ("quantal", {"factor": 2.0}), "hard": ("best_response", {"ties": "against"})}


def finite(name: str, **settings: Any) -> TabularGame:
    game = sg.make(name, **settings)
    assert isinstance(game, TabularGame)
    return game


def small(**changes: Any) -> Tournament:
    options: dict[str, Any] = {
        "games": {"toy": TOY, "matrix": ("matrix-v0", {"preset": "maintain"})},
        "leaders": ["bchg", "random_search"],
        "followers": {**PLANS, "learns": ("soft_q_learning", {"first_transitions": 2000, "transitions": 500})},
        "seeds": 2,
        "budget": {"toy": 240, "matrix": 60},
        "episodes": 2,
        "held_out": HELD_OUT,
        "points": 5,
    }
    return Tournament(**{**options, **changes})


@pytest.fixture(scope="module")
def serial() -> Results:
    return small().play(backend="serial")


def same(one: Results, other: Results) -> bool:
    """Every table but the timings, compared as text."""
    mine, yours = tables(one), tables(other)
    return all(repr(mine[name]) == repr(yours[name]) for name in ("results", "matches", "curves"))


def test_everybody_meets_everybody(serial: Results) -> None:
    trained, references = 2 * 3 * 2 * 2, 2 * 2 * 3
    assert len(serial.rows) == trained + references
    assert serial.leaders == ["bchg", "random_search", "policy_gradient"]
    assert not serial.failures
    assert serial.missing == 0
    assert np.isfinite(serial.payoffs()).all()
    for measure in (BEST, OWN, *HELD_OUT):
        assert np.isfinite(serial.payoffs(against=measure)).all()


def test_budgets_are_kept(serial: Results) -> None:
    for row in serial.rows:
        assert row.outcome is not None
        if row.seed is not None:
            assert row.outcome.transitions == {"toy": 240, "matrix": 60}[row.game]
            assert (row.outcome.follower_transitions > 0) == (row.follower == "learns")


def test_two_workers_give_the_same_to_the_bit(serial: Results, tmp_path: Path) -> None:
    shared = small().play(tmp_path, workers=2)
    assert same(serial, shared)
    assert same(serial, Results.load(tmp_path))


def test_ray_gives_the_same_to_the_bit(serial: Results) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    assert same(serial, small().play(backend="ray", workers=2))


def test_an_interrupted_run_continues_to_the_same_numbers(serial: Results, tmp_path: Path) -> None:
    cup = small()
    with Store(tmp_path, write=True) as store:
        for match in list(cup.matches)[::3]:
            store.put(match.key, match.play())
        before = store.outcomes(match.key for match in cup.matches)
    resumed = cup.play(tmp_path)
    assert same(serial, resumed)
    after = {row.key: row.outcome for row in resumed.rows}
    assert all(after[key] == outcome for key, outcome in before.items())  # timings too: not played again


def test_a_tournament_grows_without_playing_again(tmp_path: Path) -> None:
    games = {"toy": TOY}
    first = small(games=games, budget=80, leaders="random_search", followers=PLANS).play(tmp_path)
    second = small(games=games, budget=80, leaders=["random_search", "fixed"], followers=PLANS, seeds=3).play(tmp_path)
    known = {row.key: row.outcome for row in first.rows}
    assert known.items() <= {row.key: row.outcome for row in second.rows}.items()
    assert len(second.rows) == 3 + 3 * 3


def test_keys_and_seeds_depend_on_settings_and_not_on_company() -> None:
    alone, crowd = small(leaders="bchg"), small(followers={"learns": small().followers[1], **PLANS})
    keys = {match.key for match in crowd.matches}
    assert {match.key for match in alone.matches} <= keys
    assert len(keys) == len(crowd.matches)
    assert not {m.key for m in small(leaders=("bchg", {"learning_rate": 0.3}), references=False).matches} & keys
    assert not {m.key for m in small(games={"toy": (TOY[0], {**TOY[1], "R": 2.0})}, budget=240).matches} & keys
    one, other = (
        m
        for m in small().matches
        if m.seed == 1
        and m.follower.label == "plans"
        and m.game.label == "toy"
        and m.leader.label in ("bchg", "random_search")
    )
    assert one.derived_seed("match", one.follower.identity) == other.derived_seed("match", other.follower.identity)


def test_labels_change_no_number(serial: Results) -> None:
    renamed = small(leaders={"mine": "bchg"}, followers=PLANS, references=False).play()
    np.testing.assert_array_equal(renamed.payoffs()[:, 0, 0], serial.payoffs()[:, 0, 0])


def test_references_are_the_exact_ones(serial: Results) -> None:
    toy, follower = finite(TOY[0], **TOY[1]), 0.05
    best = exact.solve(toy, follower).value
    assert serial.reference(OPTIMUM)[0, 0] == pytest.approx(best, rel=1e-6)
    uniform = sg.TabularPolicy(toy)
    value = exact.leader_value(toy, uniform, exact.best_response(toy, uniform, follower).policy)
    assert serial.reference(UNIFORM)[0, 0] == value
    order = [serial.reference(label) for label in (OPTIMUM, DETERMINISTIC)]
    assert (order[0] >= order[1]).all()
    assert (serial.regret() >= -1e-6).all()


def test_the_best_deterministic_commitment_is_the_best_of_all() -> None:
    game = finite("random_game-v0", states=3, leader_actions=2, seed=4)
    found, how = deterministic_commitment(game, 0.1, 0)
    values = []
    for code in range(8):
        policy = sg.TabularPolicy.from_probabilities(game, np.eye(2)[[code & 1, code >> 1 & 1, code >> 2]])
        values.append(exact.leader_value(game, policy, exact.best_response(game, policy, 0.1).policy))
    assert how == "enumeration"
    assert exact.leader_value(game, found, exact.best_response(game, found, 0.1).policy) == max(values)


def test_too_many_deterministic_commitments_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    game = finite("random_game-v0", states=4, leader_actions=2, seed=4)
    enumerated, _ = deterministic_commitment(game, 0.1, 0)
    monkeypatch.setattr("stackelberg_games.tournaments.evaluation.MAX_ENUMERATED", 1)
    searched, how = deterministic_commitment(game, 0.1, 0)
    assert "local search" in how
    np.testing.assert_array_equal(searched.probabilities().detach(), enumerated.probabilities().detach())


def test_the_optimum_is_no_worse_than_its_parts() -> None:
    game = finite("matrix-v0", preset="maintain")
    commitment, _ = optimal_commitment(game, 0.0, 0)
    value = exact.leader_value(game, commitment, exact.best_response(game, commitment, 0.0).policy)
    assert value == pytest.approx(27.5)
    with pytest.raises(UnsupportedGameError):
        optimal_commitment(game, None, 0)


def test_an_unknown_optimum_is_said_and_not_a_failure() -> None:
    cup = small(
        games={"toy": TOY},
        budget=80,
        leaders="random_search",
        followers={"blind": "random"},
        held_out=(),
        references=True,
    )
    results = cup.play()
    assert not results.failures
    unknown = next(row for row in results.rows if row.leader == OPTIMUM)
    assert unknown.outcome is not None
    assert unknown.outcome.status == "unavailable"
    assert "best-responding follower" in unknown.outcome.note
    assert np.isnan(results.regret()).all()


@dataclass
class Troublesome(FixedLeader):
    """Does what a test asks of it at its first update."""

    trouble: str = "raise"

    def update(self, evidence: Evidence) -> dict[str, float]:
        if self.trouble == "raise":
            raise ZeroDivisionError("on purpose")
        if self.trouble == "sleep":
            time.sleep(60)
        if self.trouble == "die":
            os._exit(9)
        return {}


def with_trouble(trouble: str, **changes: Any) -> Tournament:
    leaders = {"calm": "fixed", "trouble": Troublesome(trouble=trouble)}
    return small(games={"toy": TOY}, budget=80, leaders=leaders, followers=PLANS, held_out=(), **changes)


def test_a_failed_match_is_recorded_and_stops_nothing(tmp_path: Path) -> None:
    results = with_trouble("raise").play(tmp_path)
    assert [row.leader for row in results.failures] == ["trouble", "trouble"]
    assert results.failures[0].outcome is not None
    assert "ZeroDivisionError: on purpose" in results.failures[0].outcome.error
    assert np.isfinite(results.payoffs()[:, [0, 2]]).all()
    board = {s.leader: s for rows in results.leaderboard().values() for s in rows}
    assert board["trouble"].rank is None
    assert board["trouble"].progress.failed == 2
    kept = with_trouble("raise").play(tmp_path, retry=False)
    assert {row.key: row.outcome for row in kept.rows} == {row.key: row.outcome for row in results.rows}


def test_a_match_that_takes_too_long_is_given_up() -> None:
    begun = time.monotonic()
    results = with_trouble("sleep", seeds=1, references=False).play(backend="serial", timeout=4.0)
    assert time.monotonic() - begun < 40
    (failed,) = results.failures
    assert failed.outcome is not None
    assert "longer than 4 s" in failed.outcome.error


def test_a_dying_worker_takes_no_other_match_with_it() -> None:
    results = with_trouble("die", seeds=1, references=False).play(workers=2)
    assert [row.leader for row in results.failures] == ["trouble"]
    assert results.failures[0].outcome is not None
    assert "worker process died" in results.failures[0].outcome.error
    assert results.missing == 0


def test_a_leader_that_asks_too_much_is_refused_before_anything_runs() -> None:
    with pytest.raises(
        InformationError, match=r"leader 'exact_gradient' cannot play follower 'best_response' in 'toy'.*temperature"
    ):
        small(games={"toy": TOY}, budget=80, leaders="exact_gradient", followers="best_response")
    reader = ("bchg", {"reads": "values"})
    with pytest.raises(InformationError, match=r"reads the follower's values; SoftQLearning has none"):
        small(games={"toy": TOY}, budget=80, leaders=reader)


def test_a_follower_that_does_not_fit_is_refused_before_anything_runs() -> None:
    refused = r"follower 'maxent_lqr' cannot play 'toy': MaxEntLQR needs a linear-quadratic game"
    with pytest.raises(UnsupportedGameError, match=refused):
        small(games={"toy": TOY}, budget=80, followers=["maxent_lqr", "soft_value_iteration"])
    with pytest.raises(UnsupportedGameError, match=refused):
        small(games={"toy": TOY}, budget=80, held_out="maxent_lqr")
    with pytest.raises(UnsupportedGameError, match=r"follower 'random' cannot play 'lqr-v0': RandomFollower needs"):
        small(games="lqr-v0", budget=8000, leaders="policy_gradient", followers="random")


@pytest.fixture
def local_leader() -> Iterator[str]:
    registry.register("leader", "only_here")(Troublesome)
    yield "only_here"
    del registry._added["leader"]["only_here"]


def test_a_library_that_is_missing_is_named_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    said = r"follower 'sb3' cannot play 'matrix-v0': .*stackelberg-games\[sb3\]"
    with pytest.raises(MissingExtraError, match=f"^{said}"):
        Tournament("matrix-v0", "random_search", "sb3", budget=60)
    file = tmp_path / "cup.toml"
    file.write_text('[[game]]\nid = "matrix-v0"\n[[leader]]\nid = "random_search"\n[[follower]]\nid = "sb3"\n')
    with pytest.raises(MissingExtraError, match=f"cup.toml: {said}"):
        load(file)


def test_what_only_this_process_knows_is_shipped_to_workers(local_leader: str) -> None:
    given = finite("discrete_toy-v0", horizon=20)
    arrays = (given.transition, given.leader_reward, given.follower_reward, given.initial_distribution)
    game = sg.TabularGame(*arrays, 0.99, 0.99, 20)
    cup = small(
        games={"mine": game}, budget=80, leaders=[(local_leader, {"trouble": "none"})], followers=PLANS, held_out=()
    )
    one, two = cup.play(), cup.play(workers=2)
    assert not one.failures
    assert same(one, two)


def test_importable_factories_need_no_registration() -> None:
    named = Contestant.of("leader", "stackelberg_games.agents.leaders.fixed:FixedLeader")
    assert isinstance(named.build(), FixedLeader)
    assert Contestant.of("leader", FixedLeader()).id == "fixed"
    with pytest.raises(InvalidArgumentError, match="cannot be imported"):
        Contestant.of("leader", "no.such.module:Leader")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"leaders": "bchgg"}, UnknownIdError, "did you mean 'bchg'"),
        ({"games": "discrete_toi-v0"}, UnknownIdError, "did you mean 'discrete_toy-v0'"),
        ({"leaders": ("bchg", {"learning_rat": 1})}, InvalidArgumentError, "did you mean 'learning_rate'"),
        ({"leaders": ["bchg", "bchg"]}, InvalidArgumentError, "two leaders have the same label"),
        ({"leaders": {"a": "bchg", "b": "bchg"}}, InvalidArgumentError, "same settings: 'a' and 'b'"),
        ({"leaders": {"exact optimum": "bchg"}}, InvalidArgumentError, "belongs to a reference player"),
        ({"leaders": 3}, InvalidArgumentError, "expected an id"),
        ({"held_out": {"as trained": "random"}}, InvalidArgumentError, "reserved"),
        ({"seeds": 0}, InvalidArgumentError, "seeds=0"),
        ({"seeds": [1, 1]}, InvalidArgumentError, "different seeds"),
        ({"budget": {"toy": 1}}, InvalidArgumentError, "expected the games"),
        ({"budget": 39}, InvalidArgumentError, "budget=39"),
        ({"budget": 0}, InvalidArgumentError, "budget=0"),
        ({"bounds": {"toy": (1, 0)}}, InvalidArgumentError, "bounds of 'toy'"),
        ({"pints": 3}, InvalidArgumentError, "unknown rule 'pints'"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        small(**changes)


@pytest.mark.parametrize("how", [{"backend": "threads"}, {"workers": 0}, {"timeout": 0.0}])
def test_bad_ways_to_play_are_refused(how: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        play_all([], **how)


@dataclass
class Leaving(FiniteFollower):
    """A follower that ends the program when it is asked."""

    temperature: float = 0.05

    def respond(self, game: sg.Game, commitment: Any) -> Answer:
        sys.exit(3)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_follower_that_ends_the_program_is_a_failed_match(tmp_path: Path, workers: int) -> None:
    cup = small(leaders={"search": "random_search"}, followers={**PLANS, "leaves": Leaving()}, held_out=())
    results = cup.play(tmp_path, workers=workers, progress=False)
    assert {row.follower for row in results.failures} == {"leaves"}
    assert all("SystemExit: 3" in row.outcome.error for row in results.failures if row.outcome)
    assert results.missing == 0
    assert len(results.failures) < len(results.rows)


def test_a_damaged_match_is_named_and_played_again_on_request(tmp_path: Path) -> None:
    cup = small(games="matrix-v0", budget=60, leaders="random_search", followers=PLANS)
    whole = cup.play(tmp_path, progress=False)
    with sqlite3.connect(tmp_path / FILE) as connection:
        key, outcome = connection.execute("SELECT key, outcome FROM matches LIMIT 1").fetchone()
        altered = outcome.replace('"leader_payoff":', '"leader_payoff":9', 1)
        connection.execute("UPDATE matches SET outcome = ? WHERE key = ?", (altered, key))
    connection.close()
    calls: list[Any] = [lambda: Results.load(tmp_path), lambda: cup.play(tmp_path, progress=False)]
    for call in calls:
        with pytest.raises(StoreError, match=rf"is damaged \(1 found; the first: the row b?'{key}'"):
            call()
    assert same(cup.play(tmp_path, replay_damaged=True, progress=False), whole)
    assert same(Results.load(tmp_path), whole)
