"""Commands that are stopped end what they started, say what is kept, and how to go on."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

SIGNALS = ("SIGTERM", "SIGHUP")
"""Stop a command as Ctrl-C does, where the platform has them."""


class Stopped(KeyboardInterrupt):
    """A signal asked the command to end; it passes through everything that Ctrl-C passes through."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def stoppable(kept: Callable[[], str]) -> Iterator[None]:
    """End by an exception when a signal asks for it, so that children are ended and files closed; then say so.

    The exit status is 128 and the number of the signal, as shells have it. Lines of progress go to standard error
    where that is no terminal.

    Args:
        kept: says what is stored, once everything is closed.
    """
    if not sys.stderr.isatty():
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    before = _installed()
    try:
        yield
    except KeyboardInterrupt as stop:
        number = signal.Signals(stop.number if isinstance(stop, Stopped) else signal.SIGINT)
        click.echo(f"stopped by {number.name}: {kept()}", err=True)
        raise click.exceptions.Exit(128 + number) from None
    finally:
        for known, handler in before.items():
            signal.signal(known, handler)


def _installed() -> dict[int, Any]:
    """The handlers that ours have replaced; a signal that is ignored, as below ``nohup``, stays so."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _stop)
    return before


def _stop(number: int, _: object) -> None:
    """Once: what comes after it must not cut the ending short."""
    for name in SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    raise Stopped(number)


def matches_kept(folder: str, keys: list[str], what: str) -> str:
    """How many of the planned matches a store holds."""
    statuses = _stored(folder)
    if statuses is None:
        return f"nothing is stored in {folder} yet; the same command starts again"
    stored = len({*keys} & {*statuses})
    return f"{stored} of {len(keys)} {what} are stored in {folder}; the same command goes on"


def say_stored(folder: str, keys: list[str], what: str, *, retry: bool) -> None:
    """Say how much of what is planned is there already, and how much of that is played again, if anything is.

    Args:
        folder: of the store.
        keys: of the planned matches; where they are not known yet, as in a search, empty.
        what: they are called.
        retry: whether failed ones are played again.
    """
    statuses = _stored(folder) or {}
    there = [statuses[key] for key in (dict.fromkeys(keys) or statuses) if key in statuses]
    failed = there.count("failed") if retry else 0
    if there:
        of = f" of {len(keys):,}" if keys else ""
        again = f"; {failed:,} of them failed and are played again" if failed else ""
        click.echo(f"{len(there):,}{of} {what} are stored already{again}")


def _stored(folder: str) -> dict[str, str] | None:
    """Statuses in a store by key; None where there is none, or none that can be read."""
    from stackelberg_games.errors import StackelbergError
    from stackelberg_games.tournaments.store import Store

    try:
        with Store(folder) as store:
            return store.statuses()
    except StackelbergError:
        return None
