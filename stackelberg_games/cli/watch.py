"""The command ``stackelberg watch``."""

from __future__ import annotations

from pathlib import Path

import click

from stackelberg_games.cli.options import experiment_of, experiment_options
from stackelberg_games.errors import InvalidArgumentError


@click.command()
@experiment_options
@click.option("--run", "folder", type=click.Path(file_okay=False), help="Show the leader of a stored run.")
@click.option("--iterations", type=click.IntRange(0), default=0, show_default=True, help="Train so long first.")
@click.option("--stages", type=click.IntRange(1), default=50, show_default=True, help="Longest film.")
@click.option("--episode", type=click.IntRange(0), default=0, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--fps", type=float, default=5.0, show_default=True, help="Pictures a second.")
@click.option("--out", type=click.Path(dir_okay=False), default="episode.gif", show_default=True, help="GIF or MP4.")
def watch(
    file: str | None,
    game: str | None,
    leader: str | None,
    follower: str | None,
    changes: tuple[str, ...],
    allow_import: bool,
    folder: str | None,
    iterations: int,
    stages: int,
    episode: int,
    seed: int,
    fps: float,
    out: str,
) -> None:
    """Film an episode of a leader against the follower's response.

    \b
    Examples:
      stackelberg watch --game lqr-v0 --follower maxent_lqr --leader model_based --iterations 10
      stackelberg watch --game guided_pendulum-v0 --leader evolution_strategies --follower sb3 --out swing.mp4
      stackelberg watch --run runs/first/seed_0 --out first.gif
    """
    from stackelberg_games.learning.leader import told
    from stackelberg_games.learning.run import Run
    from stackelberg_games.learning.training import train
    from stackelberg_games.play.film import frames, save_film

    if folder is not None and iterations:
        raise InvalidArgumentError("--run shows a stored leader; it goes without --iterations")
    rules, lead, follow = experiment_of(file, game, leader, follower, changes, allow_import).build()
    if folder is not None:
        commitment = Run.load(folder).commitment
    elif iterations:
        commitment = train(rules, lead, follow, iterations=iterations, seed=seed).commitment
    else:
        lead.begin(told(rules, lead, follow.declared_temperature), seed=seed)
        commitment = lead.commitment
    with follow:
        follow.begin(rules, seed=seed)
        answer = follow.respond(rules, commitment)
        shown = frames(rules, commitment, answer.policy, seed=seed, episode=episode, stages=stages)
        count = save_film(shown, Path(out), fps)
    click.echo(f"{out}: {count} pictures")
