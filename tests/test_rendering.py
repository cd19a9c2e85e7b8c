"""Pictures: what they say, that they follow the episode, and what they cost."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from stackelberg_games.envs import discrete_toy_v0, matrix_v0, random_game_v0
from stackelberg_games.errors import InvalidArgumentError, MissingExtraError
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.rules.scene import Scene
from tests.face_checks import Drift, copies, quick

HEIGHT, WIDTH = 540, 900
HERE = np.array([0x2F, 0x6F, 0xDE])  # the colour of the current state


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A toy whose window is drawn without a screen."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env: Any = quick(discrete_toy_v0.raw_env(render_mode="human"))
    env.reset(seed=0)
    yield env
    env.close()


def here(frame: Any) -> Any:
    """Centre of the current state in a frame, as (row, column)."""
    spots = np.argwhere((np.abs(frame[:, :590].astype(int) - HERE) < 3).all(axis=2))
    return np.median(spots, axis=0)


def shown(game: Game, *actions: Any, seed: int = 0) -> Any:
    env: Any = game.raw_env("rgb_array")
    env.reset(seed=seed)
    for action in actions:
        env.step(action)
    return env.render()


def test_text_tells_the_story_of_a_round() -> None:
    env: Any = discrete_toy_v0.raw_env(variant="1_2a", render_mode="ansi")
    env.reset(seed=0)
    assert env.render().splitlines() == [
        "discrete_toy-v0  stage 0 of 150",
        "state     S",
        "now       leader_0 moves",
        "returns   leader +0.000, follower +0.000",
    ]
    env.step(1)
    assert env.render().splitlines()[2] == "now       follower_0 moves, having seen 1"
    env.step(2)
    assert env.render().splitlines() == [
        "discrete_toy-v0  stage 1 of 150",
        "state     A",
        "now       leader_0 moves",
        "last      in S: leader 1, follower 2",
        "rewards   leader +0.000, follower +2.000",
        "returns   leader +0.000, follower +2.000",
    ]


def test_text_does_not_show_a_blind_follower_the_move() -> None:
    env: Any = matrix_v0.raw_env(render_mode="ansi")
    env.reset(seed=0)
    env.step(1)
    assert "leader_0 has moved unseen" in env.render()
    env.step(1)
    assert "now       truncated" in env.render()


def test_text_shortens_vectors() -> None:
    env: Any = Drift().raw_env("ansi")
    env.reset(seed=0)
    env.step([0.123456, 1.0])
    env.step([0.5])
    assert "leader [0.123, 1], follower [0.5]" in env.render()


@pytest.mark.parametrize(
    "game",
    [
        matrix_v0.game(),
        discrete_toy_v0.game(),
        random_game_v0.game(30, transitions={"terminal_states": 3}),
        random_game_v0.game(31),
        random_game_v0.game(500),
        Drift(),
    ],
    ids=["1", "3", "30", "31", "500", "continuous"],
)
def test_an_image_follows_the_episode(game: Game) -> None:
    env: Any = game.raw_env("rgb_array")
    env.reset(seed=0)
    first = env.render()
    assert first.shape == (HEIGHT, WIDTH, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(env.render(), first)
    copy = first.copy()
    for agent in env.agents:
        env.action_space(agent).seed(0)
        env.step(env.action_space(agent).sample())
    assert not np.array_equal(env.render(), first)
    assert np.array_equal(first, copy), "an earlier frame changed"


def test_frames_do_not_depend_on_what_was_drawn_before() -> None:
    game = random_game_v0.game(6, 2, 2, seed=4)
    env: Any = game.raw_env("rgb_array")
    env.reset(seed=1)
    for action in (0, 1, 1, 0, 1):
        env.step(action)
        env.render()
    assert np.array_equal(env.render(), shown(game, 0, 1, 1, 0, 1, seed=1))


def test_the_current_state_is_where_the_graph_puts_it() -> None:
    game = discrete_toy_v0.game("1_2a")
    top, right, left = (here(shown(game, *actions)) for actions in ((), (0, 1), (0, 2)))  # S, A, B
    assert top[0] < right[0] - 100
    assert abs(right[0] - left[0]) < 12
    assert left[1] < top[1] - 50 < right[1] - 100


def test_a_terminal_state_leads_nowhere() -> None:
    moves = np.zeros((2, 1, 1, 2))
    moves[:, 0, 0, 1] = 1.0
    game = TabularGame(moves, np.zeros((2, 1, 1)), np.zeros((2, 1, 1)), [1.0, 0.0], terminal=[False, True])
    frame = shown(game, 0, 0)
    spots = np.argwhere((np.abs(frame[:, :590].astype(int) - HERE) < 3).all(axis=2))
    assert np.ptp(spots, axis=0).max() < 80, "only the state itself has the colour of the current state"


def test_labels_that_do_not_fit_a_state_give_way_to_its_number() -> None:
    plain, named = random_game_v0.game(12), random_game_v0.game(12)
    named.state_labels = [f"warehouse {state}" for state in range(12)]
    assert np.array_equal(shown(plain)[:, :590], shown(named)[:, :590])
    assert not np.array_equal(shown(plain)[:, 590:], shown(named)[:, 590:])


def test_nothing_touches_the_border() -> None:
    for states in (1, 2, 3, 12, 30, 200):
        frame = shown(random_game_v0.game(states, transitions={"branching": min(states, 3)}), 1, 1)
        border = np.concatenate((frame[:3].ravel(), frame[-3:].ravel(), frame[:, :3].ravel(), frame[:, -3:].ravel()))
        assert (border == 255).all(), states


def test_copies_of_a_drawn_episode_draw_it_again(window: Any) -> None:
    env: Any = discrete_toy_v0.env(render_mode="rgb_array")
    env.reset(seed=0)
    env.step(1)
    frame = env.render()
    assert all(np.array_equal(twin.render(), frame) for twin in copies(env).values())
    assert copies(window)["pickle"].get_state() == window.get_state()


class Painted(Drift):
    """A game with its own picture."""

    def draw(self, axes: Any, scene: Scene) -> bool:
        axes.fill_between([0, 1], [1, 1], color=(1.0, 0.0, 0.0) if scene.pending is None else (0.0, 1.0, 0.0))
        return True


def test_a_game_may_draw_itself() -> None:
    assert shown(Painted())[270, 200].tolist() == [255, 0, 0]
    assert shown(Painted(), [0.0, 0.0])[270, 200].tolist() == [0, 255, 0]


def test_human_mode_shows_each_step_and_returns_nothing(window: Any) -> None:
    import pygame

    surface: Any = pygame.display.get_surface()
    before = pygame.surfarray.array3d(surface)
    window.step(1)
    after = pygame.surfarray.array3d(pygame.display.get_surface() or surface)
    assert before.shape == (WIDTH, HEIGHT, 3)
    assert not np.array_equal(before, after)
    assert window.render() is None


def test_a_window_closed_by_hand_stays_closed_and_play_goes_on(window: Any) -> None:
    import pygame

    pygame.event.post(pygame.event.Event(pygame.QUIT))
    window.step(1)
    assert pygame.display.get_surface() is None
    window.step(0)
    assert pygame.display.get_surface() is None
    window.close()
    window.close()


def test_human_mode_names_the_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    env: Any = discrete_toy_v0.raw_env(render_mode="human")
    with pytest.raises(MissingExtraError, match=r"stackelberg-games\[render\]"):
        env.reset(seed=0)


def test_refuses_to_draw_without_a_mode_or_an_episode() -> None:
    with pytest.raises(InvalidArgumentError, match="render_mode='gif'"):
        discrete_toy_v0.raw_env(render_mode="gif")
    env: Any = discrete_toy_v0.raw_env()
    env.reset(seed=0)
    with pytest.raises(InvalidArgumentError, match="render_mode is None"):
        env.render()
    with pytest.raises(InvalidArgumentError, match="reset"):
        discrete_toy_v0.raw_env(render_mode="ansi").render()
