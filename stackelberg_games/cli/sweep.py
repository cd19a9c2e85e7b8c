"""The command ``stackelberg sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stackelberg_games.cli.options import import_from_here, playing_options
from stackelberg_games.cli.stopping import matches_kept, say_stored, stoppable

REPORT = "report.html"


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
@playing_options("run", "runs")
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
    from stackelberg_games.tournaments.sweep_report import write_sweep_report

    import_from_here((), allow_import)
    given = {"seeds": seeds, "report_seeds": report_seeds, "samples": samples, "budget": budget}
    planned = load_sweep(
        file, {name: value for name, value in given.items() if value is not None}, allow_import=allow_import
    )

    def keys() -> list[str]:
        return [match.key for matches in planned.matches for match in matches]

    say_stored(out, keys(), "runs for tuning" if keys() else "runs", retry=not keep_failed)
    with stoppable(lambda: matches_kept(out, keys(), "runs for tuning")):
        found = planned.play(out, retry=not keep_failed, progress=False if quiet else None, **how)
        written = found.save(out)
        written += _draw(found, Path(out))
        write_sweep_report(found, Path(out) / REPORT)
    click.echo(found.summary())
    click.echo(f"written: {', '.join(path.name for path in written)} in {out}")
    click.echo(f"report: {Path(out) / REPORT}")
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
