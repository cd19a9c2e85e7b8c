"""The script, disturbed from outside in the middle of its tournament, and then run again where that ended it."""

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

SCRIPT = Path(__file__).with_name("script.py")


def begun(out: Path) -> subprocess.Popen[str]:
    """The script in a process of its own."""
    command = [sys.executable, str(SCRIPT), str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stored(out: Path) -> int:
    """How many matches its store holds."""
    with suppress(sqlite3.Error):
        uri = f"file:{out / 'cup' / 'results.sqlite'}?mode=ro"
        with sqlite3.connect(uri, uri=True) as store:
            return int(store.execute("SELECT count(*) FROM matches").fetchone()[0])
    return 0


def signalled(name: str, out: Path) -> str:
    """What is said in the end, with a signal after the second match."""
    process = begun(out)
    while process.poll() is None and stored(out) < 2:
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    if name == "SIGSTOP":
        time.sleep(3)
        process.send_signal(signal.SIGCONT)
    said, refused = process.communicate()
    if name == "SIGSTOP":
        return said or refused
    if process.returncode == 0:
        return "it was over before it was disturbed"
    said, refused = begun(out).communicate()
    return said or refused


def both(out: Path) -> str:
    """What the one of two at the same time says that may write; the other is refused by a typed error."""
    said = [process.communicate() for process in (begun(out), begun(out))]
    digests = {answer.strip() for answer, _ in said if answer}
    untyped = [refused for answer, refused in said if not answer and "stackelberg_games.errors." not in refused]
    return " ".join(digests) if digests and not untyped else "\n".join(untyped)


if __name__ == "__main__":
    how, folder = sys.argv[1], Path(sys.argv[2])
    print(both(folder) if how == "two" else signalled(how, folder))
