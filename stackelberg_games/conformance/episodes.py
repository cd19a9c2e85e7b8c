"""Conformance checks of episodes: seeds, what a reset forgets, fresh objects, and copies in mid-episode."""

from __future__ import annotations

import copy
import importlib
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np

from stackelberg_games.conformance.play import (
    FOLLOWER,
    LEADER,
    Env,
    Move,
    NotApplicable,
    Script,
    Subject,
    brief,
    difference,
    episode,
    played_to,
    same,
    trace,
    turns,
)
from stackelberg_games.errors import ConformanceError

TURNS = 120
SEEDING = "when reset is given a seed, make a new generator from it and draw from nothing else"


def same_seed_same_episode(subject: Subject) -> None:
    """``reset(seed)`` twice on one object gives the same episode, to its end."""
    env = subject.env()
    for seed in (0, 7):
        first = episode(env, seed, TURNS)
        found = difference(first, episode(env, seed, TURNS))
        if found:
            raise ConformanceError(f"reset(seed={seed}) twice on one object gives two episodes: {found}", SEEDING)


def reset_forgets(subject: Subject) -> None:
    """An episode does not depend on what was played before it, finished or broken off."""
    fresh = episode(subject.env(), 3, TURNS)
    used = subject.env()
    for turns_before in (3, TURNS):
        episode(used, 11, turns_before, script=5)
        found = difference(fresh, episode(used, 3, TURNS))
        if found:
            raise ConformanceError(
                f"reset(seed=3) on a new object and after {'part of ' if turns_before == 3 else ''}another episode "
                f"differ: {found}",
                "set every attribute that changes in play again in reset",
            )


def unseeded_resets_differ(subject: Subject) -> None:
    """Resets without a seed give new episodes, on one object and on several."""
    env = subject.env()
    seeded = [episode(env, seed, 40) for seed in range(16)]
    commonest = max(sum(difference(one, other) is None for other in seeded) for one in seeded)
    if commonest == len(seeded):
        raise NotApplicable("nothing is random in this game, as far as 16 seeds can tell")
    needed = int(np.ceil(25 / -np.log(commonest / len(seeded))))  # chance of a false alarm: exp(-25)
    for where, episodes in (
        ("on one object", _unseeded(subject.env(), needed)),
        ("after reset(seed) with different seeds", _unseeded_after_seeds(env, needed)),
        ("on new objects", (episode(subject.env(), None, 40) for _ in range(needed))),
    ):
        first = next(episodes)
        if all(difference(first, other) is None for other in episodes):
            raise ConformanceError(
                f"{needed} resets without a seed {where} all give one episode, although seeds matter",
                "when reset is given no seed, go on with the generator in use; seed the first one from the system",
            )


def _unseeded(env: Env, count: int) -> Iterator[list[Move]]:
    for _ in range(count):
        yield episode(env, None, 40)


def _unseeded_after_seeds(env: Env, count: int) -> Iterator[list[Move]]:
    for seed in range(count):
        env.reset(seed=seed)
        yield episode(env, None, 40)


def observations_are_fresh(subject: Subject) -> None:
    """Observations stay as they are while play goes on, and writing into one does not reach the game."""
    env = subject.env()
    env.reset(seed=0)
    held: list[tuple[str, Any, Any]] = []
    for turn in turns(env, Script(), 20):
        for agent in env.agents:
            seen = env.observe(agent)
            held.append((agent, seen, copy.deepcopy(seen)))
            if _scribble(copy_of := env.observe(agent)) and not same(env.observe(agent), held[-1][2]):
                raise ConformanceError(
                    f"writing into an observation of {agent} ({brief(copy_of)}) changes what it observes next",
                    "return a copy: observe hands out the environment's own buffer",
                )
        for agent, seen, before in held:
            if not same(seen, before):
                raise ConformanceError(
                    f"an observation of {agent} changed from {brief(before)} to {brief(seen)} by the turn of {turn.agent}",
                    "return a copy: learners store observations, and this one is overwritten in place",
                )


def _scribble(observation: Any) -> bool:
    """Overwrite every array in an observation; whether there was one that can be."""
    parts = list(observation.values()) if isinstance(observation, dict) else [observation]
    arrays = [part for part in parts if isinstance(part, np.ndarray) and part.flags.writeable]
    for array in arrays:
        array[...] = 1 - array if array.dtype != np.bool_ else ~array
    return bool(arrays)


def infos_are_fresh(subject: Subject) -> None:
    """Infos are dicts, one for each player, and new ones after every step."""
    env = subject.raw_env()
    env.reset(seed=0)
    before: dict[str, Any] = {}
    for turn in turns(env, Script(), 20):
        for agent in env.agents:
            if not isinstance(env.infos[agent], dict):
                raise ConformanceError(
                    f"the info of {agent} is {env.infos[agent]!r}", "use {} where there is nothing to say"
                )
        if len(env.agents) == 2 and env.infos[LEADER] is env.infos[FOLLOWER]:
            raise ConformanceError("both players share one info dict", "write {agent: {} for agent in self.agents}")
        stale = [agent for agent in env.agents if before.get(agent) is env.infos[agent]]
        if stale and not (turn.terminated or turn.truncated):
            raise ConformanceError(
                f"at the turn of {turn.agent}, the info of {stale[0]} is the dict of the turn before",
                "make new info dicts in every step; Gymnasium's check_env refuses shared ones",
            )
        before = dict(env.infos)


def copies_keep_the_episode(subject: Subject) -> None:
    """Pickles and deep copies of a running environment play on as the original does."""
    for name, transport in (("pickle", _pickled), ("copy.deepcopy", copy.deepcopy)):
        for turn in (0, 3):
            env = subject.env()
            if not played_to(env, 5, Script(1), turn):
                continue
            try:
                twin = transport(env)
            except Exception as error:
                raise ConformanceError(
                    f"{name} of a running environment fails: {type(error).__name__}: {error}",
                    "keep no lambdas, windows or open files in attributes, or leave them out in __getstate__",
                ) from error
            found = _difference_of_twins(env, twin)
            if found:
                raise ConformanceError(
                    f"after {turn} turns, a copy by {name} plays another episode: {found}",
                    "keep the running episode in the state that is copied; EzPickle keeps constructor arguments only",
                )


def _difference_of_twins(env: Env, twin: Env) -> str | None:
    try:
        return difference(trace(env, Script(2), TURNS), trace(twin, Script(2), TURNS))
    except Exception as error:  # noqa: BLE001 (a broken copy may raise anything)
        return f"{type(error).__name__}: {error}"


def _pickled(env: Env) -> Env:
    """Through pickle, or through cloudpickle, which workers use, where pickle cannot."""
    try:
        data = pickle.dumps(env)
    except Exception:  # noqa: BLE001 (unpicklable attributes raise errors of many types)
        data = importlib.import_module("cloudpickle").dumps(env)  # gymnasium requires it
    loaded: Env = pickle.loads(data)
    return loaded
