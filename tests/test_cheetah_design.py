"""The half cheetah whose legs the leader sets: Gymnasium's at rest, and what other legs change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games.envs import cheetah_design_v0
from stackelberg_games.envs.cheetah_design_v0 import METRES, USUAL, at_rest
from stackelberg_games.errors import (
    InvalidActionError,
    InvalidArgumentError,
    InvalidGameError,
    MissingExtraError,
    SolverError,
    UnsupportedGameError,
)
from stackelberg_games.numerics.randomness import Streams

pytest.importorskip("mujoco")
IDLE = np.zeros(1, dtype=np.int64)
LEGS = [USUAL, (-0.5,) * 6, (0.5,) * 6, (-0.5, 0.5, 0.2, -0.1, 0.4, -0.3)]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MuJoCo logs its warnings where it runs."""
    monkeypatch.chdir(tmp_path)


def made(longer: tuple[float, ...], **settings: Any) -> cheetah_design_v0.CheetahDesign:
    return cheetah_design_v0.game(**settings).configured(torch.tensor(longer, dtype=torch.float64))


def test_the_usual_body_is_gymnasiums() -> None:
    game, reference = cheetah_design_v0.game(cost=0.0), gymnasium.make("HalfCheetah-v5").unwrapped
    reference.reset(seed=0)
    inside: Any = reference
    np.testing.assert_allclose(game.body.model.body_mass, inside.model.body_mass, rtol=1e-12)
    random, states = np.random.default_rng(0), game.initial(Streams.of(0, 1))
    for stage in range(100):
        torques = random.uniform(-1, 1, 6).astype(np.float32)
        inside.set_state(states[0, :9], states[0, 9:])
        inside.data.qacc_warmstart[:] = 0
        seen, reward, *_, told = reference.step(torques)
        step = game.step(states, IDLE, torques[None], Streams.of(0, 1), stage)
        np.testing.assert_allclose(step.states[0, 1:], seen, atol=1e-9)
        assert step.follower_rewards[0] == pytest.approx(float(reward), abs=1e-6)
        assert step.leader_rewards[0] == pytest.approx(0.05 * told["x_velocity"], abs=1e-9)
        states = step.states


@pytest.mark.parametrize("longer", LEGS)
def test_segments_are_as_long_as_they_were_set_and_hang_together(longer: tuple[float, ...]) -> None:
    body = made(longer).body
    parts = {name: (one, other) for name, one, other, _ in at_rest(body)}
    found = [np.linalg.norm(parts[name][1] - parts[name][0]) for name in cheetah_design_v0.SEGMENTS]
    np.testing.assert_allclose(found, METRES * (1 + np.array(longer)), rtol=1e-12)
    usual = made(USUAL).body
    lowest, before = (min(min(a[1], b[1]) - r for _, a, b, r in at_rest(each)) for each in (body, usual))
    assert lowest == pytest.approx(before, abs=1e-12)
    for leg in "bf":  # each joint as far along the segment above it as ever
        for upper, lower in (("thigh", "shin"), ("shin", "foot")):
            above, more = body.model.body(leg + upper).id, longer[cheetah_design_v0.SEGMENTS.index(leg + upper)]
            apart, before = (np.linalg.norm(one.model.body(leg + lower).pos) for one in (body, usual))
            assert body.model.body(leg + lower).parentid[0] == above
            assert apart == pytest.approx((1 + more) * before)


def test_the_leader_pays_for_metres_of_leg_and_longer_legs_weigh_more() -> None:
    torques = np.zeros((2, 6), dtype=np.float32)
    for longer in LEGS:
        free, dear = made(longer, cost=0.0), made(longer, cost=2.0)
        states = free.initial(Streams.of(1, 2))
        rewards = [
            game.step(states, np.zeros(2, int), torques, Streams.of(1, 2), 0).leader_rewards for game in (free, dear)
        ]
        metres = 2 * (np.array([0.145, 0.15, 0.094, 0.133, 0.106, 0.07]) @ (1 + np.array(longer)))
        np.testing.assert_allclose(rewards[0] - rewards[1], 0.05 * 2.0 * metres, rtol=1e-12)
    masses = [float(made(longer).body.model.body_mass.sum()) for longer in LEGS[:3]]
    assert masses[0] == pytest.approx(14.0)
    assert masses[1] < masses[0] < masses[2]


def test_what_is_played_does_not_depend_on_where_the_body_is_or_on_who_plays_beside() -> None:
    game = made(LEGS[3])
    states = np.concatenate([game.initial(Streams.of(3, 4))])
    torques = np.random.default_rng(1).uniform(-1, 1, (4, 6)).astype(np.float32)
    together = game.step(states, np.zeros(4, int), torques, Streams.of(3, 4), 0)
    alone = game.step(states[2:3], IDLE, torques[2:3], Streams.of(3, 1), 0)
    np.testing.assert_array_equal(together.states[2:3], alone.states)
    moved = states + np.eye(18)[0] * 7.0
    apart = game.step(moved, np.zeros(4, int), torques, Streams.of(3, 4), 0)
    np.testing.assert_allclose(apart.states[:, 1:], together.states[:, 1:], atol=1e-8)
    np.testing.assert_allclose(apart.leader_rewards, together.leader_rewards, atol=1e-9)


def test_bodies_and_torques_out_of_range_are_refused_and_so_is_what_diverges() -> None:
    game = cheetah_design_v0.game()
    for longer in ([0.6] + [0.0] * 5, [float("nan")] * 6, [0.0] * 5):
        with pytest.raises(InvalidArgumentError, match="the configuration"):
            game.configured(torch.tensor(longer, dtype=torch.float64))
    states = game.initial(Streams.of(0, 1))
    with pytest.raises(InvalidActionError, match="follower"):
        game.step(states, IDLE, np.full((1, 6), 1.5, dtype=np.float32), Streams.of(0, 1), 0)
    with pytest.raises(SolverError, match="diverged"):
        game.step(states + 1e12, IDLE, np.zeros((1, 6), dtype=np.float32), Streams.of(0, 1), 0)
    after = game.step(states, IDLE, np.zeros((1, 6), dtype=np.float32), Streams.of(0, 1), 0)
    assert np.isfinite(after.states).all()  # the next one is played as if nothing had happened
    with pytest.raises(InvalidGameError, match=r"cost=-1\.0"):
        cheetah_design_v0.game(cost=-1.0)


def test_without_mujoco_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    cheetah_design_v0._body.cache_clear()
    game = sg.make("cheetah_design-v0")
    with pytest.raises(MissingExtraError, match=r"stackelberg-games\[mujoco\]"):
        game.step(np.zeros((1, 18)), IDLE, np.zeros((1, 6), dtype=np.float32), Streams.of(0, 1), 0)


def test_leaders_of_returns_design_it_for_a_follower_that_learns_and_others_say_why_not() -> None:
    game = sg.make("cheetah_design-v0", horizon=20)
    options = {"policy_kwargs": {"net_arch": [8]}, "learning_starts": 10, "batch_size": 16}
    for name in ("evolution_strategies", "random_search", "bchg"):
        follower = sg.make_follower("sb3", algorithm="SAC", budget=40, temperature=0.05, options=options)
        settings: dict[str, Any] = {"iterations": 2, "episodes": 2, "evaluate_every": 0, "progress": False}
        if name == "bchg":
            with pytest.raises(UnsupportedGameError, match="evolution_strategies and random_search"):
                sg.train(game, name, follower, **settings)
            continue
        run = sg.train(game, name, follower, **settings)
        assert len({row["leader_return"] for row in run.history}) == 2


def test_the_body_is_drawn_as_it_was_set() -> None:
    env = sg.make("cheetah_design-v0").env(render_mode="rgb_array")
    pictures = []
    for longer in ((-0.5,) * 6, (0.5,) * 6):
        env.reset(seed=0)
        env.step(np.array(longer))
        pictures.append(np.asarray(env.render(), dtype=np.int64))
    assert np.abs(pictures[0] - pictures[1]).mean() > 0.5
