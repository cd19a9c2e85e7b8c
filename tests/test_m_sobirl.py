import copy
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.commitment import Commitment, flatten
from stackelberg_games.envs.random_mdp_v0 import instance
from stackelberg_games.errors import InformationError, InvalidArgumentError, SolverError, UnsupportedGameError
from stackelberg_games.follower import Follower
from stackelberg_games.game import FloatArray
from stackelberg_games.leader import GradientLeader, Leader
from stackelberg_games.tabular import TabularGame

REFERENCE = {  # gradient norm at iteration k, phi(x_k); arXiv 2405.19697's code on the instance of seed 3
    1: (62.279041, 51.278574),
    2: (47.134129, 51.616082),
    5: (31.199951, 52.658970),
    10: (16.512266, 54.107444),
    20: (7.3470230, 52.299020),
    50: (8.0965683, 35.401858),
    100: (5.8303218, 17.191177),
    150: (4.4100554, 8.3973228),
    175: (13.954286, 3.8239640),
    200: (1.9461395, 2.8746966),
    250: (1.2887861, 1.8304828),
    300: (0.86250940, 1.3719612),
    500: (0.17302078, 1.0149681),
    1000: (3.1184181e-3, 1.0000049),
}


def literal_recursion(iterations: int) -> Iterator[tuple[float, float]]:
    """The published recursion written out for this one problem, in plain NumPy."""
    transition, c, form, x = instance(seed=3)
    gamma, beta, zeta, sweeps = 0.5, 8e-3, 0.5, 10
    both = form + form.T
    w = torch.randn(10, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).numpy()
    values, policy = np.zeros(10), np.full((10, 5), 0.2)
    for _ in range(iterations):
        a = (np.eye(10) - gamma * np.einsum("sb,sbn->sn", policy, transition)).T
        u = policy**2
        b = u.sum(1) - gamma * np.einsum("sb,sbn->n", u, transition)
        w = w - zeta * (a.T @ a @ w - a.T @ b)
        q = c * (x @ form @ x) + gamma * transition @ values
        omega = np.exp(q - q.max(1, keepdims=True))
        omega /= omega.sum(1, keepdims=True)
        gradient = x + (u * c).sum() * (both @ x) - ((omega * c).sum(1) @ w) * (both @ x)
        x = x - beta * gradient
        for _ in range(sweeps):
            q = c * (x @ form @ x) + gamma * transition @ values
            peak = q.max(1)
            new = peak + np.log(np.exp(q - peak[:, None]).sum(1))
            change = np.abs(new - values).max()
            values = new
            if change < 1e-6:
                break
        policy = np.exp(c * (x @ form @ x) + gamma * transition @ values - values[:, None])
        yield float(np.linalg.norm(gradient)), 0.5 * x @ x + 0.5 * (policy**2).sum()


def follow(iterations: int, **settings: Any) -> Iterator[tuple[dict[str, float], Commitment, TabularGame]]:
    """Logged figures of M-SoBiRL on the reference instance, with the x before each iteration."""
    game = sg.make("random_mdp-v0")
    assert isinstance(game, TabularGame)
    leader = sg.make_leader("m_sobirl", **settings)
    leader.begin(game.view(1.0), seed=3)
    evidence = sg.Evidence(np.zeros(1), game=game)
    for _ in range(iterations):
        before = copy.deepcopy(leader.commitment)
        yield leader.update(evidence), before, game


def test_it_follows_the_published_recursion_to_rounding() -> None:
    ours = list(follow(600))
    for (figures, _, _), (norm, f) in zip(ours, literal_recursion(600), strict=True):
        assert figures["gradient_norm"] == pytest.approx(norm, rel=1e-8)
        assert figures["objective"] == pytest.approx(-f, rel=1e-10)


def test_it_reproduces_the_reference_run() -> None:
    compared = 0
    for k, (figures, commitment, game) in enumerate(follow(1000), start=1):
        if k in REFERENCE:
            norm, phi = REFERENCE[k]
            assert figures["gradient_norm"] == pytest.approx(norm, rel=2e-7)  # as printed
            assert -float(exact.leader_objective(game, commitment, 1.0).detach()) == pytest.approx(phi, rel=2e-7)
            compared += 1
    assert compared == len(REFERENCE)


def errors(iterations: int, **settings: Any) -> tuple[FloatArray, FloatArray]:
    """Relative error of the gradient at every iteration, and phi(x_k)."""
    out, values = [], []
    for _, before, game in follow(iterations, **settings):
        leader = sg.make_leader("implicit")
        leader.begin(game.view(1.0), commitment=before)
        assert isinstance(leader, GradientLeader)
        truth = -leader.estimate(sg.Evidence(np.zeros(1), game=game)).numpy()
        values.append(-float(exact.leader_objective(game, before, 1.0).detach()))
        out.append((flatten(before).numpy(), truth))
    steps = [(a[0] - b[0]) / 8e-3 for a, b in itertools.pairwise(out)]
    relative = [np.linalg.norm(s - t) / np.linalg.norm(t) for s, (_, t) in zip(steps, out[:-1], strict=True)]
    return np.array(relative), np.array(values)


@pytest.mark.parametrize(
    ("settings", "windows", "phi"),
    [
        ({}, (6.44, 1.8, 0.20), (17.19, 8.40)),
        ({"adjoint_start": "zero"}, (6.3, 1.9, 0.18), (17.57, 8.64)),
        ({"adjoint": "solve"}, (5.1, 6e-4, 0.01), (10.51, 5.25)),
        ({"adjoint": "solve", "start": "solved"}, (6e-4, 0.022, 0.017), (10.46, 5.23)),
        ({"adjoint": "solve", "start": "solved", "sweeps": 40}, (2e-6, 3e-6, 3e-6), (10.45, 5.23)),
    ],
)
def test_the_ablation_of_its_gradient_error(
    settings: dict[str, Any], windows: tuple[float, ...], phi: tuple[float, ...]
) -> None:
    relative, values = errors(152, **settings)
    measured = (relative[:10].max(), relative[10:30].max(), relative[30:150].max())
    np.testing.assert_allclose(measured, windows, rtol=0.5)  # the reference rounds to one or two digits
    np.testing.assert_allclose((values[99], values[149]), phi, atol=0.0051)


def test_it_needs_the_game_and_a_configurable_one() -> None:
    game = sg.make("random_mdp-v0")
    leader = sg.make_leader("m_sobirl")
    leader.begin(game.view(1.0))
    with pytest.raises(InformationError, match="needs the game"):
        leader.update(sg.Evidence(np.zeros(1)))
    with pytest.raises(UnsupportedGameError, match="discrete_toy-v0"):
        leader.update(sg.Evidence(np.zeros(1), game=sg.make("discrete_toy-v0")))


def test_one_sweep_diverges_with_a_clear_error() -> None:
    with pytest.raises(SolverError, match="diverged"), np.errstate(all="ignore"):
        for _ in follow(200, sweeps=1):
            pass


@pytest.mark.parametrize("settings", [{"step": 0.0}, {"sweeps": 0}, {"adjoint": "x"}, {"start": "x"}])
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        sg.make_leader("m_sobirl", **settings)


def test_a_resumed_run_continues_to_the_same_numbers(tmp_path: Path) -> None:
    game = sg.make("random_mdp-v0")

    def make() -> tuple[Leader, Follower]:
        return sg.make_leader("m_sobirl"), sg.make_follower("soft_value_iteration", temperature=1.0)

    whole = sg.train(game, *make(), iterations=6, episodes=1)
    sg.train(game, *make(), iterations=3, episodes=1, directory=tmp_path, checkpoint_every=3)
    resumed = sg.train(game, *make(), iterations=6, episodes=1, directory=tmp_path, checkpoint_every=3)
    assert resumed.history[-1] == whole.history[-1]
