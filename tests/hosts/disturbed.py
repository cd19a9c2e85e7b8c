"""The script, disturbed from outside in the middle of its tournament, and then run again where that ended it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = Path(__file__).with_name("script.py")
DISTURBED = f"""
import os, pathlib, runpy, signal, sys
from stackelberg_games.tournaments.store import Store
number, whole = getattr(signal, sys.argv[2]), Store.put_all
if number not in (signal.SIGKILL, signal.SIGSTOP):  # whoever began this may have had them ignored, as nohup does
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
def put_all(store, matches):
    whole(store, matches)
    if len(store.statuses()) == 2:
        os.kill(os.getpid(), number)
Store.put_all = put_all
runpy.run_path({str(SCRIPT)!r})["main"](pathlib.Path(sys.argv[1]))
"""
"""Gets the signal when its second match is stored, however fast it is."""


def begun(*command: str) -> subprocess.Popen[str]:
    """A process of its own."""
    return subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stopped(process: subprocess.Popen[str]) -> bool:
    """Whether a process waits to be continued."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def signalled(name: str, out: str) -> str:
    """What is said in the end."""
    process = begun("-c", DISTURBED, out, name)
    if name == "SIGSTOP":
        while process.poll() is None and not stopped(process):
            time.sleep(0.1)
        time.sleep(3)
        process.send_signal(signal.SIGCONT)
    said, refused = process.communicate()
    if name == "SIGSTOP":
        return said or refused
    if process.returncode == 0:
        return f"{name} did not end it"
    said, refused = begun(str(SCRIPT), out).communicate()
    return said or refused


def both(out: str) -> str:
    """What the one of two at the same time says that may write; the other is refused by a typed error."""
    said = [process.communicate() for process in (begun(str(SCRIPT), out), begun(str(SCRIPT), out))]
    digests = {answer.strip() for answer, _ in said if answer}
    untyped = [refused for answer, refused in said if not answer and "stackelberg_games.errors." not in refused]
    return " ".join(digests) if digests and not untyped else "\n".join(untyped)


if __name__ == "__main__":
    how, folder = sys.argv[1:]
    print(both(folder) if how == "two" else signalled(how, folder))
