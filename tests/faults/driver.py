"""A tournament in which somebody does harm; a process of its own for the fault matrix."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass
from typing import Any

import stackelberg_games as sg
from stackelberg_games.agents.leaders.random_search import RandomSearch
from tests.hostile import ANSWER, answering

PROGRAMS = {"dies": "exit 7", "stops": "kill -STOP $$", "is killed": "kill -KILL $$"}
TIMEOUT = 60.0
"""Seconds of a match that its own code would never end; the others may take what the computer takes."""


@dataclass
class Guilty(RandomSearch):
    """Does harm at its first update."""

    fault: str = "exit"

    def update(self, evidence: Any) -> dict[str, float]:
        if self.fault == "exit":
            os._exit(9)
        if self.fault in ("kill", "stop"):
            os.kill(os.getpid(), signal.SIGKILL if self.fault == "kill" else signal.SIGSTOP)
        if self.fault == "handles":
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            held = []
            try:
                while True:
                    held.append(os.open(os.devnull, os.O_RDONLY))
            finally:
                for handle in held:
                    os.close(handle)
        if self.fault == "stuck":
            ctypes.PyDLL(None).sleep(600)  # in compiled code, with the interpreter's lock
        return super().update(evidence)


def tournament(fault: str) -> sg.Tournament:
    """Sound players, and a guilty one where the fault comes from inside."""
    leaders: dict[str, Any] = {"sound": "random_search", "policy": "policy_gradient"}
    followers: dict[str, Any] = {"plans": ("soft_value_iteration", {"temperature": 0.1})}
    who, _, how = fault.partition(" ")
    if who == "program":
        command = answering(ANSWER, PROGRAMS[how])
        followers["guilty"] = ("black_box", {"command": command, "timeout": 2.0, "temperature": 0.1})
    elif fault in ("exit", "kill", "stop", "handles", "stuck"):
        leaders["guilty"] = Guilty(fault=fault)
    seeds = 60 if who in ("driver", "worker", "nothing") else 1 if fault in ("stop", "stuck") else 2
    return sg.Tournament("matrix-v0", leaders, followers, seeds=seeds, budget=600, points=2, references=False)


if __name__ == "__main__":
    backend, fault, store = sys.argv[1:]
    timeout = TIMEOUT if fault in ("stop", "stuck", "worker stopped") else None
    tournament(fault).play(store, backend=backend, workers=2, timeout=timeout, retry=False, progress=False)
