"""Conformance checks of a ``Game``: every face plays the same episodes, and the model is the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from scipy import stats

from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.conformance.play import (
    FOLLOWER,
    LEADER,
    NotApplicable,
    Subject,
    brief,
    configuration_of,
    configured,
    same,
)
from stackelberg_games.conformance.protocol import forms
from stackelberg_games.errors import ConformanceError
from stackelberg_games.faces.gym_env import BestResponseEnv
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.play.rollout import rollout
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories

EPISODES, STAGES, SEED = 3, 30, 9
DRAWS = 20_000
CHANCE = 1e-9
"""Probability with which a correct game fails the chi-squared test."""


def _draw(space: gymnasium.Space[Any], streams: Streams, lane: Lane, stage: int) -> Any:
    """A random action for every episode; unbounded sides are cut at one."""
    count = len(streams.episodes)
    if isinstance(space, spaces.Discrete):
        return np.floor(streams.uniform(lane, stage)[:, 0] * space.n).astype(np.int64) + int(space.start)
    if isinstance(space, spaces.Box):
        low, high = np.maximum(space.low, -1.0), np.minimum(space.high, 1.0)
        low, high = np.where(low > high, space.low, low), np.where(low > high, space.high, high)
        unit = streams.uniform(lane, stage, int(np.prod(space.shape))).reshape(count, *space.shape)
        return (low + (high - low) * unit).astype(space.dtype)
    widths = np.ravel(space.nvec) if isinstance(space, spaces.MultiDiscrete) else np.full(space.shape or (), 2).ravel()
    unit = streams.uniform(lane, stage, len(widths))
    return np.floor(unit * widths).astype(space.dtype).reshape(count, *(space.shape or ()))


class AnyLeader(Commitment):
    """Uniform play in any action space.

    Args:
        space: the leader's.
    """

    def __init__(self, space: gymnasium.Space[Any]) -> None:
        super().__init__()
        self.space = space

    def probabilities(self) -> torch.Tensor:
        """Finite games are given a ``TabularPolicy``.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError

    def sample(self, states: Any, streams: Streams, stage: int) -> Any:
        """Leader actions, ``[N, ...]``."""
        return _draw(self.space, streams, Lane.LEADER, stage)


class AnyFollower:
    """Uniform play that looks at nothing.

    Args:
        space: the follower's.
    """

    def __init__(self, space: gymnasium.Space[Any]) -> None:
        self.space = space

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> Any:
        """Follower actions, ``[N, ...]``."""
        return _draw(self.space, streams, Lane.FOLLOWER, stage)


def _game(subject: Subject) -> Game:
    if subject.game is None:
        raise NotApplicable("an AEC environment has no batched rules to compare with")
    return subject.game


def _commitment(game: Game) -> Commitment:
    chosen = configuration_of(game)
    policy = TabularPolicy(game) if isinstance(game, TabularGame) and game.idle_action is None else None
    if chosen is not None:
        return Configuration(chosen, policy=policy, states=getattr(game, "states", 1))
    return policy if policy is not None else AnyLeader(game.leader_action_space)


def _batch(game: Game) -> Trajectories:
    """A few episodes of uniform play, from the batched rules."""
    stages = min(game.stages(), STAGES)
    follower = AnyFollower(game.follower_action_space)
    return rollout(game, _commitment(game), follower, episodes=EPISODES, seed=SEED, stages=stages)


def close(one: Any, other: Any) -> bool:
    """Equality up to rounding: matrix products round differently in batches of different sizes."""
    a, b = np.asarray(one), np.asarray(other)
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True)


Shown = tuple[float, float, Any]
"""What a face says of a stage: both rewards, and what the leader then observes (or None)."""


def every_face_plays_the_same_episodes(subject: Subject) -> None:
    """AEC with and without wrappers, both Parallel forms and the Gymnasium face play what ``rollout`` plays."""
    game = _game(subject)
    batch = _batch(game)
    faces: dict[str, Callable[[], Iterator[Callable[..., Shown]]]] = {
        "env()": lambda: _aec(game, game.env()),
        "raw_env()": lambda: _aec(game, game.raw_env()),
        **{f"parallel_env({form!r})": lambda form=form: _parallel(game, form) for form in forms(subject)},  # type: ignore[misc]
        "best_response_env": lambda: _gymnasium(game),
    }
    for face, episodes in faces.items():
        for number, play in zip(range(EPISODES), episodes(), strict=False):
            for stage in range(int(batch.lengths[number])):
                _compare(game, batch, face, (number, stage), play)


def _compare(game: Game, batch: Trajectories, face: str, where: tuple[int, int], play: Callable[..., Shown]) -> None:
    number, stage = where
    assert batch.follower_rewards is not None
    leader, follower, view = play(batch.leader_actions[where], batch.follower_actions[where])
    expected = float(batch.leader_rewards[where]), float(batch.follower_rewards[where])
    state = batch.states[number, stage + 1]
    after = np.asarray(game.observe(state) if leader is None else game.observe_leader(state), np.float32)
    for name, mine, theirs in (
        ("the leader's reward", leader, expected[0]),
        ("the follower's reward", follower, expected[1]),
        ("the observation after the stage", view, after),
    ):
        if mine is not None and not close(mine, theirs):
            raise ConformanceError(
                f"episode {number}, stage {stage}: {name} is {brief(mine)} by {face} and {brief(theirs)} by rollout",
                "draw from the streams only, by (lane, stage), and keep nothing on the game between steps",
            )


def _submitted(game: Game, action: Any, first: bool) -> Any:
    """What leader_0 submits for its action at a stage; None where it does not move."""
    chosen = configuration_of(game)
    if chosen is None:
        return action
    if game.idle_action is None:
        return {"configuration": chosen, "action": action}
    return chosen if first else None


def _aec(game: Game, env: Any) -> Iterator[Callable[..., Shown]]:
    def play(leader: Any, follower: Any) -> Shown:
        move = _submitted(game, leader, env.agent_selection == LEADER)
        if move is not None:
            env.step(move)
        env.step(follower)
        return env.rewards[LEADER], env.rewards[FOLLOWER], env.observe(LEADER)

    for episode in range(EPISODES):
        env.reset(seed=SEED if episode == 0 else None)
        yield play


def _parallel(game: Game, form: Any) -> Iterator[Callable[..., Shown]]:
    env: Any = game.parallel_env(form)

    def play(leader: Any, follower: Any) -> Shown:
        if form == "plan" and game.follower_sees_action:
            follower = np.full(int(game.leader_action_space.n), follower)  # type: ignore[attr-defined]
        if form == "turns":
            leader = _submitted(game, leader, env.unwrapped.get_state().pending is None)
            if leader is not None:
                env.step({LEADER: leader})
        views, rewards, *_ = env.step({LEADER: leader, FOLLOWER: follower})
        view = views[LEADER][:-1] if form == "turns" else views[LEADER]
        return rewards[LEADER], rewards[FOLLOWER], view

    for episode in range(EPISODES):
        env.reset(seed=SEED if episode == 0 else None)
        yield play


def _gymnasium(game: Game) -> Iterator[Callable[..., Any]]:
    env = BestResponseEnv(game, _commitment(game))
    width = game.observation_space.shape[0]

    def play(leader: Any, follower: Any) -> Any:
        view, reward, *_ = env.step(follower)
        return None, reward, view[:width]

    for episode in range(EPISODES):
        env.reset(seed=SEED if episode == 0 else None)
        yield play


def batches_do_not_matter(subject: Subject) -> None:
    """An episode is the same whichever batch it is played in."""
    game = _game(subject)
    batch = _batch(game)
    rules, stages = configured(game), min(game.stages(), STAGES)
    for number in range(EPISODES):
        streams = Streams.of(SEED, 1, number)
        states = rules.initial(streams)
        for stage in range(min(int(batch.lengths[number]), stages)):
            _same_state(states[0], batch.states[number, stage], number, stage)
            leader, follower = batch.leader_actions[[number], stage], batch.follower_actions[[number], stage]
            states = rules.step(states, leader, follower, streams, stage).states
        _same_state(states[0], batch.states[number, int(batch.lengths[number])], number, int(batch.lengths[number]))


def _same_state(alone: Any, together: Any, number: int, stage: int) -> None:
    if not close(alone, together):
        raise ConformanceError(
            f"episode {number} is in state {brief(alone)} at stage {stage} when played alone, and in "
            f"{brief(together)} in a batch",
            "let every row depend on its own state, actions and streams alone, and do not write into the arguments",
        )


def steps_follow_the_model(subject: Subject) -> None:
    """Sampled first states, next states, rewards and ends agree with the arrays (chi-squared), also when configured."""
    if not isinstance(subject.game, TabularGame):
        raise NotApplicable("the rules are not given by arrays")
    _steps_follow(subject.game)
    chosen = configuration_of(subject.game)
    if chosen is not None:
        fixed, tables = configured(subject.game), subject.game.tables(torch.tensor(chosen))
        assert isinstance(fixed, TabularGame)
        for name, table in tables._asdict().items():
            listed = fixed.lists if name == "transition" else None
            if not close(getattr(fixed, name) if listed is None else listed.probability, table.detach().numpy()):
                raise ConformanceError(
                    f"the {name} of configured(x) is not that of tables(x)", "derive one from the other"
                )
        assert isinstance(fixed, TabularGame)
        _steps_follow(fixed)


def _steps_follow(game: TabularGame) -> None:
    streams = Streams.of(SEED, DRAWS)
    _chi_squared("the first state", game.initial(streams)[None], game.initial_distribution[None])
    alive = np.flatnonzero(~game.terminal)
    sizes = len(alive), game.leader_actions, game.follower_actions
    cells = np.random.default_rng(SEED).permutation(np.prod(sizes))[:40]
    rounds = DRAWS // len(cells)
    rows, leader, follower = (np.repeat(side, rounds) for side in np.unravel_index(cells, sizes))
    states = alive[rows]
    step = game.step(states, leader, follower, Streams.of(SEED, len(states)), 0)
    where = states, leader, follower
    for name, mine, theirs in (
        ("leader's reward", step.leader_rewards, game.leader_reward[where]),
        ("follower's reward", step.follower_rewards, game.follower_reward[where]),
        ("flag of the end", step.terminated, game.terminal[step.states]),
    ):
        if not same(np.asarray(mine), theirs):
            raise ConformanceError(f"the {name} of sampled steps is not that of the arrays", "change both together")
    drawn = step.states.reshape(len(cells), rounds)
    follow = [game.row(*(int(side[i * rounds]) for side in where)) for i in range(len(cells))]
    listed = np.unique(np.concatenate([drawn.ravel(), *(successors for successors, _ in follow)]))
    probabilities = np.zeros((len(cells), len(listed)))
    for row, (successors, chances) in zip(probabilities, follow, strict=True):
        row[np.searchsorted(listed, successors)] = chances
    _chi_squared("the next state", np.searchsorted(listed, drawn), probabilities, listed)


def _chi_squared(what: str, drawn: Any, probabilities: Any, names: Any = None) -> None:
    """Hold draws ``[K, N]`` against distributions ``[K, S]`` of outcomes, which may have other numbers ``[S]``."""
    states = probabilities.shape[1]
    counts = np.stack([np.bincount(row, minlength=states) for row in drawn])
    impossible = np.argwhere((counts > 0) & (probabilities == 0))
    if len(impossible):
        raise ConformanceError(
            f"{what} was {int(impossible[0][1] if names is None else names[impossible[0][1]])}, which has probability 0 in the arrays",
            "change both together",
        )
    expected = probabilities * drawn.shape[1]
    large = expected >= 5
    statistic = float((np.square(counts - expected)[large] / expected[large]).sum())
    freedom = int((large.sum(axis=1) - 1).clip(min=0).sum())
    if freedom and stats.chi2.sf(statistic, freedom) < CHANCE:
        raise ConformanceError(
            f"{what} is not distributed as in the arrays: chi-squared {statistic:.0f} with {freedom} degrees of freedom",
            "draw from the distribution in the arrays, or correct the arrays",
        )
