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
from stackelberg_games.arrays import FloatArray
from stackelberg_games.envs import random_mdp_v0
from stackelberg_games.envs.random_mdp_v0 import instance
from stackelberg_games.errors import InformationError, InvalidArgumentError, SolverError, UnsupportedGameError
from stackelberg_games.exact import implicit
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.learning.ascent import GradientLeader
from stackelberg_games.learning.follower import Follower
from stackelberg_games.learning.leader import Leader
from stackelberg_games.rules.commitment import Commitment, assign, flatten

REFERENCE = {  # at iteration k: |g_k|, |grad phi(x_k)|, relative error, cosine, phi(x_k); public code, instance of seed 3
    1: (62.279041, 9.9026969, 6.44, -0.073, 51.278574),
    2: (47.134129, 9.8449075, 4.96, -0.074, 51.616082),
    5: (31.199951, 9.8655273, 3.45, -0.141, 52.658970),
    10: (16.512266, 9.9819628, 2.00, -0.075, 54.107444),
    20: (7.3470230, 9.7892954, 0.614, 0.790, 52.299020),
    50: (8.0965683, 7.9066074, 0.0342, 0.99971, 35.401858),
    100: (5.8303218, 5.3174684, 0.134, 0.99600, 17.191177),
    150: (4.4100554, 3.8316369, 0.202, 0.99222, 8.3973228),
    175: (13.954286, 3.4424161, 4.72, -0.601, 3.8239640),
    200: (1.9461395, 2.4826700, 0.517, 0.859, 2.8746966),
    250: (1.2887861, 1.2887898, 1.2e-3, 1.0, 1.8304828),
    300: (0.86250940, 0.86250940, 3.3e-7, 1.0, 1.3719612),
    500: (0.17302078, 0.17302078, 9.4e-11, 1.0, 1.0149681),
    1000: (3.1184181e-3, 3.1184181e-3, 1.7e-14, 1.0, 1.0000049),
    3000: (3.2906270e-10, 3.2906270e-10, 1.5e-15, 1.0, 1.0),
}
PRINTED = 6e-8  # half a unit of the last of eight digits, relative


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


def exact_gradient(game: TabularGame, commitment: Commitment) -> FloatArray:
    """Of phi = -J, by the exact adjoint."""
    leader = sg.make_leader("implicit")
    leader.begin(game.view(1.0), commitment=commitment)
    assert isinstance(leader, GradientLeader)
    return np.asarray(-leader.estimate(sg.Evidence(np.zeros(1), game=game)).numpy())


def test_all_iterations_follow_the_published_recursion_and_reach_its_printed_digits() -> None:
    compared = 0
    literal, before = literal_recursion(3000), None
    for k, (figures, commitment, game) in enumerate(follow(3001), start=1):
        if before is not None:  # the step from x_(k-1) that iteration k - 1 took
            _, exact_norm, error, cosine, phi = REFERENCE[k - 1]
            step = (flatten(before) - flatten(commitment)).numpy() / 8e-3
            truth = exact_gradient(game, before)
            assert np.linalg.norm(truth) == pytest.approx(exact_norm, rel=PRINTED)
            relative = np.linalg.norm(step - truth) / np.linalg.norm(truth)
            assert relative == pytest.approx(error, rel=0.06, abs=1e-10)
            assert step @ truth / np.linalg.norm(step) / np.linalg.norm(truth) == pytest.approx(cosine, abs=6e-4)
            assert -float(exact.leader_objective(game, before, 1.0).detach()) == pytest.approx(phi, rel=PRINTED)
            compared += 1
        before = commitment if k in REFERENCE else None
        if k <= 3000:
            known, f = next(literal)
            assert figures["gradient_norm"] == pytest.approx(known, rel=1e-8)
            assert figures["objective"] == pytest.approx(-f, rel=1e-10)
            if k in REFERENCE:
                assert figures["gradient_norm"] == pytest.approx(REFERENCE[k][0], rel=PRINTED)
    assert compared == len(REFERENCE)


def errors(iterations: int, **settings: Any) -> tuple[FloatArray, FloatArray]:
    """Relative error of the gradient at every iteration, and phi(x_k)."""
    out, values = [], []
    for _, before, game in follow(iterations, **settings):
        values.append(-float(exact.leader_objective(game, before, 1.0).detach()))
        out.append((flatten(before).numpy(), exact_gradient(game, before)))
    steps = [(a[0] - b[0]) / 8e-3 for a, b in itertools.pairwise(out)]
    relative = [np.linalg.norm(s - t) / np.linalg.norm(t) for s, (_, t) in zip(steps, out[:-1], strict=True)]
    return np.array(relative), np.array(values)


@pytest.mark.parametrize(
    ("settings", "windows", "phi"),
    [
        ({}, (6.44, 1.8, 0.20, 7.8, 0.055), (17.19, 8.40, 2.87)),
        ({"adjoint_start": "zero"}, (6.3, 1.9, 0.18, 5.6, 0.093), (17.57, 8.64, 2.92)),
        ({"adjoint": "solve"}, (5.1, 6e-4, 0.01, 2e-7, 1e-13), (10.51, 5.25, 2.90)),
        ({"adjoint": "solve", "start": "solved"}, (6e-4, 0.022, 0.017, 2e-7, 6e-14), (10.46, 5.23, 2.89)),
        ({"adjoint": "solve", "start": "solved", "sweeps": 40}, (2e-6, 3e-6, 3e-6, 2e-7, 8e-14), (10.45, 5.23, 2.89)),
    ],
)
def test_the_ablation_of_its_gradient_error(
    settings: dict[str, Any], windows: tuple[float, ...], phi: tuple[float, ...]
) -> None:
    relative, values = errors(302, **settings)
    ends = (0, 10, 30, 150, 220, 300)
    measured = [relative[start:end].max() for start, end in itertools.pairwise(ends)]
    # the reference rounds to one or two digits; steps are told apart from x to about 1e-12
    np.testing.assert_allclose(measured, windows, rtol=0.5, atol=1e-11)
    np.testing.assert_allclose((values[99], values[149], values[199]), phi, atol=0.0051)


def test_descent_on_the_exact_gradient_has_the_values_of_the_reference() -> None:
    game = sg.make("random_mdp-v0")
    assert isinstance(game, TabularGame)
    commitment, values = game.commitment(), []
    for _ in range(200):
        values.append(-float(exact.leader_objective(game, commitment, 1.0).detach()))
        assign(commitment, flatten(commitment) - 8e-3 * torch.from_numpy(exact_gradient(game, commitment)))
    np.testing.assert_allclose((values[99], values[149], values[199]), (10.45, 5.22, 2.89), atol=0.0051)


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


def test_a_commitment_that_is_replaced_by_its_copy_is_climbed_likewise() -> None:
    game = sg.make("random_mdp-v0")
    evidence, ends = sg.Evidence(np.zeros(1), game=game), []
    for replaced in (False, True):
        leader = sg.make_leader("m_sobirl")
        leader.begin(game.view(1.0), seed=3)
        leader.update(evidence)
        if replaced:
            leader.commitment = copy.deepcopy(leader.commitment)
        leader.update(evidence)
        ends.append(flatten(leader.commitment).numpy())
    np.testing.assert_array_equal(ends[0], ends[1])


@pytest.mark.parametrize("squashed", [False, True])
def test_written_derivatives_are_those_of_automatic_differentiation(
    squashed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = random_mdp_v0.game(states=4, actions=3, size=5)

    def run() -> list[dict[str, float]]:
        commitment = sg.Configuration(np.linspace(-1.0, 1.0, 5), transform=torch.tanh if squashed else None, states=4)
        leader = sg.make_leader("m_sobirl", step=0.1)
        leader.begin(game.view(1.0), seed=3, commitment=commitment)
        return [leader.update(sg.Evidence(np.zeros(1), game=game)) for _ in range(6)]

    written = run()
    monkeypatch.setattr(type(game), "slopes", ConfigurableGame.slopes)
    differentiated = run()
    for name in ("gradient_norm", "objective"):
        ours, theirs = ([each[name] for each in log] for log in (written, differentiated))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert written[0]["gradient_norm"] != written[-1]["gradient_norm"]


def test_slopes_of_a_class_are_not_those_of_one_that_overrides_the_objective() -> None:
    kind: Any = type(sg.make("random_mdp-v0"))
    below = type("Halved", (kind,), {"objective": lambda self, x, g: 0.5 * kind.objective(self, x, g)})
    assert implicit.written_down(kind)
    assert not implicit.written_down(below)
