"""The commands ``stackelberg tournament`` and ``stackelberg report``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stackelberg_games.cli.options import completed, import_from_here, playing_options
from stackelberg_games.cli.stopping import matches_kept, say_stored, stoppable
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.registry import ids
from stackelberg_games.tournaments.suites import suite as suite_of
from stackelberg_games.tournaments.suites import suites

if TYPE_CHECKING:
    from stackelberg_games.learning.information import Division
    from stackelberg_games.tournaments.leaderboard import Standing
    from stackelberg_games.tournaments.results import Results

REPORT = "report.html"
DEFAULT = "quick"
"""The suite that is played where nothing else is named."""


@click.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@click.option(
    "--out",
    default="runs/tournament",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder of results and report; continues what it holds.",
)
@click.option(
    "--suite", shell_complete=completed(suites), help="A packaged tournament, in the place of FILE: quick or standard."
)
@click.option(
    "--leader",
    "leaders",
    multiple=True,
    shell_complete=completed(lambda: ids("leader")),
    help="Who plays, in the place of the leaders in FILE: a label of one of them, an id, or module:Class of your own. Repeatable.",
)
@click.option(
    "--game",
    "games",
    multiple=True,
    help="What is played: a label of one of the games in FILE, all if not given. Repeatable.",
)
@click.option("--seeds", type=click.IntRange(1), help="How many seeds; overrides FILE.")
@click.option("--seed", type=click.IntRange(0), help="First seed.")
@click.option("--budget", type=click.IntRange(1), help="Transitions a match; overrides FILE.")
@playing_options("match", "matches")
@click.option("--parquet", is_flag=True, help="Write the tables as Parquet too.")
@click.option("--figures", is_flag=True, help="Write every figure as PNG and SVG too.")
def tournament(
    file: str | None,
    out: str,
    suite: str | None,
    leaders: tuple[str, ...],
    games: tuple[str, ...],
    seeds: int | None,
    seed: int | None,
    budget: int | None,
    keep_failed: bool,
    allow_import: bool,
    parquet: bool,
    figures: bool,
    quiet: bool,
    **how: Any,
) -> None:
    """Play the tournament in FILE, or a suite of this package (quick, if none is named), and write its report.

    A run that was interrupted continues where it stopped. Where matches failed, everything else is played and
    reported, and the exit status is 1. A leader of your own plays one update in every game first; where it cannot,
    nothing is played.

    \b
    Examples:
      stackelberg tournament
      stackelberg tournament examples/tournament.toml --out runs/example --workers 2
      stackelberg tournament --suite standard --leader bchg --leader my_module:MyLeader --seeds 3
      stackelberg tournament big.toml --backend ray --address auto --timeout 600
    """
    from stackelberg_games.tournaments import tournament_file

    if file and suite:
        raise InvalidArgumentError(f"FILE {file!r} and --suite {suite!r}: expected one of them")
    import_from_here(leaders, allow_import)
    changes: dict[str, Any] = {} if budget is None else {"budget": budget}
    if seeds is not None or seed is not None:
        first = seed or 0
        count = seeds if seeds is not None else 10
        changes["seeds"] = list(range(first, first + count))
    if file:
        planned = tournament_file.load(file, changes, allow_import=allow_import, leaders=leaders, games=games)
    else:
        name, text = suite_of(suite or DEFAULT)
        planned = tournament_file.parse(text, changes, leaders=leaders, games=games)
        click.echo(f"suite {name}: {len(planned.matches):,} matches, kept in {out}")
    keys = [match.key for match in planned.matches]
    say_stored(out, keys, "matches", retry=not keep_failed)
    planned.rehearse()
    with stoppable(lambda: matches_kept(out, keys, "matches")):
        results = planned.play(out, retry=not keep_failed, progress=False if quiet else None, **how)
        results.save(out)
        if parquet:
            results.to_parquet(out)
        _publish(results, Path(out) / REPORT, figures)
    if results.failures:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("run", type=click.Path(file_okay=False))
@click.option("--out", type=click.Path(dir_okay=False), help="The HTML file; RUN/report.html if not given.")
@click.option("--figures", is_flag=True, help="Write every figure as PNG and SVG too.")
def report(run: str, out: str | None, figures: bool) -> None:
    """Write the report of the tournament or the sweep in the folder RUN, finished or not.

    Example: stackelberg report runs/tournament --figures
    """
    from stackelberg_games.tournaments.results import Results
    from stackelberg_games.tournaments.store import Store

    with Store(run) as store:
        sweep = store.latest_plan().get("kind") == "sweep"
    if sweep:
        return _publish_sweep(run, Path(out) if out else Path(run) / REPORT, figures)
    _publish(Results.load(run), Path(out) if out else Path(run) / REPORT, figures)


def _publish_sweep(run: str, page: Path, figures: bool) -> None:
    from stackelberg_games.tournaments.sweep_report import write_sweep_report
    from stackelberg_games.tournaments.sweep_results import SweepResults

    if figures:
        raise InvalidArgumentError(f"--figures: {run} holds a sweep, whose figures stackelberg sweep writes")
    found = SweepResults.load(run)
    write_sweep_report(found, page)
    click.echo(found.summary())
    click.echo(f"report: {page}")


def _publish(results: Results, page: Path, figures: bool) -> None:
    results.report(page)
    _print(results)
    click.echo(f"report: {page}")
    if figures:
        from stackelberg_games.tournaments.figures import write_figures

        drawn = write_figures(results, page.parent / "figures")
        click.echo(f"figures: {len(drawn)} files in {page.parent / 'figures'}")


def _print(results: Results) -> None:
    """The leaderboard and the headline as text."""
    from rich.console import Console

    from stackelberg_games.tournaments.verdict import upsets, verdict

    console = Console(highlight=False)
    boards, found = results.leaderboard(), upsets(results)
    for information, standings in boards.items():
        console.print(_board(results, information, standings), "")
        if information in found:
            console.print(found[information].sentence, "", markup=False)
    console.print(verdict(results, boards).sentence, style="bold", markup=False)
    if results.failures:
        failed = results.failures[0]
        last = failed.outcome.error.strip().splitlines()[-1] if failed.outcome else ""
        console.print(
            f"{len(results.failures)} of {len(results.rows)} matches failed; the first: {last}",
            style="red",
            markup=False,
        )


def _board(results: Results, information: Division, standings: list[Standing]) -> Any:
    """The standings of one class as a table."""
    from rich.table import Table

    from stackelberg_games.tournaments.charts import UNKNOWN, percent
    from stackelberg_games.tournaments.leaderboard import common_tasks

    members = [s.leader for s in standings]
    done = results.progress(members)
    table = Table(
        title=f"Leaders of class {information.name}: {done.finished:,} of {done.planned:,} matches finished",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for name in ("rank", "leader", "score", "95 % interval", "beats next", "CPU s"):
        table.add_column(
            name, justify="left" if name == "leader" else "right", no_wrap=name != "leader", overflow="fold"
        )
    for s in standings:
        known = s.score.value == s.score.value
        table.add_row(
            str(s.rank or UNKNOWN),
            s.leader,
            f"{s.score.value:.3f}" if known else UNKNOWN,
            f"{s.score.low:.3f} to {s.score.high:.3f}" if known else UNKNOWN,
            f"{percent(s.improvement.value)}, {s.improvement.tally}" if s.improvement else "",
            f"{s.cpu_seconds:.2f}",
        )
    tasks = common_tasks(results, members)
    for label in results.references:
        score = results.reference_score(label, tasks=tasks)
        table.add_row("", label, UNKNOWN if math.isnan(score) else f"{score:.3f}", style="dim italic")
    return table
