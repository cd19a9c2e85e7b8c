"""Films of episodes: GIF, or MP4 with the extra ``[video]``."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stackelberg_games import checks, files
from stackelberg_games.adapters.aec import AECGame
from stackelberg_games.adapters.black_box import StrangerPolicy
from stackelberg_games.adapters.episodes import leading
from stackelberg_games.errors import CheckpointError, InvalidArgumentError, MissingExtraError, UnsupportedGameError
from stackelberg_games.faces.aec import StackelbergEnv
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.play.rollout import ResponsePolicy
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.scene import LEADER
from stackelberg_games.settings import checked

Frame = NDArray[np.uint8]
FORMATS = (".gif", ".mp4")


def frames(
    game: Game, commitment: Commitment, response: ResponsePolicy, *, seed: int = 0, episode: int = 0, stages: int = 50
) -> Iterator[Frame]:
    """Pictures of an episode: its start, and after every stage.

    It is the episode that ``rollout`` plays under the same seed and number.

    Args:
        game: any game of this package's kind.
        commitment: the leader's decision.
        response: the follower's policy.
        seed, episode: which episode.
        stages: at most so many.

    Raises:
        UnsupportedGameError: the game or the follower can only be played from outside.
    """
    if isinstance(game, AECGame) or isinstance(response, StrangerPolicy):
        raise UnsupportedGameError(
            "third-party environments and strangers are not filmed; render the environment itself"
        )
    episode, stages = checks.integer("episode", episode, 0), checks.integer("stages", stages, 0)
    env: Any = StackelbergEnv(game, render_mode="rgb_array")
    streams = Streams.of(seed, 1, episode)
    configuration = commitment.configuration()
    env.begin(streams, None if configuration is None else configuration.detach().numpy())
    lead = leading(commitment, streams)
    yield env.render()
    for stage in range(stages):
        states, action = env.get_state().episode.states, game.idle_action
        if env.agent_selection == LEADER:
            action = lead(states[0], stage)
            env.step(action)
        env.step(response.sample(states, np.array([action]), streams, stage)[0])
        yield env.render()
        if any(env.terminations.values()) or any(env.truncations.values()):
            break
    env.close()


@checked
def save_film(pictures: Iterator[Frame], path: str | Path, fps: float = 5.0) -> int:
    """Write frames to a file whose suffix decides the format.

    Args:
        pictures: uint8 ``[height, width, 3]``, all of one size.
        path: ends in .gif or .mp4; folders on the way are made.
        fps: pictures a second, in [0.01, 50].

    Returns:
        How many were written.

    Raises:
        InvalidArgumentError: another format, or ``fps`` is out of range.
        MissingExtraError: MP4 without the extra ``[video]``.
        CheckpointError: the folder cannot be written to.
    """
    target, fps = checks.path("path", path), checks.number("fps", fps, 0.01, 50)
    if target.suffix not in FORMATS:
        raise InvalidArgumentError(f"{target}: expected a name that ends in {' or '.join(FORMATS)}")
    return (_save_gif if target.suffix == ".gif" else _save_mp4)(pictures, target, fps)


def _save_gif(pictures: Iterator[Frame], target: Path, fps: float) -> int:
    images = [Image.fromarray(picture).quantize(128) for picture in pictures]
    film = io.BytesIO()
    duration = round(1000 / fps)
    images[0].save(film, "gif", save_all=True, append_images=images[1:], duration=duration, loop=0, optimize=False)
    files.write_atomically(target, film.getvalue())
    return len(images)


def _save_mp4(pictures: Iterator[Frame], target: Path, fps: float) -> int:
    try:
        import imageio_ffmpeg  # noqa: F401  # imageio finds it by itself, and fails late without
        from imageio import v2
    except ImportError as error:
        raise MissingExtraError("imageio", "video") from error
    count = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot write {target}: {error.strerror or error}") from error
    writer: Any = v2.get_writer(target, fps=fps, macro_block_size=4)
    with writer:
        for picture in pictures:
            writer.append_data(picture)
            count += 1
    return count
