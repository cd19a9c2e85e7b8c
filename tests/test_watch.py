"""Films of episodes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import stackelberg_games as sg
from stackelberg_games.cli import main
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import discrete_toy_v0
from stackelberg_games.errors import InvalidArgumentError, MissingExtraError, UnsupportedGameError
from stackelberg_games.play.film import frames, save_film
from stackelberg_games.play.rollout import TabularResponse


def test_a_film_shows_the_episode_that_rollout_plays() -> None:
    game = discrete_toy_v0.game(horizon=4)
    policy, response = TabularPolicy(game), TabularResponse.uniform(game)
    film = list(frames(game, policy, response, seed=3, episode=2))
    batch = sg.rollout(game, policy, response, episodes=1, seed=3, first_episode=2)
    env = game.raw_env("rgb_array")
    assert len(film) == 5
    for _ in range(3):  # the third episode of the seed
        env.reset(seed=3 if _ == 0 else None)
    for stage in range(4):
        env.step(int(batch.leader_actions[0, stage]))
        env.step(int(batch.follower_actions[0, stage]))
        np.testing.assert_array_equal(env.render(), film[stage + 1])


def test_gif_and_mp4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [np.full((40, 60, 3), 40 * k, dtype=np.uint8) for k in range(5)]
    assert save_film(iter(pictures), tmp_path / "deep" / "film.gif", fps=10) == 5
    with Image.open(tmp_path / "deep" / "film.gif") as film:
        assert (film.n_frames, film.size, film.info["duration"]) == (5, (60, 40), 100)  # type: ignore[attr-defined]
        film.seek(3)
        assert abs(int(np.asarray(film.convert("RGB"))[0, 0, 0]) - 120) < 3
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "imageio", None)
        with pytest.raises(MissingExtraError, match=r"\[video\]"):
            save_film(iter(pictures), tmp_path / "film.mp4")
    imageio = pytest.importorskip("imageio.v2", reason="needs the extra [video]")
    pytest.importorskip("imageio_ffmpeg", reason="needs the extra [video]")
    assert save_film(iter(pictures), tmp_path / "film.mp4") == 5
    assert len(imageio.mimread(tmp_path / "film.mp4")) == 5


def test_the_command_films_and_says_what_is_wrong(tmp_path: Path) -> None:
    out = str(tmp_path / "film.gif")
    run = CliRunner().invoke(main, ["watch", "--stages", "2", "--out", out])
    assert run.exit_code == 0, run.output
    assert "3 pictures" in run.output
    sg.train(
        sg.make("discrete_toy-v0"),
        "bchg",
        "soft_value_iteration",
        iterations=2,
        directory=tmp_path / "run",
        progress=False,
    )
    run = CliRunner().invoke(main, ["watch", "--run", str(tmp_path / "run"), "--stages", "1", "--out", out])
    assert run.exit_code == 0, run.output
    for wrong, words in (
        (["--out", "film.avi"], "ends in .gif or .mp4"),
        (["--run", str(tmp_path / "run"), "--iterations", "3"], "without --iterations"),
        (["--leader", "fixed", "--follower", "black_box"], "not filmed"),
        (["--game", "discrete_toys-v0"], "did you mean"),
    ):
        run = CliRunner().invoke(main, ["watch", "--stages", "1", *wrong])
        assert run.exit_code == 1, wrong
        assert words in run.output


def test_what_cannot_be_filmed_is_said(tmp_path: Path) -> None:
    game = discrete_toy_v0.game(horizon=2)
    follower = sg.make_follower("black_box")
    follower.begin(game)
    policy = TabularPolicy(game)
    with pytest.raises(UnsupportedGameError, match="not filmed"):
        next(frames(game, policy, follower.respond(game, policy).policy))
    for fps in (0.0, 100.0, float("nan")):
        with pytest.raises(InvalidArgumentError, match="fps"):
            save_film(iter([]), tmp_path / "film.gif", fps=fps)
