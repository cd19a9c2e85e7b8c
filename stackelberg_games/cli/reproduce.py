"""The command ``stackelberg reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackelberg_games.cli.stopping import stoppable

if TYPE_CHECKING:
    from stackelberg_games.reproductions import Reproduction
    from stackelberg_games.reproductions.judged import Ended


@click.command()
@click.argument("name", required=False)
@click.option("--fraction", default=1.0, show_default=True, help="Of the published length, in (0, 1].")
@click.option("--seeds", type=click.IntRange(1), help="How many seeds; as published if not given.")
@click.option("--seed", "first_seed", type=click.IntRange(0), help="First seed; as published if not given.")
@click.option("--setting", "settings", multiple=True, help="Only this setting; may be given several times.")
@click.option("--leader", "leaders", multiple=True, help="Only this leader; may be given several times.")
@click.option("--workers", default=-1, show_default=True, help="Runs at the same time; -1: one on every core.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds after which a run is given up.")
@click.option("--replay-damaged", is_flag=True, help="Run again what is damaged in the folder's results.")
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    help="Folder of runs, results and figure; continues what it holds.  [default: runs/reproduce/NAME]",
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def reproduce(
    name: str | None,
    fraction: float,
    seeds: int | None,
    first_seed: int | None,
    settings: tuple[str, ...],
    leaders: tuple[str, ...],
    workers: int,
    timeout: float | None,
    replay_damaged: bool,
    out: str | None,
    quiet: bool,
) -> None:
    """Run a published experiment and draw ours beside the published values and the optimum.

    Without NAME, list the experiments. A run that was killed continues where it stopped, and a longer
    fraction continues a shorter one.

    \b
    Examples:
      stackelberg reproduce
      stackelberg reproduce thermal_control --fraction 0.1 --seeds 3
    """
    from stackelberg_games.reproductions import load, names, reproduce, save
    from stackelberg_games.reproductions.judged import FILE, is_judged, read, save_judged

    if name is None:
        for known in names():
            study = load(known)
            click.echo(f"{known:<20}{study.title} ({len(study.settings)} settings, {len(study.entries)} leaders)")
        return
    folder = out or f"runs/reproduce/{name}"
    with stoppable(lambda: f"what has been run is stored in {folder}; the same command goes on"):
        done = reproduce(
            name,
            folder,
            fraction=fraction,
            seeds=seeds,
            first_seed=first_seed,
            settings=settings,
            leaders=leaders,
            workers=workers,
            timeout=timeout,
            replay_damaged=replay_damaged,
            progress=False if quiet else None,
        )
        files = save(done, folder)
        if judged := is_judged(done):
            files = [*(file for file in files if file.suffix in (".json", ".csv")), *save_judged(done, folder)]
    if judged:
        _print_judged(read(Path(folder) / FILE))
    else:
        _print(done)
    click.echo("written: " + ", ".join(str(file) for file in files))
    if done.failed:
        last = done.failed[0].error.strip().splitlines()[-1]
        raise click.ClickException(f"{len(done.failed)} of {len(done.trials)} runs failed; the first: {last}")


def _print_judged(rows: list[Ended]) -> None:
    """Loss and true return side by side, one line for a leader in a setting."""
    from rich.console import Console
    from rich.table import Table

    from stackelberg_games.reproductions.judged import HEADERS, lines

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in HEADERS:
        table.add_column(column, justify="left" if column in HEADERS[:2] else "right")
    for line in lines(rows):
        table.add_row(*line)
    Console(highlight=False).print(table)


def _print(done: Reproduction) -> None:
    """Ours beside what was published, and the share of the way to the optimum; one line for a leader in a setting."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("setting", "leader", "class", "updates", "ours", "published", "best known", "share"):
        table.add_column(column, justify="left" if column in ("setting", "leader", "class") else "right")
    for row in done.summaries():
        known = row.published
        optimum = done.study.settings[row.setting].optimum
        shares = None if optimum is None else row.shares(optimum)
        table.add_row(
            row.setting,
            row.leader,
            row.information.lower(),
            f"{row.updates[-1]:,.0f}",
            f"{row.mean[-1]:.4g} ± {row.error[-1]:.2g}",
            "" if known is None else f"{known.values[-1]:g} ± {known.errors[-1]:g} at {known.updates[-1]:,.0f}",
            "" if optimum is None else f"{optimum:g}",
            "" if shares is None else f"{shares.mean():.1%}",
        )
    Console(highlight=False).print(table)
    if done.study.reading:
        click.echo(f"published values: {done.study.reading}")
