"""What the commands that take an experiment have in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.registry import ids

if TYPE_CHECKING:
    from stackelberg_games.learning.experiment import Experiment


def import_from_here(names: Iterable[str], allowed: bool = False) -> None:
    """Look in the working directory too for code that the caller names, as ``module:Class``, or lets a file name."""
    if allowed or any(":" in name for name in names):
        sys.path.insert(0, os.getcwd())


def experiment_of(
    file: str | None,
    game: str | None,
    leader: str | None,
    follower: str | None,
    changes: tuple[str, ...],
    allow_import: bool = False,
) -> Experiment:
    """The file's experiment, or the default one, with the command line's changes."""
    from stackelberg_games.learning.experiment import Experiment, parse_value  # slow to import

    pairs: list[tuple[str, Any]] = [
        (f"{section}.id", name)
        for section, name in (("game", game), ("leader", leader), ("follower", follower))
        if name
    ]
    import_from_here((name for name in (game, leader, follower) if name), allow_import)
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or "." not in name:
            raise InvalidArgumentError(
                f"--set {change!r}: expected SECTION.KEY=VALUE, such as leader.learning_rate=0.05"
            )
        pairs.append((name, parse_value(text)))
    return (Experiment.load(file, allow_import=allow_import) if file else Experiment()).override(pairs)


def completed(names: Callable[[], Iterable[str]]) -> Callable[[Any, Any, str], list[str]]:
    """What completes an option in a shell: those of some names that begin as what was typed."""

    def complete(context: Any, parameter: Any, typed: str) -> list[str]:
        return [name for name in names() if name.startswith(typed)]

    return complete


def playing_options(one: str, several: str) -> Callable[[Any], Any]:
    """Options shared by the commands that play ``several`` (runs, matches) through a store."""

    def decorated(command: Any) -> Any:
        for option in (
            click.option("--quiet", is_flag=True, help="No progress bar."),
            click.option(
                "--allow-import", is_flag=True, help="Let FILE name code (module:Class) and programs; trust it first."
            ),
            click.option(
                "--replay-damaged", is_flag=True, help=f"Play {several} again whose stored results are damaged."
            ),
            click.option("--keep-failed", is_flag=True, help=f"Do not play again {several} that failed before."),
            click.option(
                "--timeout", type=click.FloatRange(0, min_open=True), help=f"Seconds after which a {one} is given up."
            ),
            click.option("--address", help="Of a Ray cluster, or 'auto'; a local one is started if not given."),
            click.option(
                "--backend", type=click.Choice(["processes", "ray", "serial"]), default="processes", show_default=True
            ),
            click.option(
                "--workers",
                default=-1,
                show_default=True,
                help=f"{several.capitalize()} at the same time; -1: one on every core.",
            ),
        ):
            command = option(command)
        return command

    return decorated


def experiment_options(command: Any) -> Any:
    """Options shared by the commands that take an experiment."""
    for option in (
        click.option("--allow-import", is_flag=True, help="Let FILE name code (module:Class) and programs."),
        click.option("--set", "changes", multiple=True, metavar="SECTION.KEY=VALUE", help="Override any setting."),
        click.option(
            "--follower", shell_complete=completed(lambda: ids("follower")), help="Follower id, or module:Class."
        ),
        click.option(
            "--leader", shell_complete=completed(lambda: ids("leader")), help="Leader id, or module:Class of your own."
        ),
        click.option("--game", shell_complete=completed(lambda: ids("game")), help="Game id, or module:factory."),
        click.argument("file", required=False, type=click.Path(dir_okay=False)),
    ):
        command = option(command)
    return command
