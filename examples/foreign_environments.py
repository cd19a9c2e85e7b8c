"""Twenty-six environments that were not written for this package, each made a game and trained for a few updates.

Every entry names the release it was tried with. ``python examples/foreign_environments.py`` plays those whose package is
installed and prints the CPU time of an update; ``--record FILE`` stores it, as the table of the documentation has it.
Choose some by their names: ``python examples/foreign_environments.py tictactoe simple_tag``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import supersuit

import stackelberg_games as sg

EPISODES, STAGES, UPDATES = 2, 10, 2


@dataclass(frozen=True)
class Foreign:
    """An environment of somebody else's.

    Attributes:
        name: its id.
        package: the release that it was tried with.
        make: makes the game.
        how: how it was adapted, in words.
        notes: what does not work, or is worth knowing.
        needs: a module without which it cannot be made; the package's own if empty.
        leaders: who leads, one after the other.
        follower: id and settings of who follows.
    """

    name: str
    package: str
    make: Callable[[], sg.Game]
    how: str
    notes: str = ""
    needs: str = ""
    leaders: tuple[str, ...] = ("evolution_strategies", "bchg")
    follower: tuple[str, dict[str, Any]] = ("sb3", {"algorithm": "PPO", "budget": 64})

    @property
    def missing(self) -> str | None:
        """The release to install, or None where everything is there."""
        name, _, _ = self.package.partition("==")
        for module in filter(None, (self.needs, MODULES.get(name, name))):
            try:
                importlib.import_module(module)
            except ImportError:
                return self.package
        return None


MODULES = {"MinAtar": "minatar", "highway-env": "highway_env"}
MASKED: tuple[str, dict[str, Any]] = ("sb3", {"algorithm": "MaskablePPO", "budget": 64})
RANDOM: tuple[str, dict[str, Any]] = ("black_box", {})
ZOO, GYM, MPE = "pettingzoo==1.27.0", "gymnasium==1.4.0", "mpe2==1.1.1"


def pay(payments: Any, objective: Any = "reward", **settings: Any) -> Callable[[str], sg.Game]:
    """Makes games of an id with the leader paying."""
    return lambda wanted: sg.incentives(wanted, payments, objective, temperature=0.1, **settings)


def small(wanted: str, **settings: Any) -> Any:
    """A Parallel environment with its pictures in grey, 8 x 8."""
    env = pettingzoo.make("parallel", wanted, **settings)
    return supersuit.resize_v1(supersuit.color_reduction_v0(env, "B"), 8, 8)


def pistonball() -> Any:
    """Pistonball with five pistons, in small grey pictures."""
    return small("butterfly/pistonball-v6", n_pistons=5)


def cooperative_pong() -> Any:
    """Pong for two, in small grey pictures."""
    return small("butterfly/cooperative_pong-v6")


def flat_grid() -> Any:
    """MiniGrid's smallest room, as its picture of symbols alone."""
    from minigrid.wrappers import ImgObsWrapper

    return ImgObsWrapper(gymnasium.make("MiniGrid-Empty-5x5-v0"))


def minatar() -> Any:
    """MinAtar's Breakout; importing the package registers it."""
    from minatar.gym import BaseEnv

    return BaseEnv("breakout")


def highway() -> Any:
    """A road with traffic; importing the package registers it."""
    importlib.import_module("highway_env")
    return gymnasium.make("highway-fast-v0")


def two(wanted: Any, leader: str, follower: Any, **settings: Any) -> Callable[[], sg.Game]:
    """Makes a game of a PettingZoo environment."""
    return lambda: sg.adapt(wanted, leader, follower, temperature=0.1, **settings)


def centred(done: Any) -> float:
    """Paid where a cart stands in the middle."""
    return -abs(float(done.next_observation[0]))


SIMULTANEOUS: dict[str, Any] = {"follower_sees_action": False}
BY_NETWORK = {"kind": "network", "hidden": [8]}
CHOSEN: tuple[Foreign, ...] = (
    Foreign(
        "tictactoe",
        ZOO,
        two("classic/tictactoe-v3", "player_1", "player_2"),
        "masks in the observation",
        follower=MASKED,
    ),
    Foreign(
        "connect_four",
        ZOO,
        two("classic/connect_four-v3", "player_0", "player_1"),
        "masks in the observation",
        follower=MASKED,
    ),
    Foreign(
        "rps",
        ZOO,
        two("classic/rps-v2", "player_0", "player_1", follower_sees_action=True),
        "simultaneous; the adapter shows the follower the move",
        "another game than the original, as it says",
    ),
    Foreign(
        "pistonball",
        ZOO,
        two(pistonball, "piston_0", [f"piston_{k}" for k in range(1, 5)], **SIMULTANEOUS),
        "four pistons on the follower's side, pictures by SuperSuit",
        "pictures are read as flat vectors",
        needs="pymunk",
    ),
    Foreign(
        "cooperative_pong",
        ZOO,
        two(cooperative_pong, "paddle_0", "paddle_1", **SIMULTANEOUS),
        "simultaneous, pictures by SuperSuit",
        "pictures are read as flat vectors",
    ),
    Foreign(
        "knights_archers_zombies",
        ZOO,
        two(
            "butterfly/knights_archers_zombies-v11",
            "archer_0",
            ["archer_1"],
            others="uniform",
            **SIMULTANEOUS,
        ),
        "further agents uniform",
    ),
    Foreign(
        "multiwalker",
        ZOO,
        two("sisl/multiwalker-v9", "walker_0", ["walker_1", "walker_2"], **SIMULTANEOUS),
        "two walkers on the follower's side, continuous actions",
        needs="Box2D",
    ),
    Foreign(
        "pursuit",
        ZOO,
        two(
            {"id": "sisl/pursuit-v5", "n_pursuers": 3},
            "pursuer_0",
            "pursuer_1",
            others="uniform",
        ),
        "one pursuer follows and sees the move, one is uniform",
    ),
    Foreign(
        "simple_tag",
        MPE,
        two(
            "mpe2.simple_tag_v3:parallel_env",
            "agent_0",
            ["adversary_0", "adversary_1", "adversary_2"],
            **SIMULTANEOUS,
        ),
        "three adversaries on the follower's side",
    ),
    Foreign(
        "simple_speaker_listener",
        MPE,
        two("mpe2.simple_speaker_listener_v4:parallel_env", "speaker_0", "listener_0", **SIMULTANEOUS),
        "simultaneous; the follower hears a message a step later",
    ),
    Foreign(
        "simple_push",
        MPE,
        two(
            {"id": "mpe2.simple_push_v3:parallel_env", "continuous_actions": True},
            "adversary_0",
            "agent_0",
            follower_sees_action=True,
        ),
        "continuous actions, shown to the follower",
        "another game than the original, as it says",
    ),
    Foreign(
        "simple_adversary",
        MPE,
        two(
            "mpe2.simple_adversary_v3:parallel_env",
            "adversary_0",
            "agent_0",
            others="uniform",
            shared="agent_0",
            **SIMULTANEOUS,
        ),
        "the leader shares the follower's observation",
    ),
    Foreign(
        "FrozenLake",
        GYM,
        lambda: pay({"kind": "table", "on": "state"})("FrozenLake-v1"),
        "payments by state; exact",
        leaders=("evolution_strategies", "bchg", "hpgd", "exact_gradient"),
        follower=("soft_value_iteration", {"temperature": 0.1}),
    ),
    Foreign(
        "CliffWalking",
        GYM,
        lambda: pay({"kind": "table", "on": "action"})("CliffWalking-v1"),
        "payments by action; exact",
        "without a time limit of its own",
        follower=("soft_value_iteration", {"temperature": 0.1}),
    ),
    Foreign(
        "Taxi",
        GYM,
        lambda: pay({"kind": "table", "budget": 5.0})("Taxi-v4"),
        "payments by state and action within a budget; exact",
        "3 000 numbers are slow to find",
        follower=("soft_value_iteration", {"temperature": 0.1}),
    ),
    Foreign(
        "Blackjack",
        GYM,
        lambda: pay({"kind": "table", "on": "action"})("Blackjack-v1"),
        "Tuple observations, payments by action",
    ),
    Foreign(
        "CartPole",
        GYM,
        lambda: pay(BY_NETWORK, centred)("CartPole-v1"),
        "payments by a network",
        leaders=("evolution_strategies", "bchg", "policy_gradient", "hpgd"),
    ),
    Foreign(
        "MountainCar",
        GYM,
        lambda: pay(BY_NETWORK)("MountainCar-v0"),
        "payments by a network",
    ),
    Foreign(
        "Pendulum",
        GYM,
        lambda: sg.design("Pendulum-v1", {"m": (0.5, 1.5), "l": (0.5, 1.5)}, "reward", into="attributes", horizon=50),
        "mass and length by attributes, continuous actions",
        leaders=("evolution_strategies", "policy_gradient"),
    ),
    Foreign(
        "Acrobot",
        GYM,
        lambda: sg.design("Acrobot-v1", {"LINK_MASS_1": (0.5, 1.5)}, "reward", into="attributes", horizon=50),
        "mass by an attribute",
        leaders=("evolution_strategies", "policy_gradient"),
    ),
    Foreign(
        "LunarLander",
        GYM,
        lambda: sg.design("LunarLander-v3", {"gravity": (-11.0, -5.0)}, "reward", horizon=50),
        "gravity by the constructor",
        needs="Box2D",
        leaders=("evolution_strategies", "policy_gradient"),
    ),
    Foreign(
        "InvertedPendulum",
        GYM,
        lambda: pay(BY_NETWORK)("InvertedPendulum-v5"),
        "MuJoCo, payments by a network on continuous actions",
        needs="mujoco",
    ),
    Foreign(
        "Reacher",
        GYM,
        lambda: sg.design("Reacher-v5", {"reward_control_weight": (0.1, 2.0)}, "reward", horizon=50),
        "MuJoCo, the weight of a reward by the constructor",
        needs="mujoco",
        leaders=("evolution_strategies", "policy_gradient"),
    ),
    Foreign(
        "MiniGrid",
        "minigrid==3.2.0",
        lambda: sg.incentives(flat_grid, {"kind": "table", "on": "action"}, "reward", temperature=0.1),
        "payments by action, symbols only",
        "the text of a mission has to be left out (`ImgObsWrapper`)",
    ),
    Foreign(
        "MinAtar",
        "MinAtar==1.0.15",
        lambda: sg.incentives(minatar, {"kind": "table", "on": "action"}, "reward", temperature=0.1),
        "payments by action",
        "install it with `--no-deps`",
    ),
    Foreign(
        "highway",
        "highway-env==1.12.1",
        lambda: sg.incentives(highway, {"kind": "table", "on": "action"}, "reward", temperature=0.1),
        "payments by action",
        "a step takes tens of milliseconds of the simulator",
    ),
)


def learn(foreign: Foreign, leader: str, seed: int = 0) -> float:
    """Train for a few updates, and return the CPU seconds that one takes."""
    game = foreign.make()
    kind, settings = foreign.follower
    follower = sg.make_follower(kind, **settings)
    made = sg.make_leader(leader, **({"pairs": 1} if leader == "evolution_strategies" else {}))
    stages = min(STAGES, game.horizon or STAGES)
    started = time.process_time()
    run = sg.train(
        game, made, follower, iterations=UPDATES, episodes=EPISODES, stages=stages, seed=seed, progress=False
    )
    spent = (time.process_time() - started) / UPDATES
    assert all(np.isfinite(row["leader_return"]) for row in run.history)
    return spent


def main(arguments: Sequence[str] | None = None) -> None:
    """Play those that are installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="those to play; all if none is named")
    parser.add_argument("--record", type=Path, help="JSON file for what was measured")
    chosen = parser.parse_args(arguments)
    rows = []
    for foreign in CHOSEN:
        if chosen.names and foreign.name not in chosen.names:
            continue
        if foreign.missing is not None:
            print(f"{foreign.name:<26}not installed: {foreign.missing}")
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seconds = {leader: learn(foreign, leader) for leader in foreign.leaders}
        print(
            f"{foreign.name:<26}" + "  ".join(f"{leader} {spent:.2f} s" for leader, spent in seconds.items()),
            flush=True,
        )
        facts = {"name": foreign.name, "package": foreign.package, "how": foreign.how, "notes": foreign.notes}
        rows.append({**facts, "follower": foreign.follower[0], "seconds": seconds})
    if chosen.record is not None:
        versions = {name: metadata.version(name) for name in ("torch", "numpy", "stable-baselines3")}
        known = {"episodes": EPISODES, "stages": STAGES, "python": platform.python_version(), **versions}
        chosen.record.write_text(json.dumps({"settings": known, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
