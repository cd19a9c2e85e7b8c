"""What the commands that take an experiment have in common."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from stackelberg_games.errors import InvalidArgumentError

if TYPE_CHECKING:
    from stackelberg_games.learning.experiment import Experiment


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
    if any(":" in name for name in (game, leader, follower) if name):
        sys.path.insert(0, os.getcwd())  # where the code is that the caller names
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or "." not in name:
            raise InvalidArgumentError(
                f"--set {change!r}: expected SECTION.KEY=VALUE, such as leader.learning_rate=0.05"
            )
        pairs.append((name, parse_value(text)))
    return (Experiment.load(file, allow_import=allow_import) if file else Experiment()).override(pairs)


def experiment_options(command: Any) -> Any:
    """Options shared by the commands that take an experiment."""
    for option in (
        click.option("--allow-import", is_flag=True, help="Let FILE name code (module:Class) and programs."),
        click.option("--set", "changes", multiple=True, metavar="SECTION.KEY=VALUE", help="Override any setting."),
        click.option("--follower", help="Follower id, or module:Class."),
        click.option("--leader", help="Leader id, or module:Class of your own."),
        click.option("--game", help="Game id, or module:factory."),
        click.argument("file", required=False, type=click.Path(dir_okay=False)),
    ):
        command = option(command)
    return command
