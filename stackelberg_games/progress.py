"""How far a long computation is: a bar on a terminal, elsewhere a line in the log now and then."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOG = logging.getLogger("stackelberg_games")
EVERY_SECONDS = 30.0
"""Between two lines in the log."""
Advance = Callable[[int, str], None]
"""Is told how many parts are done, and a note."""


@contextmanager
def progress_of(what: str, total: int, progress: bool | None) -> Iterator[Advance]:
    """Show the progress of a computation, with an estimate of the time left.

    Args:
        what: is counted, as ``"matches"``.
        total: how many there are.
        progress: whether to show a bar; None for a bar where standard error is a terminal, and lines
            in the log elsewhere.
    """
    if progress is None and not sys.stderr.isatty():
        yield _lines(what, total)
    elif progress is False:
        yield lambda done, note: None
    else:
        with _bar(what, total) as advance:
            yield advance


def _lines(what: str, total: int) -> Advance:
    """Logs how far it is, at most once in ``EVERY_SECONDS``."""
    first, start = None, time.monotonic()
    last = start

    def advance(done: int, note: str) -> None:
        nonlocal first, last
        first, now = done - 1 if first is None else first, time.monotonic()
        if now - last >= EVERY_SECONDS or (done == total and last > start):
            last, left = now, (now - start) / (done - first) * (total - done)
            LOG.info("%d of %d %s%s, about %.0f s left", done, total, what, note and f", {note}", left)

    return advance


@contextmanager
def _bar(what: str, total: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn(what + "{task.fields[note]}"))
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *times, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, note="")

        def advance(done: int, note: str) -> None:
            bar.update(task, completed=done, note=note and f", {note}")

        yield advance
