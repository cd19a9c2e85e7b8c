"""The command ``stackelberg sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stackelberg_games.cli.stopping import matches_kept, stoppable


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option(
    "--out",
    default="runs/sweep",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder of runs, tables and figures; continues what it holds.",
)
@click.option("--seeds", type=click.IntRange(1), help="How many seeds for tuning; overrides FILE.")
@click.option("--report-seeds", type=click.IntRange(0), help="How many seeds for reporting; overrides FILE.")
@click.option("--samples", type=click.IntRange(1), help="Draw so many points; overrides FILE.")
@click.option("--budget", type=click.IntRange(1), help="Transitions a run; overrides FILE.")
@click.option("--workers", default=-1, show_default=True, help="Runs at the same time; -1: one on every core.")
@click.option("--backend", type=click.Choice(["processes", "ray", "serial"]), default="processes", show_default=True)
@click.option("--address", help="Of a Ray cluster, or 'auto'; a local one is started if not given.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds after which a run is given up.")
@click.option("--keep-failed", is_flag=True, help="Do not play failed runs of an earlier time again.")
@click.option("--replay-damaged", is_flag=True, help="Play runs again whose stored results are damaged.")
@click.option("--allow-import", is_flag=True, help="Let FILE name code (module:Class) and programs; trust it first.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def sweep(
    file: str,
    out: str,
    seeds: int | None,
    report_seeds: int | None,
    samples: int | None,
    budget: int | None,
    keep_failed: bool,
    allow_import: bool,
    quiet: bool,
    **how: Any,
) -> None:
    """Try the settings in FILE with several seeds, choose, and report what was chosen on other seeds.

    A sweep that was interrupted continues where it stopped. Where runs failed, everything else is played and
    reported, and the exit status is 1.

    \b
    Examples:
      stackelberg sweep examples/sweep.toml
      stackelberg sweep examples/sweep.toml --samples 20 --workers 2 --out runs/search
    """
    from stackelberg_games.tournaments.sweep_file import load_sweep

    given = {"seeds": seeds, "report_seeds": report_seeds, "samples": samples, "budget": budget}
    planned = load_sweep(
        file, {name: value for name, value in given.items() if value is not None}, allow_import=allow_import
    )
    keys = [match.key for matches in planned.matches for match in matches]
    with stoppable(lambda: matches_kept(out, keys, "runs for tuning")):
        found = planned.play(out, retry=not keep_failed, progress=False if quiet else None, **how)
        written = found.save(out)
        written += _draw(found, Path(out))
    click.echo(found.summary())
    click.echo(f"written: {', '.join(path.name for path in written)} in {out}")
    if any(run.status == "failed" for run in found.runs):
        raise click.exceptions.Exit(1)


def _draw(found: Any, folder: Path) -> list[Path]:
    """A figure for each setting."""
    from stackelberg_games import files
    from stackelberg_games.learning.plots import stored

    written = []
    for setting in found.settings:
        figure, (axes,) = stored(6, 3.6)
        found.plot(setting, axes)
        written.append(folder / f"{setting}.png")
        files.save_figure(figure, written[-1])
    return written
