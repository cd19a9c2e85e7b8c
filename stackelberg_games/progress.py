"""How far a long computation is: a bar on a terminal, elsewhere a line in the log now and then."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

LOG = logging.getLogger("stackelberg_games")
EVERY_SECONDS = 30.0
"""Between two lines in the log."""
PATIENCE_SECONDS = 2.0
"""For which a computation that may be short shows nothing."""
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


@contextmanager
def patiently(what: str) -> Iterator[Advance]:
    """Show in per cent how far a computation is once it has taken two seconds; nothing inside of one that is shown.

    Args:
        what: is done, as ``"of the response"``.
    """
    begun, shown = time.monotonic(), ExitStack()
    advance: Advance | None = None

    def tell(done: int, note: str) -> None:
        nonlocal advance
        if advance is None and not _shown and time.monotonic() - begun >= PATIENCE_SECONDS:
            advance = shown.enter_context(progress_of(f"% {what}", 100, None))
        if advance is not None:
            advance(done, note)

    with shown:
        yield tell


_shown: list[str] = []
"""What is shown on the terminal now; two bars would write over each other."""


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
    with ExitStack() as shown, Progress(*columns, *times, console=Console(stderr=True)) as bar:
        _shown.append(what)
        shown.callback(_shown.pop)
        task = bar.add_task("", total=total, note="")

        def advance(done: int, note: str) -> None:
            bar.update(task, completed=done, note=note and f", {note}")

        yield advance
