"""What a tournament costs beyond its matches, and whether it survives being killed.

    python benchmarks/tournament.py overhead [MATCHES]   CPU of planning, scheduling and storing; a tenth of them in one process
    python benchmarks/tournament.py report [MATCHES]     time and memory of building a report
    python benchmarks/tournament.py kill [TIMES]         kill -9 at random moments, then compare

Overheads are measured with matches that do nothing, and given beside the CPU time of the smallest
real match, both on the machine at hand.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from idle_match import Idle, made_up

from stackelberg_games.errors import StoreError
from stackelberg_games.tournaments import tournament_file
from stackelberg_games.tournaments.export import tables
from stackelberg_games.tournaments.match import Outcome
from stackelberg_games.tournaments.results import Results
from stackelberg_games.tournaments.runner import play_all, play_and_keep
from stackelberg_games.tournaments.store import FILE, Store
from stackelberg_games.tournaments.suites import suite
from stackelberg_games.tournaments.tournament import Tournament


def ten_leaders(matches: int) -> Tournament:
    """A tournament of about so many matches: 3 games, 10 leaders, 2 followers, and seeds to fit."""
    games = {f"toy {k}": ("discrete_toy-v0", {"R": 1.0 + k, "horizon": 20}) for k in range(3)}
    leaders = {f"leader {k}": ("random_search", {"scale": 1.0 + k}) for k in range(9)}
    followers = {f"follower {k}": ("soft_value_iteration", {"temperature": 0.05 + 0.05 * k}) for k in range(2)}
    return Tournament(games, leaders, followers, seeds=max(1, matches // 60), budget=80, episodes=2, points=20)


def overhead(matches: int) -> None:
    """CPU milliseconds a match that the driver spends on scheduling and storing."""
    begun = time.process_time()
    cup = ten_leaders(matches)
    planning = time.process_time() - begun
    played = idle(cup)
    sample = cup.matches[-1]
    sample.play()
    begun = time.process_time()
    sample.play()
    real = time.process_time() - begun
    print(f"{len(played):,} matches; planning {1e3 * planning / len(played):.3f} ms a match")
    for workers, some in ((1, played[: len(played) // 10]), (2, played)):  # by itself every match waits for the disk
        with tempfile.TemporaryDirectory() as folder:
            cpu, wall, size = kept(cup, some, workers, folder)
        each = 1e3 / len(some)
        print(
            f"{workers} worker{'s' if workers > 1 else ' '}: driver {each * cpu:.3f} ms of CPU a match, "
            f"{each * wall:.3f} ms of wall time, {size / len(some):,.0f} bytes stored; "
            f"the smallest real match takes {1e3 * real:.1f} ms of CPU, {1e3 * real / (each * cpu):.0f} times the driver's"
        )


def idle(cup: Tournament) -> list[Idle]:
    """Its matches, of which nothing is played."""
    return [Idle(m.game, m.leader, m.follower, m.seed, m.rules, m.held_out, m.key) for m in cup.matches]


def kept(cup: Tournament, matches: list[Idle], workers: int, folder: str) -> tuple[float, float, int]:
    """CPU seconds of this process, seconds, and bytes stored, of playing matches and keeping them in a folder."""
    with Store(folder, write=True) as store:
        list(play_all(matches[:8], workers=workers))  # workers are up before the clock starts
        wall, cpu = time.perf_counter(), time.process_time()
        store.add_plan(cup.plan())
        how = {"what": "matches", "total": len(matches), "progress": False, "begin": store.begin}
        play_and_keep(matches, store.put_all, workers=workers, **how)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return cpu, wall, (Path(folder) / "results.sqlite").stat().st_size


def report(matches: int) -> None:
    """Seconds and peak memory of loading results and building a report."""
    cup = ten_leaders(matches)
    with tempfile.TemporaryDirectory() as folder:
        with Store(folder, write=True) as store:
            store.add_plan(cup.plan())
            store._db.execute("BEGIN")
            for number, match in enumerate(cup.matches):
                store.put(match.key, made_up(number))
            store._db.execute("COMMIT")
        begun = time.perf_counter(), time.process_time()
        results = Results.load(folder)
        loaded = time.process_time() - begun[1]
        results.report(Path(folder) / "report.html")
        wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
        size = (Path(folder) / "report.html").stat().st_size
        results.save(folder)
        tidy = time.process_time() - begun[1] - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(cup.matches):,} matches: report in {wall:.1f} s ({cpu:.1f} s of CPU, {loaded:.1f} of them loading), "
        f"{size / 1e6:.2f} MB; CSV in {tidy:.1f} s of CPU; peak memory of the process {peak:,.0f} MB"
    )


def finished(run: Path) -> int:
    """How many matches a folder holds."""
    try:
        with Store(run) as store:
            return len(store.statuses())
    except StoreError:
        return 0


def kill(times: int) -> None:
    """Kill the default tournament at random moments until it is through, then compare with one run."""
    spec = suite("quick")[1].replace("seeds = 10", "seeds = 4")
    draws = np.random.default_rng(int(time.time()))
    with tempfile.TemporaryDirectory() as folder:
        file, run = Path(folder) / "cup.toml", Path(folder) / "run"
        file.write_text(spec)
        command = [sys.executable, "-m", "stackelberg_games", "tournament", str(file), "--out", str(run), "--quiet"]
        kept: dict[str, Outcome] = {}
        killed = 0
        keys = [match.key for match in tournament_file.load(file).matches]
        while killed < times:
            player = subprocess.Popen([*command, "--workers", "2"], stdout=subprocess.DEVNULL, start_new_session=True)
            wanted = len(kept) + int(draws.integers(0, 12))  # also before the first new one
            while player.poll() is None and finished(run) < wanted:
                time.sleep(0.05)
            time.sleep(float(draws.uniform(0.0, 1.0)))
            if player.poll() is not None:
                break
            os.kill(player.pid, signal.SIGKILL)
            player.wait()
            killed += 1
            try:
                with Store(run) as store:
                    now = store.outcomes(keys)
            except StoreError:
                if (run / FILE).exists() and (run / FILE).stat().st_size:
                    raise  # a store that does not open
                now = {}
            lost = [key for key, outcome in kept.items() if now.get(key) != outcome]
            print(f"kill {killed}: {len(now)} of {len(keys)} finished, {len(lost)} lost", flush=True)
            assert not lost
            kept = now
        final = tournament_file.load(file).play(run, workers=2)
        whole = tournament_file.load(file).play(backend="serial")
        for name in ("results", "matches", "curves"):
            same = repr(tables(final)[name]) == repr(tables(whole)[name])
            print(f"{name}: {'identical to' if same else 'DIFFERENT from'} an uninterrupted serial run")


def main() -> None:
    """Run one of the three."""
    if len(sys.argv) < 2 or sys.argv[1] not in ("overhead", "report", "kill"):
        sys.exit(__doc__)
    number = int(sys.argv[2]) if len(sys.argv) > 2 else None
    {"overhead": overhead, "report": report, "kill": kill}[sys.argv[1]](
        number or (20 if sys.argv[1] == "kill" else 10_000)
    )


if __name__ == "__main__":
    main()
