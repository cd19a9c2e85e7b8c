"""The command ``stackelberg completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_STACKELBERG_COMPLETE"
"""Where a shell says that it wants words and nothing else."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, options and ids.

    \b
    Examples:
      eval "$(stackelberg completion bash)"                                          # in ~/.bashrc
      eval "$(stackelberg completion zsh)"                                           # in ~/.zshrc
      stackelberg completion fish > ~/.config/fish/completions/stackelberg.fish
    """
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(context.find_root().command, {}, "stackelberg", VARIABLE).source())
