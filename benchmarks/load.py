"""Whether memory, file handles, threads and processes stay what they are under load.

    python benchmarks/load.py [matches] [turns] [trainings] [black_box]

Each load runs in a process of its own: 3,000 matches on two workers into a store, a million turns of an AEC environment, 200
trainings, 500 iterations with a program as follower. What the process and its children hold is read off ``/proc`` after
a third, two thirds and the whole. The exit status is 1 where the last third has added a handle, a thread or a process, or more than
``GROWTH`` of the memory.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import stackelberg_games as sg
from stackelberg_games.tournaments.runner import play_and_keep
from stackelberg_games.tournaments.store import Store

GROWTH = 0.02
MATCHES, TURNS, TRAININGS, ITERATIONS = 3_000, 1_000_000, 200, 500
PLAYER = """
import sys
for number, _ in enumerate(sys.stdin):
    print('{"action": null}' if number % 2 else '{"action": 0}', flush=True)
"""
"""Plays episodes of one stage."""


class Held(NamedTuple):
    """What a process and its children hold."""

    processes: int
    memory: float
    handles: int
    threads: int


def held() -> Held:
    """By this process and its children, memory in MB."""
    gc.collect()
    everyone = [os.getpid(), *children(os.getpid())]
    memory = handles = threads = 0
    for process in everyone:
        folder = Path(f"/proc/{process}")
        with suppress(OSError):
            memory += int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            handles += len([*(folder / "fd").iterdir()])
            threads += len([*(folder / "task").iterdir()])
    return Held(len(everyone), memory / 2**20, handles, threads)


def children(process: int) -> list[int]:
    """Children of a process, and theirs."""
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        with suppress(OSError):
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *children(child)]
    return found


def matches() -> Iterator[Held]:
    """Short matches on two workers, into a store."""
    cup = sg.Tournament(
        "matrix-v0",
        ["random_search", "policy_gradient", "evolution_strategies"],
        ("soft_value_iteration", {"temperature": 0.1}),
        seeds=MATCHES // 3,
        budget=60,
        points=2,
        references=False,
        evaluation_episodes=20,
    )
    assert len(cup.matches) == MATCHES
    seen: list[Held] = []
    played = 0

    def keep(group: Any) -> None:
        nonlocal played
        store.put_all(group)
        before, played = played, played + len(group)
        if before * 3 // MATCHES < played * 3 // MATCHES:
            seen.append(held())

    with tempfile.TemporaryDirectory() as folder, Store(folder, write=True) as store:
        store.add_plan(cup.plan())
        play_and_keep(cup.matches, keep, what="matches", total=MATCHES, progress=False, workers=2, begin=store.begin)
        assert len(store.statuses()) == MATCHES
    yield from seen


def turns() -> Iterator[Held]:
    """Moves of both players in the toy, through the AEC face."""
    env = sg.make("discrete_toy-v0").env()
    done = 0
    for episode in range(TURNS):
        env.reset(seed=episode)
        for agent in env.agent_iter():
            _, _, terminated, truncated, _ = env.last()
            env.step(None if terminated or truncated else 0 if agent == "leader_0" else 1)
            done += 1
            if done % (TURNS // 3) == 0:
                yield held()
        if done >= TURNS:
            return


def trainings() -> Iterator[Held]:
    """Short trainings, one after another."""
    for number in range(1, TRAININGS + 1):
        game = sg.make("discrete_toy-v0", horizon=20)
        sg.train(game, "bchg", "soft_value_iteration", iterations=5, seed=number, progress=False)
        if number * 3 % TRAININGS < 3:
            yield held()


def black_box() -> Iterator[Held]:
    """One training against a program."""
    seen: list[Held] = []

    def look(record: Any, leader: Any) -> None:
        if (int(record["iteration"]) + 1) * 3 % ITERATIONS < 3:
            seen.append(held())

    follower = sg.make_follower("black_box", command=[sys.executable, "-I", "-S", "-c", PLAYER], timeout=60.0)
    sg.train(
        sg.make("matrix-v0"),
        "policy_gradient",
        follower,
        iterations=ITERATIONS,
        evaluate_every=0,
        callbacks=[look],
        progress=False,
    )
    yield from seen


LOADS: dict[str, tuple[str, Callable[[], Iterator[Held]]]] = {
    "matches": (f"{MATCHES:,} matches, two workers", matches),
    "turns": (f"{TURNS:,} turns", turns),
    "trainings": (f"{TRAININGS} trainings", trainings),
    "black_box": (f"{ITERATIONS} iterations, black box", black_box),
}


def show(name: str) -> int:
    """Run a load and print a line; 1 where what is held has grown."""
    what, load = LOADS[name]
    first, second, last = list(load())[:3]
    flat = last.processes <= second.processes and last.handles <= second.handles and last.threads <= second.threads
    flat &= last.memory <= (1 + GROWTH) * second.memory
    memory = ", ".join(f"{at.memory:,.0f}" for at in (first, second, last))
    handles = ", ".join(str(at.handles) for at in (first, second, last))
    threads = ", ".join(str(at.threads) for at in (first, second, last))
    print(
        f"{what:30} {memory:>20} MB  {handles:>12} handles  {threads:>12} threads  {last.processes} processes: "
        f"{'flat' if flat else 'GROWS'}",
        flush=True,
    )
    return not flat


def main(wanted: list[str]) -> int:
    """Each of the loads in a process of its own."""
    if wanted[:1] == ["--one"]:
        return show(wanted[1])
    return max(subprocess.call([sys.executable, __file__, "--one", name]) for name in wanted or LOADS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
