"""The command ``stackelberg``."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stackelberg_games._version import __version__
from stackelberg_games.cli.check import check
from stackelberg_games.cli.completion import completion
from stackelberg_games.cli.options import experiment_of, experiment_options
from stackelberg_games.cli.reproduce import reproduce
from stackelberg_games.cli.stopping import stoppable
from stackelberg_games.cli.sweep import sweep
from stackelberg_games.cli.tournament import report, tournament
from stackelberg_games.cli.watch import watch
from stackelberg_games.errors import (
    InvalidArgumentError,
    RegistrationError,
    SolverError,
    StackelbergError,
    UnsupportedGameError,
)
from stackelberg_games.learning.registry import Kind, factory, ids

if TYPE_CHECKING:
    from stackelberg_games.exact.optimum import Solution
    from stackelberg_games.learning.experiment import Experiment
    from stackelberg_games.learning.run import Run


class _Group(click.Group):
    """Shows errors of this package as one clear line, with exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StackelbergError as error:
            raise click.ClickException(str(error)) from error


ASCENTS = 8
"""Starts from which the best known value is looked for."""


FIRST = """Two-player Stackelberg Markov games: a leader commits, a follower answers.

  stackelberg train --out runs/first            train a leader on a toy game, and draw it (seconds)
  stackelberg tournament --out runs/tournament  leaders against followers, with a report (minutes)
  stackelberg sweep FILE.toml                   try settings x seeds, and report what was chosen

stackelberg games, leaders, followers list what there is; stackelberg --help has every command."""


@click.group(cls=_Group, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Two-player Stackelberg Markov games: train leaders, check their gradients.

    Example: stackelberg train --out runs/first
    """
    if ctx.invoked_subcommand is None:
        click.echo(FIRST)


def _list(kind: Kind) -> None:
    names = ids(kind)
    width = max(map(len, names), default=0)
    for name in names:
        click.echo(f"{name:<{width}}  {_described(kind, name)}")


def _described(kind: Kind, name: str) -> str:
    """What is registered under an id, in a line; a broken entry point hides no other."""
    try:
        made = factory(kind, name)
    except RegistrationError as error:
        return f"(broken) {error}"
    text = (made.__doc__ or "").strip().splitlines()
    module = (sys.modules[made.__module__].__doc__ or "").strip().splitlines()
    lines = module if kind == "game" and module else text
    return lines[0] if lines else ""


@main.command()
def games() -> None:
    """List the registered games.

    Example: stackelberg games
    """
    _list("game")


@main.command()
def leaders() -> None:
    """List the registered leaders.

    Example: stackelberg leaders
    """
    _list("leader")


@main.command()
def followers() -> None:
    """List the registered followers.

    Example: stackelberg followers
    """
    _list("follower")


@main.command()
@experiment_options
@click.option("--iterations", type=int, help="Updates of the leader.")
@click.option("--episodes", type=int, help="Episodes played for each update.")
@click.option("--seed", type=int, help="First seed.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="How many seeds.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes to share them.")
@click.option("--out", type=click.Path(file_okay=False), help="Folder for runs and figure; resumes what it holds.")
@click.option("--tensorboard", "log", is_flag=True, help="Also write TensorBoard logs below --out.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def train(
    file: str | None,
    game: str | None,
    leader: str | None,
    follower: str | None,
    changes: tuple[str, ...],
    allow_import: bool,
    seeds: int,
    workers: int,
    out: str | None,
    log: bool,
    quiet: bool,
    **loop: int | None,
) -> None:
    """Train a leader against a follower, by the experiment in FILE or the default one.

    \b
    Examples:
      stackelberg train --out runs/first
      stackelberg train --game matrix-v0 --leader policy_gradient --set game.preset=maintain
      stackelberg train --leader my_agents:MyLeader --out runs/mine
      stackelberg train experiment.toml --seeds 10 --workers 2 --set follower.temperature=0.1
    """
    chosen = [(f"training.{name}", value) for name, value in loop.items() if value is not None]
    experiment = experiment_of(file, game, leader, follower, changes, allow_import).override(chosen)
    if log and not out:
        raise InvalidArgumentError("--tensorboard needs --out")
    folder = None if out is None else Path(out)
    with stoppable(lambda: _kept(folder)):
        runs = _train_seeds(experiment, seeds, workers, folder, log, quiet)
        _report(experiment, runs, folder)


def _kept(folder: Path | None) -> str:
    """How far the stored runs are."""
    from stackelberg_games.learning.run import STATE
    from stackelberg_games.numerics import checkpoint

    if folder is None:
        return "nothing is stored; with --out it would go on from here"
    far = []
    for file in sorted(folder.glob(f"seed_*/{STATE}")):
        with suppress(StackelbergError, LookupError, TypeError):
            far.append(f"{file.parent.name} at iteration {checkpoint.load(file)['iteration']}")
    return f"{', '.join(far) or 'no checkpoint'} is stored in {folder}; the same command goes on"


def _train_one(experiment: Experiment, seed: int, folder: Path | None, log: bool, progress: bool | None) -> Run:
    """One seed; a function of its own so that worker processes can be handed it."""
    callbacks = []
    if log and folder is not None:
        from stackelberg_games.learning.tensorboard import TensorBoardWriter

        callbacks.append(TensorBoardWriter(folder / "tensorboard"))
    run: Run = experiment.run(seed=seed, directory=folder, callbacks=callbacks, progress=progress)
    return run


def _train_seeds(
    experiment: Experiment, seeds: int, workers: int, out: Path | None, log: bool, quiet: bool
) -> dict[int, Run]:
    from joblib import Parallel, delayed

    from stackelberg_games.numerics.randomness import check_seed

    first = check_seed(experiment.sections["training"].get("seed", 0))
    numbers = range(first, first + seeds)
    experiment.build()  # bad settings are reported once, before any process starts
    progress = False if quiet or workers > 1 else None
    folders = [None if out is None else out / f"seed_{seed}" for seed in numbers]
    tasks = [delayed(_train_one)(experiment, s, f, log, progress) for s, f in zip(numbers, folders, strict=True)]
    return dict(zip(numbers, Parallel(n_jobs=workers)(tasks), strict=True))


def _report(experiment: Experiment, runs: dict[int, Run], out: Path | None) -> None:
    """Print the outcome beside the best known value, and draw it."""
    import numpy as np

    game, leader, follower = experiment.build()
    best = _optimum(game, follower)
    optimum = None if best is None else best.value
    finals = []
    for seed, run in runs.items():
        last = run.history[-1]
        value = last["leader_return"] if run.value is None else run.value
        finals.append(value)
        click.echo(f"seed {seed}: leader value {value:.4f} after {int(last['transitions']):,} transitions")
    name = experiment.sections["leader"]["id"]
    if len(finals) > 1:
        error = np.std(finals, ddof=1) / len(finals) ** 0.5
        click.echo(f"mean over {len(finals)} seeds: {np.mean(finals):.4f} (standard error {error:.4f})")
    if best is not None and optimum is not None:
        gap = optimum - float(np.mean(finals))
        click.echo(
            f"exact optimum: {optimum:.4f} ({best.evidence}); {name} ends {abs(gap):.4f} "
            + ("below it" if gap >= 0 else "above it, so that was not the optimum")
        )
        optimum = optimum if gap >= 0 else None  # the figure shows no line that was passed
    if out is not None:
        from stackelberg_games.learning.plots import learning_curves

        title = f"{name} ({leader.division.name.lower()}) on {game.name}"
        learning_curves({name: list(runs.values())}, out / "learning.png", optimum=optimum, title=title)
        click.echo(f"runs and figure: {out}")


def _optimum(game: Any, follower: Any) -> Solution | None:
    """The best known commitment against a soft follower, where it is to be had in a moment."""
    from stackelberg_games import exact
    from stackelberg_games.kinds.finite import TabularGame
    from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame

    temperature = follower.declared_temperature
    if isinstance(game, LinearGaussianGame) and temperature:
        with suppress(UnsupportedGameError, SolverError):  # a picture without it is a picture
            return exact.solve(game, temperature)
    if not isinstance(game, TabularGame) or not temperature or game.states * game.leader_actions > 200:
        return None
    return exact.solve(game, temperature, starts=ASCENTS)


@main.command()
@experiment_options
@click.option("--batches", type=click.IntRange(2), default=200, show_default=True, help="Independent estimates.")
@click.option("--episodes", type=click.IntRange(1), default=3, show_default=True, help="Episodes in a batch.")
@click.option("--warmup", type=click.IntRange(0), default=0, show_default=True, help="Batches seen before each.")
@click.option("--seed", type=int, default=0, show_default=True)
def gradcheck(
    file: str | None,
    game: str | None,
    leader: str | None,
    follower: str | None,
    changes: tuple[str, ...],
    allow_import: bool,
    batches: int,
    episodes: int,
    warmup: int,
    seed: int,
) -> None:
    """Hold a leader's gradient estimates against the exact hypergradient at its first commitment.

    \b
    Examples:
      stackelberg gradcheck --leader bchg
      stackelberg gradcheck --leader policy_gradient --game random_game-v0 --set game.horizon=30
    """
    from stackelberg_games.learning.diagnostics import gradient_check

    built = experiment_of(file, game, leader, follower, changes, allow_import).build()
    report = gradient_check(*built, batches=batches, episodes=episodes, warmup=warmup, seed=seed)
    click.echo(str(report))


main.add_command(check)
main.add_command(completion)
main.add_command(watch)
main.add_command(tournament)
main.add_command(sweep)
main.add_command(report)
main.add_command(reproduce)
