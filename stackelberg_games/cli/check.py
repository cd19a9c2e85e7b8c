"""The command ``stackelberg check``: run the conformance battery on a game."""

from __future__ import annotations

from typing import Any

import click

from stackelberg_games.errors import InvalidArgumentError


def _settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    from stackelberg_games.learning.experiment import parse_value

    settings = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise InvalidArgumentError(f"--set {pair!r}: expected NAME=VALUE, such as horizon=20")
        settings[name] = parse_value(text)
    return settings


@click.command()
@click.argument("target")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Argument of the factory.")
@click.option("--skip", multiple=True, metavar="CHECK", help="Leave a check out; may be repeated.")
@click.option("--blind", is_flag=True, help="The follower of this AEC environment is not meant to see the move.")
def check(target: str, pairs: tuple[str, ...], skip: tuple[str, ...], blind: bool) -> None:
    """Run the conformance battery on a game; the exit status is 1 where something fails.

    TARGET is the id of a registered game, MODULE:FACTORY or FILE.py:FACTORY; the factory makes a
    Game or a PettingZoo AEC environment with the agents leader_0 and follower_0. Where none is named,
    it is `game`, or else `env`.

    \b
    Examples:
      stackelberg check discrete_toy-v0 --set R=2.0
      stackelberg check my_package.my_game:game
      stackelberg check my_game.py:env --skip rounds_of_an_episode
    """
    from stackelberg_games.conformance import Report, outcomes
    from stackelberg_games.conformance.locate import locate, with_settings

    factory = with_settings(locate(target), _settings(pairs))
    found = []
    for outcome in outcomes(factory, skip=skip, follower_sees_action=False if blind else None):
        found.append(outcome)
        click.echo(str(outcome))
    report = Report(tuple(found))
    for note in report.notes:
        click.echo(f"note     {note}")
    click.echo(report.summary)
    if not report.ok:
        raise SystemExit(1)
