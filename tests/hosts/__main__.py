"""The command; see the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("script.py")
RUN = f"import pathlib, runpy, sys; go = runpy.run_path({str(SCRIPT)!r})['main']; out = pathlib.Path(sys.argv[1])\n"
TORCH = RUN + "import torch\n"
DROPPED = "-dac_override,-dac_read_search"


def _nothing(place: Path) -> None:
    pass


@dataclass
class Host:
    """How the script is run.

    Attributes:
        flags: of the interpreter.
        code: what runs instead of the script.
        arguments: of ``disturbed.py``, which runs instead of it.
        env: variables; None for one that is not there.
        before: put before the command.
        prepare: does something to the folder with package, home and output.
    """

    flags: tuple[str, ...] = ()
    code: str = ""
    arguments: tuple[str, ...] = ()
    env: dict[str, str | None] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    prepare: Callable[[Path], None] = _nothing


def _read_only(place: Path) -> None:
    for folder in ("package", "home"):
        for path in [place / folder, *(place / folder).rglob("*")]:
            path.chmod(path.stat().st_mode & ~0o222)


def _open_to_all(place: Path) -> None:
    place.chmod(0o755)
    (place / "out").chmod(0o777)


AS_USER = ("setpriv", f"--bounding-set={DROPPED}", f"--inh-caps={DROPPED}")
HOSTS = {
    "as usual": Host(),
    "package and HOME read-only": Host(before=AS_USER if os.getuid() == 0 else (), prepare=_read_only),
    "unknown user id": Host(
        before=("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"),
        env={"HOME": "/nonexistent", "USER": None, "LOGNAME": None},
        prepare=_open_to_all,
    ),
    "no HOME": Host(env={"HOME": None}),
    "torch.no_grad": Host(code=TORCH + "with torch.no_grad(): go(out)"),
    "torch.inference_mode": Host(code=TORCH + "with torch.inference_mode(): go(out)"),
    "a default device": Host(code=TORCH + "torch.set_default_device('meta'); go(out)"),
    "a device context": Host(code=TORCH + "with torch.device('meta'): go(out)"),
    "eight threads": Host(code=TORCH + "torch.set_num_threads(8); go(out)", env={"OMP_NUM_THREADS": "8"}),
    "python -O": Host(flags=("-O",)),
    "python -OO": Host(flags=("-OO",)),
    "warnings are errors of ours": Host(flags=("-W", "error::RuntimeWarning", "-W", "error::ResourceWarning")),
    "an ASCII locale": Host(env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    "umask 077": Host(code=RUN + "import os; os.umask(0o077); go(out)"),
    "a spawned child": Host(
        code="import multiprocessing, pathlib, sys\nfrom tests.hosts.script import main\nif __name__ == '__main__':\n"
        " c = multiprocessing.get_context('spawn').Process(target=main, args=(pathlib.Path(sys.argv[1]),))\n"
        " c.start(); c.join(); sys.exit(c.exitcode)"
    ),
    "a thread": Host(code=RUN + "import threading; t = threading.Thread(target=go, args=(out,)); t.start(); t.join()"),
    "a running event loop": Host(
        code=RUN + "import asyncio\nasync def cell(): go(out)\nasyncio.run(cell())"  # as in a notebook
    ),
    "a clock that goes back": Host(
        code=RUN + "import time; n = iter(range(10**9, 0, -60)); time.time = lambda: next(n); go(out)"
    ),
    "Ctrl-C, and again": Host(arguments=("SIGINT",)),
    "SIGTERM, and again": Host(arguments=("SIGTERM",)),
    "SIGHUP, and again": Host(arguments=("SIGHUP",)),
    "kill -9, and again": Host(arguments=("SIGKILL",)),
    "stopped, and continued": Host(arguments=("SIGSTOP",)),
    "two at once in one folder": Host(arguments=("two",)),
    "no standard streams": Host(code=RUN + "import io; s = sys.stdout; sys.stdin = sys.stderr = None; go(out)"),
}


def run(host: Host) -> tuple[str, float]:
    """What a host prints last, and how many seconds it takes."""
    place = Path(tempfile.mkdtemp())
    try:
        for folder in ("stackelberg_games", "agents", "envs"):
            links = folder == "stackelberg_games"  # agents and envs lie in it, by links
            if links:
                skipped = shutil.ignore_patterns("__pycache__", "*.nb?")
                shutil.copytree(ROOT / folder, place / "package" / folder, ignore=skipped)
        shutil.copytree(ROOT / "tests" / "hosts", place / "package" / "tests" / "hosts")
        (place / "home").mkdir()
        (place / "out").mkdir()
        host.prepare(place)
        env = {**os.environ, "HOME": str(place / "home"), "PYTHONPATH": str(place / "package")}
        env |= {
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(place / "out"),
            "MPLBACKEND": "agg",
            "OMP_NUM_THREADS": "1",
        }
        env = {name: value for name, value in (env | host.env).items() if value is not None}
        what = ["-c", host.code] if host.code else [str(SCRIPT)]
        what = [str(SCRIPT.with_name("disturbed.py")), *host.arguments] if host.arguments else what
        command = [*host.before, sys.executable, *host.flags, *what, str(place / "out")]
        start = time.monotonic()
        done = subprocess.run(
            command, env=env, cwd=place / "out", capture_output=True, text=True, timeout=900, check=False
        )
        said = (done.stdout.strip() or done.stderr.strip() or f"exit {done.returncode}").splitlines()
        return said[-1] if done.returncode == 0 or not done.stderr else done.stderr.strip().splitlines()[-1], (
            time.monotonic() - start
        )
    finally:
        for path in [place, *place.rglob("*")]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o700)
        shutil.rmtree(place)


def main(parts: list[str]) -> int:
    """Run the hosts whose names hold one of the parts; returns how many differ from the first."""
    usual, differ = run(HOSTS["as usual"])[0], 0
    for name, host in HOSTS.items():
        if not parts or any(part in name for part in parts):
            said, seconds = run(host)
            same = said == usual and said.startswith("digest")
            differ += not same
            print(f"{name:28} {seconds:6.1f} s  {'the same numbers' if same else said[:150]}", flush=True)
    print(f"{differ} differ")
    return differ


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
